from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from view_strategies import few, graph_lists

from graphssl.errors import ConfigurationError
from graphssl.views import HeatDiffusion, PPRDiffusion
from graphssl.views import diffusion as module


def dense(data: Data, *, weight: str = "edge_weight") -> np.ndarray:
    """Entry [target, source] of the edges, duplicates added."""
    matrix = np.zeros((data.num_nodes, data.num_nodes))
    source, target = data.edge_index.numpy()
    np.add.at(matrix, (target, source), data[weight].double().numpy())
    return matrix


def transition(data: Data) -> np.ndarray:
    matrix = dense(data)
    matrix += np.diag((np.diag(matrix) == 0).astype(float))
    degree = matrix.sum(axis=1)
    return matrix / np.sqrt(degree[:, None] * degree[None, :])


def ppr(data: Data, alpha: float) -> np.ndarray:
    return alpha * np.linalg.inv(np.eye(data.num_nodes) - (1 - alpha) * transition(data))


def heat(data: Data, t: float) -> np.ndarray:
    return scipy.linalg.expm(t * (transition(data) - np.eye(data.num_nodes)))


def one_loop_each(graph: Data) -> Data:
    """Without second loops on a node: which of several counts is the adjacency's business."""
    seen, keep = set(), []
    for number, (source, target) in enumerate(graph.edge_index.t().tolist()):
        if source != target or source not in seen:
            keep.append(number)
        if source == target:
            seen.add(source)
    graph.edge_index, graph.edge_weight = graph.edge_index[:, keep], graph.edge_weight[keep]
    graph.edge_attr = graph.edge_attr[keep]
    return graph


cases = [
    pytest.param(PPRDiffusion(0.2, threshold=0), lambda g: ppr(g, 0.2), id="ppr"),
    pytest.param(PPRDiffusion(0.9, threshold=0), lambda g: ppr(g, 0.9), id="ppr-local"),
    pytest.param(HeatDiffusion(3.0, threshold=0), lambda g: heat(g, 3.0), id="heat"),
    pytest.param(HeatDiffusion(0.5, threshold=0), lambda g: heat(g, 0.5), id="heat-short"),
]


@pytest.mark.parametrize(("view", "reference"), cases)
@few
@given(graphs=graph_lists())
def test_entries_equal_the_definition(view, reference, graphs):
    graphs = [one_loop_each(graph) for graph in graphs]
    out = view(Batch.from_data_list(graphs))
    for before, after in zip(graphs, out.to_data_list(), strict=True):
        np.testing.assert_allclose(dense(after), reference(before), atol=1e-5)
        assert "edge_attr" not in after
        assert torch.equal(after.node_number, before.node_number)


@pytest.mark.parametrize("view", [PPRDiffusion(0.15), HeatDiffusion(4.0), PPRDiffusion(0.15, top_k=3, threshold=0)])
@few
@given(graphs=graph_lists(), block=st.sampled_from([1, 10, 1000]))
def test_series_equals_dense(view, graphs, block):
    batch = Batch.from_data_list(graphs)
    expected = view(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DENSE_SOLVE", 0)
        patch.setattr(module, "_DENSE_EXPONENTIAL", 0)
        patch.setattr(module, "_BLOCK_ENTRIES", block)
        out = view(batch)
    if view.top_k is None:  # with ties, which edges are kept is open
        np.testing.assert_allclose(dense(out), dense(expected), atol=2e-4)
    ours, theirs = (np.sort(dense(graph), axis=1) for graph in (out, expected))
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def path(nodes: int) -> Data:
    ends = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    edge_index = torch.cat([ends, ends.flip(0)], dim=1)
    return Data(x=torch.rand(nodes, 2), edge_index=edge_index, edge_weight=torch.ones(edge_index.size(1)))


def test_top_k_keeps_the_largest_incoming():
    graph = path(9)
    graph.edge_weight = torch.rand(16, generator=torch.Generator().manual_seed(0)) + 0.5
    everything = dense(PPRDiffusion(0.2, threshold=0)(graph))
    kept = dense(PPRDiffusion(0.2, top_k=3, threshold=0)(graph))
    for row, full in zip(kept, everything, strict=True):
        np.testing.assert_allclose(np.sort(row)[::-1][:3], np.sort(full)[::-1][:3])
        assert (row > 0).sum() == 3


def test_threshold():
    everything = dense(HeatDiffusion(1.0, threshold=0)(path(12)))
    kept = dense(HeatDiffusion(1.0, threshold=0.01)(path(12)))
    np.testing.assert_array_equal(kept, np.where(everything >= 0.01, everything, 0))
    assert (kept == 0).any()


def test_heat_is_the_exponential_of_a_matrix():
    out = dense(HeatDiffusion(2.0, threshold=0)(path(5)))
    assert out[0, 2] > 0  # two steps apart: the exponential of each entry would leave exp(0)
    np.testing.assert_allclose(out, heat(path(5), 2.0), atol=1e-6)


def test_without_weights_all_edges_weigh_one():
    weighted, plain = path(6), path(6)
    del plain.edge_weight
    assert torch.equal(PPRDiffusion()(weighted).edge_weight, PPRDiffusion()(plain).edge_weight)


def test_too_many_edges(monkeypatch):
    monkeypatch.setattr(module, "_DENSE_SOLVE", 4)
    with pytest.raises(ConfigurationError, match="give top_k, or a threshold"):
        PPRDiffusion(threshold=0)(path(5))


def test_long_times_do_not_overflow(monkeypatch):
    for limit in (5000, 0):
        monkeypatch.setattr(module, "_DENSE_EXPONENTIAL", limit)
        out = dense(HeatDiffusion(500.0)(path(5)))
        np.testing.assert_allclose(out, heat(path(5), 500.0), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"alpha": 1.5}, {"alpha": float("nan")}, {"top_k": 0}, {"top_k": 1.5}, {"threshold": -1}]
)
def test_ppr_options_are_checked(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        PPRDiffusion(**options)


@pytest.mark.parametrize("t", [0, -1.0, float("inf"), float("nan")])
def test_heat_options_are_checked(t):
    with pytest.raises(ConfigurationError, match="t must"):
        HeatDiffusion(t)
