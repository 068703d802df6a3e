"""Log-sum-exp over all pairs of rows: what contrastive losses need of a score matrix, without the matrix."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.ops import _contrast_cpp, _contrast_torch, backend

__all__ = ["cross_logsumexp", "self_logsumexp"]

# Data-centre GPUs: tiles take up to 193 KiB of shared memory, of which other GPUs have 163 or 99.
_CAPABILITIES = (9, 10)
backend.declare("self_logsumexp", cpp={torch.float32}, triton={torch.float32}, capabilities=_CAPABILITIES)
backend.declare("cross_logsumexp", cpp={torch.float32}, triton={torch.float32}, capabilities=_CAPABILITIES)

# exp(-2 * bound), the smallest term of a sum shifted by the bound, is then still a normal float32.
_LARGEST_BOUND = 42.0
_PRECISIONS = ("float32", "high", "bfloat16")


def self_logsumexp(
    z: Tensor,
    *,
    scale: float = 1.0,
    skip_partner: bool = False,
    bound: float | None = None,
    precision: str = "float32",
) -> Tensor:
    r"""Each row against all others: :math:`\mathrm{out}_i = \log \sum_{j \neq i} \exp(\alpha\, z_i^\top z_j)`.

    Parameters
    ----------
    z : Tensor, shape (M, P)
        Differentiable once. float16 and bfloat16 are raised to float32.
    scale : float
        :math:`\alpha`, often one over a temperature.
    skip_partner : bool
        Leave out :math:`j = i \pm M/2` too: the same thing in the other of two stacked views. M must be even.
    bound : float, optional
        The caller's word that :math:`|\alpha\, z_i^\top z_j|` is at most this (``scale`` for rows of length 1). Up
        to 42 it spares the running maximum; where it does not hold, results are wrong.
    precision : "float32", "high" or "bfloat16"
        What float32 is multiplied in at least; sums are float32 always. ``high`` (of torch's ``float32`` matrix
        products) allows scores to be off by 2^-16 of the product of both lengths: C++ with AMX and Triton then multiply
        pairs of bfloat16 numbers. ``bfloat16`` allows 2^-8: C++ with AMX or AVX-512 bfloat16 and Triton then multiply
        rounded rows. Elsewhere, and for float64, it changes nothing.

    Returns
    -------
    Tensor, shape (M,)
        -inf, with zero gradient, where nothing is left to sum.

    Raises
    ------
    ConfigurationError
        If ``z`` is no matrix of real numbers, partners are asked for and M is odd, ``scale`` is not a positive
        number, or there is no such precision.

    Notes
    -----
    O(M^2 P) time, O(M P) memory: tiles of scores with :math:`j \ge i` are computed once forward and once backward and
    serve both sides. On a CPU the result does not depend on the number of threads.
    """
    _check("z", z)
    _check_precision(precision)
    if skip_partner and z.size(0) % 2:
        raise ConfigurationError(f"partners are half the rows apart, so their number must be even, got {z.size(0)}")
    out: Tensor = _self(_raised(z), _factor(scale), skip_partner, _usable(bound), precision)
    return out


def cross_logsumexp(
    x: Tensor,
    y: Tensor,
    *,
    scale: float = 1.0,
    skip_diagonal: bool = False,
    columns: bool = True,
    bound: float | None = None,
    precision: str = "float32",
) -> tuple[Tensor, Tensor | None]:
    r"""Each row of ``x`` against all of ``y``, and the other way round: over :math:`s_{ac} = \alpha\, x_a^\top y_c`.

    Parameters
    ----------
    x : Tensor, shape (A, P)
    y : Tensor, shape (C, P)
        Both differentiable once, of one dtype; float16 and bfloat16 are raised to float32.
    scale : float
        :math:`\alpha`.
    skip_diagonal : bool
        Leave out :math:`a = c`.
    columns : bool
        Also sum over the rows of ``x``.
    bound, precision
        As in :func:`self_logsumexp`.

    Returns
    -------
    rows : Tensor, shape (A,)
        :math:`\log \sum_c \exp s_{ac}`; -inf, with zero gradient, where nothing is left to sum.
    columns : Tensor, shape (C,), or None
        :math:`\log \sum_a \exp s_{ac}`, if asked for.

    Raises
    ------
    ConfigurationError
        If they are no matrices of real numbers of one width and dtype, ``scale`` is not a positive number, or there is
        no such precision.
    """
    _check("x", x)
    _check("y", y)
    _check_precision(precision)
    if x.size(1) != y.size(1) or x.dtype != y.dtype:
        raise ConfigurationError(
            f"x and y must have one width and dtype, got {tuple(x.shape)} {x.dtype} and {tuple(y.shape)} {y.dtype}"
        )
    options = _factor(scale), skip_diagonal, columns, _usable(bound), precision
    over_y, over_x = _cross(_raised(x), _raised(y), *options)
    return over_y, over_x if columns else None


def _check(name: str, z: Tensor) -> None:
    if z.dim() != 2 or not z.is_floating_point():
        raise ConfigurationError(
            f"{name} must be a floating-point tensor of shape (rows, dimensions), got {z.dtype} of {tuple(z.shape)}"
        )


def _check_precision(name: str) -> None:
    if name not in _PRECISIONS:
        raise ConfigurationError(f"precision must be 'float32', 'high' or 'bfloat16', got {name!r}")


def _factor(scale: float) -> float:
    if isinstance(scale, Tensor) and scale.requires_grad:
        raise ConfigurationError(
            "scale (1 / temperature) is not differentiated here, got a tensor that requires grad: give a number, or "
            "compute the scores of all pairs and use info_nce_loss"
        )
    if not 0 < float(scale) < float("inf"):
        raise ConfigurationError(f"scale must be a positive number, got {float(scale)}")
    return float(scale)


def _raised(z: Tensor) -> Tensor:
    return z.float() if z.dtype in (torch.half, torch.bfloat16) else z


def _usable(bound: float | None) -> float | None:
    return None if bound is None or bound > _LARGEST_BOUND else float(bound)


def _tier(op: str, z: Tensor) -> ModuleType:
    """The module that computes: all three have the same four functions."""
    tier = backend.choose(op, z)
    if tier == "triton":
        from graphssl.ops.triton import contrast as triton

        return triton
    return _contrast_cpp if tier == "cpp" else _contrast_torch


@torch.library.custom_op("graphssl::self_logsumexp", mutates_args=())
def _self(z: Tensor, scale: float, skip_partner: bool, bound: float | None, precision: str) -> Tensor:
    out: Tensor = _tier("self_logsumexp", z).self_logsumexp_forward(z, scale, skip_partner, bound, precision)
    return out


@torch.library.custom_op("graphssl::self_logsumexp_backward", mutates_args=())
def _self_backward(z: Tensor, lse: Tensor, grad: Tensor, scale: float, skip_partner: bool, precision: str) -> Tensor:
    out: Tensor = _tier("self_logsumexp", z).self_logsumexp_backward(z, lse, grad, scale, skip_partner, precision)
    return out


@torch.library.custom_op("graphssl::cross_logsumexp", mutates_args=())
def _cross(
    x: Tensor, y: Tensor, scale: float, skip_diagonal: bool, columns: bool, bound: float | None, precision: str
) -> tuple[Tensor, Tensor]:
    """Without ``columns`` the second result has no entries."""
    out: tuple[Tensor, Tensor] = _tier("cross_logsumexp", x).cross_logsumexp_forward(
        x, y, scale, skip_diagonal, bound, precision, columns=columns
    )
    return out


@torch.library.custom_op("graphssl::cross_logsumexp_backward", mutates_args=())
def _cross_backward(
    x: Tensor, y: Tensor, rows: Tensor, cols: Tensor, grad_rows: Tensor, grad_cols: Tensor,
    scale: float, skip_diagonal: bool, need_y: bool, precision: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``cols`` and ``grad_cols`` may have no entries, and the second result has none unless ``need_y``."""
    out: tuple[Tensor, Tensor] = _tier("cross_logsumexp", x).cross_logsumexp_backward(
        x, y, rows, cols, grad_rows, grad_cols, scale, skip_diagonal, precision, need_y=need_y
    )
    return out


@_self.register_fake
def _(z: Tensor, scale: float, skip_partner: bool, bound: float | None, precision: str) -> Tensor:
    return z.new_empty(z.size(0))


@_self_backward.register_fake
def _(z: Tensor, lse: Tensor, grad: Tensor, scale: float, skip_partner: bool, precision: str) -> Tensor:
    return z.new_empty(z.shape)


@_cross.register_fake
def _(
    x: Tensor, y: Tensor, scale: float, skip_diagonal: bool, columns: bool, bound: float | None, precision: str
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.size(0)), x.new_empty(y.size(0) if columns else 0)


@_cross_backward.register_fake
def _(
    x: Tensor, y: Tensor, rows: Tensor, cols: Tensor, grad_rows: Tensor, grad_cols: Tensor,
    scale: float, skip_diagonal: bool, need_y: bool, precision: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return x.new_empty(x.shape), y.new_empty(y.size(0) if need_y else 0, y.size(1))


def _keep_self(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    z, ctx.scale, ctx.skip_partner, _, ctx.precision = inputs
    ctx.save_for_backward(z, output)


def _self_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _self_backward(*ctx.saved_tensors, grad, ctx.scale, ctx.skip_partner, ctx.precision), None, None, None, None


def _keep_cross(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, y, ctx.scale, ctx.skip_diagonal, _, _, ctx.precision = inputs
    ctx.save_for_backward(x, y, *output)


def _cross_gradient(ctx: Any, grad_rows: Tensor, grad_cols: Tensor) -> tuple[Tensor | None, ...]:
    need_y = ctx.needs_input_grad[1]
    dx, dy = _cross_backward(
        *ctx.saved_tensors, grad_rows, grad_cols, ctx.scale, ctx.skip_diagonal, need_y, ctx.precision
    )
    return dx, dy if need_y else None, None, None, None, None, None


_self.register_autograd(_self_gradient, setup_context=_keep_self)
_cross.register_autograd(_cross_gradient, setup_context=_keep_cross)
