import gc

import pytest
import torch
from hard_graphs import GRAPHS
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import Adjacency, gcn_degree, normalized_adjacency, remember, sparse_operator, spmm
from graphssl.ops.memory import _ENTRIES

graphs = pytest.mark.parametrize("name", list(GRAPHS))


def weights(edge_index, *, seed=0):
    return torch.rand(edge_index.size(1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1


def dense(edge_index, weight, num_nodes):
    out = torch.zeros(num_nodes, num_nodes, dtype=torch.float64)
    for edge in range(edge_index.size(1)):
        out[edge_index[1, edge], edge_index[0, edge]] += 1.0 if weight is None else weight[edge]
    return out


@graphs
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("norm", ["none", "row"])
def test_matrix_equals_definition(name, weighted, norm):
    edge_index, n = GRAPHS[name]
    weight = weights(edge_index) if weighted else None
    expected = dense(edge_index, weight, n)
    if norm == "row":
        expected = expected / expected.sum(1, keepdim=True).where(
            expected.any(1, keepdim=True), torch.tensor(1.0).double()
        )
    found = normalized_adjacency(edge_index, n, weight, norm=norm, self_loops=False, dtype=torch.float64)
    torch.testing.assert_close(found.to_dense(), expected)


@graphs
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("self_loops", [False, True])
def test_symmetric_norm_equals_pyg(name, weighted, self_loops):
    edge_index, n = GRAPHS[name]
    weight = weights(edge_index) if weighted else None
    theirs = gcn_norm(edge_index, weight, n, add_self_loops=self_loops, dtype=torch.float64)
    found = normalized_adjacency(edge_index, n, weight, self_loops=self_loops, dtype=torch.float64)
    torch.testing.assert_close(found.to_dense(), dense(*theirs, n))


def test_last_of_several_loops_keeps_its_weight():
    edge_index = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 0]])
    found = normalized_adjacency(edge_index, 2, torch.tensor([5.0, 3.0, 1.0, 1.0]), norm="none")
    assert found.to_dense().tolist() == [[3.0, 1.0], [1.0, 1.0]]


@graphs
@pytest.mark.parametrize("weight_grad", [False, True])
def test_product_equals_dense_in_value_and_gradient(name, weight_grad):
    edge_index, n = GRAPHS[name]
    weight = weights(edge_index).requires_grad_(weight_grad)
    x = torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
    adjacency = normalized_adjacency(edge_index, n, weight)
    torch.testing.assert_close(spmm(adjacency, x), adjacency.to_dense() @ x)
    assert torch.autograd.gradcheck(lambda x: spmm(normalized_adjacency(edge_index, n, weight), x), x)
    assert torch.autograd.gradgradcheck(lambda x: spmm(normalized_adjacency(edge_index, n, weight), x), x)


@pytest.mark.parametrize("norm", ["sym", "row", "none"])
@pytest.mark.parametrize("name", ["self-loops", "duplicates", "unsorted"])
def test_gradient_reaches_edge_weights(name, norm):
    edge_index, n = GRAPHS[name]
    weight = weights(edge_index).requires_grad_()
    x = torch.randn(n, 2, dtype=torch.float64)
    run = lambda w: spmm(normalized_adjacency(edge_index, n, w, norm=norm), x)  # noqa: E731
    torch.testing.assert_close(run(weight), run(weight.detach()))
    assert torch.autograd.gradcheck(run, weight)


def test_half_precision_and_autocast():
    edge_index, n = GRAPHS["unsorted"]
    adjacency, x = normalized_adjacency(edge_index, n), torch.randn(n, 8)
    exact = spmm(adjacency, x)
    half = spmm(adjacency, x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.02, rtol=0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(spmm(adjacency, x), exact)
    assert spmm(adjacency, x.double()).dtype == torch.float64


def test_symmetric_matrix_is_stored_once():
    edge_index, n = GRAPHS["triangle-and-isolated"]
    shuffled = edge_index[:, torch.randperm(edge_index.size(1))]
    undirected = normalized_adjacency(shuffled, n)
    assert undirected.parts(transposed=True) is undirected.parts()
    directed = normalized_adjacency(GRAPHS["directed-path"][0], 4, norm="row")
    torch.testing.assert_close(directed.matrix(transposed=True).to_dense(), directed.to_dense().T)
    torch.testing.assert_close(directed.transpose().to_dense(), directed.to_dense().T)
    assert directed.transpose().transpose().parts() is directed.parts()


def test_result_does_not_depend_on_threads():
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(300, (2, 4000), generator=generator)
    x = torch.randn(300, 33, generator=generator)
    single = spmm(normalized_adjacency(edge_index, 300), x)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(spmm(normalized_adjacency(edge_index.clone(), 300), x), single)
    finally:
        torch.set_num_threads(threads)


def test_same_edges_are_normalised_once_and_options_are_kept_apart():
    edge_index, n = torch.tensor([[0, 1], [1, 0]]), 2
    weight = torch.ones(2)
    first = normalized_adjacency(edge_index, n)
    assert normalized_adjacency(edge_index, n) is first
    others = [
        normalized_adjacency(edge_index, n, norm="row"),
        normalized_adjacency(edge_index, n, self_loops=False),
        normalized_adjacency(edge_index, 3),
        normalized_adjacency(edge_index, n, dtype=torch.float64),
        normalized_adjacency(edge_index, n, weight),
        normalized_adjacency(edge_index, n, weight.clone()),
        normalized_adjacency(edge_index.clone(), n),
    ]
    assert len({id(found) for found in [first, *others]}) == 8
    assert normalized_adjacency(edge_index, n, weight) is others[4]


def test_writing_in_place_is_noticed():
    edge_index, weight = torch.tensor([[0, 1], [1, 0]]), torch.ones(2)
    before = normalized_adjacency(edge_index, 3, weight, norm="none", self_loops=False)
    weight[0] = 4.0
    after = normalized_adjacency(edge_index, 3, weight, norm="none", self_loops=False)
    assert (before.to_dense()[1, 0], after.to_dense()[1, 0]) == (1.0, 4.0)
    edge_index[1, 0] = 2
    moved = normalized_adjacency(edge_index, 3, weight, norm="none", self_loops=False)
    assert moved.to_dense()[2, 0] == 4.0


@pytest.mark.parametrize("weighted", [False, True])
def test_remembered_matrices_die_with_their_edges(weighted):
    kept = len(_ENTRIES)
    gc.disable()  # reference counting alone must free them: views come and go in every step
    try:
        edge_index = torch.tensor([[0, 1], [1, 0]])
        weight = torch.ones(2) if weighted else None
        x = torch.randn(2, 3, requires_grad=True)
        spmm(normalized_adjacency(edge_index, 2, weight), x).sum().backward()
        assert len(_ENTRIES) == kept + 1
        del edge_index
        assert len(_ENTRIES) == kept
    finally:
        gc.enable()


def test_dead_weight_takes_its_matrix_along():
    edge_index, weight = torch.tensor([[0, 1], [1, 0]]), torch.ones(2)
    normalized_adjacency(edge_index, 2, weight)
    assert id(edge_index) in _ENTRIES
    del weight
    assert id(edge_index) not in _ENTRIES


def test_matrix_built_in_inference_mode_serves_training():
    edge_index = torch.tensor([[0, 1, 2], [1, 0, 1]])
    with torch.inference_mode():
        spmm(normalized_adjacency(edge_index, 3), torch.randn(3, 2))
        assert len(remember(lambda t: [t.sum()], torch.ones(3), key="inference")) == 1
    x = torch.randn(3, 2, requires_grad=True)
    spmm(normalized_adjacency(edge_index, 3), x).sum().backward()
    assert x.grad is not None


def test_sparse_features_multiply_like_dense_ones():
    x = torch.randn(5, 7, dtype=torch.float64).relu()
    weight = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    for layout in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        operator = sparse_operator(x.to_sparse(layout=layout))
        torch.testing.assert_close(spmm(operator, weight), x @ weight)
        assert torch.autograd.gradcheck(lambda w, operator=operator: spmm(operator, w), weight)


@pytest.mark.parametrize(
    ("edge_index", "weight", "message"),
    [
        (torch.zeros(3, 2, dtype=torch.long), None, r"\(2, E\)"),
        (torch.zeros(2, 2), None, "int64"),
        (torch.tensor([[0, 7], [1, 0]]), None, "node 7"),
        (torch.tensor([[0, -1], [1, 0]]), None, "node -1"),
        (torch.tensor([[0, 1], [1, 0]]), torch.ones(3), "edge_weight"),
        (torch.tensor([[0, 1], [1, 0]]), torch.ones(2, dtype=torch.long), "floating"),
        (torch.tensor([[0, 1], [1, 0]]), torch.full((2,), -3.0), "non-negative"),
    ],
)
def test_bad_edges_are_named(edge_index, weight, message):
    with pytest.raises(InvalidGraphError, match=message):
        normalized_adjacency(edge_index, 3, weight)


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("norm", ["sym", "row", "none"])
def test_weights_that_are_not_finite_are_named(norm, wrong, learnt):
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    weight = torch.tensor([1.0, wrong, 1.0], requires_grad=learnt)
    with pytest.raises(InvalidGraphError, match="edge_weight has NaN or infinite entries, the first at 1"):
        normalized_adjacency(edges, 3, weight, norm=norm)
    with pytest.raises(InvalidGraphError, match="edge_weight has NaN"):
        gcn_degree(edges, 3, weight)
    for name in ("in_degree", "norm_degree"):
        with pytest.raises(InvalidGraphError, match=f"{name} has NaN"):
            normalized_adjacency(edges, 3, norm=norm, **{name: torch.tensor([1.0, wrong, 1.0])})


def test_weights_as_an_array_are_named():
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    for call in (normalized_adjacency, gcn_degree):
        with pytest.raises(InvalidGraphError, match="edge_weight as a tensor, got list"):
            call(edges, 3, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize(
    ("row", "col", "value", "message"),
    [
        ([0, 3], [0, 0], [1.0, 1.0], r"row must be in \[0, 3\)"),
        ([0, -1], [0, 0], [1.0, 1.0], "row must be"),
        ([0, 1], [0, 5], [1.0, 1.0], r"col must be in \[0, 5\)"),
        ([0, 1], [-1, 0], [1.0, 1.0], "col must be"),
        ([0, 1], [0], [1.0, 1.0], r"\(2,\), \(1,\), \(2,\)"),
        ([0, 1], [0, 1], [1.0], r"\(2,\), \(1,\)"),
        ([[0, 1]], [[0, 1]], [[1.0, 1.0]], r"\(1, 2\)"),
        ([0.0, 1.0], [0, 1], [1.0, 1.0], "row of int64, got torch.float32"),
    ],
)
def test_bad_entries_of_a_matrix_are_named(row, col, value, message, learnt):
    with pytest.raises(InvalidGraphError, match=message):
        Adjacency(torch.tensor(row), torch.tensor(col), torch.tensor(value, requires_grad=learnt), shape=(3, 5))


@pytest.mark.parametrize("place", [(0, 4), (4, 0), (-1, 0)])
def test_bad_operators_are_named(place):
    index = torch.tensor(place)[:, None]
    for coalesced in (False, True):
        bad = torch.sparse_coo_tensor(index, torch.ones(1), (4, 4), check_invariants=False, is_coalesced=coalesced)
        with pytest.raises(InvalidGraphError, match=r"must be in \[0, 4\)"):
            sparse_operator(bad)
    with pytest.raises(InvalidGraphError, match=r"\(R, C\)"):
        sparse_operator(torch.ones(2, 2, 2).to_sparse_coo())


def test_bad_shapes_and_norms_are_named():
    adjacency = normalized_adjacency(torch.tensor([[0], [1]]), 2)
    with pytest.raises(InvalidGraphError, match=r"2 rows.*\(3, 1\)"):
        spmm(adjacency, torch.ones(3, 1))
    with pytest.raises(ConfigurationError, match="'left'"):
        normalized_adjacency(torch.tensor([[0], [1]]), 2, norm="left")
    learnt = normalized_adjacency(torch.tensor([[0], [1]]), 2, torch.ones(1, requires_grad=True))
    with pytest.raises(ConfigurationError, match="spmm"):
        learnt.matrix()


@pytest.mark.gpu
def test_gpu_equals_cpu():
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(200, (2, 1500), generator=generator)
    x = torch.randn(200, 16, generator=generator)
    results = []
    for device in ("cpu", "cuda"):
        features = x.clone().to(device).detach().requires_grad_()
        out = spmm(normalized_adjacency(edge_index.to(device), 200), features)
        out.square().sum().backward()
        with torch.autocast(device, dtype=torch.bfloat16):
            again = spmm(normalized_adjacency(edge_index.to(device), 200), features)
        results.append((out.detach().cpu(), features.grad.cpu(), again.detach().cpu()))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-4)
