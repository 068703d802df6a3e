"""The C++ tier of :mod:`graphssl.ops.contrast`, for float32 on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.ops import native

__all__ = [
    "cross_logsumexp_backward", "cross_logsumexp_forward", "self_logsumexp_backward", "self_logsumexp_forward",
]  # fmt: skip

_SUFFIX = {"float32": "f32", "high": "bf16x2", "bfloat16": "bf16"}


def self_logsumexp_forward(z: Tensor, scale: float, skip_partner: bool, bound: float | None, precision: str) -> Tensor:
    """Shape (M,)."""
    kernel, unit = _kernel("self_logsumexp", precision)
    z, out = _padded(z, unit), z.new_empty(z.size(0))
    native.call(kernel, z, out, *z.shape, scale, skip_partner, _number(bound), native.threads())
    return out


def self_logsumexp_backward(
    z: Tensor, lse: Tensor, grad: Tensor, scale: float, skip_partner: bool, precision: str
) -> Tensor:
    """Shape (M, P)."""
    kernel, unit = _kernel("self_logsumexp_backward", precision)
    wide = _padded(z, unit)
    out = _room_for(wide)
    native.call(kernel, wide, lse, grad.contiguous(), out, *wide.shape, scale, skip_partner, native.threads())
    return _without_padding(out, z)


def cross_logsumexp_forward(
    x: Tensor, y: Tensor, scale: float, skip_diagonal: bool, bound: float | None, precision: str, *, columns: bool
) -> tuple[Tensor, Tensor]:
    """Shapes (A,) and (C,), or (0,) without ``columns``."""
    kernel, unit = _kernel("cross_logsumexp", precision)
    x, y = _padded(x, unit), _padded(y, unit)
    rows, cols = x.new_empty(x.size(0)), x.new_empty(y.size(0) if columns else 0)
    native.call(
        kernel, x, y, rows, cols if columns else None, x.size(0), *y.shape, scale, skip_diagonal, _number(bound),
        native.threads(),
    )  # fmt: skip
    return rows, cols


def cross_logsumexp_backward(
    x: Tensor, y: Tensor, rows: Tensor, cols: Tensor, grad_rows: Tensor, grad_cols: Tensor,
    scale: float, skip_diagonal: bool, precision: str, *, need_y: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Shapes (A, P) and (C, P), or (0, P) without ``need_y``."""
    kernel, unit = _kernel("cross_logsumexp_backward", precision)
    wide_x, wide_y = _padded(x, unit), _padded(y, unit)
    dx, dy = _room_for(wide_x), _room_for(wide_y) if need_y else None
    of_columns = (cols, grad_cols.contiguous()) if cols.numel() else (None, None)
    native.call(
        kernel, wide_x, wide_y, rows, of_columns[0], grad_rows.contiguous(), of_columns[1], dx, dy, x.size(0),
        *wide_y.shape, scale, skip_diagonal, native.threads(),
    )  # fmt: skip
    return _without_padding(dx, x), y.new_empty(0, y.size(1)) if dy is None else _without_padding(dy, y)


def _kernel(name: str, precision: str) -> tuple[str, int]:
    """The kernel's name, and of how many columns it wants a multiple."""
    suffix = _SUFFIX[precision]
    if suffix != "f32" and native.has_kernel(f"{name}_{suffix}"):
        return f"{name}_{suffix}", 32
    return f"{name}_f32", 16


def _padded(z: Tensor, unit: int) -> Tensor:
    """With zeros as further columns."""
    missing = -z.size(1) % unit
    return torch.nn.functional.pad(z, (0, missing)) if missing else z.contiguous()


def _room_for(z: Tensor) -> Tensor:
    """The kernels may write rows up to the next multiple of 32."""
    return z.new_empty(z.size(0) + -z.size(0) % 32, z.size(1))


def _without_padding(grad: Tensor, z: Tensor) -> Tensor:
    return grad[: z.size(0), : z.size(1)].contiguous()


def _number(bound: float | None) -> float:
    return -1.0 if bound is None else bound
