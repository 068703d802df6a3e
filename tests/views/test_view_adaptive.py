from __future__ import annotations

import gc
import math
import weakref

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from view_strategies import batches, few, generator, graph_lists, numbered_graph, sample_is_plausible

from graphssl.errors import ConfigurationError
from graphssl.views import (
    AdaptiveDropEdges,
    AdaptiveMaskFeatures,
    degree_centrality,
    eigenvector_centrality,
    node_centrality,
    pagerank_centrality,
)

centralities = st.sampled_from(["degree", "eigenvector", "pagerank"])


def connected_graph(seed: int, nodes: int = 25) -> tuple[nx.Graph, Data]:
    graph = nx.connected_watts_strogatz_graph(nodes, 4, 0.4, seed=seed)
    ends = torch.tensor(list(graph.edges)).t()
    return graph, Data(edge_index=torch.cat([ends, ends.flip(0)], dim=1), num_nodes=nodes)


@few
@given(graphs=graph_lists(min_graphs=2))
def test_degree_and_pagerank_equal_networkx(graphs):
    batch = Batch.from_data_list(graphs)
    degree, pagerank = [], []
    for graph in graphs:
        reference = nx.MultiDiGraph()
        reference.add_nodes_from(range(graph.num_nodes))
        reference.add_edges_from(graph.edge_index.t().tolist())
        degree += [reference.in_degree(node) for node in range(graph.num_nodes)]
        ranks = nx.pagerank(reference, alpha=0.85, tol=1e-10, max_iter=1000)
        pagerank += [ranks[node] for node in range(graph.num_nodes)]
    np.testing.assert_allclose(degree_centrality(batch), degree)
    np.testing.assert_allclose(pagerank_centrality(batch), pagerank, atol=1e-7)


def test_eigenvector_equals_networkx():
    pairs = [connected_graph(seed, 10 + 5 * seed) for seed in range(4)]
    expected = []
    for reference, _ in pairs:
        values = nx.eigenvector_centrality_numpy(reference)
        expected += [values[node] for node in range(len(values))]
    batch = Batch.from_data_list([data for _, data in pairs])
    np.testing.assert_allclose(eigenvector_centrality(batch), expected, atol=1e-6)


def test_eigenvector_of_a_bipartite_graph_and_of_none():
    star = Data(edge_index=torch.tensor([[0, 0, 1, 2], [1, 2, 0, 0]]), num_nodes=3)
    np.testing.assert_allclose(eigenvector_centrality(star), [math.sqrt(0.5), 0.5, 0.5], atol=1e-7)
    edgeless = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=4)
    np.testing.assert_allclose(eigenvector_centrality(edgeless), [0.5] * 4)


def test_centralities_are_computed_once_and_forgotten_with_the_graph():
    _, graph = connected_graph(0)
    first = node_centrality(graph, "pagerank")
    assert node_centrality(graph.clone(), "pagerank") is not first
    assert node_centrality(Data(edge_index=graph.edge_index, num_nodes=25), "pagerank") is first
    graph.edge_index[1, :5] = 0  # written in place: a new graph
    changed = node_centrality(graph, "pagerank")
    assert not torch.equal(changed, first)
    torch.testing.assert_close(changed, pagerank_centrality(graph))
    watch = weakref.ref(changed)
    del first, changed, graph
    gc.collect()
    assert watch() is None


def edge_probabilities(graph: Data, centrality: str, p: float, max_p: float) -> list[float]:
    c = node_centrality(graph, centrality).tolist()
    s = [math.log(max(c[target], 1e-8)) for target in graph.edge_index[1].tolist()]
    return weighted(s, p, max_p)


def weighted(s: list[float], p: float, max_p: float) -> list[float]:
    if not s:
        return []
    highest, mean = max(s), sum(s) / len(s)
    if highest - mean <= 1e-6:
        return [min(p, max_p)] * len(s)
    return [min((highest - value) / (highest - mean) * p, max_p) for value in s]


@few
@given(graph_lists(), centralities, st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([0.3, 0.7, 1.0]))
def test_edge_probabilities_equal_the_equation(graphs, centrality, p, max_p):
    view = AdaptiveDropEdges(p, centrality, max_p=max_p)
    expected = [value for graph in graphs for value in edge_probabilities(graph, centrality, p, max_p)]
    np.testing.assert_allclose(view.probabilities(Batch.from_data_list(graphs)), expected, atol=1e-5)


@few
@given(batches(), centralities, st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 100))
def test_column_probabilities_equal_the_equation(batch, centrality, p, seed):
    batch.x = (torch.rand(batch.num_nodes, 5, generator=generator(seed)) - 0.5).round(decimals=1)
    batch.x[:, 2] = 0
    c = node_centrality(batch, centrality).tolist()
    sums = [sum(abs(x) * u for x, u in zip(column, c, strict=True) if u >= 1e-8) for column in batch.x.t().tolist()]
    used = weighted([math.log(value) for value in sums if value > 0], p, 0.7)
    expected = [used.pop(0) if value > 0 else 0.7 for value in sums]
    probabilities = AdaptiveMaskFeatures(p, centrality).probabilities(batch)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("centrality", ["degree", "eigenvector", "pagerank"])
def test_drawn_rates_are_the_probabilities(centrality):
    _, graph = connected_graph(1)
    graph.x = torch.rand(25, 6, generator=generator()) ** 3 + 0.01
    graph.edge_attr = torch.arange(graph.num_edges)
    drop, mask = AdaptiveDropEdges(0.4, centrality), AdaptiveMaskFeatures(0.4, centrality)
    dropped, masked, random = torch.zeros(graph.num_edges), torch.zeros(6), generator()
    for _ in range(1000):
        dropped += 1
        dropped[drop(graph, generator=random).edge_attr] -= 1
        masked += (mask(graph, generator=random).x == 0).all(dim=0)
    for counts, p in ((dropped, drop.probabilities(graph)), (masked, mask.probabilities(graph))):
        assert all(sample_is_plausible(int(c), 1000, float(q)) for c, q in zip(counts, p, strict=True))


def test_central_edges_are_spared():
    star = numbered_graph(6, [(leaf, 0) for leaf in range(1, 6)] + [(0, leaf) for leaf in range(1, 6)])
    p = AdaptiveDropEdges(0.5, max_p=1.0).probabilities(star)
    assert torch.equal(p[:5], torch.zeros(5, dtype=p.dtype))
    torch.testing.assert_close(p[5:], torch.ones(5, dtype=p.dtype))


def test_options_are_checked():
    for view in (AdaptiveDropEdges, AdaptiveMaskFeatures):
        with pytest.raises(ConfigurationError, match="degree, eigenvector, pagerank"):
            view(0.3, "closeness")
        with pytest.raises(ConfigurationError, match="max_p"):
            view(0.3, max_p=1.5)
        with pytest.raises(ConfigurationError, match="p must"):
            view(float("nan"))
