"""One kernel for every reduction over listed rows: segments and sparse products are two ways to list them."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["reduce_rows"]

_STRIP = 128  # columns of a program: 4 for each thread of a warp, read 16 bytes at a time


@triton.jit
def reduce_kernel(
    src_ptr: tl.tensor,
    order_ptr: tl.tensor,
    gather_ptr: tl.tensor,
    value_ptr: tl.tensor,
    begin_ptr: tl.tensor,
    end_ptr: tl.tensor,
    scatter_ptr: tl.tensor,
    out_ptr: tl.tensor,
    width: tl.tensor,
    HAS_ORDER: tl.constexpr,
    HAS_GATHER: tl.constexpr,
    HAS_VALUE: tl.constexpr,
    HAS_SCATTER: tl.constexpr,
    REDUCE: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
) -> None:
    """One program for one list and one strip of columns; lane e of the accumulator takes entries e, e + BLOCK_E, ..."""
    of = tl.program_id(0)
    dims = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    lanes = tl.arange(0, BLOCK_E)
    begin = tl.load(begin_ptr + of).to(tl.int64)
    end = tl.load(end_ptr + of).to(tl.int64)
    neutral: tl.constexpr = 0.0 if REDUCE == "sum" else (float("-inf") if REDUCE == "max" else float("inf"))
    result = tl.full((BLOCK_E, BLOCK_D), 0.0 if REDUCE == "sum" else float("-inf"), tl.float32)
    for start in range(begin, end, BLOCK_E):
        entry = start + lanes
        there = entry < end
        row = entry
        if HAS_ORDER:
            row = tl.load(order_ptr + entry, mask=there, other=0).to(tl.int64)
        if HAS_GATHER:
            row = tl.load(gather_ptr + row, mask=there, other=0)
        mask = there[:, None] & (dims < width)[None, :]
        x = tl.load(src_ptr + row[:, None] * width + dims[None, :], mask=mask, other=neutral)
        if HAS_VALUE:
            x *= tl.load(value_ptr + entry, mask=there, other=0.0)[:, None]
        if REDUCE == "sum":
            result += x
        else:  # a minimum is a maximum of the negatives
            result = tl.maximum(result, x if REDUCE == "max" else -x, propagate_nan=tl.PropagateNan.ALL)
    if REDUCE == "sum":
        reduced = tl.sum(result, 0)
    else:
        has_nan = tl.max((result != result).to(tl.int32), 0) == 1  # tl.max would lose it
        reduced = tl.where(has_nan, float("nan"), tl.max(result, 0))
        reduced = reduced if REDUCE == "max" else -reduced
    reduced = tl.where(end > begin, reduced, 0.0)  # an empty list is 0 for every reduction
    to = of.to(tl.int64)
    if HAS_SCATTER:
        to = tl.load(scatter_ptr + of)
    tl.store(out_ptr + to * width + dims, reduced, mask=dims < width)


def reduce_rows(
    src: Tensor,
    begin: Tensor,
    end: Tensor,
    out: Tensor,
    reduce: str,
    *,
    order: Tensor | None = None,
    gather: Tensor | None = None,
    value: Tensor | None = None,
    scatter: Tensor | None = None,
) -> Tensor:
    r"""Reduce lists of rows: list i has entries ``begin[i]`` to ``end[i] - 1``.

    .. math:: out_{scatter(i)} = \mathrm{reduce}_e \, value_e \, src_{gather(order_e)}

    Parameters
    ----------
    src : Tensor of float32, shape (E, D)
        Contiguous.
    begin, end : Tensor of int32 or int64, shape (S,)
    out : Tensor of float32, shape (R, D)
        Contiguous; a row is written by the list that :math:`scatter` sends there, 0 when the list is empty.
    reduce : str
        ``sum``, ``max`` or ``min``; NaN spreads in all of them.
    order, gather, value, scatter : Tensor, optional
        Without them: the identity, or a weight of 1. ``order`` is int32 or int64, the maps are int64, and
        ``value`` is float32.

    Returns
    -------
    Tensor
        ``out``. Nothing is added atomically: the same input gives the same bits.
    """
    lists, width = begin.size(0), src.size(1)
    if lists == 0 or width == 0:
        return out
    strip = min(_STRIP, triton.next_power_of_2(width))
    # One warp keeps 8 rows of 512 bytes in flight, and sums them without talking to other warps.
    entries = max(8, 32 // strip)
    with torch.cuda.device_of(src):
        reduce_kernel[(lists, triton.cdiv(width, strip))](
            src, order, gather, value, begin, end, scatter, out, width,
            HAS_ORDER=order is not None, HAS_GATHER=gather is not None, HAS_VALUE=value is not None,
            HAS_SCATTER=scatter is not None, REDUCE=reduce, BLOCK_E=entries, BLOCK_D=strip,
            num_warps=1, enable_fp_fusion=True,
        )  # fmt: skip
    return out
