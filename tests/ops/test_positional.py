"""Leading eigenvectors of small graphs against numpy's dense solver, in every tier and for every instruction set."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import TIERS, needs_cpp, tier

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import native, positional_embeddings, top_eigenvectors

every_tier = pytest.mark.parametrize("name", TIERS)
Graph = tuple[list[tuple[int, int]], int]


def star(n):
    return [(0, leaf) for leaf in range(1, n)], n


def complete(n):
    return [(u, v) for u in range(n) for v in range(n) if u != v], n


def cycle(n):
    return [(u, (u + 1) % n) for u in range(n)], n


def random_graph(n, edges, seed):
    rng = np.random.default_rng(seed)
    return [tuple(pair) for pair in rng.integers(0, n, (edges, 2)).tolist()], n


GRAPHS: dict[str, Graph] = {
    "empty": ([], 0),
    "one": ([], 1),
    "one with a loop": ([(0, 0)], 1),
    "two apart": ([], 2),
    "a pair": ([(1, 0)], 2),
    "path": ([(0, 1), (1, 2), (2, 3)], 4),
    "star": star(20),
    "large star": star(128),
    "complete": complete(12),
    "cycle": cycle(30),
    "two components": ([(0, 1), (1, 2), (3, 4), (4, 5), (5, 3)], 6),
    "isolated nodes": ([(1, 4), (4, 6)], 9),
    "loops": ([(0, 0), (0, 1), (1, 2), (2, 2), (3, 3)], 5),
    "duplicates": ([(0, 1), (0, 1), (1, 0), (1, 2), (2, 3), (2, 3)], 4),
    "full vectors": random_graph(8, 14, 0),
    "one more": random_graph(9, 16, 1),
    "random": random_graph(40, 70, 2),
    "dense": random_graph(60, 900, 3),
    "limit": random_graph(128, 300, 4),
    "beyond the limit": random_graph(129, 300, 5),
    "large": random_graph(150, 400, 6),
}


def batch(graphs, *, shuffle=False):
    """edge_index and ptr of several graphs."""
    offsets = np.cumsum([0, *(n for _, n in graphs)])
    pairs = [(u + at, v + at) for (edges, _), at in zip(graphs, offsets[:-1], strict=True) for u, v in edges]
    edge_index = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).T
    if shuffle:
        edge_index = edge_index[:, torch.randperm(edge_index.size(1), generator=torch.Generator().manual_seed(0))]
    return edge_index, torch.tensor(offsets)


def matrix(graph, weights=None):
    """The normalised adjacency, entry by entry from its definition."""
    edges, n = graph
    a = np.zeros((n, n))
    for (u, v), weight in zip(edges, weights or [1.0] * len(edges), strict=True):
        a[u, v] = a[v, u] = max(a[u, v], weight)
    degree = a.sum(1)
    for u in range(n):
        for v in range(n):
            if a[u, v] > 0:
                a[u, v] /= np.sqrt(degree[u] * degree[v])
    return a


def check(a, values, vectors):
    """Are these the leading eigenpairs of a (n, n), padded with zeros?"""
    n, k = vectors.shape
    count = min(n, k)
    assert not values[count:].any()
    assert not vectors[:, count:].any()
    values, vectors = values[:count].astype(float), vectors[:, :count].astype(float)
    exact, basis = np.linalg.eigh(a)
    exact, basis = exact[::-1], basis[:, ::-1]
    np.testing.assert_allclose(values, exact[:count], atol=1e-5)
    assert (np.diff(values) <= 0).all()
    assert np.linalg.norm(a @ vectors - vectors * values, axis=0).max(initial=0) <= 1e-5
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(count), atol=1e-5)
    for cut in range(1, count + 1):  # wherever the space is determined
        if cut == n or exact[cut - 1] - exact[cut] > 1e-3:
            head = vectors[:, :cut]
            np.testing.assert_allclose(head @ head.T, basis[:, :cut] @ basis[:, :cut].T, atol=1e-4)


def check_all(graphs, values, vectors, ptr):
    for number, graph in enumerate(graphs):
        check(matrix(graph), values[number].numpy(), vectors[ptr[number] : ptr[number + 1]].numpy())


@every_tier
@pytest.mark.parametrize("k", [1, 4, 32, 200])
@pytest.mark.parametrize("shuffle", [False, True])
def test_leading_eigenpairs(name, k, shuffle):
    graphs = list(GRAPHS.values())
    edge_index, ptr = batch(graphs, shuffle=shuffle)
    with tier(name):
        values, vectors = top_eigenvectors(edge_index, ptr, k)
    assert values.shape == (len(graphs), k)
    assert vectors.shape == (int(ptr[-1]), k)
    assert values.dtype == vectors.dtype == torch.float32
    check_all(graphs, values, vectors, ptr)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 120), st.integers(0, 2**31)), max_size=6), st.integers(1, 45)
)
def test_random_graphs(sizes, k):
    graphs = [random_graph(n, edges, seed) if n else ([], 0) for n, edges, seed in sizes]
    edge_index, ptr = batch(graphs)
    for name in ("torch", TIERS[-1]):
        with tier(name):
            values, vectors = top_eigenvectors(edge_index, ptr, k)
        check_all(graphs, values, vectors, ptr)


@every_tier
def test_known_spectra(name):
    edge_index, ptr = batch([star(10), complete(5), cycle(4), star(2)])
    with tier(name):
        values, vectors = top_eigenvectors(edge_index, ptr, 10)
    quarter = [-0.25] * 4
    expected = [[1.0, *[0] * 8, -1], [1, *quarter, *[0] * 5], [1, 0, 0, -1, *[0] * 6], [1, -1, *[0] * 8]]
    torch.testing.assert_close(values, torch.tensor(expected), atol=1e-6, rtol=0)
    first = torch.tensor([0.5**0.5] + [(0.5 / 9) ** 0.5] * 9)  # the square roots of the degrees
    torch.testing.assert_close(vectors[:10, 0], first)


@every_tier
def test_the_largest_entry_is_positive(name):
    graphs = [*GRAPHS.values(), *(random_graph(25, 40, seed) for seed in range(10))]
    edge_index, ptr = batch(graphs)
    with tier(name):
        _, vectors = top_eigenvectors(edge_index, ptr, 16)
    for begin, end in pairwise(ptr.unique().tolist()):
        for vector in vectors[begin:end].T:
            assert vector.max() >= -vector.min() * (1 - 2e-6)  # two of opposite sign may tie


@every_tier
def test_of_equal_entries_the_first_is_positive(name):
    graphs = [([(u, u + 1) for u in range(n - 1)], n) for n in range(2, 40)]  # paths: mirrored, all values differ
    edge_index, ptr = batch(graphs)
    with tier(name):
        _, vectors = top_eigenvectors(edge_index, ptr, 40)
    for number, (_, n) in enumerate(graphs):
        head = vectors[ptr[number] : ptr[number + 1], :n]
        first = (head.abs() >= head.abs().amax(0) * (1 - 1e-5)).int().argmax(0)
        assert (head.gather(0, first[None]) > 0).all()


@needs_cpp
def test_vectors_of_simple_eigenvalues_agree_between_tiers():
    graphs = [random_graph(25, 60, seed) for seed in range(20)]
    edge_index, ptr = batch(graphs)
    found = []
    for name in TIERS:
        with tier(name):
            found.append(top_eigenvectors(edge_index, ptr, 12))
    compared = 0
    for number, graph in enumerate(graphs):
        exact = np.linalg.eigvalsh(matrix(graph))[::-1]
        gap = np.minimum(-np.diff(exact, prepend=2), -np.diff(exact, append=-2))[:12]
        rows = slice(int(ptr[number]), int(ptr[number + 1]))
        simple = torch.from_numpy(gap > 1e-3)
        compared += int(simple.sum())
        for values, vectors in found[1:]:
            torch.testing.assert_close(values[number], found[0][0][number], atol=1e-6, rtol=0)
            torch.testing.assert_close(vectors[rows][:, simple], found[0][1][rows][:, simple], atol=1e-5, rtol=0)
    assert compared > 100


@every_tier
def test_renumbered_nodes_have_the_same_projector(name):
    edges, n = GRAPHS["random"]
    order = np.random.default_rng(0).permutation(n)  # node u becomes order[u]
    moved = [(int(order[u]), int(order[v])) for u, v in edges]
    edge_index, ptr = batch([(edges, n), (moved, n)])
    exact = np.linalg.eigvalsh(matrix((edges, n)))[::-1]
    k = next(k for k in range(8, n) if exact[k - 1] - exact[k] > 1e-2)
    with tier(name):
        values, vectors = top_eigenvectors(edge_index, ptr, k)
        rows = positional_embeddings(edge_index, ptr, k)
    torch.testing.assert_close(values[0], values[1], atol=1e-6, rtol=0)
    for x in (vectors, rows):  # inner products of rows do not depend on the basis
        one, other = x[:n] @ x[:n].T, x[n:] @ x[n:].T
        torch.testing.assert_close(other[order][:, order], one, atol=1e-5, rtol=0)


@needs_cpp
def test_a_graph_does_not_depend_on_the_others():
    graphs = list(GRAPHS.values())
    edge_index, ptr = batch(graphs)
    _, together = top_eigenvectors(edge_index, ptr, 8)
    for number, graph in enumerate(graphs):
        if graph[1] <= 128:  # torch's batched solver may round otherwise
            _, alone = top_eigenvectors(*batch([graph]), 8)
            assert torch.equal(together[ptr[number] : ptr[number + 1]], alone)


@every_tier
def test_rows_have_unit_length(name):
    graphs = [graph for graph in GRAPHS.values() if graph[1]]
    edge_index, ptr = batch(graphs)
    with tier(name):
        _, vectors = top_eigenvectors(edge_index, ptr, 8)
        rows = positional_embeddings(edge_index, ptr, 8)
    length = vectors.norm(dim=1)
    torch.testing.assert_close(rows.norm(dim=1), (length > 1e-6).float())
    torch.testing.assert_close(rows * length[:, None], vectors, atol=1e-6, rtol=1e-5)


@every_tier
def test_rows_that_are_not_reached_are_zero(name):
    edge_index, ptr = batch([([(0, 1), (2, 3), (4, 4), (4, 3)], 7)])  # two components, two isolated nodes
    with tier(name):
        assert not positional_embeddings(edge_index, ptr, 2)[5:].any()
        single = positional_embeddings(edge_index[:, :0], torch.tensor([0, 1, 2]), 3)
    assert single.tolist() == [[1, 0, 0], [1, 0, 0]]


@every_tier
def test_weights(name):
    edges, n = GRAPHS["random"]
    weights = np.random.default_rng(1).random(len(edges)).tolist()
    edge_index, ptr = batch([(edges, n)])
    with tier(name):
        values, vectors = top_eigenvectors(edge_index, ptr, 10, edge_weight=torch.tensor(weights, dtype=torch.float64))
        ones = top_eigenvectors(edge_index, ptr, 10, edge_weight=torch.ones(len(edges)))
        scaled = top_eigenvectors(edge_index, ptr, 10, edge_weight=torch.full((len(edges),), 8.0))
        plain = top_eigenvectors(edge_index, ptr, 10)
        zero, _ = top_eigenvectors(edge_index, ptr, 10, edge_weight=torch.zeros(len(edges)))
    check(matrix((edges, n), weights), values[0].numpy(), vectors.numpy())
    for one, other, same in zip(ones, scaled, plain, strict=True):
        assert torch.equal(one, same)
        torch.testing.assert_close(other @ other.T, same @ same.T, atol=1e-5, rtol=0)
    assert not zero.any()


@every_tier
def test_shuffled_edges_with_weights(name):
    graphs = [random_graph(20, 50, seed) for seed in range(3)]
    edge_index, ptr = batch(graphs)
    weight = torch.rand(150, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))
    with tier(name):
        values, _ = top_eigenvectors(edge_index, ptr, 5, edge_weight=weight)
        same, _ = top_eigenvectors(edge_index[:, order], ptr, 5, edge_weight=weight[order])
    torch.testing.assert_close(values, same, atol=1e-6, rtol=0)


@needs_cpp
def test_threads_do_not_matter():
    graphs = [random_graph(5 + seed % 60, 3 * (seed % 60) + 4, seed) for seed in range(200)]
    edge_index, ptr = batch(graphs)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(top_eigenvectors(edge_index, ptr, 16))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@needs_cpp
def test_what_the_kernel_leaves_goes_to_torch(monkeypatch):
    """As if nothing had converged."""
    graphs = list(GRAPHS.values())
    edge_index, ptr = batch(graphs)
    monkeypatch.setattr(native, "call", lambda name, *args: None)  # all graphs stay marked
    values, vectors = top_eigenvectors(edge_index, ptr, 8)
    check_all(graphs, values, vectors, ptr)


@every_tier
def test_no_graphs_and_no_nodes(name):
    none = torch.empty(2, 0, dtype=torch.int64)
    with tier(name):
        assert positional_embeddings(none, torch.tensor([0]), 3).shape == (0, 3)
        values, vectors = top_eigenvectors(none, torch.tensor([0, 0, 0]), 3)
    assert values.tolist() == [[0, 0, 0]] * 2
    assert vectors.shape == (0, 3)


def test_registered_op():
    edge_index, ptr = batch([star(5), cycle(6)])
    bounds = torch.tensor([0, 4, 10])
    torch.library.opcheck(torch.ops.graphssl.top_eigenvectors, (edge_index, None, bounds, ptr, 11, 3))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"k": 0}, ConfigurationError, "k must be"),
        ({"k": 2.0}, ConfigurationError, "k must be"),
        ({"edge_index": torch.zeros(3, 2, dtype=torch.int64)}, InvalidGraphError, "shape \\(2, E\\)"),
        ({"edge_index": torch.zeros(2, 2)}, InvalidGraphError, "int64"),
        ({"edge_index": torch.tensor([[0], [5]])}, InvalidGraphError, "join nodes"),
        ({"edge_index": torch.tensor([[-1], [1]])}, InvalidGraphError, "join nodes"),
        ({"edge_index": torch.tensor([[0], [3]])}, InvalidGraphError, "two graphs"),
        ({"ptr": torch.tensor([1, 5])}, InvalidGraphError, "start with 0"),
        ({"ptr": torch.tensor([0, 5, 2])}, InvalidGraphError, "decrease"),
        ({"ptr": torch.tensor([0.0, 5.0])}, InvalidGraphError, "ptr of int64"),
        ({"edge_weight": torch.ones(2)}, InvalidGraphError, "edge_weight of floats"),
        ({"edge_weight": torch.tensor([-1.0])}, InvalidGraphError, "negative"),
        ({"edge_weight": torch.tensor([torch.nan])}, InvalidGraphError, "finite"),
    ],
)
def test_errors(changes, error, message):
    valid = {"edge_index": torch.tensor([[0], [1]]), "ptr": torch.tensor([0, 2, 5]), "k": 2, "edge_weight": None}
    with pytest.raises(error, match=message):
        top_eigenvectors(**{**valid, **changes})
