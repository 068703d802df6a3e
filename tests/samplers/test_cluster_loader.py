"""Cluster batches: what METIS cuts, and all edges between the nodes of some clusters."""

from __future__ import annotations

import builtins

import pytest
import torch
from torch_geometric.data import Data

from graphssl.data import graph_source, planted_communities, write_graph
from graphssl.errors import ConfigurationError, MissingExtraError
from graphssl.ops.csr import CSR
from graphssl.samplers import ClusterLoader, partition


def cut_edges(parts: torch.Tensor, data: Data) -> int:
    return int((parts[data.edge_index[0]] != parts[data.edge_index[1]]).sum())


def test_parts_are_balanced_and_cut_few_edges():
    pytest.importorskip("pymetis")
    data = planted_communities(400, 4, average_degree=12, homophily=0.95)
    csr = graph_source(data).topology("out")
    parts = partition(csr, 4, seed=0)
    assert parts.dtype == torch.int64
    assert parts.shape == (400,)
    sizes = torch.bincount(parts, minlength=4)
    assert int(sizes.max()) <= 1.05 * 100
    random = torch.randint(4, (400,), generator=torch.Generator().manual_seed(0))
    assert cut_edges(parts, data) < 0.25 * cut_edges(random, data)
    assert cut_edges(parts, data) <= 1.3 * cut_edges(data.y, data)  # not much worse than what was planted
    assert torch.equal(parts, partition(csr, 4, seed=0))
    assert torch.equal(parts, partition(data, 4, seed=2**31))  # a graph in any form, and any whole number


def test_direction_loops_duplicates_and_weights_do_not_count():
    pytest.importorskip("pymetis")
    data = planted_communities(120, 3, average_degree=8)
    plain = partition(graph_source(data).topology("out"), 3)
    one_way = data.edge_index[:, data.edge_index[0] < data.edge_index[1]]
    loops = torch.arange(120).repeat(2, 1)
    messy = torch.cat([one_way, one_way[:, :50], loops, one_way.flip(0)[:, ::3]], dim=1)
    weight = torch.rand(messy.size(1))
    assert torch.equal(partition(CSR.from_edges(messy, 120, weight=weight), 3), plain)


@pytest.mark.parametrize("num_parts", [1, 2, 5])
def test_awkward_graphs_are_cut(num_parts):
    if num_parts > 1:
        pytest.importorskip("pymetis")
    edgeless = CSR.from_edges(torch.empty(2, 0, dtype=torch.int64), 5)
    loops = CSR.from_edges(torch.tensor([[0, 1, 1], [0, 1, 1]]), 5)
    for csr in (edgeless, loops):
        parts = partition(csr, num_parts)
        assert parts.shape == (5,)
        assert 0 <= int(parts.min()) <= int(parts.max()) < num_parts


@pytest.mark.parametrize("num_parts", [0, -1, 6])
def test_impossible_numbers_of_parts(num_parts):
    with pytest.raises(ConfigurationError, match="from 1 to the number of nodes, 5"):
        partition(CSR.from_edges(torch.tensor([[0], [1]]), 5), num_parts)


def test_without_the_extra(monkeypatch):
    real = builtins.__import__

    def without_pymetis(name, *args, **kwargs):
        if name == "pymetis":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pymetis)
    with pytest.raises(MissingExtraError, match="partition"):
        partition(CSR.from_edges(torch.tensor([[0], [1]]), 5), 2)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batches_have_every_edge_inside_their_clusters(batch_size):
    data = planted_communities(90, 3, num_features=4)
    data.edge_attr = torch.arange(data.num_edges)
    parts = torch.arange(90) % 5 * 2  # 0, 2, 4, 6, 8: the odd ones are empty
    loader = ClusterLoader(data, parts=parts, batch_size=batch_size, shuffle=True, seed=1)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-5 // batch_size)
    for batch in batches:
        members = parts[batch.n_id].unique()
        assert torch.equal(batch.n_id.sort().values, torch.isin(parts, members).nonzero().view(-1))
        inside = torch.isin(data.edge_index, batch.n_id).all(0).nonzero().view(-1)
        assert torch.equal(batch.e_id.sort().values, inside)
        assert torch.equal(batch.edge_attr, batch.e_id)
        assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
        assert torch.equal(batch.x, data.x[batch.n_id])
        assert torch.equal(batch.y, data.y[batch.n_id])
        assert "batch_size" not in batch  # there are no seeds


def test_parts_may_be_arrays_and_have_any_number():
    data = planted_communities(90, 3, num_features=4)
    expected = [batch.n_id for batch in ClusterLoader(data, parts=data.y)]
    for parts in (data.y.tolist(), data.y.numpy(), data.y * 10**15):
        for here, there in zip(ClusterLoader(data, parts=parts), expected, strict=True):
            assert torch.equal(here.n_id, there)


def test_metis_is_asked_with_the_seed_of_the_loader():
    pytest.importorskip("pymetis")
    data = planted_communities(90, 3, num_features=4)
    loader = ClusterLoader(data, 6, seed=3)
    assert torch.equal(loader.parts, partition(graph_source(data).topology("out"), 6, seed=3))
    assert sum(batch.num_nodes for batch in loader) == 90


def test_graphs_on_disk_and_without_features(tmp_path):
    data = planted_communities(60, 3, num_features=4)
    parts = data.y.clone()
    disk = write_graph(tmp_path / "g", data)
    for here, there in zip(ClusterLoader(data, parts=parts), ClusterLoader(disk, parts=parts), strict=True):
        assert torch.equal(here.x, there.x)
        assert torch.equal(here.edge_index, there.edge_index)
    for given in (parts.int(), parts.numpy(), parts.tolist()):
        assert torch.equal(ClusterLoader(data, parts=given).parts, parts)
    bare = Data(edge_index=data.edge_index, num_nodes=60)
    assert [batch.num_nodes for batch in ClusterLoader(bare, parts=parts)] == [20, 20, 20]


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("one of them", {}),
        ("one of them", {"num_parts": 2, "parts": torch.zeros(60, dtype=torch.int64)}),
        (r"shape \(60,\)", {"parts": torch.zeros(59, dtype=torch.int64)}),
        ("integers of shape", {"parts": torch.zeros(60)}),
        ("integers of shape", {"parts": torch.zeros(60, dtype=torch.bool)}),
        (">= 0", {"parts": torch.full((60,), -1)}),
        ("num_parts must be", {"num_parts": 61}),
        ("num_parts as a whole number, got 2.5", {"num_parts": 2.5}),
    ],
)
def test_bad_settings_are_named(message, settings):
    with pytest.raises(ConfigurationError, match=message):
        ClusterLoader(planted_communities(60, 3), **settings)
