"""What an encoder makes of a sampled batch: the seeds' rows, exact where all neighbours are there, else on average."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.encoders import build_encoder, encode_and_smooth
from graphssl.encoders.base import adjacency_of
from graphssl.encoders.sampled import keep_reachable
from graphssl.ops import spmm
from graphssl.samplers import NeighborLoader
from graphssl.views import AddEdges, DropEdges, DropNodes, MaskFeatureColumns, PerturbEdges, PPRDiffusion

EMPTY = torch.empty(2, 0, dtype=torch.int64)


def graph(kind: str, nodes: int = 40) -> Data:
    generator = torch.Generator().manual_seed(1)
    ends = torch.randint(nodes - 3, (2, 3 * nodes), generator=generator)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = torch.cat([ends, ends.flip(0)], dim=1)
    if kind == "directed":
        edge_index = ends
    elif kind == "loops and duplicates":
        edge_index = torch.cat([edge_index, edge_index[:, :20], torch.arange(9).repeat(2, 2)], dim=1)
    elif kind == "no edges":
        edge_index = EMPTY
    data = Data(x=torch.randn(nodes, 5, generator=generator, dtype=torch.float64), edge_index=edge_index)
    if kind == "weights":
        data.edge_weight = torch.rand(data.num_edges, generator=generator, dtype=torch.float64)
    if kind == "weights and loops":
        data.edge_index = torch.cat([edge_index, torch.arange(9).repeat(2, 1)], dim=1)
        data.edge_weight = torch.rand(data.num_edges, generator=generator, dtype=torch.float64)
    return data


GRAPHS = ["undirected", "directed", "loops and duplicates", "no edges", "weights", "weights and loops"]
ENCODERS = ["gcn", "gin", "sage", "gat", "mlp"]


def build(name: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {"hidden_channels": 8, "num_layers": 2, **options}
    return build_encoder(name, 5, **settings).double().eval()  # type: ignore[arg-type]


def sample(data: Data, fanouts: list[int], seeds: Tensor, *, epoch: int = 0, **settings: object) -> Data:
    loader = NeighborLoader(data, fanouts, seeds, batch_size=seeds.numel(), prefetch=0, **settings)
    return next(loader.epoch(epoch))


def untrimmed(batch: Data) -> Data:
    batch = copy.copy(batch)
    batch.num_sampled_nodes = None
    return batch


@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize("name", ENCODERS)
def test_all_neighbours_give_the_rows_of_the_whole_graph(name, kind):
    data, seeds = graph(kind), torch.tensor([4, 39, 0, 17, 8])
    for options in ({}, {"num_layers": 3, "jumping": "cat"}, {"num_layers": 1, "skip": True}, {"norm": "layer"}):
        encoder = build(name, **options)
        whole = encoder(data)[seeds]
        for hops in {len(encoder.layers), 4}:
            for settings in ({}, {"disjoint": True}, {"subgraph_type": "induced"}):
                batch = sample(data, [-1] * hops, seeds, **settings)
                found = encoder(batch)
                assert found.shape == whole.shape
                torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-6)  # degrees are float32
                torch.testing.assert_close(encoder(untrimmed(batch)), found, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"replace": True}, {"disjoint": True}, {"subgraph_type": "induced"}], ids=str)
@pytest.mark.parametrize("name", ENCODERS)
def test_leaving_out_what_no_seed_sees_changes_nothing(name, settings):
    data, seeds = graph("loops and duplicates"), torch.arange(6)
    for jumping in ("last", "cat"):
        encoder = build(name, num_layers=3, jumping=jumping)
        batch = sample(data, [3, 2, 2], seeds, **settings)
        torch.testing.assert_close(encoder(batch), encoder(untrimmed(batch)), atol=1e-12, rtol=1e-9)


def test_each_layer_keeps_one_ring_less():
    data = graph("weights")
    batch = sample(data, [2, 2, 2], torch.arange(3))
    h, reached = batch.x, torch.tensor(batch.num_sampled_nodes).cumsum(0).tolist()
    smaller = batch
    for left in (2, 1, 0):
        h, smaller = keep_reachable(h, smaller, layers_left=left)
        assert h.size(0) == reached[left]
        if left:
            assert smaller.num_nodes == reached[left]
            assert smaller.num_edges == sum(batch.num_sampled_edges[:left])
            assert torch.equal(smaller.edge_weight, batch.edge_weight[: smaller.num_edges])
            assert torch.equal(smaller.whole_in_degree, batch.whole_in_degree[: reached[left]])
    assert torch.equal(h, batch.x[:3])
    whole = graph("weights")
    assert keep_reachable(whole.x, whole, layers_left=0) == (whole.x, whole)


def test_gradients_of_weights_go_through_the_cut():
    data = graph("weights")
    batch = sample(data, [-1, -1], torch.arange(5))
    encoder = build("gcn")
    weight = batch.edge_weight.clone().requires_grad_()
    batch.edge_weight = weight
    grads = [torch.autograd.grad(encoder(b).sin().sum(), weight)[0] for b in (batch, untrimmed(batch))]
    torch.testing.assert_close(*grads)
    assert grads[0].abs().sum() > 0


def propagate(batch: Data, norm: str) -> Tensor:
    adjacency = adjacency_of(batch, batch.x, norm=norm, self_loops=norm == "sym")
    return spmm(adjacency, batch.x)


@pytest.mark.parametrize(
    ("kind", "norm", "replace"),
    [
        ("undirected", "sym", False), ("undirected", "none", True), ("directed", "sym", True),
        ("loops and duplicates", "sym", False), ("loops and duplicates", "sym", True),
        ("loops and duplicates", "none", False), ("loops and duplicates", "row", False),
        ("weights", "sym", False), ("weights", "none", True),
    ],
)  # fmt: skip
def test_propagation_over_samples_is_unbiased(kind, norm, replace):
    """The mean over many samples is the propagation over all edges (of the GCN, GIN, SAGE), entry by entry."""
    data, runs = graph(kind, nodes=25), 400
    exact = propagate(data, norm)
    loader = NeighborLoader(data, [3], batch_size=25, prefetch=0, replace=replace, seed=1)
    draws = torch.stack([propagate(next(loader.epoch(number)), norm)[:25] for number in range(runs)])
    deviation = draws.std(0) / runs**0.5
    constant = deviation < 1e-9  # all edges are there
    torch.testing.assert_close(draws.mean(0)[constant], exact[constant], atol=1e-6, rtol=1e-6)
    z = ((draws.mean(0) - exact) / deviation)[~constant]
    assert z.numel() > 30
    assert float(z.abs().max()) < 4.8  # one of 125 is beyond with probability 2e-4
    assert float(z.pow(2).mean()) < 2.0  # the entries of a node vary together: 1 on average, with a wide spread


def test_smoothing_a_batch():
    data, encoder = graph("undirected"), build("gcn", num_layers=1)
    batch = sample(data, [-1] * 3, torch.arange(4))
    torch.testing.assert_close(encode_and_smooth(encoder, batch, 2), encode_and_smooth(encoder, data, 2)[:4])
    assert batch.batch_size == 4
    assert encode_and_smooth(encoder, sample(data, [2, 2], torch.arange(4)), 2).shape == (4, 8)


def named(batch: Data) -> Data:
    """Every node and edge says which it is in the batch."""
    batch.place, batch.edge_place = torch.arange(batch.num_nodes), torch.arange(batch.num_edges)
    return batch


VIEWS = [DropNodes(0.4), DropEdges(0.4), MaskFeatureColumns(0.5), DropEdges(1.0), AddEdges(0.3), PerturbEdges(0.3)]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("fanouts", [[3, 2], [1, 1], [2]])
def test_views_keep_seeds_first_and_the_counts(view, fanouts):
    encoder = build("gcn", num_layers=len(fanouts))
    for number, seeds in enumerate([torch.tensor([7, 3, 12, 30]), torch.tensor([5]), torch.tensor([39])]):
        batch = named(sample(graph("weights"), fanouts, seeds, epoch=number))
        for run in range(5):
            out = view(batch, generator=torch.Generator().manual_seed(run))
            assert torch.equal(out.n_id, batch.n_id[out.place])
            kept = out.place[: out.batch_size]
            assert torch.equal(kept, torch.arange(batch.num_nodes)[torch.isin(batch.place, out.place)][: kept.numel()])
            assert int((out.place < batch.batch_size).sum()) == out.batch_size
            assert torch.equal(out.n_id[: out.batch_size], seeds[out.input_id])
            assert sum(out.num_sampled_nodes) == out.num_nodes
            assert len(out.num_sampled_nodes) == len(fanouts) + 1
            hop = torch.repeat_interleave(torch.arange(len(fanouts) + 1), torch.tensor(batch.num_sampled_nodes))
            count = torch.bincount(hop[out.place], minlength=len(fanouts) + 1)
            assert out.num_sampled_nodes == count.tolist()
            for key in ("whole_in_degree", "whole_norm_degree"):
                assert out[key].shape == (out.num_nodes,)
            if isinstance(view, AddEdges | PerturbEdges):
                assert "num_sampled_edges" not in out  # new edges join any hops
            else:
                assert sum(out.num_sampled_edges) == out.num_edges
                hop = torch.repeat_interleave(torch.arange(len(fanouts)), torch.tensor(batch.num_sampled_edges))
                count = torch.bincount(hop[out.edge_place], minlength=len(fanouts))
                assert out.num_sampled_edges == count.tolist()
            assert encoder(out).shape == (out.batch_size, 8)
            torch.testing.assert_close(encoder(out), encoder(untrimmed(out)), atol=1e-12, rtol=1e-9)
            again = view(out, generator=torch.Generator().manual_seed(run + 1))
            assert torch.equal(again.n_id[: again.batch_size], seeds[again.input_id])


def test_diffusion_replaces_the_degrees_with_the_edges():
    batch = sample(graph("undirected"), [3, 2], torch.arange(6))
    batch.x = batch.x.float()
    out = PPRDiffusion(0.2)(batch)
    assert not {"whole_in_degree", "whole_norm_degree", "num_sampled_edges"} & set(out.keys())
    assert out.batch_size == 6
    encoder = build("gcn").float()
    plain = Data(x=out.x, edge_index=out.edge_index, edge_weight=out.edge_weight)
    torch.testing.assert_close(encoder(out), encoder(plain)[:6])
