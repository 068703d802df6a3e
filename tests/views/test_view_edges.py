from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data
from view_strategies import batches, few, generator, numbered_graph, sample_is_plausible, seeds

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.views import AddEdges, DropEdges, PerturbEdges

probabilities = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
LARGE = torch.randint(300, (2, 20_000), generator=generator())


def pairs(data: Data) -> list[tuple[int, int]]:
    return list(map(tuple, data.edge_index.t().tolist()))


@few
@given(batches(), probabilities, st.booleans(), seeds)
def test_dropped_edges_leave_the_others_with_their_attributes(batch, p, undirected, seed):
    out = DropEdges(p, undirected=undirected)(batch, generator=generator(seed))
    number = out.edge_attr.view(-1).long()
    assert torch.equal(out.edge_index, batch.edge_index[:, number])
    assert torch.equal(out.edge_weight, batch.edge_weight[number])
    assert bool((number.diff() > 0).all())  # in their old order
    assert torch.equal(out.x, batch.x)
    if p in (0.0, 1.0):
        assert out.num_edges == (batch.num_edges if p == 0 else 0)


@few
@given(batches(), probabilities, seeds)
def test_undirected_edges_fall_together(batch, p, seed):
    out = DropEdges(p, undirected=True)(batch, generator=generator(seed))
    kept = {frozenset(pair) for pair in pairs(out)}
    expected = [pair for pair in pairs(batch) if frozenset(pair) in kept]
    assert pairs(out) == expected


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_drop_rate(p):
    out = DropEdges(p)(Data(edge_index=LARGE, num_nodes=300), generator=generator(1))
    assert sample_is_plausible(LARGE.size(1) - out.num_edges, LARGE.size(1), p)
    both = torch.cat([LARGE[:, :150], LARGE[:, :150].flip(0)], dim=1)
    fallen = sum(
        both.size(1) - DropEdges(p, undirected=True)(Data(edge_index=both, num_nodes=300)).num_edges for _ in range(50)
    )
    assert sample_is_plausible(fallen // 2, 50 * 150, p)


@few
@given(batches(), probabilities, st.booleans(), seeds)
def test_added_edges_stay_in_their_graph(batch, p, undirected, seed):
    out = AddEdges(p, undirected=undirected)(batch, generator=generator(seed))
    assert torch.equal(out.batch[out.edge_index[0]], out.batch[out.edge_index[1]])
    for old, new in zip(batch.to_data_list(), out.to_data_list(), strict=True):
        wanted = 2 * round(p * old.num_edges / 2) if undirected else round(p * old.num_edges)
        wanted = wanted if old.num_nodes > 1 else 0
        assert new.num_edges == old.num_edges + wanted
        added = list(zip(pairs(new), new.edge_attr.view(-1).tolist(), strict=True))
        for edge in zip(pairs(old), old.edge_attr.view(-1).tolist(), strict=True):
            added.remove(edge)  # every old edge is there, with its attribute
        assert all(source != target for (source, target), _ in added)
        assert {number for _, number in added} <= set(old.edge_attr.view(-1).tolist())
        if undirected:
            assert sorted(added) == sorted(((target, source), number) for (source, target), number in added)
    assert torch.equal(out.edge_weight, 1 + out.edge_attr.view(-1))  # all attributes of one donor


def test_added_edges_are_uniform():
    graph = Data(edge_index=torch.zeros(2, 12_000, dtype=torch.long), num_nodes=4)
    out = AddEdges(1.0)(graph, generator=generator())
    ends = out.edge_index[:, 12_000:]
    counts = torch.bincount(4 * ends[0] + ends[1], minlength=16).view(4, 4)
    assert bool((counts.diagonal() == 0).all())
    others = counts[~torch.eye(4, dtype=torch.bool)]
    chi_square = float(((others - 1000.0) ** 2 / 1000).sum())
    assert chi_square < 35  # 11 degrees of freedom: p = 0.0002


@few
@given(batches(), seeds)
def test_perturbation_drops_and_adds(batch, seed):
    dropped = DropEdges(0.5)(batch, generator=generator(seed))
    out = PerturbEdges(0.5)(batch, generator=generator(seed))
    graphs = zip(batch.to_data_list(), dropped.to_data_list(), out.to_data_list(), strict=True)
    for before, left, after in graphs:
        added = round(0.5 * before.num_edges) if before.num_nodes > 1 else 0
        assert after.num_edges == left.num_edges + added
        remaining = pairs(after)
        for pair in pairs(left):
            remaining.remove(pair)
    everything = PerturbEdges(1.0)(batch, generator=generator(seed))
    assert bool((everything.edge_index[0] != everything.edge_index[1]).all())  # loops of the input are gone


def test_a_batch_in_any_order_is_not_joined():
    batch = torch.tensor([1, 0, 1, 0, 2, 1, 0])
    edges = torch.tensor([[0, 1, 2, 3, 6, 5], [2, 3, 5, 6, 1, 0]])
    data = Data(x=torch.rand(7, 2), edge_index=edges, batch=batch)
    for seed in range(20):
        out = AddEdges(1.0)(data, generator=generator(seed))
        assert out.num_edges == 12
        assert torch.equal(batch[out.edge_index[0]], batch[out.edge_index[1]])


@pytest.mark.parametrize("view", [DropEdges, AddEdges, PerturbEdges])
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "0.5", None])
def test_probabilities_are_checked(view, p):
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        view(p)


@pytest.mark.parametrize("view", [DropEdges(0.5), AddEdges(0.5), PerturbEdges(0.5), DropEdges(0.0)])
def test_graphs_that_do_not_fit(view):
    with pytest.raises(InvalidGraphError, match="edge_index"):
        view(Data(x=torch.rand(3, 2)))
    for edges in (torch.zeros(1, 2, dtype=torch.long), torch.zeros(2, 1), [[0], [1]]):
        with pytest.raises(InvalidGraphError, match="edge_index"):
            view(Data(x=torch.rand(3, 2), edge_index=edges))
    with pytest.raises(InvalidGraphError, match="adj_t"):
        view(Data(x=torch.rand(3, 2), edge_index=torch.zeros(2, 1, dtype=torch.long), adj_t=torch.eye(3).to_sparse()))


@pytest.mark.parametrize("view", [DropEdges(0.5), DropEdges(0.5, undirected=True), AddEdges(0.5), PerturbEdges(0.5)])
def test_generator_on_another_device(view):
    graph = numbered_graph(3, [(0, 1), (1, 2)])
    graph.edge_index = graph.edge_index.to("meta")
    with pytest.raises(ConfigurationError, match=r"torch.Generator\(device="):
        view(graph, generator=generator())
