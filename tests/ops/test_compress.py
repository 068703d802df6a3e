"""Matrices from entries in any order: both tiers give the same arrays, and those of a loop over the rows."""

import pytest
import torch
from tiers import TIERS, needs_cpp, tier

from graphssl.errors import InvalidGraphError
from graphssl.ops import backend, normalized_adjacency
from graphssl.ops._compress import NORMS, compress, transpose
from graphssl.ops.adjacency import Adjacency

DTYPES = (torch.float32, torch.float64)


def entries(rows, cols, count, *, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    row = (torch.rand(count, generator=generator) ** 3 * rows).long()  # the first rows are long
    col = torch.randint(max(cols, 1), (count,), generator=generator)
    return row, col, torch.rand(count, generator=generator, dtype=dtype)


def by_loop(row, col, value, shape):
    """For each row, its entries by column, equal columns in the order given."""
    pointers, columns, values = [0], [], []
    for r in range(shape[0]):
        mine = sorted((int(c), e) for e, (q, c) in enumerate(zip(row, col, strict=True)) if q == r)
        columns += [c for c, _ in mine]
        values += [float(value[e]) for _, e in mine]
        pointers.append(len(columns))
    return pointers, columns, values


CASES = {
    "empty": (5, 4, 0),
    "no rows": (0, 0, 0),
    "one place, many times": (1, 1, 50),
    "one long row": (1, 400, 333),
    "one column": (30, 1, 100),
    "mixed": (40, 60, 900),
    "mostly empty rows": (500, 20, 60),
}


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_rows_and_columns_ascend_and_equal_places_keep_their_order(case, dtype, name):
    rows, cols, count = CASES[case]
    row, col, value = entries(rows, cols, count, dtype=dtype)
    with tier(name):
        found = compress(row, col, value, (rows, cols))
        back = transpose(found, (rows, cols))
    assert [part.tolist() for part in found] == list(by_loop(row, col, value, (rows, cols)))
    assert found[0].dtype == found[1].dtype == torch.int32
    assert found[2].dtype == dtype
    # the transpose lists equal places in the order that they have in the rows
    order = torch.repeat_interleave(torch.arange(rows), found[0].diff())
    assert [part.tolist() for part in back] == list(by_loop(found[1], order, found[2], (cols, rows)))


@needs_cpp
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("order", ["random", "ascending", "descending", "ascending, loops last"])
def test_tiers_and_threads_give_the_same_bits(order, threads):
    rows = 3_000
    row, col, value = entries(rows, rows, 20_000)
    if order != "random":
        place = (row * rows + col).argsort(stable=True, descending=order == "descending")
        row, col = row[place], col[place]
    if order.endswith("loops last"):
        row, col = (torch.cat([end, torch.arange(rows)]) for end in (row, col))
        value = torch.cat([value, torch.ones(rows)])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = {}
        for name in ("torch", "cpp"):
            with backend.use(name):
                parts = compress(row, col, value, (rows, rows))
                found[name] = (*parts, *transpose(parts, (rows, rows)))
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, found["torch"], found["cpp"]))


@pytest.mark.parametrize("name", TIERS)
def test_a_symmetric_matrix_is_stored_once_and_entries_are_copies(name):
    row, col, value = torch.tensor([0, 1, 2, 2]), torch.tensor([1, 0, 2, 2]), torch.ones(4)
    with tier(name):
        matrix = Adjacency(row, col, value, shape=(3, 3))
        assert all(a is b for a, b in zip(matrix.parts(), matrix.parts(transposed=True), strict=True))
    for given in (row, col, value):
        given.zero_()
    assert matrix.to_dense().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 2]]


@needs_cpp
def test_strided_and_small_integers_are_taken():
    edges = torch.tensor([[2, 0, 1, 0], [1, 2, 0, 1]])
    value = torch.tensor([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [4.0, 9.0]])[:, 0]
    found = compress(edges.T.contiguous().T[0], edges[1].int(), value, (3, 3))
    assert [part.tolist() for part in found] == [[0, 2, 3, 4], [1, 2, 0, 1], [4.0, 2.0, 3.0, 1.0]]


def graph(nodes=300, edges=4_000, *, dtype, seed=0):
    """Loops, several on some nodes, duplicates, and nodes that nothing reaches."""
    row, col, weight = entries(nodes, nodes, edges, dtype=dtype, seed=seed)
    loops = torch.randint(nodes, (90,), generator=torch.Generator().manual_seed(seed))
    row, col = torch.cat([row, loops]), torch.cat([col, loops])
    order = torch.randperm(row.numel(), generator=torch.Generator().manual_seed(seed))
    return torch.stack([col, row])[:, order], torch.cat([weight, 2 + weight[:90]])[order], nodes


@needs_cpp
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("degrees", ["own", "given"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_normalised_matrices_are_the_same_in_both_tiers(norm, self_loops, weighted, degrees, dtype):
    edge_index, weight, nodes = graph(dtype=dtype)
    options = dict(norm=norm, self_loops=self_loops, dtype=dtype)
    if degrees == "given":
        generator = torch.Generator().manual_seed(1)
        options |= {
            name: torch.randint(0, 9, (nodes,), generator=generator) for name in ("in_degree", "norm_degree")
        }  # fmt: skip
    found = {}
    for name in TIERS:
        with tier(name):
            # new tensors: an adjacency is remembered for the edges that it was built from
            given = weight.clone() if weighted else None
            found[name] = normalized_adjacency(edge_index.clone(), nodes, given, **options).parts()
    for name in TIERS[1:]:
        for ours, plain in zip(found[name][:2], found["torch"][:2], strict=True):
            assert torch.equal(ours, plain)
        torch.testing.assert_close(found[name][2], found["torch"][2], rtol=4 * torch.finfo(dtype).eps, atol=0.0)
        assert all(part.is_contiguous() for part in found[name])


@pytest.mark.parametrize("name", TIERS)
def test_negative_degrees_are_refused_and_zero_rows_stay_zero(name):
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 1]])
    with tier(name):
        with pytest.raises(InvalidGraphError, match="non-negative degrees"):
            normalized_adjacency(edge_index.clone(), 3, torch.tensor([-5.0, 1.0, 1.0]))
        empty = normalized_adjacency(edge_index.clone(), 4, self_loops=False)
        assert empty.to_dense()[[0, 3]].abs().max() == 0
        assert normalized_adjacency(torch.empty(2, 0, dtype=torch.int64), 0).parts()[0].tolist() == [0]


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("which", ["in_degree", "norm_degree"])
def test_degrees_that_do_not_fit_are_refused(which, name):
    edge_index = torch.tensor([[0, 1], [1, 0]])
    with tier(name):
        for wrong in (torch.ones(3), torch.ones(5, 1), torch.ones(0)):
            with pytest.raises(InvalidGraphError, match=f"{which} of shape"):
                normalized_adjacency(edge_index.clone(), 5, **{which: wrong})
        with pytest.raises(InvalidGraphError, match="non-negative degrees"):
            normalized_adjacency(edge_index.clone(), 5, norm_degree=-torch.ones(5))
        strided = torch.full((5, 2), 4.0)[:, 0]
        assert normalized_adjacency(edge_index.clone(), 5, norm_degree=strided).to_dense()[0, 1] == 0.25
