from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from view_strategies import batches, few, generator, numbered_graph, sample_is_plausible, seeds

from graphssl.errors import ConfigurationError
from graphssl.views import Compose, DropNodes, RandomWalkSubgraph

node_views = st.one_of(
    st.sampled_from([0.2, 0.5, 0.9, 1.0]).map(DropNodes), st.sampled_from([0.0, 0.3, 0.7]).map(RandomWalkSubgraph)
)


@few
@given(batches(), node_views, seeds)
def test_result_is_the_induced_subgraph(batch, view, seed):
    out = view(batch, generator=generator(seed))
    assert torch.equal(out.node_number, out.n_id)  # nodes are numbered over the batch
    assert torch.equal(out.x, batch.x[out.n_id])
    assert torch.equal(out.batch, batch.batch[out.n_id])
    kept = set(out.n_id.tolist())
    expected = [
        (source, target, number)
        for number, (source, target) in enumerate(batch.edge_index.t().tolist())
        if source in kept and target in kept
    ]
    source, target = out.n_id[out.edge_index].tolist()
    assert list(zip(source, target, out.edge_attr.view(-1).int().tolist(), strict=True)) == expected
    assert bool((torch.bincount(out.batch, minlength=batch.num_graphs) > 0).all())


@few
@given(batches(), node_views, node_views, seeds)
def test_node_identity_is_composed(batch, first, second, seed):
    out = Compose([first, second])(batch, generator=generator(seed))
    assert torch.equal(out.n_id, out.node_number)
    batch.n_id = 100 + batch.node_number  # as a sampler leaves it
    out = Compose([first, second])(batch, generator=generator(seed))
    assert torch.equal(out.n_id, 100 + out.node_number)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_drop_rate(p):
    out = DropNodes(p)(Data(num_nodes=20_000, edge_index=torch.zeros(2, 0, dtype=torch.long)), generator=generator())
    assert sample_is_plausible(20_000 - out.num_nodes, 20_000, p)


def test_a_graph_that_would_vanish_keeps_a_uniform_node():
    graph = numbered_graph(4, [(0, 1)])
    out = DropNodes(1.0)(Batch.from_data_list([graph] * 4000), generator=generator())
    assert out.num_nodes == 4000
    assert torch.equal(out.batch, torch.arange(4000))
    counts = torch.bincount(out.node_number, minlength=4)
    assert float(((counts - 1000.0) ** 2 / 1000).sum()) < 20  # 3 degrees of freedom: p = 0.0002


def test_attributes_that_name_nodes_are_left_out():
    graph = numbered_graph(5, [(0, 1), (1, 2), (3, 4)])
    graph.edge_label_index, graph.edge_label = torch.tensor([[0, 4], [1, 3]]), torch.tensor([1, 0])
    assert "edge_label_index" not in DropNodes(0.5)(graph)
    assert "edge_label_index" in DropNodes(0.0)(graph)


def components(data: Data) -> list[set[int]]:
    graph = nx.Graph()
    graph.add_nodes_from(range(data.num_nodes))
    graph.add_edges_from(data.edge_index.t().tolist())
    return list(nx.connected_components(graph))


@few
@given(batches(), st.sampled_from([0.0, 0.2, 0.5, 0.8, 0.99]), seeds)
def test_walk_stays_connected_and_keeps_its_share(batch, ratio, seed):
    out = RandomWalkSubgraph(ratio)(batch, generator=generator(seed))
    for before, after in zip(batch.to_data_list(), out.to_data_list(), strict=True):
        assert len(components(after)) == 1
        visited = set((after.node_number - before.node_number[0]).tolist())
        (component,) = (nodes for nodes in components(before) if nodes & visited)
        assert len(visited) == min(max(1, round(ratio * before.num_nodes)), len(component))


def growth_probabilities(neighbours: dict[int, set[int]], size: int) -> dict[frozenset[int], float]:
    """Probability of each visited set when every step goes to a uniform unvisited neighbour of the set."""
    current = {frozenset([node]): 1 / len(neighbours) for node in neighbours}
    for _ in range(size - 1):
        grown: dict[frozenset[int], float] = {}
        for visited, probability in current.items():
            frontier = set().union(*(neighbours[node] for node in visited)) - visited
            for node in frontier:
                key = visited | {node}
                grown[key] = grown.get(key, 0) + probability / len(frontier)
        current = grown
    return current


def test_walk_has_the_distribution_of_uniform_growth():
    edges = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (5, 1), (3, 3), (0, 1)]
    neighbours = {node: set() for node in range(6)}
    for source, target in edges:
        neighbours[source].add(target)
        neighbours[target].add(source)
    copies = 20_000
    out = RandomWalkSubgraph(0.5)(Batch.from_data_list([numbered_graph(6, edges)] * copies), generator=generator())
    sets = out.node_number.view(copies, 3).tolist()
    expected = growth_probabilities(neighbours, 3)
    counts = dict.fromkeys(expected, 0)
    for nodes in sets:
        counts[frozenset(nodes)] += 1  # a set that cannot arise is a KeyError
    chi_square = sum((counts[key] - copies * p) ** 2 / (copies * p) for key, p in expected.items())
    assert len(expected) == 7
    assert chi_square < len(expected) + 5 * (2 * len(expected)) ** 0.5


def test_full_ratio_is_the_identity_even_when_disconnected():
    graph = numbered_graph(5, [(0, 1)])
    assert RandomWalkSubgraph(1.0)(graph).num_nodes == 5


@pytest.mark.parametrize("view", [DropNodes, RandomWalkSubgraph])
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities_are_checked(view, p):
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        view(p)
