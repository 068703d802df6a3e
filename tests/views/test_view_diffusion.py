from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from view_strategies import few, graph_lists

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend
from graphssl.ops import diffusion as series
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
        patch.setattr(series, "_BLOCK_ENTRIES", block)
        patch.setattr(series, "_BLOCK_ROWS", 1)
        out = view(batch)
    if view.top_k is None:  # with ties, which edges are kept is open
        np.testing.assert_allclose(dense(out), dense(expected), atol=2e-4)
    ours, theirs = (np.sort(dense(graph), axis=1) for graph in (out, expected))
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def exact_up_to_no_node(patch: pytest.MonkeyPatch) -> None:
    for limit in ("_DENSE_SOLVE", "_DENSE_EXPONENTIAL", "_EXACT_NODES"):
        patch.setattr(module, limit, 0)


@pytest.mark.parametrize("tier", ["torch", ""])
@pytest.mark.parametrize("view", [PPRDiffusion(0.15, top_k=4, threshold=0), HeatDiffusion(4.0, top_k=4, threshold=0)])
@few
@given(graphs=graph_lists(), block=st.sampled_from([3, 2**14]))
def test_push_equals_dense(view, tier, graphs, block):
    batch = Batch.from_data_list(graphs)
    expected, everything = view(batch), replace(view, top_k=None)(batch)
    with pytest.MonkeyPatch.context() as patch, backend.use(tier):
        exact_up_to_no_node(patch)
        patch.setattr(module, "_BLOCK_SEEDS", block)
        out = replace(view, tolerance=1e-7)(batch)
        coarse = replace(view, top_k=1000, tolerance=0.05)(batch)
    assert (dense(coarse) <= dense(everything) + 1e-5).all()
    for ours, theirs in zip(out.to_data_list(), expected.to_data_list(), strict=True):
        np.testing.assert_allclose(*(np.sort(dense(graph), axis=1) for graph in (ours, theirs)), rtol=2e-6, atol=5e-6)
        assert torch.equal(ours.node_number, theirs.node_number)


def test_when_the_push_is_used(monkeypatch):
    graph, negative, used = path(30), path(30), []
    negative.edge_weight[[0, 29]] = -0.1
    monkeypatch.setattr(
        module, "ppr_push", lambda *args, **options: used.append(1) or series.ppr_push(*args, **options)
    )
    PPRDiffusion(top_k=3)(graph)
    assert not used  # a small graph
    exact_up_to_no_node(monkeypatch)
    for view, data in (
        (PPRDiffusion(), graph), (PPRDiffusion(top_k=3, tolerance=0), graph), (PPRDiffusion(top_k=3), negative),
    ):  # fmt: skip
        view(data)
        assert not used
    PPRDiffusion(top_k=3)(graph)
    assert used


def test_a_coarse_push_is_below_the_exact_entries(monkeypatch):
    exact = dense(PPRDiffusion(0.2, threshold=0)(path(40)))
    exact_up_to_no_node(monkeypatch)
    found = dense(PPRDiffusion(0.2, top_k=40, threshold=0, tolerance=1e-2)(path(40)))
    size = np.sqrt([2, *[3] * 38, 2])
    assert (found <= exact + 1e-7).all()
    assert (exact - found <= 1e-2 * np.outer(size, size) + 1e-7).all()


def test_no_entries_between_components():
    graph = Batch.from_data_list([path(7), path(5)])
    graph = Data(x=graph.x, edge_index=graph.edge_index, edge_weight=graph.edge_weight)
    for view in (PPRDiffusion(threshold=0), HeatDiffusion(threshold=0)):
        assert view(graph).num_edges == 7 * 7 + 5 * 5


def test_negative_weights_that_are_not_positive_definite():
    ends = torch.tensor([[0, 1], [1, 0]])
    graph = Data(x=torch.rand(2, 1), edge_index=ends, edge_weight=torch.tensor([-0.5, -0.5]))
    expected = ppr(graph, 0.2)
    np.testing.assert_allclose(
        dense(PPRDiffusion(0.2, threshold=0)(graph)), np.where(expected > 0, expected, 0), atol=1e-6
    )


@pytest.mark.parametrize("alpha", [1.0, 0.99, 1e-3, 1e-6])
def test_extreme_restarts(alpha):
    graph = path(6)
    np.testing.assert_allclose(dense(PPRDiffusion(alpha, threshold=0)(graph)), ppr(graph, alpha), atol=1e-6)


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
    "options",
    [
        {"alpha": 0},
        {"alpha": 1.5},
        {"alpha": float("nan")},
        {"top_k": 0},
        {"top_k": 1.5},
        {"threshold": -1},
        {"tolerance": -1},
    ],
)
def test_ppr_options_are_checked(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        PPRDiffusion(**options)


@pytest.mark.parametrize("t", [0, -1.0, float("inf"), float("nan")])
def test_heat_options_are_checked(t):
    with pytest.raises(ConfigurationError, match="t must"):
        HeatDiffusion(t)


@pytest.mark.parametrize("view", [PPRDiffusion(top_k=2), HeatDiffusion(top_k=2)])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"edge_weight": torch.tensor([1.0, float("nan"), 1.0])}, "edge_weight has NaN"),
        ({"edge_weight": np.ones(3)}, "edge_weight as a tensor"),
        ({"edge_index": torch.tensor([[0, 1, -1], [1, 2, 0]])}, "node -1"),
        ({"edge_index": torch.tensor([[0, 1, 3], [1, 2, 0]])}, "node 3"),
    ],
)
def test_graphs_that_cannot_be_used_are_named(view, wrong, message):
    graph = {"x": torch.ones(3, 1), "edge_index": torch.tensor([[0, 1, 2], [1, 2, 0]])}
    with pytest.raises(InvalidGraphError, match=message):
        view(Data(**graph | wrong))
