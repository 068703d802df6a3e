"""Pushing against dense linear algebra in float64, in every tier and for every instruction set."""

import contextlib

import pytest
import scipy.linalg
import torch
from hard_graphs import GRAPHS

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import Adjacency, _push_torch, backend, native, normalized_adjacency
from graphssl.ops.diffusion import heat_coefficients, heat_push, ppr_coefficients, ppr_push, series_rows

WAYS = ["torch", *native.instruction_sets()]
cpp_only = pytest.mark.skipif(bool(native.why_missing()), reason=f"C++ kernels: {native.why_missing()}")
every_way = pytest.mark.usefixtures("way")
pushes = pytest.mark.parametrize(
    ("push", "definition", "terms"),
    [
        pytest.param(lambda *a, **k: ppr_push(*a, alpha=0.2, **k), lambda a: ppr(a, 0.2), 1, id="ppr"),
        pytest.param(lambda *a, **k: heat_push(*a, t=5.0, **k), lambda a: heat(a, 5.0), 24, id="heat"),
    ],
)


@pytest.fixture(params=WAYS)
def way(request):
    """Computed by torch, or by the kernels of one instruction set."""
    with contextlib.ExitStack() as stack:
        if request.param == "torch":
            stack.enter_context(backend.use("torch"))
        else:
            stack.enter_context(native.use_instruction_set(request.param))
        yield


def ppr(matrix, alpha):
    return alpha * torch.linalg.inv(torch.eye(matrix.size(0)).double() - (1 - alpha) * matrix)


def heat(matrix, t):
    return torch.from_numpy(scipy.linalg.expm(t * (matrix - torch.eye(matrix.size(0)).double()).numpy()))


def adjacency(name, *, weighted=False, norm="sym"):
    edge_index, n = GRAPHS[name]
    weight = torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(0)).double() + 0.1
    return normalized_adjacency(edge_index, n, weight if weighted else None, norm=norm, dtype=torch.float64)


def oblong(rows, columns):
    corner = torch.tensor([rows - 1]), torch.tensor([columns - 1])
    return Adjacency(*corner, torch.ones(1).double(), shape=(rows, columns))


def random_graph(n=80, pairs=160, seed=0, **options):
    """Undirected, with hubs, leaves and isolated nodes; no duplicates."""
    generator = torch.Generator().manual_seed(seed)
    ends = (torch.rand(2, pairs, generator=generator) ** 2 * n).long()
    low, high = ends.min(0).values, ends.max(0).values
    key = torch.unique((low * n + high)[low != high])
    ends = torch.stack([key // n, key % n])
    edge_index = torch.cat([ends, ends.flip(0)], dim=1)
    return normalized_adjacency(edge_index, n, dtype=torch.float64, **options)


def full(found, n):
    """The rows (S, n) of what a push found."""
    index, value, _ = found
    rows = torch.zeros(index.size(0), n + 1, dtype=torch.float64)
    rows.scatter_(1, torch.where(index < 0, n, index), value)
    return rows[:, :n]


@pushes
@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3])
@every_way
def test_never_above_and_within_the_bound(push, definition, terms, tolerance):
    graph = random_graph()
    n = graph.shape[0]
    rows = full(push(graph, torch.arange(n), top_k=n, tolerance=tolerance), n)
    missing = definition(graph.to_dense()) - rows
    size = (graph.to_dense() != 0).sum(1).double()
    assert missing.min() > -1e-12
    assert (missing <= terms * tolerance * (size[:, None] * size).sqrt() + 1e-7).all()


@pushes
@every_way
def test_a_coarse_push_leaves_something_out(push, definition, terms):
    graph = random_graph()
    *_, residual = push(graph, torch.arange(80), top_k=80, tolerance=1e-2)
    assert residual.max() > 1e-2


@pytest.mark.parametrize("value", [1.0, 0.2, 0.01])
@every_way
def test_fine_ppr_equals_dense(value):
    for name in GRAPHS:
        for graph in (adjacency(name), adjacency(name, weighted=True)):
            n = graph.shape[0]
            found = ppr_push(graph, torch.arange(n), alpha=value, top_k=n, tolerance=1e-9)
            torch.testing.assert_close(full(found, n), ppr(graph.to_dense(), value), atol=5e-7, rtol=0)


@pytest.mark.parametrize("value", [0.1, 5.0, 60.0])
@every_way
def test_fine_heat_equals_dense(value):
    for name in GRAPHS:
        for graph in (adjacency(name), adjacency(name, weighted=True)):
            n = graph.shape[0]
            found = heat_push(graph, torch.arange(n), t=value, top_k=n, tolerance=1e-9)
            torch.testing.assert_close(full(found, n), heat(graph.to_dense(), value), atol=5e-7, rtol=0)


@pushes
@pytest.mark.parametrize("top_k", [1, 7, 79, 80, 200])
@every_way
def test_top_k_is_the_head_of_all(push, definition, terms, top_k):
    graph, seeds = random_graph(), torch.tensor([5, 0, 79, 5])
    index, value, residual = push(graph, seeds, top_k=top_k)
    every, values, same = push(graph, seeds, top_k=80)
    head = min(top_k, 80)
    assert index.shape == value.shape == (4, top_k)
    assert torch.equal(index[:, :head], every[:, :head])
    assert torch.equal(value[:, :head], values[:, :head])
    assert (index[:, head:] == -1).all()
    assert (value[:, head:] == 0).all()
    assert torch.equal(index[0], index[3])
    assert torch.equal(residual, same)
    assert (value.diff(dim=1) <= 0).all()
    assert ((index == -1) == (value == 0)).all()


@every_way
def test_of_equal_entries_the_first_nodes_are_kept():
    leaves = torch.arange(1, 9)
    edges = torch.stack([torch.cat([leaves, leaves * 0]), torch.cat([leaves * 0, leaves])])
    index, *_ = ppr_push(normalized_adjacency(edges, 9, dtype=torch.float64), torch.tensor([0]), alpha=0.2, top_k=4)
    assert index.tolist() == [[0, 1, 2, 3]]


@pushes
@pytest.mark.parametrize("tolerance", [0.1, 1e-3, 1e-6])
@every_way
def test_mass_is_conserved(push, definition, terms, tolerance):
    graph = random_graph(norm="row")
    _, value, residual = push(graph, torch.arange(80), top_k=80, tolerance=tolerance)
    torch.testing.assert_close(value.sum(1) + residual, torch.ones(80).double(), atol=1e-7, rtol=0)


@cpp_only
@pushes
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-5])
def test_the_tiers_take_the_same_steps(push, definition, terms, tolerance):
    """They differ by rounding and not by the error of a push, but for a few seeds: there, rounding decided a step."""
    graph = random_graph(n=2000, pairs=6000)
    seeds = torch.arange(0, 2000, 7)
    with backend.use("torch"):
        plain = push(graph, seeds, top_k=2000, tolerance=tolerance)
    fast = push(graph, seeds, top_k=2000, tolerance=tolerance)
    far = (full(plain, 2000) - full(fast, 2000)).abs().amax(1) + (plain[2] - fast[2]).abs()
    assert (far > 1e-12).double().mean() < 0.05
    assert far.max() < terms * tolerance * 50


def test_blocks_of_seeds_change_nothing(monkeypatch):
    graph = random_graph(n=300, pairs=900)
    with backend.use("torch"):
        whole = ppr_push(graph, torch.arange(300), alpha=0.2, top_k=9)
        monkeypatch.setattr(_push_torch, "_ENTRIES", 300 * 11)
        parts = ppr_push(graph, torch.arange(300), alpha=0.2, top_k=9)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


@cpp_only
@pushes
def test_threads_and_other_seeds_change_no_bit(push, definition, terms):
    graph, before = random_graph(n=500, pairs=2000), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(push(graph, torch.arange(500), top_k=10))
    finally:
        torch.set_num_threads(before)
    alone = [push(graph, torch.tensor([seed]), top_k=10) for seed in range(0, 500, 25)]
    for one, two, *single in zip(*results, *alone, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one[::25], torch.cat(single))


@pushes
@every_way
def test_no_seeds_and_no_nodes(push, definition, terms):
    none = torch.empty(0, dtype=torch.int64)
    empty = normalized_adjacency(torch.empty(2, 0, dtype=torch.int64), 0, dtype=torch.float64)
    for graph in (random_graph(), empty):
        index, value, residual = push(graph, none, top_k=3)
        assert index.shape == value.shape == (0, 3)
        assert residual.shape == (0,)


@pushes
@every_way
def test_rows_without_entries(push, definition, terms):
    graph = normalized_adjacency(torch.tensor([[0], [1]]), 3, self_loops=False, dtype=torch.float64)
    rows = full(push(graph, torch.arange(3), top_k=3, tolerance=1e-9), 3)
    torch.testing.assert_close(rows, definition(graph.to_dense()), atol=2e-7, rtol=0)


@every_way
def test_very_long_times():
    graph = random_graph()
    rows = full(heat_push(graph, torch.arange(80), t=900.0, top_k=80, tolerance=1e-9), 80)
    torch.testing.assert_close(rows, heat(graph.to_dense(), 900.0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("coefficients", [ppr_coefficients(0.3), ppr_coefficients(1.0), heat_coefficients(2.0)])
def test_series_rows_are_the_series(coefficients):
    graph = adjacency("unsorted", weighted=True)
    dense, power = graph.to_dense(), torch.eye(5).double()
    expected = torch.zeros(5, 5).double()
    for coefficient in coefficients:
        expected += coefficient * power
        power = power @ dense
    assert 1 - 1e-7 <= sum(coefficients) <= 1 + 1e-12
    seeds = torch.tensor([3, 0])
    torch.testing.assert_close(series_rows(graph, seeds, coefficients), expected[seeds])


@pytest.mark.parametrize("op", ["ppr_push", "heat_push"])
@every_way
def test_opcheck(op):
    csr = random_graph().matrix()
    parts = (part.clone() for part in (csr.crow_indices(), csr.col_indices(), csr.values()))
    args = (*parts, torch.arange(7), 0.3, 5, 1e-3)
    torch.library.opcheck(getattr(torch.ops.graphssl, op).default, args)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda a, s: ppr_push(a, s, alpha=0.0, top_k=3), ConfigurationError, "alpha must"),
        (lambda a, s: heat_push(a, s, t=0.0, top_k=3), ConfigurationError, "t must"),
        (lambda a, s: ppr_push(a, s, alpha=0.2, top_k=0), ConfigurationError, "top_k must"),
        (lambda a, s: heat_push(a, s, t=1.0, top_k=3, tolerance=0.0), ConfigurationError, "tolerance must"),
        (lambda a, s: ppr_push(a, s + 80, alpha=0.2, top_k=3), InvalidGraphError, "seeds must"),
        (lambda a, s: ppr_push(a, s - 2, alpha=0.2, top_k=3), InvalidGraphError, "seeds must"),
        (lambda a, s: ppr_push(a, s.double(), alpha=0.2, top_k=3), InvalidGraphError, "integers of shape"),
        (lambda a, s: heat_push(a, s[None], t=1.0, top_k=3), InvalidGraphError, "integers of shape"),
        (lambda a, s: ppr_push(a, s, alpha=0.2, top_k=2.5), ConfigurationError, "top_k must"),
        (lambda a, s: ppr_push(oblong(3, 60), s, alpha=0.2, top_k=3), InvalidGraphError, r"square.*\(3, 60\)"),
        (lambda a, s: heat_push(oblong(60, 3), s, t=1.0, top_k=3), InvalidGraphError, r"square.*\(60, 3\)"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(random_graph(), torch.arange(2))


@every_way
@pushes
def test_any_integers_are_seeds(push, definition, terms):
    graph, seeds = random_graph(), torch.arange(40)[::4]
    expected = push(graph, seeds.contiguous(), top_k=5)
    for given in (seeds, seeds.int(), seeds.to(torch.uint8)):
        assert all(map(torch.equal, push(graph, given, top_k=5), expected))


@pytest.mark.parametrize("wrong", [-1.0, torch.nan, torch.inf])
@pushes
def test_entries_that_are_no_odds_are_refused(push, definition, terms, wrong):
    graph = Adjacency(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.5, wrong]).double(), shape=(2, 2))
    with pytest.raises(InvalidGraphError, match="finite entries >= 0"):
        push(graph, torch.arange(2), top_k=2)


def test_other_dtypes_are_refused():
    graph = normalized_adjacency(GRAPHS["triangle-and-isolated"][0], 4)
    with pytest.raises(ConfigurationError, match="float64"):
        ppr_push(graph, torch.arange(2), alpha=0.2, top_k=3)
