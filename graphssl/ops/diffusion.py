"""Diffusions over a graph: rows of a power series of its matrix, exactly, or the largest entries of each by pushing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops._push_torch import push_torch
from graphssl.ops.adjacency import Adjacency
from graphssl.ops.csr import check_nodes
from graphssl.ops.spmm import spmm

__all__ = ["heat_coefficients", "heat_push", "ppr_coefficients", "ppr_push", "series_blocks", "series_rows"]

_REST = 1e-7  # what the coefficients left out of a series add up to
# Rows computed together: on a CPU as many as stay in its cache, 64 at least (2 times as fast on Cora as one block).
_BLOCK_ENTRIES, _BLOCK_ROWS, _GPU_BLOCK_ENTRIES = 2**18, 64, 2**24
_LONGEST = 500.0  # time for which the first coefficient, exp(-t), is a number to divide by

backend.declare("diffusion_push", cpp={torch.float64})


def ppr_coefficients(alpha: float) -> list[float]:
    r"""Of personalised PageRank: :math:`\alpha (1 - \alpha)^k`, until 1e-7 is left of their sum, 1."""
    coefficients: list[float] = []
    rest = 1.0
    while rest > _REST:
        coefficients.append(alpha * rest)
        rest *= 1 - alpha
    return coefficients


def heat_coefficients(t: float) -> list[float]:
    r"""Of the heat kernel: :math:`e^{-t} t^k / k!`, a Poisson distribution, until 1e-7 is left of their sum, 1."""
    coefficients: list[float] = []
    rest = 1.0
    while rest > _REST or len(coefficients) <= t:
        k = len(coefficients)
        coefficients.append(math.exp(k * math.log(t) - t - math.lgamma(k + 1)))
        rest -= coefficients[-1]
    return coefficients


def series_rows(adjacency: Adjacency, seeds: Tensor, coefficients: Sequence[float]) -> Tensor:
    r"""Rows of :math:`\sum_k c_k A^k`.

    Parameters
    ----------
    adjacency : Adjacency of shape (N, N)
        A; its values must not require grad.
    seeds : Tensor of int64, shape (S,)
        The rows that are wanted.
    coefficients : sequence of float, not empty

    Returns
    -------
    Tensor, shape (S, N)
        Of the dtype of A. The memory of three of these is needed.
    """
    transposed = adjacency.transpose()  # the columns of f(A^T) are the rows of f(A)
    power = torch.zeros(adjacency.shape[0], seeds.numel(), dtype=adjacency.dtype, device=adjacency.device)
    power[seeds, torch.arange(seeds.numel(), device=seeds.device)] = 1
    total = coefficients[0] * power
    for coefficient in coefficients[1:]:
        power = spmm(transposed, power)
        total.add_(power, alpha=coefficient)
    return total.t()


def series_blocks(
    adjacency: Adjacency, seeds: Tensor, coefficients: Sequence[float]
) -> Iterator[tuple[Tensor, Tensor]]:
    """:func:`series_rows` of many seeds without holding all rows: blocks of the seeds, each with its rows (B, N)."""
    entries = _BLOCK_ENTRIES if adjacency.device.type == "cpu" else _GPU_BLOCK_ENTRIES
    for block in seeds.split(max(_BLOCK_ROWS, entries // max(1, adjacency.shape[0]))):
        yield block, series_rows(adjacency, block, coefficients)


def ppr_push(
    adjacency: Adjacency, seeds: Tensor, *, alpha: float, top_k: int, tolerance: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The largest entries of rows of :math:`S = \alpha (I - (1 - \alpha) A)^{-1}`, from below.

    Mass 1 starts on the seed s. What is pushed from a node u leaves the share :math:`\alpha` there, in the result, and
    moves on along row u of A. Mass m waits while :math:`(1 - \alpha) m \le \epsilon \sqrt{n_s n_u}`, with :math:`n_u`
    the number of entries of row u. This is the push of [1]_ for the walk :math:`D^{-1/2} A D^{1/2}`, in the scale of S:
    there, with equal weights, :math:`m' = \sqrt{d_u / d_s} m` waits while :math:`(1 - \alpha) m' \le \epsilon d_u`.

    Parameters
    ----------
    adjacency : Adjacency of shape (N, N), float64
        A, without negative entries, its spectral radius at most 1 (normalised).
    seeds : Tensor of int64, shape (S,)
    alpha : float in (0, 1]
    top_k : int, > 0
        K, the number of entries of each row.
    tolerance : float, > 0
        :math:`\epsilon`. With equal weights a row takes O(1 / (alpha tolerance)) time, whatever the graph's size.

    Returns
    -------
    index : Tensor of int64, shape (S, K)
        Columns, the largest entry first, of equal ones the first node; -1 where a row has fewer than K.
    value : Tensor of float64, shape (S, K)
        The entries, 0 at -1.
    residual : Tensor of float64, shape (S,)
        What the mass that still waits could bring, beside its share that is in the result already. When the rows of A
        sum to 1, this is the L1 error of all entries: they and the residual sum to 1.

    Raises
    ------
    ConfigurationError
        If an option is out of its range, or the matrix is not float64.
    InvalidGraphError
        If the matrix is not square or has a negative, NaN or infinite entry, the seeds are not integers of shape (S,),
        or one is not a node.

    Notes
    -----
    No entry is larger than the true one. It is smaller by at most :math:`\epsilon \sqrt{n_s n_j}` in column j when A is
    the symmetrically normalised adjacency of an undirected graph with equal weights. The mean error is far smaller.
    The result does not depend on the number of threads. The torch tier takes the same steps, for many seeds at once in
    O(N) memory for each, and adds up in another order.

    References
    ----------
    .. [1] Andersen, Chung, Lang. Local Graph Partitioning using PageRank Vectors. FOCS 2006.
    """
    if not 0 < alpha <= 1:
        raise ConfigurationError(f"alpha must be a number in (0, 1], got {alpha!r}")
    csr, seeds = _checked(adjacency, seeds, top_k, tolerance)
    parts = csr.crow_indices(), csr.col_indices(), csr.values()
    found: tuple[Tensor, Tensor, Tensor] = _ppr_push(*parts, seeds, alpha, top_k, tolerance)
    return found


def heat_push(
    adjacency: Adjacency, seeds: Tensor, *, t: float, top_k: int, tolerance: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The largest entries of rows of :math:`S = e^{-t} \exp(t A)`, from below.

    As :func:`ppr_push`, step by step instead of node by node: at step k, mass m moves on from node u only if what it
    can still bring, :math:`m \sum_{i>k} c_i` with the coefficients of the series, exceeds
    :math:`\epsilon \sqrt{n_s n_u}`; else its rest is dropped, as in [1]_.

    Parameters
    ----------
    adjacency, seeds, top_k, tolerance
        As for :func:`ppr_push`; time of a row is O(t / tolerance) at most.
    t : float, > 0

    Returns
    -------
    index, value, residual
        As for :func:`ppr_push`; the residual is what was dropped.

    Raises
    ------
    ConfigurationError
        If an option is out of its range, or the matrix is not float64.
    InvalidGraphError
        If the matrix is not square or has a negative, NaN or infinite entry, the seeds are not integers of shape (S,),
        or one is not a node.

    Notes
    -----
    No entry is larger than the true one. It is smaller by at most :math:`L \epsilon \sqrt{n_s n_j}` (and 1e-7) under
    the same condition, L being the number of terms, about :math:`t + 5 \sqrt t + 5`. Beyond t = 500 the rows are
    computed as a series, whose rest of 1e-7 is the error.

    References
    ----------
    .. [1] Kloster, Gleich. Heat Kernel Based Community Detection. KDD 2014. arXiv:1403.3148.
    """
    if not 0 < t < math.inf:
        raise ConfigurationError(f"t must be a finite number > 0, got {t!r}")
    csr, seeds = _checked(adjacency, seeds, top_k, tolerance)
    parts = csr.crow_indices(), csr.col_indices(), csr.values()
    found: tuple[Tensor, Tensor, Tensor] = _heat_push(*parts, seeds, t, top_k, tolerance)
    return found


def _checked(adjacency: Adjacency, seeds: Tensor, top_k: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """The CSR matrix and the seeds as contiguous int64, when all is in order."""
    nodes, columns = adjacency.shape
    if nodes != columns:
        raise InvalidGraphError(f"expected a square matrix (N, N), got shape {adjacency.shape}")
    seeds = check_nodes(seeds.to(adjacency.device), nodes)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise ConfigurationError(f"top_k must be a positive integer, got {top_k!r}")
    if not 0 < tolerance < math.inf:
        raise ConfigurationError(f"tolerance must be a finite number > 0, got {tolerance!r}")
    if adjacency.dtype != torch.float64:
        raise ConfigurationError(f"expected an adjacency of float64, got {adjacency.dtype}: build it with that dtype")
    matrix = adjacency.matrix()
    if not bool(((matrix.values() >= 0) & matrix.values().isfinite()).all()):
        raise InvalidGraphError("expected finite entries >= 0 in the matrix: they move mass along edges")
    return matrix, seeds


@torch.library.custom_op("graphssl::ppr_push", mutates_args=())
def _ppr_push(
    ptr: Tensor, col: Tensor, value: Tensor, seeds: Tensor, alpha: float, top_k: int, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    return _push(ptr, col, value, seeds, top_k, tolerance, alpha, [1 - alpha], [(1 - alpha) / alpha])


@torch.library.custom_op("graphssl::heat_push", mutates_args=())
def _heat_push(
    ptr: Tensor, col: Tensor, value: Tensor, seeds: Tensor, t: float, top_k: int, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    coefficients = heat_coefficients(t)
    if t > _LONGEST:
        return _by_series(ptr, col, value, seeds, coefficients, top_k)
    terms = torch.tensor(coefficients, dtype=torch.float64)
    rest = (terms.flip(0).cumsum(0).flip(0) - terms) / terms
    growth = [t / k for k in range(1, len(coefficients) + 1)]
    return _push(ptr, col, value, seeds, top_k, tolerance, coefficients[0], growth, rest.tolist())


def _fake(
    ptr: Tensor, col: Tensor, value: Tensor, seeds: Tensor, parameter: float, top_k: int, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    size = (seeds.size(0), top_k)
    return seeds.new_empty(size), value.new_empty(size), value.new_empty(seeds.size(0))


_ppr_push.register_fake(_fake)
_heat_push.register_fake(_fake)


def _push(
    ptr: Tensor, col: Tensor, value: Tensor, seeds: Tensor, top_k: int, tolerance: float, first: float,
    growth: list[float], rest: list[float],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Push a series with coefficient 0 ``first``; see cpp/push.cpp for ``growth`` and ``rest``."""
    found = _fake(ptr, col, value, seeds, 0.0, top_k, tolerance)
    if not seeds.numel():
        return found
    if backend.choose("diffusion_push", value) != "cpp" or ptr.dtype != torch.int32:
        return push_torch(
            ptr, col, value, seeds, top_k=top_k, tolerance=tolerance, first=first, growth=growth, rest=rest
        )
    factors = torch.tensor([growth, rest], dtype=torch.float64)
    native.call(
        "series_push", ptr, col, value, seeds.contiguous(), *found, ptr.size(0) - 1, seeds.size(0), top_k,
        float(tolerance), float(first), *factors, len(rest), native.threads(),
    )  # fmt: skip
    return found


def _by_series(
    ptr: Tensor, col: Tensor, value: Tensor, seeds: Tensor, coefficients: Sequence[float], top_k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same without pushing: whole rows, a block at a time, and the largest of each."""
    nodes = ptr.size(0) - 1
    row = torch.repeat_interleave(torch.arange(nodes, device=ptr.device), ptr.diff().long())
    adjacency = Adjacency(row, col.long(), value, shape=(nodes, nodes))
    parts = []
    for _, rows in series_blocks(adjacency, seeds, coefficients):
        largest, index = rows.sort(dim=1, descending=True, stable=True)  # of equal entries the first node comes first
        parts.append((index[:, :top_k].masked_fill(largest[:, :top_k] <= 0, -1), largest[:, :top_k].clamp(min=0)))
    index, out, residual = _fake(ptr, col, value, seeds, 0.0, top_k, 0.0)
    width = min(top_k, nodes)
    index[:, width:], out[:, width:] = -1, 0
    if parts:
        index[:, :width], out[:, :width] = (torch.cat(part) for part in zip(*parts, strict=True))
    return index, out, residual.fill_(max(0.0, 1 - sum(coefficients)))
