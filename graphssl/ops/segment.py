"""Reductions over groups of rows: sum, mean, max, min, softmax and logsumexp by an index."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.ops import segment_ops as ops
from graphssl.ops import segment_softmax as exponentials

__all__ = ["segment_logsumexp", "segment_reduce", "segment_softmax"]


def segment_reduce(src: Tensor, index: Tensor, num_segments: int, reduce: str = "sum") -> Tensor:
    r"""Reduce the rows of ``src`` that carry the same index.

    .. math:: out_s = \mathrm{reduce}_{e : index_e = s} \, src_e

    Parameters
    ----------
    src : Tensor, shape (E, ...)
        Differentiable, as often as needed. float16 and bfloat16 are accumulated in float32.
    index : Tensor of int64, shape (E,)
        The segment of each row, in any order, in [0, num_segments).
    num_segments : int
        S; segments without rows are allowed.
    reduce : str
        ``sum``, ``mean``, ``max`` or ``min``.

    Returns
    -------
    Tensor, shape (S, ...)
        Of the dtype of ``src``. An empty segment is 0 for every reduction, and NaN spreads.

    Raises
    ------
    ConfigurationError
        If the reduction is unknown, shapes, dtypes or devices do not agree, or (on CPU) the index is out of range.

    Notes
    -----
    O(E D) time, O(S D) memory. A sorted index is noticed, and faster. Equal maxima (minima) share the gradient evenly.
    On CPU rows are added in their order: the result is the same on every run, for any number of threads. The C++ tier
    adds sorted rows in runs of 1,024; elsewhere float32 sums of millions of rows lose digits: use float64 there.

    Examples
    --------
    >>> segment_reduce(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    tensor([3., 0., 5.])
    """
    if reduce not in ops.REDUCTIONS:
        raise ConfigurationError(f"unknown reduction {reduce!r}: expected one of {', '.join(ops.REDUCTIONS)}")
    _check(src, index, num_segments)
    small = reduce in ("sum", "mean") and src.requires_grad and src.device.type == "cpu" and src.numel() < ops.SMALL
    eager = small and torch.is_grad_enabled() and not torch.compiler.is_compiling()
    out: Tensor = (ops.reduce_torch if eager else ops.segment_reduce)(_wide(src), index, num_segments, reduce)
    return out.to(src.dtype)


def segment_softmax(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Softmax of ``src`` within each segment.

    Parameters
    ----------
    src : Tensor of floating point, shape (E, ...)
        Scores, differentiable as often as needed; the trailing dimensions are treated independently. float16 and
        bfloat16 are computed in float32.
    index : Tensor of int64, shape (E,)
        The segment of each row, in any order, in [0, num_segments).
    num_segments : int

    Returns
    -------
    Tensor, shape (E, ...)
        Not negative, adding up to 1 over each segment that has rows. Finite for any finite score.

    Raises
    ------
    ConfigurationError
        If shapes, dtypes or devices do not agree, or (on CPU) the index is out of range.
    """
    _check(src, index, num_segments, floating=True)
    out: Tensor = exponentials.segment_softmax(_wide(src), index, num_segments)
    return out.to(src.dtype)


def segment_logsumexp(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    r"""Stable :math:`\log \sum_{e : index_e = s} \exp(src_e)`.

    Parameters
    ----------
    src : Tensor of floating point, shape (E, ...)
        Differentiable as often as needed. An entry of ``-inf`` counts for nothing and receives no gradient. float16
        and bfloat16 are computed in float32.
    index : Tensor of int64, shape (E,)
        The segment of each row, in any order, in [0, num_segments).
    num_segments : int

    Returns
    -------
    Tensor, shape (S, ...)
        ``-inf`` where a segment is empty.

    Raises
    ------
    ConfigurationError
        If shapes, dtypes or devices do not agree, or (on CPU) the index is out of range.
    """
    _check(src, index, num_segments, floating=True)
    out: Tensor = exponentials.segment_logsumexp(_wide(src), index, num_segments)
    return out.to(src.dtype)


def _wide(src: Tensor) -> Tensor:
    return src.float() if src.dtype in (torch.float16, torch.bfloat16) else src


def _check(src: Tensor, index: Tensor, num_segments: int, *, floating: bool = False) -> None:
    if src.dim() == 0 or index.dim() != 1 or index.size(0) != src.size(0):
        raise ConfigurationError(
            f"expected one index for each row, got src {tuple(src.shape)} and index {tuple(index.shape)}"
        )
    if index.dtype != torch.int64 or index.device != src.device:
        raise ConfigurationError(
            f"expected an index of int64 on {src.device}, got {index.dtype} on {index.device}: convert it with index.to"
        )
    if num_segments < 0:
        raise ConfigurationError(f"expected num_segments >= 0, got {num_segments}")
    if floating and not src.is_floating_point():
        raise ConfigurationError(f"expected floating point, got src of {src.dtype}: convert it with src.float()")
