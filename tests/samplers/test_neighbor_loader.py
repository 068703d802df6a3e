"""Batches of seeds with sampled neighbours: PyG's layout, and every form a graph comes in."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, FeatureStore, HeteroData
from torch_geometric.testing import MyFeatureStore, MyGraphStore

from graphssl.data import graph_source, planted_communities, write_graph
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import gcn_degree
from graphssl.samplers import NeighborLoader


def graph(*, nodes: int = 40, edges: int = 200, seed: int = 0, loops: bool = True) -> Data:
    """A directed graph with duplicates and isolated nodes; every attribute numbers what it belongs to."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(nodes - 3, (2, edges), generator=generator)
    if not loops:
        edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    number = torch.arange(edge_index.size(1))
    return Data(
        x=torch.rand(nodes, 3, generator=generator), edge_index=edge_index, y=torch.arange(nodes),
        node_label=torch.arange(nodes), edge_attr=number[:, None].float(), edge_weight=number % 4 + 0.5,
        time=torch.randint(100, (edge_index.size(1),), generator=generator), name="a graph",
    )  # fmt: skip


def one(data, num_neighbors, **settings) -> Data:
    return next(iter(NeighborLoader(data, num_neighbors, prefetch=0, **settings)))


def check_named(batch: Data, data: Data) -> None:
    assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
    for key in ("x", "y", "node_label"):
        assert torch.equal(batch[key], data[key][batch.n_id])
    for key in ("edge_attr", "edge_weight", "time"):
        assert torch.equal(batch[key], data[key][batch.e_id])


def test_layout():
    data = graph()
    seeds = torch.tensor([7, 3, 30, 3])
    batch = one(data, [4, 2], input_nodes=seeds, batch_size=3)
    check_named(batch, data)
    assert batch.batch_size == 3
    assert batch.input_id.tolist() == [0, 1, 2]
    assert batch.n_id[:3].tolist() == [7, 3, 30]
    assert batch.n_id.unique().numel() == batch.n_id.numel() == batch.num_nodes
    assert sum(batch.num_sampled_nodes) == batch.num_nodes
    assert sum(batch.num_sampled_edges) == batch.num_edges
    assert batch.num_sampled_nodes[0] == 3
    assert "name" not in batch
    degree = torch.bincount(data.edge_index[1], minlength=40)
    assert torch.equal(batch.whole_in_degree, degree[batch.n_id].float())
    torch.testing.assert_close(batch.whole_norm_degree, gcn_degree(data.edge_index, 40, data.edge_weight)[batch.n_id])
    # Hop after hop, edges end in the nodes of the hop before: as many as the fan-out, if there are.
    start, reached = 0, [0, *torch.tensor(batch.num_sampled_nodes).cumsum(0).tolist()]
    for hop, fanout in enumerate([4, 2]):
        source, target = batch.edge_index[:, start : start + batch.num_sampled_edges[hop]]
        start += batch.num_sampled_edges[hop]
        assert bool(((target >= reached[hop]) & (target < reached[hop + 1])).all())
        assert bool((source < reached[hop + 2]).all())
        count = torch.bincount(target, minlength=reached[hop + 1])[reached[hop] :]
        assert torch.equal(count, degree[batch.n_id[reached[hop] : reached[hop + 1]]].clamp(max=fanout))


def test_all_neighbours_are_the_ball_around_the_seeds():
    data = graph()
    batch = one(data, [-1, -1], input_nodes=torch.tensor([5, 9]), batch_size=2)
    inner = {5, 9}
    edges = [(e, *pair) for e, pair in enumerate(data.edge_index.t().tolist())]
    inner |= {source for _, source, target in edges if target in inner}
    wanted = [e for e, _, target in edges if target in inner]
    assert sorted(batch.e_id.tolist()) == wanted
    assert set(batch.n_id.tolist()) == inner | {source for _, source, target in edges if target in inner}


@pytest.mark.parametrize("kind", ["mask", "int32", "list", "none"])
def test_input_nodes(kind):
    data = graph()
    mask = torch.arange(40) % 3 == 0
    given = {"mask": mask, "int32": mask.nonzero().view(-1).int(), "list": list(range(0, 40, 3)), "none": None}[kind]
    loader = NeighborLoader(data, [2], given, batch_size=5, shuffle=True)
    batches = list(loader)
    seeds = torch.cat([batch.n_id[: batch.batch_size] for batch in batches])
    wanted = torch.arange(40) if kind == "none" else mask.nonzero().view(-1)
    assert torch.equal(seeds.sort().values, wanted)
    assert torch.equal(wanted[torch.cat([batch.input_id for batch in batches])], seeds)
    assert len(batches) == len(loader) == -(-wanted.numel() // 5)


def test_epochs_sample_anew_and_a_seed_does_not_depend_on_its_batch():
    data = graph()
    loader = NeighborLoader(data, [2], batch_size=40)
    assert not torch.equal(next(loader.epoch(0)).e_id, next(loader.epoch(1)).e_id)

    def edges_of_seeds(size: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for batch in NeighborLoader(data, [2], batch_size=size).epoch(3):
            for place, node in enumerate(batch.n_id[: batch.batch_size].tolist()):
                found[node] = batch.e_id[batch.edge_index[1] == place].tolist()
        return found

    assert edges_of_seeds(1) == edges_of_seeds(7) == edges_of_seeds(40)


def test_drop_last_and_transform():
    data = graph()
    loader = NeighborLoader(data, [1], batch_size=7, drop_last=True, transform=lambda batch: (batch.batch_size, "seen"))
    assert len(loader) == 5
    assert list(loader) == [(7, "seen")] * 5


def test_induced_has_every_edge_between_its_nodes():
    data = graph()
    batch = one(data, [3, 2], batch_size=4, subgraph_type="induced")
    check_named(batch, data)
    inside = torch.isin(data.edge_index, batch.n_id).all(0).nonzero().view(-1)
    assert torch.equal(batch.e_id.sort().values, inside)
    assert torch.equal(batch.n_id, one(data, [3, 2], batch_size=4).n_id)
    assert "num_sampled_edges" not in batch  # they do not come hop by hop


def test_disjoint_trees_name_their_seed():
    data = graph()
    batch = one(data, [3, 2], batch_size=6, disjoint=True)
    check_named(batch, data)
    assert batch.batch[:6].tolist() == list(range(6))
    assert torch.equal(*batch.batch[batch.edge_index])
    assert all(batch.n_id[batch.batch == s].unique().numel() == (batch.batch == s).sum() for s in range(6))


def test_temporal_sampling_looks_back_only():
    data = graph()
    seeds, limit = torch.tensor([1, 2, 3, 4, 4]), torch.tensor([10, 90, 50, 0, 99])
    settings = dict(input_nodes=seeds, input_time=limit, time_attr="time", disjoint=True, batch_size=5)
    batch = one(data, [-1], **settings)
    check_named(batch, data)
    for place, (node, until) in enumerate(zip(seeds.tolist(), limit.tolist(), strict=True)):
        wanted = ((data.edge_index[1] == node) & (data.time <= until)).nonzero().view(-1)
        assert torch.equal(batch.e_id[batch.edge_index[1] == place].sort().values, wanted)
    assert "whole_in_degree" not in batch  # it would count edges of the future
    two = one(data, [3, 3], **settings)
    assert bool((two.time <= limit[two.batch[two.edge_index[1]]]).all())


def test_weighted_sampling_follows_the_odds():
    weight = torch.tensor([0.0, 1.0, 2.0, 5.0])
    star = Data(x=torch.rand(5, 1), edge_index=torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0]]), odds=weight)
    loader = NeighborLoader(star, [1], torch.zeros(4000, dtype=torch.int64), weight_attr="odds", batch_size=4000)
    batch = next(iter(loader))
    assert "whole_in_degree" not in batch
    count = torch.bincount(batch.e_id, minlength=4).double()
    expected = 4000 * weight.double() / 8
    assert count[0] == 0
    assert float(((count - expected)[1:] ** 2 / expected[1:]).sum()) < 13.8  # chi-square, 2 degrees, p = 0.001


def test_replacement_repeats_edges():
    star = Data(x=torch.rand(3, 1), edge_index=torch.tensor([[1, 2], [0, 0]]))
    batch = one(star, [50], input_nodes=torch.tensor([0]), replace=True)
    assert batch.num_edges == 50
    assert set(batch.e_id.tolist()) == {0, 1}
    assert one(star, [50], input_nodes=torch.tensor([1]), replace=True).num_edges == 0


def test_degrees_are_none_of_the_sample():
    """Without loops and weights they are counts; of a node with loops the GCN counts one."""
    data = graph(loops=False)
    data.edge_weight = None
    batch = one(data, [1], batch_size=9)
    assert torch.equal(batch.whole_norm_degree, batch.whole_in_degree + 1)
    data = graph()
    data.edge_weight = None
    batch = one(data, [1], batch_size=40)
    assert bool((batch.whole_norm_degree <= batch.whole_in_degree + 1).all())
    assert bool((batch.whole_norm_degree < batch.whole_in_degree + 1).any())


def test_a_graph_without_features():
    data = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=5)
    batch = one(data, [2], batch_size=5)
    assert batch.num_nodes == 5
    assert "x" not in batch
    assert one(Data(x=torch.rand(1, 2), edge_index=torch.empty(2, 0, dtype=torch.int64)), [3, 3]).num_nodes == 1


def stores(data: Data, layout: str) -> tuple[MyFeatureStore, MyGraphStore]:
    features, edges = MyFeatureStore(), MyGraphStore()
    features.put_tensor(data.x, group_name=None, attr_name="x", index=None)
    features.put_tensor(data.y, group_name=None, attr_name="y", index=None)
    size = (data.num_nodes, data.num_nodes)
    row, col = data.edge_index
    if layout == "csr":
        order = torch.argsort(row, stable=True)
        row, col = torch.bincount(row, minlength=size[0]).cumsum(0), col[order]
        row = torch.cat([row.new_zeros(1), row])
    elif layout == "csc":
        order = torch.argsort(col, stable=True)
        row, col = row[order], torch.bincount(col, minlength=size[0]).cumsum(0)
        col = torch.cat([col.new_zeros(1), col])
    edges.put_edge_index((row, col), edge_type=None, layout=layout, size=size)
    return features, edges


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
def test_pairs_of_stores_equal_the_graph_in_memory(layout):
    data = graph()
    data.edge_weight = None
    pair = stores(data, layout)
    for settings in ({}, {"subgraph_type": "induced"}, {"disjoint": True}):
        here, there = (one(d, [3, 2], batch_size=11, **settings) for d in (data, pair))
        ends = here.n_id[here.edge_index], there.n_id[there.edge_index]
        assert torch.equal(*ends)
        for key in ("n_id", "x", "y", "whole_in_degree", "whole_norm_degree", "input_id"):
            assert torch.equal(here[key], there[key]), key


def test_a_data_is_a_pair_of_stores_too():
    data = graph()
    pair = one((data, data), [3, 2], batch_size=11)
    whole = one(data, [3, 2], batch_size=11)
    for key in ("n_id", "e_id", "edge_index", "x", "y", "whole_in_degree"):
        assert torch.equal(whole[key], pair[key]), key


@pytest.mark.parametrize("undirected", [False, True])
def test_graphs_on_disk(tmp_path, undirected):
    data = planted_communities(60, 3, num_features=4) if undirected else graph()
    if not undirected:
        data.node_label = data.edge_attr = data.name = None
    disk = write_graph(tmp_path / "g", data, undirected=undirected)
    for given in (disk, (disk, disk), graph_source(disk)):
        here, there = (one(d, [3, 2], batch_size=13) for d in (data, given))
        assert torch.equal(here.n_id[here.edge_index], there.n_id[there.edge_index])
        names = ("n_id", "x", "y", "whole_in_degree", "whole_norm_degree", "input_id")
        for key in names if undirected else (*names, "edge_weight", "time"):
            torch.testing.assert_close(here[key], there[key])
    if not undirected:
        batch = one(disk, [2], weight_attr="edge_weight", batch_size=40)
        assert "whole_in_degree" not in batch
        settings = dict(input_time=torch.full((40,), 30), disjoint=True, batch_size=40)
        assert int(one(disk, [-1], time_attr="time", **settings).time.max()) <= 30


def test_attributes_named_as_weight_and_time_belong_to_edges():
    data = graph(nodes=40, edges=40)
    data.odds, data.when = torch.rand(40), torch.arange(40)
    data.node_label = data.edge_attr = None
    batch = one(data, [3], weight_attr="odds", batch_size=9)
    assert torch.equal(batch.odds, data.odds[batch.e_id])
    settings = dict(time_attr="when", input_time=torch.full((40,), 99), disjoint=True, batch_size=9)
    batch = one(data, [3], **settings)
    assert torch.equal(batch.when, data.when[batch.e_id])
    data.when = data.when + 0.5
    with pytest.raises(InvalidGraphError, match=r"time stamps as integers, got torch\.float32"):
        NeighborLoader(data, [3], **settings)


def test_stores_of_several_types_are_read_at_one():
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(9, 3), torch.rand(7, 3)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 8], [6, 5]])
    with pytest.raises(InvalidGraphError, match=r"type 'a'.*\('a', 'to', 'b'\)"):
        NeighborLoader((data, data), [2])
    data["a", "to", "a"].edge_index = torch.tensor([[0, 8], [7, 2]])
    batch = one((data, data), [2], batch_size=9)
    assert torch.equal(batch.x, data["a"].x)
    assert {tuple(pair) for pair in batch.edge_index.t().tolist()} == {(0, 7), (8, 2)}


def test_features_of_other_types_become_float32_where_they_are_stored(tmp_path):
    data = graph()
    data.node_label = data.edge_attr = data.name = None
    disk = write_graph(tmp_path / "g", data, dtype="float16")
    assert one(disk, [2], batch_size=4).x.dtype == torch.float32
    data.x = data.x.double()
    assert one(stores(data, "coo"), [2], batch_size=4).x.dtype == torch.float32


def test_the_graph_is_not_copied_and_the_topology_remembered():
    data = graph()
    first, second = NeighborLoader(data, [2]), NeighborLoader(data, [2])
    assert first.csr is second.csr
    pair = graph_source(stores(data, "coo"))
    assert pair.topology("in") is pair.topology("in")
    assert pair.norm_degree() is pair.norm_degree()


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ConfigurationError, "subgraph_type is one of", {"subgraph_type": "bidirectional"}),
        (ConfigurationError, "num_neighbors", {"num_neighbors": []}),
        (ConfigurationError, "num_neighbors", {"num_neighbors": [-2]}),
        (ConfigurationError, "num_neighbors", {"num_neighbors": [1.5]}),
        (ConfigurationError, "num_neighbors", {"num_neighbors": [float("nan")]}),
        (ConfigurationError, r"list of numbers >= -1.*\[10, 10\]; got 5", {"num_neighbors": 5}),
        (ConfigurationError, "batch_size >= 1 as a whole number, got 2.5", {"batch_size": 2.5}),
        (ConfigurationError, "time_attr='time' needs input_time", {"time_attr": "time"}),
        (ConfigurationError, "as integers",
         {"input_time": torch.zeros(40), "time_attr": "time", "disjoint": True}),
        (InvalidGraphError, r"\.bool\(\) for a mask or \.long\(\) for ids",
         {"input_nodes": torch.ones(40, dtype=torch.uint8)}),
        (InvalidGraphError, "integers", {"input_nodes": ["a"]}),
        (ConfigurationError, "time_attr", {"input_time": torch.zeros(40, dtype=torch.int64), "disjoint": True}),
        (ConfigurationError, "disjoint=True", {"input_time": torch.zeros(40, dtype=torch.int64), "time_attr": "time"}),
        (ConfigurationError, "one input_time for each of 40",
         {"input_time": torch.zeros(3, dtype=torch.int64), "time_attr": "time", "disjoint": True}),
        (ConfigurationError, "not by both", {"weight_attr": "edge_weight", "time_attr": "time"}),
        (ConfigurationError, "below 2\\^31", {"num_neighbors": [2**31]}),
        (ConfigurationError, "'when'", {"time_attr": "when"}),
        (ConfigurationError, "'odds'", {"weight_attr": "odds"}),
        (ConfigurationError, "disjoint=False", {"subgraph_type": "induced", "disjoint": True}),
        (ConfigurationError, "distinct", {"subgraph_type": "induced", "input_nodes": torch.tensor([1, 1])}),
        (InvalidGraphError, r"mask of seeds has shape \(40,\)", {"input_nodes": torch.ones(39, dtype=torch.bool)}),
        (InvalidGraphError, "integers", {"input_nodes": torch.ones(3)}),
        (InvalidGraphError, r"in \[0, 40\)", {"input_nodes": torch.tensor([0, 40])}),
        (InvalidGraphError, r"in \[0, 40\)", {"input_nodes": torch.tensor([-1])}),
    ],
)  # fmt: skip
def test_bad_settings_are_named_before_the_first_batch(error, message, settings):
    with pytest.raises(error, match=message):
        NeighborLoader(graph(), **{"num_neighbors": [2], **settings})


@pytest.mark.parametrize("prefetch", [1, 2, 6])
def test_as_many_batches_are_made_at_once_as_there_are_workers(prefetch):
    together = threading.Barrier(4)

    def wait(batch):
        if int(batch.input_id[0]) >= 4:  # the first batch is made alone, and builds what all of them need
            together.wait(timeout=20)
        return batch

    loader = NeighborLoader(graph(), [2], batch_size=4, workers=4, prefetch=prefetch, transform=wait,
                            input_nodes=torch.arange(36))  # fmt: skip
    assert [int(batch.input_id[0]) for batch in loader] == list(range(0, 36, 4))


def test_pygs_names_of_workers():
    loader = NeighborLoader(graph(), [2], batch_size=8, num_workers=3, persistent_workers=True)
    assert loader.workers == 3
    assert NeighborLoader(graph(), [2], num_workers=0).workers == 1


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_features(layout):
    data = graph()
    dense = one(data, [2])
    data.x = getattr(data.x, layout)()
    assert torch.equal(one(data, [2]).x.to_dense(), dense.x)


def test_settings_may_be_arrays_and_lists():
    data, settings = graph(), dict(time_attr="time", disjoint=True)
    nodes, time = torch.tensor([4, 9, 2]), torch.tensor([10, 50, 99])
    expected = one(data, [3, 2], input_nodes=nodes, input_time=time, **settings)
    for make in (list, np.array, torch.as_tensor):
        given = dict(input_nodes=make(nodes.tolist()), input_time=make(time.tolist()))
        assert torch.equal(one(data, make([3, 2]), **given, **settings).e_id, expected.e_id)
    assert list(NeighborLoader(data, [3], [])) == []


def test_bad_graphs_are_named():
    data = graph()
    no_x, no_edges = stores(data, "coo"), stores(data, "coo")
    no_x[0].remove_tensor(group_name=None, attr_name="x", index=None)
    flat = stores(data, "coo")
    flat[0].remove_tensor(group_name=None, attr_name="x", index=None)
    flat[0].put_tensor(torch.rand(40), group_name=None, attr_name="x", index=None)
    for bad, message in (
        (Data(x=torch.rand(3, 1)), "no edge_index"),
        ("a path", "expected one graph"),
        ([data], "expected one graph"),
        (no_x, "hold 'x'"),
        ((no_edges[0], MyGraphStore()), "no edges"),
        (flat, r"shape \(N, F\)"),
        ((FeatureStore, MyGraphStore()), "expected one graph"),
    ):
        with pytest.raises(InvalidGraphError, match=message):
            NeighborLoader(bad, [1])
    with pytest.raises(ConfigurationError, match="time stamps"):
        NeighborLoader(stores(data, "coo"), [1], time_attr="time")
    negative = graph()
    negative.edge_weight = -negative.edge_weight
    with pytest.raises(InvalidGraphError, match="weights >= 0"):
        NeighborLoader(negative, [1], weight_attr="edge_weight")
