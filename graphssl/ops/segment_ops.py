"""The registered op of sum, mean, max and min, its gradient, and what all segment ops share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.ops import backend, native
from graphssl.ops.checks import outside
from graphssl.ops.memory import remember

__all__ = [
    "FLOATS", "REDUCTIONS", "SMALL", "call", "compute_reduce", "keep_inputs", "like_second", "reduce_torch", "register",
    "segment_reduce",
]  # fmt: skip

REDUCTIONS = ("sum", "mean", "max", "min")  # the C++ kernels know them by position
SMALL = 2**16  # entries of src: with fewer, torch's scatter_add with its own gradient takes less time than our calls
_LIBRARY = torch.library.Library("graphssl", "FRAGMENT")
FLOATS = frozenset({torch.float32, torch.float64})
backend.declare("segment_reduce", cpp=FLOATS, triton={torch.float32})


def register(
    schema: str,
    compute: Callable[..., Tensor],
    shape_like: Callable[..., Tensor],
    keep: Callable[[Any, tuple[Any, ...], Tensor], None],
    gradient: Callable[[Any, Tensor], tuple[Tensor | None, ...]],
) -> Any:
    """``graphssl::schema`` for all devices, differentiable.

    Written out because ``torch.library.custom_op`` with ``register_autograd`` takes 35 microseconds more for a value
    and its gradient, as much as all the rest for a batch of small graphs.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, compute, "CompositeExplicitAutograd")
    torch.library.register_fake(f"graphssl::{name}", shape_like, lib=_LIBRARY)
    op = getattr(torch.ops.graphssl, name).default

    def without_gradient(*args: Any) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            out: Tensor = op(*args)
        return out

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Tensor:
            out = without_gradient(*args)
            keep(ctx, args, out)
            return out

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            return gradient(ctx, grad)

    def choose(*args: Any) -> Tensor:
        if torch.is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in args):
            out: Tensor = Differentiable.apply(*args)
            return out
        return without_gradient(*args)

    _LIBRARY.impl(name, choose, "Autograd")
    return op


def call(kernel: str, index: Tensor, inputs: tuple[Tensor, ...], out: Tensor, num_segments: int, *more: int) -> Tensor:
    """Run a kernel on ``inputs``, (E, ...) or (S, ...), into ``out``; a bad index is an error that names it."""
    suffix = "_f32" if out.dtype == torch.float32 else "_f64"
    columns = math.prod(out.shape[1:])
    arrays = [tensor.contiguous() for tensor in inputs]
    sizes = index.size(0), num_segments, columns, *more, native.threads()
    try:
        native.call(kernel + suffix, index.contiguous(), *arrays, out, *sizes)
    except ConfigurationError:
        check_range(index, num_segments)
        raise
    return out


def check_range(index: Tensor, num_segments: int) -> None:
    """On a GPU torch's own assertion has to do: looking would wait for the device."""
    if index.device.type == "cpu" and (segment := outside(index, num_segments)) is not None:
        raise ConfigurationError(
            f"expected an index in [0, {num_segments}), found {segment}: "
            "number the segments from 0, or give a larger num_segments"
        )


def _column(vector: Tensor, like: Tensor) -> Tensor:
    """(E,) to (E, 1, ...), to be broadcast with ``like``."""
    return vector.view(-1, *[1] * (like.dim() - 1))


def _count(index: Tensor, num_segments: int, like: Tensor) -> Tensor:
    """Rows of each segment, at least 1, (S, 1, ...); remembered, since the same batch is reduced again and again."""

    def build(index: Tensor) -> Tensor:
        count = index.new_zeros(num_segments).scatter_add(0, index, index.new_ones(1).expand_as(index))
        return count.clamp(min=1).to(like.dtype)

    real = type(index) is Tensor  # others stand for one while a graph is traced
    count = remember(build, index, key=("count", num_segments, like.dtype)) if real else build(index)
    return _column(count, like)


# sum, mean, max, min


def compute_reduce(src: Tensor, index: Tensor, num_segments: int, reduce: str) -> Tensor:
    """The reduction without its gradient: the only place where a tier is chosen for it."""
    tier = backend.choose("segment_reduce", src)
    shape = (num_segments, *src.shape[1:])
    if tier == "cpp":
        out = src.new_empty(shape)
        return call("segment_reduce", index, (src,), out, num_segments, REDUCTIONS.index(reduce))
    if tier == "triton":
        from graphssl.ops.triton import segment as triton_segment

        flat = src.reshape(src.size(0), math.prod(src.shape[1:]))
        return triton_segment.segment_reduce(flat, index, num_segments, reduce).view(shape)
    return reduce_torch(src, index, num_segments, reduce)


def reduce_torch(src: Tensor, index: Tensor, num_segments: int, reduce: str) -> Tensor:
    """The reference, differentiable by torch."""
    out = src.new_zeros(num_segments, *src.shape[1:])
    expanded = _column(index, src).expand_as(src)
    try:
        if reduce in ("max", "min"):
            return out.scatter_reduce(0, expanded, src, f"a{reduce}", include_self=False)
        total = out.scatter_add(0, expanded, src)
    except RuntimeError:
        check_range(index, num_segments)
        raise
    return total if reduce == "sum" else (total / _count(index, num_segments, src)).to(src.dtype)


def _reduce_shape(src: Tensor, index: Tensor, num_segments: int, reduce: str) -> Tensor:
    return src.new_empty(num_segments, *src.shape[1:])


def _reduce_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    src, index, ctx.num_segments, ctx.reduce = inputs
    ctx.save_for_backward(index, *([src, output] if ctx.reduce in ("max", "min") else []))


def _reduce_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    index, *extremes = ctx.saved_tensors
    if extremes:
        return _share(grad, *extremes, index), None, None, None
    if ctx.reduce == "mean":
        grad = grad / _count(index, ctx.num_segments, grad)
    if ctx.num_segments == 1:  # every row gets the same: nothing to write
        return grad.expand(index.size(0), *grad.shape[1:]), None, None, None
    return grad.index_select(0, index), None, None, None


def _share_compute(grad: Tensor, src: Tensor, out: Tensor, index: Tensor) -> Tensor:
    """The gradient of each extreme, evenly to all rows that equal it."""
    if backend.choose("segment_reduce", src) == "cpp":
        inputs = grad, src, out
        return call("segment_extreme_backward", index, inputs, src.new_empty(src.shape), out.size(0))
    equal = (src == out[index]).to(src.dtype)
    return equal * (grad / compute_reduce(equal, index, out.size(0), "sum"))[index]


def keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """All arguments are tensors that the gradient needs."""
    ctx.save_for_backward(*inputs)


def _share_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    _, src, out, index = ctx.saved_tensors
    weight = _share(torch.ones_like(out), src, out, index)  # constant: which rows are extreme does not change
    return segment_reduce(grad * weight, index, out.size(0), "sum"), None, None, None


def like_second(grad: Tensor, second: Tensor, *others: Any) -> Tensor:
    """Gradients have the shape of src, or of softmax's output."""
    return torch.empty_like(second, memory_format=torch.contiguous_format)


segment_reduce = register(
    "segment_reduce(Tensor src, Tensor index, SymInt num_segments, str reduce) -> Tensor",
    compute_reduce, _reduce_shape, _reduce_keep, _reduce_gradient,
)  # fmt: skip
_share = register(
    "segment_extreme_backward(Tensor grad, Tensor src, Tensor out, Tensor index) -> Tensor",
    _share_compute, like_second, keep_inputs, _share_gradient,
)  # fmt: skip
