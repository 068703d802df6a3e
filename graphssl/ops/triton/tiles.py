"""The kernels behind the contrastive logsumexp: a program owns some rows and walks over tiles of columns.

Tensor cores multiply bfloat16, of 8 significant bits. A float32 matrix comes as PARTS matrices of bfloat16 that add up
to it: the value rounded, the rest rounded, ... Of the products of parts those are computed that count at this
precision: one part is bfloat16 (1 product), two keep 16 bits (3 products), three keep what float32 keeps (6 products).
Scores, and the weights of a gradient, may have fewer parts (SCORE_PARTS) than the rows that the weights multiply.

Scores are exponents of 2: scale and 1 / log 2 are one factor. Only tiles that hold an excluded pair, or reach beyond
the last column, pay for masks.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

__all__ = ["Shape", "gradient_kernel", "logsumexp_kernel", "padded", "shape_for"]


class Shape(NamedTuple):
    """A tile and how a program runs: ``dims`` of P are multiplied at once, ``out`` of P are kept of a gradient."""

    rows: int
    columns: int
    dims: int
    out: int
    warps: int = 8
    stages: int = 2

    def options(self) -> dict[str, int]:
        """What both kernels are launched with."""
        return dict(
            BLOCK_A=self.rows, BLOCK_C=self.columns, BLOCK_P=self.dims,
            num_warps=self.warps, num_stages=self.stages, enable_fp_fusion=True,
        )  # fmt: skip


def padded(dims: int) -> int:
    """The length to which vectors are filled with zeros: at least the 16 that a tensor core multiplies."""
    return max(16, triton.next_power_of_2(dims)) if dims <= 128 else 128 * triton.cdiv(dims, 128)


def shape_for(dims: int, score_parts: int, parts: int, *, backward: bool) -> Shape:
    """The tile for vectors of a padded length.

    Fixed, not timed at run time, so that sums are always added in one order. Compiled for compute capability 9.0, each
    fits into 227 KiB of shared memory and spills no registers.
    """
    if dims <= 256 and (score_parts + parts) * dims <= 768:  # the rows stay in shared memory, beside two column tiles
        return Shape(128, 128 if parts == 1 else 64, dims, dims)
    if backward:
        return Shape(128, 64 if score_parts == 1 else 32, 64, 128)
    return Shape(128, 128, 64, 128)


@triton.jit
def _load_rows(
    ptr: tl.tensor, part: tl.constexpr, rows: tl.tensor, count: tl.tensor, chunk: tl.tensor,
    P: tl.constexpr, BLOCK_P: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    dims = chunk * BLOCK_P + tl.arange(0, BLOCK_P)  # all of them there: P is padded
    at = (part * count + rows).to(tl.int64)[:, None] * P + dims[None, :]
    return tl.load(ptr + at, mask=(rows < count)[:, None], other=0.0)


@triton.jit
def _load_parts(
    ptr: tl.tensor, rows: tl.tensor, count: tl.tensor, chunk: tl.tensor,
    PARTS: tl.constexpr, P: tl.constexpr, BLOCK_P: tl.constexpr,
) -> tl.tuple:  # fmt: skip
    high = _load_rows(ptr, 0, rows, count, chunk, P, BLOCK_P)
    middle = high
    low = high
    if PARTS > 1:
        middle = _load_rows(ptr, 1, rows, count, chunk, P, BLOCK_P)
    if PARTS > 2:
        low = _load_rows(ptr, 2, rows, count, chunk, P, BLOCK_P)
    return high, middle, low


@triton.jit
def _add_product(
    result: tl.tensor, a: tl.tuple, b: tl.tuple, A_PARTS: tl.constexpr, B_PARTS: tl.constexpr
) -> tl.tensor:
    """Result + a b, the small products first; b has at least as many parts as a."""
    if A_PARTS > 2:
        result = tl.dot(a[0], b[2], result)
        result = tl.dot(a[1], b[1], result)
        result = tl.dot(a[2], b[0], result)
    if B_PARTS > 1:
        result = tl.dot(a[0], b[1], result)
    if A_PARTS > 1:
        result = tl.dot(a[1], b[0], result)
    return tl.dot(a[0], b[0], result)


@triton.jit
def _add_scores(scores: tl.tensor, x: tl.tuple, y: tl.tuple, PARTS: tl.constexpr) -> tl.tensor:
    return _add_product(scores, x, (tl.trans(y[0]), tl.trans(y[1]), tl.trans(y[2])), PARTS, PARTS)


@triton.jit
def _split(weight: tl.tensor, like: tl.tensor, PARTS: tl.constexpr) -> tl.tuple:
    """A float32 tile as parts; like the loaded ones they are bfloat16 on a GPU, rounded float32 in the interpreter."""
    high = weight.to(tl.bfloat16)
    middle = high
    low = high
    if PARTS > 1:
        weight -= high.to(tl.float32)
        middle = weight.to(tl.bfloat16)
    if PARTS > 2:
        weight -= middle.to(tl.float32)
        low = weight.to(tl.bfloat16)
    return high.to(like.dtype), middle.to(like.dtype), low.to(like.dtype)


@triton.jit
def _needs_mask(
    first: tl.tensor, start: tl.tensor, C: tl.tensor, half: tl.tensor,
    SKIP: tl.constexpr, BLOCK_A: tl.constexpr, BLOCK_C: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Does the tile reach beyond the last column, or hold an excluded pair?"""
    needed = start + BLOCK_C > C
    if SKIP != "none":
        needed = needed | ((start < first + BLOCK_A) & (first < start + BLOCK_C))
    if SKIP == "self and partner":
        above = first + half
        below = first - half
        needed = needed | ((start < above + BLOCK_A) & (above < start + BLOCK_C))
        needed = needed | ((start < below + BLOCK_A) & (below < start + BLOCK_C))
    return needed


@triton.jit
def _allowed(
    rows: tl.tensor, cols: tl.tensor, A: tl.tensor, C: tl.tensor, half: tl.tensor, SKIP: tl.constexpr
) -> tl.tensor:
    allowed = (rows < A)[:, None] & (cols < C)[None, :]
    distance = rows[:, None] - cols[None, :]
    if SKIP != "none":
        allowed = allowed & (distance != 0)
    if SKIP == "self and partner":
        allowed = allowed & (distance != half) & (distance != -half)
    return allowed


@triton.jit(do_not_specialize=["A", "C", "half", "width"])
def logsumexp_kernel(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    out_ptr: tl.tensor,
    A: tl.tensor,
    C: tl.tensor,
    half: tl.tensor,
    width: tl.tensor,
    coefficient: tl.tensor,
    shift: tl.tensor,
    SKIP: tl.constexpr,
    FIXED: tl.constexpr,
    P: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    PARTS: tl.constexpr,
) -> None:
    """out[span, i] = log2 of the sum of 2^(coefficient x_i y_j) over the allowed j of a span of the columns."""
    first = tl.program_id(0) * BLOCK_A
    span = tl.program_id(1)
    rows = first + tl.arange(0, BLOCK_A)
    if BLOCK_P == P:
        x = _load_parts(x_ptr, rows, A, 0, PARTS, P, BLOCK_P)
    total = tl.zeros((BLOCK_A,), tl.float32)
    largest = tl.full((BLOCK_A,), shift if FIXED else float("-inf"), tl.float32)
    for start in range(span * width, tl.minimum(span * width + width, C), BLOCK_C):
        cols = start + tl.arange(0, BLOCK_C)
        scores = tl.zeros((BLOCK_A, BLOCK_C), tl.float32)
        if BLOCK_P == P:
            y = _load_parts(y_ptr, cols, C, 0, PARTS, P, BLOCK_P)
            scores = _add_scores(scores, x, y, PARTS)
        else:
            for chunk in range(P // BLOCK_P):
                x = _load_parts(x_ptr, rows, A, chunk, PARTS, P, BLOCK_P)
                y = _load_parts(y_ptr, cols, C, chunk, PARTS, P, BLOCK_P)
                scores = _add_scores(scores, x, y, PARTS)
        scores *= coefficient
        if _needs_mask(first, start, C, half, SKIP, BLOCK_A, BLOCK_C):
            scores = tl.where(_allowed(rows, cols, A, C, half, SKIP), scores, float("-inf"))
        base = largest
        if not FIXED:
            new = tl.maximum(largest, tl.max(scores, 1))
            base = tl.where(new == float("-inf"), 0.0, new)  # while nothing was seen: -inf - -inf is no number
            total *= tl.exp2(largest - base)
            largest = new
        total += tl.sum(tl.exp2(scores - base[:, None]), 1)
    tl.store(out_ptr + span.to(tl.int64) * A + rows, largest + tl.log2(total), mask=rows < A)


@triton.jit(do_not_specialize=["A", "C", "half", "width"])
def gradient_kernel(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    lse_x_ptr: tl.tensor,
    lse_y_ptr: tl.tensor,
    grad_x_ptr: tl.tensor,
    grad_y_ptr: tl.tensor,
    out_ptr: tl.tensor,
    A: tl.tensor,
    C: tl.tensor,
    half: tl.tensor,
    width: tl.tensor,
    coefficient: tl.tensor,
    scale: tl.tensor,
    SKIP: tl.constexpr,
    SCORE_PARTS: tl.constexpr,
    P: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    PARTS: tl.constexpr,
) -> None:
    """out[span, i] = scale * the sum of (gx_i 2^(s_ij - lse_i) + gy_j 2^(s_ij - lse_j)) y_j over a span of columns."""
    first = tl.program_id(0) * BLOCK_A
    span = tl.program_id(1)
    out_chunk = tl.program_id(2)
    rows = first + tl.arange(0, BLOCK_A)
    lse_x = tl.load(lse_x_ptr + rows, mask=rows < A, other=float("inf"))
    grad_x = tl.load(grad_x_ptr + rows, mask=rows < A, other=0.0)
    if BLOCK_P == P:
        x = _load_parts(x_ptr, rows, A, 0, SCORE_PARTS, P, BLOCK_P)
    result = tl.zeros((BLOCK_A, BLOCK_OUT), tl.float32)
    for start in range(span * width, tl.minimum(span * width + width, C), BLOCK_C):
        cols = start + tl.arange(0, BLOCK_C)
        scores = tl.zeros((BLOCK_A, BLOCK_C), tl.float32)
        if BLOCK_P == P:
            y = _load_parts(y_ptr, cols, C, 0, PARTS, P, BLOCK_P)
            scores = _add_scores(scores, x, y, SCORE_PARTS)
        else:
            for chunk in range(P // BLOCK_P):
                x = _load_parts(x_ptr, rows, A, chunk, SCORE_PARTS, P, BLOCK_P)
                y = _load_parts(y_ptr, cols, C, chunk, SCORE_PARTS, P, BLOCK_P)
                scores = _add_scores(scores, x, y, SCORE_PARTS)
        scores *= coefficient
        lse_y = tl.load(lse_y_ptr + cols, mask=cols < C, other=float("inf"))
        grad_y = tl.load(grad_y_ptr + cols, mask=cols < C, other=0.0)
        weight = grad_x[:, None] * tl.exp2(scores - lse_x[:, None]) + grad_y[None, :] * tl.exp2(scores - lse_y[None, :])
        if _needs_mask(first, start, C, half, SKIP, BLOCK_A, BLOCK_C):
            weight = tl.where(_allowed(rows, cols, A, C, half, SKIP), weight, 0.0)
        if BLOCK_P < P:
            y = _load_parts(y_ptr, cols, C, out_chunk, PARTS, P, BLOCK_OUT)
        result = _add_product(result, _split(weight, y[0], SCORE_PARTS), y, SCORE_PARTS, PARTS)
    dims = out_chunk * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    to = (span.to(tl.int64) * A + rows)[:, None] * P + dims[None, :]
    tl.store(out_ptr + to, result * scale, mask=(rows < A)[:, None])
