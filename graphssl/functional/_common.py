"""What all losses share: full precision, selection by mask, unit rows, and checks of shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.pairs import Pairs

P = ParamSpec("P")


def in_float32(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run a loss outside autocast, with half and bfloat16 tensors raised to float32."""

    @wraps(loss)
    def run(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        with torch.autocast(given[0].device.type if given else "cpu", enabled=False):
            return loss(*map(_raised, args), **{name: _raised(value) for name, value in kwargs.items()})

    return run


def _raised(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.half, torch.bfloat16) else value


def mean_over(mask: Tensor, scores: Tensor, term: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of ``term(score)`` over the pairs of a mask, shape ().

    What is masked out is replaced before the term (an ignored score may be infinite or NaN) and
    dropped after it (``term(0)`` need not be 0), so that its gradient is exactly zero.
    """
    values = term(scores.masked_fill(~mask, 0.0))  # (A, C)
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def unit(z: Tensor, dim: int, *, floor: Tensor | float = 1e-12) -> Tensor:
    """Divide by the Euclidean norm along ``dim``; what is no longer than ``floor`` becomes zero, with zero gradient.

    ``torch.nn.functional.normalize`` gives such vectors a gradient of about 1e12.
    """
    norm = _norm(z, dim)
    return z * torch.where(norm > floor, norm.clamp_min(1e-12).reciprocal(), 0.0)


def _norm(z: Tensor, dim: int) -> Tensor:
    """The Euclidean norm along ``dim``, kept as a dimension of one; below 1e-12 a column may count as that long."""
    if dim == 1:
        return torch.linalg.vector_norm(z, dim=1, keepdim=True)
    # Down the columns torch's own norm is several times slower than squares and their sums.
    return z.square().sum(dim=dim, keepdim=True).clamp_min(1e-24).sqrt()


def unit_columns(z: Tensor) -> Tensor:
    """Columns centred and divided by their norm, (N, D): standardised up to a factor of the square root of N.

    A column that is constant up to rounding becomes zero: its correlation with anything is 0.
    """
    floor = 10 * torch.finfo(z.dtype).eps * _norm(z.detach(), 0)
    return unit(z - z.mean(dim=0, keepdim=True), dim=0, floor=floor.clamp_min(1e-12))


def check_scores(scores: Tensor, pairs: Pairs) -> None:
    """Scores are real and as many as the pairs."""
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        found = scores.dtype if isinstance(scores, Tensor) else type(scores).__name__
        raise ConfigurationError(f"scores must be a floating-point tensor, got {found}")
    if tuple(scores.shape) != pairs.shape:
        raise ConfigurationError(
            f"scores have shape {tuple(scores.shape)}, the pairs {pairs.shape}: they must be equal"
        )


def check_anchors(pairs: Pairs, *, negatives: bool = False) -> None:
    """Every anchor has a positive and, if asked for, a negative."""
    if not pairs.every_anchor_has_positive:
        raise ConfigurationError("an anchor has no positive pair: leave that row out of the scores and the pairs")
    if negatives and not pairs.every_anchor_has_negative:
        raise ConfigurationError("an anchor has no negative pair (a batch of one?): this loss needs one per anchor")


def check_both_kinds(pairs: Pairs) -> None:
    """There is something to compare: at least one positive and one negative."""
    for kind, present in (("positive", pairs.has_positive), ("negative", pairs.has_negative)):
        if not present:
            raise ConfigurationError(
                f"no pair is {kind}: this loss compares positive with negative pairs and needs at least one of "
                "each (a batch of one graph has no other graph to be told from: use a larger batch)"
            )


def check_positive(name: str, value: float) -> None:
    """A finite number above zero."""
    if isinstance(value, str) or not 0 < value < float("inf"):
        raise ConfigurationError(f"{name} must be a positive number, got {value!r}")


def check_aligned(z1: Tensor, z2: Tensor, *, rows: int = 1) -> None:
    """Two real matrices of one shape, with at least ``rows`` rows."""
    for name, z in (("z1", z1), ("z2", z2)):
        if not isinstance(z, Tensor) or z.dim() != 2 or not z.is_floating_point():
            found = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
            raise ConfigurationError(f"{name} must be a floating-point tensor of shape (rows, dimensions), got {found}")
    if z1.shape != z2.shape or z1.dtype != z2.dtype:
        raise ConfigurationError(
            f"row i of z1 belongs to row i of z2, so their shapes and types must be equal: "
            f"got {tuple(z1.shape)} {z1.dtype} and {tuple(z2.shape)} {z2.dtype}"
        )
    if z1.size(0) < rows or z1.size(1) < 1:
        raise ConfigurationError(f"this loss needs at least {rows} row(s) and 1 dimension, got {tuple(z1.shape)}")
