"""Sparse (CSR) times dense."""

from __future__ import annotations

from torch import Tensor

from graphssl.ops.triton.rows import reduce_rows

__all__ = ["spmm"]


def spmm(
    ptr: Tensor, col: Tensor, value: Tensor, gather: Tensor | None, scatter: Tensor | None, x: Tensor, rows: int
) -> Tensor:
    r"""Row by row, :math:`out_{scatter(r)} = \sum_e value_e \, x_{gather(col_e)}` over the entries e of row r.

    Parameters
    ----------
    ptr : Tensor of int32 or int64, shape (R + 1,)
    col : Tensor of int32 or int64, shape (E,)
    value : Tensor of float32, shape (E,)
    gather : Tensor of int64, optional
        Which row of ``x`` a column means.
    scatter : Tensor of int64, shape (R,), optional
        Which row of the result a row of the matrix means; no two may share one.
    x : Tensor of float32, shape (M, D)
    rows : int
        Of the result; those that nothing is sent to are 0.

    Returns
    -------
    Tensor, shape (rows, D)

    Notes
    -----
    A row is summed by one warp for each 128 columns, so a row with very many entries is slow.
    """
    out = x.new_empty(rows, x.size(1)) if scatter is None else x.new_zeros(rows, x.size(1))
    return reduce_rows(
        x.contiguous(), ptr[:-1], ptr[1:], out, "sum", order=col, gather=gather, value=value, scatter=scatter
    )
