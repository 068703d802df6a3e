"""The registered ops of softmax and logsumexp within segments, and their gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphssl.ops import backend
from graphssl.ops.segment_ops import FLOATS, call, compute_reduce, keep_inputs, like_second, register, segment_reduce

__all__ = ["segment_logsumexp", "segment_softmax"]

backend.declare("segment_softmax", cpp=FLOATS)
backend.declare("segment_logsumexp", cpp=FLOATS)


# softmax


def _softmax(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    if backend.choose("segment_softmax", src) == "cpp":
        return call("segment_softmax", index, (src,), src.new_empty(src.shape), num_segments)
    exponentials = (src - _largest(src, index, num_segments)[index]).exp()
    return exponentials / compute_reduce(exponentials, index, num_segments, "sum")[index]


def _largest(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """The largest entry of each segment; 0 where it is empty or all ``-inf``."""
    largest = compute_reduce(src, index, num_segments, "max")
    return largest.masked_fill(largest == -torch.inf, 0.0)


def _softmax_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, index, ctx.num_segments = inputs
    ctx.save_for_backward(output, index)


def _softmax_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _softmax_back(grad, *ctx.saved_tensors, ctx.num_segments), None, None


def _softmax_back_compute(grad: Tensor, out: Tensor, index: Tensor, num_segments: int) -> Tensor:
    if backend.choose("segment_softmax", out) == "cpp":
        return call("segment_softmax_backward", index, (grad, out), out.new_empty(out.shape), num_segments)
    return out * (grad - compute_reduce(out * grad, index, num_segments, "sum")[index])


def _softmax_back_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.num_segments = inputs
    ctx.save_for_backward(*tensors)


def _softmax_back_gradient(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
    grad, out, index = ctx.saved_tensors
    first = segment_reduce(out * grad, index, ctx.num_segments, "sum")[index]
    other = segment_reduce(out * second, index, ctx.num_segments, "sum")[index]
    return _softmax_back(second, out, index, ctx.num_segments), second * (grad - first) - grad * other, None, None


# logsumexp


def _logsumexp(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    if backend.choose("segment_logsumexp", src) == "cpp":
        out = src.new_empty(num_segments, *src.shape[1:])
        return call("segment_logsumexp", index, (src,), out, num_segments)
    largest = _largest(src, index, num_segments)
    sums = compute_reduce((src - largest[index]).exp(), index, num_segments, "sum")  # log(0) is -inf, inf - inf is NaN
    return torch.where(largest == torch.inf, largest, sums.log() + largest)


def _logsumexp_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    src, index, _ = inputs
    ctx.save_for_backward(src, output, index)


def _logsumexp_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _logsumexp_back(grad, *ctx.saved_tensors), None, None


def _logsumexp_back_compute(grad: Tensor, src: Tensor, out: Tensor, index: Tensor) -> Tensor:
    """The gradient of a segment, in the proportions of the softmax."""
    if backend.choose("segment_logsumexp", src) == "cpp":
        inputs = grad, src, out
        return call("segment_logsumexp_backward", index, inputs, src.new_empty(src.shape), out.size(0))
    return grad[index] * (src - out.masked_fill(out == -torch.inf, 0.0)[index]).exp()


def _logsumexp_back_gradient(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
    grad, src, out, index = ctx.saved_tensors
    weight = _logsumexp_back(torch.ones_like(out), src, out, index)
    for_grad = second * weight
    for_src = for_grad * grad[index]
    num_segments = out.size(0)
    return (
        segment_reduce(for_grad, index, num_segments, "sum"), for_src,
        -segment_reduce(for_src, index, num_segments, "sum"), None,
    )  # fmt: skip


segment_softmax = register(
    "segment_softmax(Tensor src, Tensor index, SymInt num_segments) -> Tensor",
    _softmax, lambda src, index, num_segments: src.new_empty(src.shape), _softmax_keep, _softmax_gradient,
)  # fmt: skip
_softmax_back = register(
    "segment_softmax_backward(Tensor grad, Tensor out, Tensor index, SymInt num_segments) -> Tensor",
    _softmax_back_compute, like_second, _softmax_back_keep, _softmax_back_gradient,
)  # fmt: skip
segment_logsumexp = register(
    "segment_logsumexp(Tensor src, Tensor index, SymInt num_segments) -> Tensor",
    _logsumexp, lambda src, index, num_segments: src.new_empty(num_segments, *src.shape[1:]),
    _logsumexp_keep, _logsumexp_gradient,
)  # fmt: skip
_logsumexp_back = register(
    "segment_logsumexp_backward(Tensor grad, Tensor src, Tensor out, Tensor index) -> Tensor",
    _logsumexp_back_compute, like_second, keep_inputs, _logsumexp_back_gradient,
)  # fmt: skip
