"""Logsumexp over the rows of a matrix of scores, and its gradient, without ever storing a score."""

from __future__ import annotations

import math

import torch
import triton
from torch import Tensor
from torch.nn.functional import pad

from graphssl.ops.triton import tiles

__all__ = ["cross_logsumexp_backward", "cross_logsumexp_forward", "self_logsumexp_backward", "self_logsumexp_forward"]

#: Parts of bfloat16 that stand for a float32 in a score: 3 keep what float32 keeps, 2 keep 16 of its 24 bits.
SCORE_PARTS = {"float32": 3, "high": 2, "bfloat16": 1}
#: And for rows in a gradient: where they lie close together, their small differences are the gradient.
ROW_PARTS = {"float32": 3, "high": 2, "bfloat16": 2}

_ENOUGH_PROGRAMS = 264  # two for each multiprocessor of an H100; a constant, so that every GPU adds in the same order
_LARGEST_SHIFT = 40.0  # exp(score - shift) is a normal float32 for every |score| <= shift
_LOG2E = 1.0 / math.log(2.0)


def self_logsumexp_forward(z: Tensor, scale: float, skip_partner: bool, bound: float | None, precision: str) -> Tensor:
    r"""For each row: :math:`\log \sum_j \exp(\mathrm{scale} \, z_i \cdot z_j)` over all other rows.

    Parameters
    ----------
    z : Tensor of float32, shape (M, P)
    scale : float
    skip_partner : bool
        Leave out row i + M/2 (or i - M/2) too.
    bound : float, optional
        No score is larger in absolute value. A small one saves the running maximum.
    precision : str
        ``float32`` keeps all 24 bits of a factor, ``high`` 16 and ``bfloat16`` 8; but in the gradient of ``bfloat16``
        the rows that are summed up keep 16. Sums are float32.

    Returns
    -------
    Tensor of float32, shape (M,)
        ``-inf`` where nothing is left.
    """
    z = _in_parts(z, SCORE_PARTS[precision])
    return _forward(z, z, scale, _self(skip_partner), bound)


def self_logsumexp_backward(
    z: Tensor, lse: Tensor, grad: Tensor, scale: float, skip_partner: bool, precision: str
) -> Tensor:
    r""":math:`\mathrm{scale} \sum_j (g_i p_{ij} + g_j p_{ji}) z_j`, (M, P), with p the softmax of each row's scores.

    The scores are symmetric, so the program of row i knows both terms: no two programs write to one place.
    """
    parts = _in_parts(z, ROW_PARTS[precision])
    dz = _backward(parts, parts, lse, lse, grad, grad, scale, _self(skip_partner), SCORE_PARTS[precision])
    return dz[:, : z.size(1)].contiguous()


def cross_logsumexp_forward(
    x: Tensor,
    y: Tensor,
    scale: float,
    skip_diagonal: bool,
    bound: float | None,
    precision: str,
    *,
    columns: bool = True,
) -> tuple[Tensor, Tensor]:
    """Logsumexp of the rows (A,) and of the columns (C,) of the scores of (A, P) with (C, P); options as above.

    Without ``columns`` the second result has no entries and costs nothing.
    """
    x, y = (_in_parts(z, SCORE_PARTS[precision]) for z in (x, y))
    skip = "self" if skip_diagonal else "none"
    rows = _forward(x, y, scale, skip, bound)
    return rows, _forward(y, x, scale, skip, bound) if columns else rows.new_empty(0)


def cross_logsumexp_backward(
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    cols: Tensor,
    grad_rows: Tensor,
    grad_cols: Tensor,
    scale: float,
    skip_diagonal: bool,
    precision: str,
    *,
    need_y: bool = True,
) -> tuple[Tensor, Tensor]:
    """Gradients (A, P) and (C, P) of both results of :func:`cross_logsumexp_forward`.

    ``cols`` and ``grad_cols`` have no entries where ``columns`` were not asked for. The second result has none unless
    ``need_y``.
    """
    dims = x.size(1)
    if cols.numel() == 0:
        cols, grad_cols = rows.new_full((y.size(0),), math.inf), rows.new_zeros(y.size(0))
    x, y = (_in_parts(z, ROW_PARTS[precision]) for z in (x, y))
    skip, score_parts = "self" if skip_diagonal else "none", SCORE_PARTS[precision]
    dx = _backward(x, y, rows, cols, grad_rows, grad_cols, scale, skip, score_parts)[:, :dims].contiguous()
    if not need_y:
        return dx, dx.new_empty(0, dims)
    return dx, _backward(y, x, cols, rows, grad_cols, grad_rows, scale, skip, score_parts)[:, :dims].contiguous()


def _self(skip_partner: bool) -> str:
    return "self and partner" if skip_partner else "self"


def _in_parts(x: Tensor, count: int) -> Tensor:
    """(count, rows, padded P): bfloat16 matrices that add up to x, the first the nearest to it."""
    x = pad(x, (0, tiles.padded(x.size(1)) - x.size(1)))
    parts = []
    for _ in range(count):
        parts.append(x.bfloat16())
        x = x - parts[-1]
    stacked = torch.stack(parts)
    return stacked if stacked.is_cuda else stacked.float()  # Triton's interpreter cannot multiply bfloat16


def _forward(x: Tensor, y: Tensor, scale: float, skip: str, bound: float | None) -> Tensor:
    """The logsumexp of each row; a program takes a block of rows and a span of the columns."""
    (parts, anchors, dims), candidates = x.shape, y.size(1)
    shape = tiles.shape_for(dims, parts, parts, backward=False)
    spans, width = _spans(anchors, candidates, shape)
    shift = bound if bound is not None and bound <= _LARGEST_SHIFT else None
    out = x.new_empty(spans, anchors, dtype=torch.float32)
    if anchors > 0:
        with torch.cuda.device_of(x):
            tiles.logsumexp_kernel[(triton.cdiv(anchors, shape.rows), spans)](
                x, y, out, anchors, candidates, anchors // 2, width, scale * _LOG2E, (shift or 0.0) * _LOG2E,
                SKIP=skip, FIXED=shift is not None, PARTS=parts, P=dims, **shape.options(),
            )  # fmt: skip
    out /= _LOG2E
    return out[0] if spans == 1 else out.logsumexp(0)


def _backward(
    x: Tensor, y: Tensor, lse_x: Tensor, lse_y: Tensor, grad_x: Tensor, grad_y: Tensor,
    scale: float, skip: str, score_parts: int,
) -> Tensor:  # fmt: skip
    """The gradient of x, (A, padded P): score ij pulls row i by its shares in the sums of row i and of column j."""
    (parts, anchors, dims), candidates = x.shape, y.size(1)
    # A row with an empty sum has no shares: exp(score - inf) = 0.
    lse_x, lse_y = (lse.masked_fill(lse == -math.inf, math.inf) * _LOG2E for lse in (lse_x, lse_y))
    shape = tiles.shape_for(dims, score_parts, parts, backward=True)
    spans, width = _spans(anchors, candidates, shape)
    out = x.new_empty(spans, anchors, dims, dtype=torch.float32)
    if anchors > 0:
        with torch.cuda.device_of(x):
            tiles.gradient_kernel[(triton.cdiv(anchors, shape.rows), spans, dims // shape.out)](
                x, y, lse_x, lse_y, grad_x.contiguous(), grad_y.contiguous(), out,
                anchors, candidates, anchors // 2, width, scale * _LOG2E, scale,
                SKIP=skip, SCORE_PARTS=score_parts, PARTS=parts, P=dims, BLOCK_OUT=shape.out,
                **shape.options(),
            )  # fmt: skip
    return out[0] if spans == 1 else out.sum(0)


def _spans(anchors: int, candidates: int, shape: tiles.Shape) -> tuple[int, int]:
    """How many spans the columns are cut into, so that few rows still occupy a GPU, and how many columns each has."""
    blocks = max(1, triton.cdiv(candidates, shape.columns))
    wanted = triton.cdiv(_ENOUGH_PROGRAMS, max(1, triton.cdiv(anchors, shape.rows)))
    width = triton.cdiv(blocks, min(blocks, wanted))  # in blocks
    return triton.cdiv(blocks, width), width * shape.columns
