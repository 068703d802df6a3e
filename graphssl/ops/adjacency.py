"""The propagation matrix of a graph, built once from its edges and remembered as long as they live."""

from __future__ import annotations

import copy
import functools
import warnings

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops._compress import NORMS, Compressed, compress, compressed_in_cpp, entries_of, in_cpp, transpose
from graphssl.ops.checks import check_tensor, not_finite, outside
from graphssl.ops.memory import remember
from graphssl.ops.segment import segment_reduce

__all__ = ["Adjacency", "check_edges", "gcn_degree", "normalized_adjacency", "sparse_operator"]


class Adjacency:
    """A sparse matrix whose row i lists the neighbours that send messages to node i.

    Parameters
    ----------
    row, col : Tensor of int64, shape (E,)
        Target and source of each entry, in any order; duplicates add up.
    value : Tensor, shape (E,)
        When it requires grad, products are computed edge by edge and differentiated with respect to
        it; otherwise the matrix is compressed (CSR) and its transpose is built at the first backward.
    shape : tuple of int
        (rows, columns).

    Raises
    ------
    InvalidGraphError
        If these are not one row, column and value for each entry, or a place is outside of the matrix.
    """

    def __init__(self, row: Tensor, col: Tensor, value: Tensor, *, shape: tuple[int, int]) -> None:
        _check_entries(row, col, value, shape)
        row, col = row.long(), col.long()
        self.shape = shape
        self.dtype, self.device = value.dtype, value.device
        self.edges: tuple[Tensor, Tensor, Tensor] | None = (row, col, value) if value.requires_grad else None
        self._csr: Compressed | None = None if value.requires_grad else compress(row, col, value, shape)
        self._transpose: Compressed | None = None

    @classmethod
    def of_parts(cls, csr: Compressed, shape: tuple[int, int]) -> Adjacency:
        """Of a CSR matrix as :meth:`parts` gives it, in the same memory."""
        self = cls.__new__(cls)
        self.shape, self.dtype, self.device = shape, csr[2].dtype, csr[2].device
        self.edges, self._csr, self._transpose = None, csr, None
        return self

    def parts(self, *, transposed: bool = False) -> Compressed:
        """Pointers (rows + 1,), columns (E,) and values (E,) of the CSR matrix, or of its transpose.

        A symmetric matrix is its own transpose and stored once.

        Raises
        ------
        ConfigurationError
            If the values require grad: such a matrix is kept as edges.
        """
        if self._csr is None:
            raise ConfigurationError("an adjacency whose values require grad has no CSR form: use spmm(adjacency, x)")
        if not transposed:
            return self._csr
        if self._transpose is None:
            self._transpose = transpose(self._csr, self.shape)
        return self._transpose

    def transpose(self) -> Adjacency:
        """The transposed matrix, in the same memory."""
        other = copy.copy(self)
        other.shape = self.shape[::-1]
        other._csr, other._transpose = self.parts(transposed=True), self.parts()
        return other

    def matrix(self, *, transposed: bool = False) -> Tensor:
        """The CSR matrix, or its transpose, as a sparse tensor that shares memory with :meth:`parts`."""
        spend_beta_warning()
        shape = self.shape[::-1] if transposed else self.shape
        return torch.sparse_csr_tensor(*self.parts(transposed=transposed), size=shape, check_invariants=False)

    def to_dense(self) -> Tensor:
        """The matrix as a dense tensor (small graphs, tests)."""
        row, col, value = self.edges if self.edges is not None else entries_of(self.parts())
        return value.new_zeros(self.shape).index_put((row.long(), col.long()), value, accumulate=True)


@torch.compiler.disable
def normalized_adjacency(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    *,
    norm: str = "sym",
    self_loops: bool = True,
    dtype: torch.dtype | None = None,
    in_degree: Tensor | None = None,
    norm_degree: Tensor | None = None,
) -> Adjacency:
    r"""The propagation matrix of a graph.

    With :math:`A_{ij}` the weight of the edge from j to i and :math:`d_i = \sum_j A_{ij}`,
    ``sym`` gives :math:`A_{ij} / \sqrt{d_i d_j}`, ``row`` :math:`A_{ij} / d_i`, ``none`` :math:`A_{ij}`.

    Parameters
    ----------
    edge_index : Tensor of int64, shape (2, E)
        Sources and targets of the messages, in any order; duplicates add up.
    num_nodes : int
        N.
    edge_weight : Tensor, shape (E,) or (E, 1), optional
        Default 1. The result is differentiable with respect to a weight that requires grad.
    norm : str
        ``sym``, ``row`` or ``none``.
    self_loops : bool
        Put one loop on every node before normalising. A loop that is there already keeps its weight
        (the last one, if there are several), others weigh 1.
    dtype : torch.dtype, optional
        Of the entries; default that of ``edge_weight``, or torch's default.
    in_degree : Tensor, shape (N,), optional
        For a sampled part of a larger graph: how many edges end in each node there. What a node receives over the k
        edges that are here is scaled by in_degree / k (``sym`` and ``none``), so that it is on average what it receives
        in the whole graph, and equal to it where all edges are here.
    norm_degree : Tensor, shape (N,), optional
        The same for :math:`d` under ``sym`` with self-loops: the node's degree, loop included, in the larger graph.

    Returns
    -------
    Adjacency
        Of shape (N, N). A node without incoming weight has a row of zeros.

    Raises
    ------
    InvalidGraphError
        If the edges are not (2, E) int64, point outside [0, N), weights or degrees do not match them or are NaN or
        infinite, or a degree is negative under ``sym``.

    Notes
    -----
    The result is remembered for this very ``edge_index`` object (and ``edge_weight`` object) until one
    of them dies or is written in place; nothing is kept alive. Writes that torch does not count
    (through ``.data`` or a NumPy array sharing the memory) go unnoticed: give a new tensor then.
    Loops, degrees and weights are treated as by ``torch_geometric``'s ``gcn_norm``.

    References
    ----------
    .. [1] Kipf, Welling. Semi-Supervised Classification with Graph Convolutional Networks. 2017.
       arXiv:1609.02907, equation 2.
    """
    if norm not in NORMS:
        raise ConfigurationError(f"unknown norm {norm!r}: expected one of {', '.join(NORMS)}")
    edge_index = plain(edge_index)
    _check_form(edge_index, edge_weight)
    if dtype is None:
        dtype = torch.get_default_dtype() if edge_weight is None else edge_weight.dtype
    build = functools.partial(_build, num_nodes=num_nodes, norm=norm, self_loops=self_loops, dtype=dtype)
    if edge_weight is not None and edge_weight.requires_grad:
        return build(edge_index, edge_weight, in_degree, norm_degree)
    key = (num_nodes, norm, self_loops, dtype)
    return remember(build, edge_index, edge_weight, in_degree, norm_degree, key=key)


def gcn_degree(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> Tensor:
    """The degrees by which the GCN normalises, (N,): weights of the edges that end in a node, with one self-loop.

    Raises
    ------
    InvalidGraphError
        As :func:`normalized_adjacency`.
    """
    edge_index = plain(edge_index)
    _check_form(edge_index, edge_weight)
    check_edges(edge_index, num_nodes)
    _check_finite("edge_weight", edge_weight)
    col, row = edge_index
    weight = edge_weight.view(-1).float() if edge_weight is not None else torch.ones(col.size(0), device=col.device)
    row, _, weight = _with_self_loops(row, col, weight, num_nodes)
    return segment_reduce(weight, row, num_nodes)


def sparse_operator(matrix: Tensor) -> Adjacency:
    """A constant sparse matrix, (R, C) in any sparse layout, ready for :func:`spmm`; remembered like an adjacency."""
    return remember(_build_operator, matrix, key="operator")


def _build_operator(matrix: Tensor, _: Tensor | None = None) -> Adjacency:
    if matrix.dim() != 2:
        raise InvalidGraphError(f"expected a matrix (R, C), got shape {tuple(matrix.shape)}")
    coo = (matrix if matrix.layout == torch.sparse_coo else matrix.to_sparse_coo()).detach()
    shape = matrix.size(0), matrix.size(1)
    row, col = coo._indices()
    _check_entries(row, col, coo._values(), shape)  # coalescing would move a wrong column to another row
    coo = coo.coalesce()
    row, col = coo.indices()
    return Adjacency(row, col, coo.values(), shape=shape)


def _build(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    in_degree: Tensor | None,
    norm_degree: Tensor | None,
    *,
    num_nodes: int,
    norm: str,
    self_loops: bool,
    dtype: torch.dtype,
) -> Adjacency:
    check_edges(edge_index, num_nodes)
    _check_finite("edge_weight", edge_weight)
    _check_degrees("in_degree", in_degree, num_nodes)
    _check_degrees("norm_degree", norm_degree, num_nodes)
    col, row = edge_index
    weight = edge_weight.view(-1).to(dtype) if edge_weight is not None else col.new_ones(col.size(0), dtype=dtype)
    if in_degree is not None and norm != "row":
        here = torch.bincount(row, minlength=num_nodes).clamp(min=1)
        scale = (in_degree / here).to(dtype)[row]
        # A node's own loop is there with or without the sampled edge: that one stands for itself alone.
        weight = weight * (scale.masked_fill(row == col, 1.0) if self_loops else scale)
    shape = (num_nodes, num_nodes)
    fixed = norm_degree.to(dtype).contiguous() if norm_degree is not None and norm == "sym" and self_loops else None
    signed = edge_weight is not None or fixed is not None
    if not weight.requires_grad and in_cpp(weight, num_nodes, num_nodes):
        degree = torch.empty(num_nodes, dtype=dtype) if fixed is None else fixed
        csr = compressed_in_cpp(row, col, weight, num_nodes, self_loops, norm, degree, sum_degree=fixed is None)
        if norm == "sym" and signed:
            _check_sign(degree)
        return Adjacency.of_parts(csr, shape)
    if self_loops:
        row, col, weight = _with_self_loops(row, col, weight, num_nodes)
    if norm != "none":
        degree = segment_reduce(weight, row, num_nodes) if fixed is None else fixed  # (N,)
        # The place of a zero is filled before the power: its gradient would be infinite.
        isolated = degree == 0
        if norm == "row":
            weight = weight * degree.masked_fill(isolated, 1.0).reciprocal().masked_fill(isolated, 0.0)[row]
        else:
            if signed:
                _check_sign(degree)
            scale = degree.masked_fill(isolated, 1.0).pow(-0.5).masked_fill(isolated, 0.0)
            weight = scale[row] * weight * scale[col]
    if weight.requires_grad:
        return Adjacency(row, col, weight, shape=shape)
    return Adjacency.of_parts(compress(row, col, weight, shape), shape)  # the edges were looked at above


def _check_degrees(name: str, degree: Tensor | None, num_nodes: int) -> None:
    if degree is not None and degree.shape != (num_nodes,):
        raise InvalidGraphError(f"expected {name} of shape ({num_nodes},), one a node; got {tuple(degree.shape)}")
    _check_finite(name, degree)


def _check_finite(name: str, value: Tensor | None) -> None:
    if value is not None and (place := not_finite(value)) is not None:
        raise InvalidGraphError(f"{name} has NaN or infinite entries, the first at {place}: impute or drop them")


def _check_sign(degree: Tensor) -> None:
    if bool((degree < 0).any()):
        raise InvalidGraphError(
            "symmetric normalisation needs non-negative degrees: some edge weights, or degrees given, are < 0"
        )


def _with_self_loops(row: Tensor, col: Tensor, weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Exactly one loop on each node, at the end; a loop that was there keeps its weight."""
    nodes = torch.arange(num_nodes, device=row.device)
    loops = weight.new_ones(num_nodes)
    is_loop = row == col
    if bool(is_loop.any()):
        at = is_loop.nonzero().view(-1)
        # Several loops on one node: the largest position wins, on every device.
        last = at.new_full((num_nodes,), -1).scatter_reduce(0, row[at], at, "amax")
        has_loop = (last >= 0).nonzero().view(-1)
        loops = loops.index_put((has_loop,), weight[last[has_loop]])
        keep = ~is_loop
        row, col, weight = row[keep], col[keep], weight[keep]
    return torch.cat([row, nodes]), torch.cat([col, nodes]), torch.cat([weight, loops])


@functools.cache
def spend_beta_warning() -> None:
    """Torch warns once per process that CSR is in beta; let that happen here, unheard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([]), (1, 1))


def plain(edge_index: Tensor) -> Tensor:
    """The tensor inside PyG's ``EdgeIndex``, which has no memory of its own for a kernel to read."""
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def check_edges(edge_index: Tensor, num_nodes: int) -> None:
    """Raise an :class:`InvalidGraphError` unless every entry of ``edge_index`` (2, E) is a node of the graph."""
    _check_form(edge_index, None)
    if (node := outside(edge_index, num_nodes)) is not None:
        raise InvalidGraphError(f"edge_index points to node {node}, outside [0, {num_nodes})")


def _check_entries(row: Tensor, col: Tensor, value: Tensor, shape: tuple[int, int]) -> None:
    if row.dim() != 1 or not row.shape == col.shape == value.shape:
        shapes = ", ".join(str(tuple(part.shape)) for part in (row, col, value))
        raise InvalidGraphError(f"expected row, col and value of one shape (E,), got {shapes}")
    for name, index, size in (("row", row, shape[0]), ("col", col, shape[1])):
        if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise InvalidGraphError(f"expected {name} of int64, got {index.dtype}: call .long()")
        if (place := outside(index, size)) is not None:
            raise InvalidGraphError(f"{name} must be in [0, {size}) for a matrix of shape {shape}, got {place}")


def _check_form(edge_index: Tensor, edge_weight: Tensor | None) -> None:
    check_tensor("edge_index", edge_index)
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.int64:
        raise InvalidGraphError(
            f"expected edge_index of shape (2, E) and dtype int64, got {tuple(edge_index.shape)} of {edge_index.dtype}"
        )
    if edge_weight is None:
        return
    check_tensor("edge_weight", edge_weight)
    if edge_weight.numel() != edge_index.size(1):
        raise InvalidGraphError(
            f"expected one edge_weight for each of {edge_index.size(1)} edges, got shape {tuple(edge_weight.shape)}"
        )
    if not edge_weight.is_floating_point():
        raise InvalidGraphError(f"expected floating point edge_weight, got {edge_weight.dtype}: call .float()")
