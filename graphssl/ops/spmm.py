"""Sparse times dense, with what a layer does to the product: one pass carries every message of a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops.adjacency import Adjacency, spend_beta_warning
from graphssl.ops.checks import outside
from graphssl.ops.leaky import leaky_gradients, slope_to_use
from graphssl.ops.segment import segment_reduce

__all__ = ["propagate", "spmm"]

backend.declare("spmm", cpp={torch.float32, torch.float64})

_FEW_ROWS = 2048  # rows of a gradient of which a strip of 64 bytes stays in the cache


def spmm(adjacency: Adjacency, x: Tensor) -> Tensor:
    r"""The product :math:`A X`: each row of the result is the weighted sum of a node's incoming messages.

    Parameters
    ----------
    adjacency : Adjacency of shape (N, M)
    x : Tensor, shape (M, D)
        Differentiable, as often as needed. float16 and bfloat16 are accumulated in float32.

    Returns
    -------
    Tensor, shape (N, D)
        Of the dtype of ``x``.

    Raises
    ------
    InvalidGraphError
        If the shapes do not agree.
    ConfigurationError
        If ``x`` is not of a real floating point dtype, or the matrix is complex.

    Notes
    -----
    O(E D) time. Memory is O(N D), or O(E D) when the adjacency's values require grad. On CPU the
    result does not depend on the number of threads.
    """
    return propagate(adjacency, x)


def propagate(
    adjacency: Adjacency,
    x: Tensor,
    *,
    rows: Tensor | None = None,
    bias: Tensor | None = None,
    slope: Tensor | float | None = None,
) -> Tensor:
    r"""A whole layer's messages, :math:`f(A X_{rows} + b)`, without a temporary of the size of the result.

    Parameters
    ----------
    adjacency : Adjacency of shape (N, M)
    x : Tensor, shape (M, D)
    rows : Tensor of int64, shape (M,), optional
        Row j of the right-hand matrix is ``x[rows[j]]``. A permutation; on a CPU others are gathered first if ``x``
        needs its gradient.
    bias : Tensor, shape (D,), optional
    slope : Tensor of one entry, or float, optional
        :math:`f(t) = \max(t, 0) + slope \cdot \min(t, 0)`: 0 is a ReLU, a learnt number a PReLU. None: the identity.

    Returns
    -------
    Tensor, shape (N, D)
        Of the dtype of ``x``; differentiable with respect to ``x``, ``bias`` and ``slope``.

    Raises
    ------
    InvalidGraphError
        If the shapes do not agree, or ``rows`` are not int64 in [0, M).
    ConfigurationError
        If ``x`` is not of a real floating point dtype, or the matrix is complex.
    """
    if x.dim() != 2 or x.size(0) != adjacency.shape[1]:
        raise InvalidGraphError(f"expected x with {adjacency.shape[1]} rows and 2 dimensions, got {tuple(x.shape)}")
    if not x.is_floating_point() or adjacency.dtype.is_complex:
        raise ConfigurationError(
            f"expected real floating point, got x of {x.dtype} and a matrix of {adjacency.dtype}: convert with .float()"
        )
    if bias is not None and bias.shape != x.shape[1:]:
        raise InvalidGraphError(f"expected bias of shape ({x.size(1)},), as wide as x, got {tuple(bias.shape)}")
    dtype = x.dtype
    x = x.to(torch.promote_types(dtype, adjacency.dtype))
    if rows is not None:
        rows = rows.contiguous()
        if not _fit_to_scatter(rows, x):
            x, rows = x.index_select(0, rows), None
    if adjacency.edges is None and (value := slope_to_use(slope)) is not None:
        parts = adjacency.parts()
        transposed = adjacency.parts(transposed=True) if x.requires_grad and torch.is_grad_enabled() else parts
        learnt_slope = slope.to(x.dtype) if isinstance(slope, Tensor) else None
        bias = None if bias is None else bias.to(x.dtype)
        out: Tensor = _propagate(
            *parts, *transposed, x, rows, bias, learnt_slope, value, slope is not None, adjacency.shape[0]
        )
        return out.to(dtype)
    if rows is not None:
        x = x[rows]
    if adjacency.edges is not None:
        row, col, entries = adjacency.edges
        out = segment_reduce(entries.unsqueeze(-1) * x[col], row, adjacency.shape[0])
    else:
        out = propagate(adjacency, x)
    return _leaky(out if bias is None else out + bias, slope).to(dtype)


def _fit_to_scatter(rows: Tensor, x: Tensor) -> bool:
    """May the kernel gather by ``rows``, and scatter the gradient? A GPU is trusted: looking would wait for it."""
    if rows.dtype != torch.int64 or rows.shape != x.shape[:1] or rows.device != x.device:
        raise InvalidGraphError(
            f"expected rows of int64, shape ({x.size(0)},), on {x.device}, got {rows.dtype}, {tuple(rows.shape)}, on "
            f"{rows.device}"
        )
    if torch.compiler.is_compiling():
        return False
    if x.device.type != "cpu" or rows.numel() == 0:
        return True
    if (row := outside(rows, x.size(0))) is not None:
        raise InvalidGraphError(f"rows point to row {row} of x, outside [0, {x.size(0)})")
    gradient = x.requires_grad and torch.is_grad_enabled()
    return not gradient or int(torch.bincount(rows, minlength=x.size(0)).min()) == 1


def _leaky(x: Tensor, slope: Tensor | float | None) -> Tensor:
    if slope is None:
        return x
    return F.prelu(x, slope.to(x.dtype).view(1)) if isinstance(slope, Tensor) else F.leaky_relu(x, slope)


@torch.library.custom_op("graphssl::propagate", mutates_args=())
def _propagate(
    ptr: Tensor,
    col: Tensor,
    value: Tensor,
    t_ptr: Tensor,
    t_col: Tensor,
    t_value: Tensor,
    x: Tensor,
    rows: Tensor | None,
    bias: Tensor | None,
    slope: Tensor | None,
    slope_value: float,
    leaky: bool,
    num_rows: int,
) -> Tensor:
    """The layer on a CSR matrix (N, M); its transpose comes along for the gradient, the slope as a number too."""
    return _product(ptr, col, value, x, num_rows, gather=rows, bias=bias, slope=slope_value if leaky else None)


def _product(
    ptr: Tensor,
    col: Tensor,
    value: Tensor,
    x: Tensor,
    num_rows: int,
    *,
    gather: Tensor | None = None,
    scatter: Tensor | None = None,
    bias: Tensor | None = None,
    slope: float | None = None,
) -> Tensor:
    """The one place where a product is computed. ``scatter``, a permutation, says where its rows are written."""
    value, width = value.to(x.dtype), x.size(1)
    if backend.choose("spmm", x) == "cpp" and ptr.dtype == torch.int32:
        out = x.new_empty(num_rows, width)
        name = "spmm_f32" if x.dtype == torch.float32 else "spmm_f64"
        native.call(
            name, ptr, col, value, gather, scatter, x.contiguous(), out, None if bias is None else bias.contiguous(),
            slope is not None, slope or 0.0, num_rows, x.size(0), width, native.threads(),
        )  # fmt: skip
        return out
    if gather is not None:
        x = x[gather]
    spend_beta_warning()
    csr = torch.sparse_csr_tensor(ptr, col, value, size=(num_rows, x.size(0)), check_invariants=False)
    if x.device.type == "cpu":
        # Torch's own row loop: it needs no MKL and was 1.3 times faster than MKL's product at D = 512.
        out = torch.sparse.mm(csr, x.contiguous(), "sum")
    else:
        with torch.autocast(x.device.type, enabled=False):
            out = torch.mm(csr, x)
    if scatter is not None:
        out = torch.empty_like(out).index_copy_(0, scatter, out)
    if bias is not None:
        out.add_(bias)
    return out if slope is None else F.leaky_relu_(out, slope)


@_propagate.register_fake
def _(
    ptr: Tensor, col: Tensor, value: Tensor, t_ptr: Tensor, t_col: Tensor, t_value: Tensor, x: Tensor,
    rows: Tensor | None, bias: Tensor | None, slope: Tensor | None, slope_value: float, leaky: bool, num_rows: int,
) -> Tensor:  # fmt: skip
    return x.new_empty(num_rows, x.size(1))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *matrices, x, rows, bias, slope, slope_value, leaky, _ = inputs
    # The matrix is a constant: not saved through autograd, so that two losses may go back through one product.
    ctx.matrices, ctx.rows = matrices, rows
    if leaky:
        ctx.save_for_backward(output, slope)
    ctx.facts = x.size(0), bias is not None, slope_value, leaky


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    ptr, col, value, t_ptr, t_col, t_value = ctx.matrices
    sources, has_bias, slope_value, leaky = ctx.facts
    grad_bias: Tensor | None = None
    grad_slope: Tensor | None = None
    if leaky:
        out, slope = ctx.saved_tensors
        grad, grad_bias, grad_slope = leaky_gradients(grad, out, slope, slope_value)
    else:
        grad_bias = grad.sum(0) if has_bias else None
    grad_x = None
    if ctx.needs_input_grad[6]:
        grad_x = _transposed(t_ptr, t_col, t_value, ptr, col, value, grad, ctx.rows, sources)
    return *[None] * 6, grad_x, None, grad_bias if has_bias else None, grad_slope, None, None, None


_propagate.register_autograd(_gradient, setup_context=_keep)


@torch.library.custom_op("graphssl::propagate_transposed", mutates_args=())
def _transposed(
    ptr: Tensor,
    col: Tensor,
    value: Tensor,
    t_ptr: Tensor,
    t_col: Tensor,
    t_value: Tensor,
    grad: Tensor,
    rows: Tensor | None,
    num_rows: int,
) -> Tensor:
    """The product of the transposed matrix, given first, with the gradient; its rows return to where they came from."""
    few = num_rows <= _FEW_ROWS and col.numel() >= 16 * num_rows
    if few and rows is None and backend.choose("spmm", grad) == "cpp" and ptr.dtype == torch.int32:
        out = grad.new_empty(num_rows, grad.size(1))
        name = "spmm_transposed_f32" if grad.dtype == torch.float32 else "spmm_transposed_f64"
        native.call(
            name, t_ptr, t_col, t_value.to(grad.dtype), grad.contiguous(), out, grad.size(0), num_rows, grad.size(1),
            native.threads(),
        )  # fmt: skip
        return out
    return _product(ptr, col, value, grad, num_rows, scatter=rows)


@_transposed.register_fake
def _(
    ptr: Tensor, col: Tensor, value: Tensor, t_ptr: Tensor, t_col: Tensor, t_value: Tensor, grad: Tensor,
    rows: Tensor | None, num_rows: int,
) -> Tensor:  # fmt: skip
    return grad.new_empty(num_rows, grad.size(1))


def _keep_transposed(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *ctx.matrices, grad, ctx.rows, _ = inputs
    ctx.sources = grad.size(0)


def _gradient_transposed(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    ptr, col, value, t_ptr, t_col, t_value = ctx.matrices
    second = _propagate(t_ptr, t_col, t_value, ptr, col, value, grad, ctx.rows, None, None, 0.0, False, ctx.sources)
    return *[None] * 6, second, None, None


_transposed.register_autograd(_gradient_transposed, setup_context=_keep_transposed)
