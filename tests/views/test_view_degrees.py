"""Views of edges on sampled batches: a layer gives on average what it gives of the same view of the whole graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from view_strategies import generator

from graphssl.encoders.base import adjacency_of
from graphssl.ops import spmm
from graphssl.samplers import NeighborLoader
from graphssl.views import AdaptiveDropEdges, AddEdges, Compose, DropEdges, DropNodes, PerturbEdges

NODES, COPIES, RUNS = 25, 50, 16  # each run is of one graph that holds many copies, and gives a draw of each
ISOLATED = 3  # the last nodes: in DropNodes' batches they are the first seeds, which are never dropped


def random_graph(kind: str) -> Data:
    random = generator(1)
    ends = torch.randint(NODES - ISOLATED, (2, 3 * NODES), generator=random)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = ends if kind == "directed" else torch.cat([ends, ends.flip(0)], dim=1)
    if kind == "loops":
        edge_index = torch.cat([edge_index, torch.arange(9).repeat(2, 1)], dim=1)
    data = Data(x=torch.randn(NODES, 5, generator=random, dtype=torch.float64), edge_index=edge_index)
    if kind == "weights":
        data.edge_weight = 0.5 + torch.rand(data.num_edges, generator=random, dtype=torch.float64)
    return data


def propagated(data: Data, norm: str) -> Tensor:
    """What a GCN (sym), GIN (none) or SAGE (row) adds up, (COPIES, N, 5); NaN in the rows of nodes that are gone."""
    rows = spmm(adjacency_of(data, data.x, norm=norm, self_loops=norm == "sym"), data.x)
    every = torch.full((COPIES * NODES, 5), torch.nan, dtype=rows.dtype)
    return every.index_copy_(0, data.n_id, rows).view(COPIES, NODES, 5)


def samples_of(data: Data, fanout: int) -> NeighborLoader:
    """All nodes are seeds; the first ones, which no view drops, are isolated."""
    nodes = torch.arange(data.num_nodes).flip(0)
    return NeighborLoader(data, [fanout], nodes, batch_size=nodes.numel(), prefetch=0, seed=1)


def mean_and_error(draw: Callable[[int], Tensor]) -> tuple[Tensor, Tensor]:
    draws = torch.cat([draw(run) for run in range(RUNS)])  # (RUNS * COPIES, N, 5)
    count = (~draws.isnan()).sum(0)
    mean = draws.nanmean(0)
    return mean, ((draws - mean) ** 2).nanmean(0).sqrt() / count.sqrt()


def distance(kind: str, view: Callable[..., Data], norm: str) -> tuple[Tensor, float]:
    """Of the means over samples and over views of the whole graph: z scores, and the slope of one on the other."""
    copies = Batch.from_data_list([random_graph(kind)] * COPIES)
    whole = Data(x=copies.x, edge_index=copies.edge_index, edge_weight=copies.get("edge_weight"))
    loader = samples_of(whole, 3)
    full, error = mean_and_error(lambda run: propagated(view(named(whole), generator=generator(run)), norm))
    part, part_error = mean_and_error(
        lambda run: propagated(view(next(loader.epoch(run)), generator=generator(1000 + run)), norm)
    )
    deviation = (error**2 + part_error**2).sqrt()
    random = deviation > 1e-9
    torch.testing.assert_close(part[~random], full[~random], atol=1e-6, rtol=1e-6)
    return ((part - full) / deviation)[random], float((part * full).sum() / (full * full).sum())


def named(data: Data) -> Data:
    data = data.clone()
    data.n_id = torch.arange(data.num_nodes)
    return data


@pytest.mark.parametrize(
    ("kind", "view", "norm"),
    [
        ("directed", DropEdges(0.4), "sym"), ("undirected", DropEdges(0.4), "sym"), ("loops", DropEdges(0.4), "sym"),
        ("undirected", DropEdges(0.7), "none"), ("weights", DropEdges(0.4), "none"),
        ("undirected", DropEdges(0.4, undirected=True), "none"), ("undirected", DropNodes(0.4), "none"),
    ],
    ids=str,
)  # fmt: skip
def test_a_view_of_samples_is_on_average_that_of_the_graph(kind, view, norm):
    z, slope = distance(kind, view, norm)
    assert z.numel() >= 100
    assert float(z.abs().max()) < 5
    assert float(z.pow(2).mean()) < 1.9  # the entries of a node vary together: 1 on average, with a wide spread
    assert slope == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("kind", "view"),
    [("weights", DropEdges(0.4)), ("undirected", DropEdges(0.4, undirected=True)), ("undirected", DropNodes(0.4))],
    ids=str,
)
def test_where_it_is_an_approximation_it_is_within_a_few_per_cent(kind, view):
    assert distance(kind, view, "sym")[1] == pytest.approx(1, abs=0.03)


def stars(count: int, leaves: int) -> Data:
    """The first nodes each hear from leaves of their own, whose features are 1."""
    centre = torch.arange(count).repeat_interleave(leaves)
    edge_index = torch.stack([count + torch.arange(count * leaves), centre])
    return Data(x=torch.ones(count * (1 + leaves), 1), edge_index=edge_index)


def centres(data: Data, count: int, fanout: int) -> Data:
    return next(iter(NeighborLoader(data, [fanout], torch.arange(count), batch_size=count, prefetch=0)))


def test_a_mean_is_too_small_by_the_odds_that_all_samples_are_dropped():
    out = DropEdges(0.5)(centres(stars(2000, 8), 2000, 2), generator=generator())
    means = spmm(adjacency_of(out, out.x, norm="row", self_loops=False), out.x)[:2000]
    assert float(means.mean()) == pytest.approx(1 - 0.5**2, abs=0.05)  # of the whole graph 1 - 0.5^8


def test_where_all_neighbours_are_there_degrees_are_those_that_are_left():
    data = random_graph("undirected")
    for number, view in enumerate((DropEdges(0.4), DropEdges(0.4, undirected=True), AdaptiveDropEdges(0.4))):
        out = view(next(iter(samples_of(data, -1))), generator=generator(number))
        left = torch.bincount(out.edge_index[1], minlength=NODES)
        assert torch.equal(out.whole_norm_degree, 1.0 + left)
        torch.testing.assert_close(out.whole_in_degree, left.float())


def test_the_edges_that_were_not_sampled_are_dropped_at_the_same_rate():
    batch = centres(stars(400, 100), 400, 10)
    two = Compose([DropEdges(0.2), DropEdges(0.25)])
    for view in (DropEdges(0.4), two, AdaptiveDropEdges(0.4), DropNodes(0.4)):
        out = view(batch, generator=generator())
        left = out.whole_norm_degree[: out.batch_size] - 1
        variance = 100 * 0.4 * 0.6
        assert abs(float(left.mean()) - 60) < 5 * (variance / left.numel()) ** 0.5
        if view is not two:
            assert torch.equal(left, left.round())
            assert float(left.var()) == pytest.approx(variance, rel=5 * (2 / left.numel()) ** 0.5)
    assert DropEdges(1.0)(batch).whole_norm_degree.unique().tolist() == [1]


@pytest.mark.parametrize("view", [AddEdges(1.0), PerturbEdges(1.0)], ids=str)
def test_a_new_edge_stands_for_itself_alone(view):
    """Nodes of the last hop have neighbours in the graph and none in the batch: nothing is scaled up to them."""
    data = Data(x=torch.ones(12, 1), edge_index=torch.cartesian_prod(torch.arange(12), torch.arange(12)).t())
    batch = next(iter(NeighborLoader(data, [4], torch.tensor([0, 1, 2]), batch_size=3, prefetch=0)))
    out = view(batch, generator=generator())
    added = torch.bincount(out.edge_index[1], minlength=out.num_nodes)
    received = spmm(adjacency_of(out, out.x, norm="none", self_loops=False), out.x).view(-1)
    assert int(added[3:].max()) > 0
    assert torch.equal(received[3:], added[3:].float())


def test_samples_without_degrees_have_none_afterwards():
    data = random_graph("weights")
    loader = NeighborLoader(data, [3], batch_size=NODES, weight_attr="edge_weight", prefetch=0)
    for view in (DropEdges(0.4), DropNodes(0.4), PerturbEdges(0.4)):
        assert not {"whole_in_degree", "whole_norm_degree"} & set(
            view(next(iter(loader)), generator=generator()).keys()
        )
