"""Reductions over groups of rows: sum, mean, max, min, softmax and logsumexp by an index."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError

__all__ = ["segment_logsumexp", "segment_reduce", "segment_softmax"]

_REDUCTIONS = ("sum", "mean", "max", "min")


def segment_reduce(src: Tensor, index: Tensor, num_segments: int, reduce: str = "sum") -> Tensor:
    r"""Reduce the rows of ``src`` that carry the same index.

    .. math:: out_s = \mathrm{reduce}_{e : index_e = s} \, src_e

    Parameters
    ----------
    src : Tensor, shape (E, ...)
        Differentiable. float16 and bfloat16 are accumulated in float32.
    index : Tensor of int64, shape (E,)
        The segment of each row, in any order, in [0, num_segments).
    num_segments : int
        S; segments without rows are allowed.
    reduce : str
        ``sum``, ``mean``, ``max`` or ``min``.

    Returns
    -------
    Tensor, shape (S, ...)
        Of the dtype of ``src``. An empty segment is 0 for every reduction.

    Raises
    ------
    ConfigurationError
        If the reduction is unknown or the shapes do not agree.

    Notes
    -----
    Equal maxima (minima) share the gradient evenly. On CPU rows are added in their order, so the
    result is the same on every run.

    Examples
    --------
    >>> segment_reduce(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    tensor([3., 0., 5.])
    """
    if reduce not in _REDUCTIONS:
        raise ConfigurationError(f"unknown reduction {reduce!r}: expected one of {', '.join(_REDUCTIONS)}")
    _check(src, index)
    wide = src.float() if src.dtype in (torch.float16, torch.bfloat16) else src
    return _reduce_torch(wide, index, num_segments, reduce).to(src.dtype)


def segment_softmax(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Softmax of ``src`` within each segment.

    Parameters
    ----------
    src : Tensor, shape (E, ...)
        Scores; the trailing dimensions are treated independently.
    index : Tensor of int64, shape (E,)
    num_segments : int

    Returns
    -------
    Tensor, shape (E, ...)
        Positive, adding up to 1 over each segment that has rows. Finite for any finite score.
    """
    shifted = src - _segment_max(src, index, num_segments)[index]
    exponentials = shifted.exp()
    return exponentials / segment_reduce(exponentials, index, num_segments)[index]


def segment_logsumexp(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    r"""Stable :math:`\log \sum_{e : index_e = s} \exp(src_e)`.

    Parameters
    ----------
    src : Tensor, shape (E, ...)
        An entry of ``-inf`` counts for nothing and receives no gradient.
    index : Tensor of int64, shape (E,)
    num_segments : int

    Returns
    -------
    Tensor, shape (S, ...)
        ``-inf`` where a segment is empty.
    """
    largest = _segment_max(src, index, num_segments)  # (S, ...)
    total = segment_reduce((src - largest[index]).exp(), index, num_segments)  # (S, ...)
    empty = total == 0
    return (total.masked_fill(empty, 1.0).log() + largest).masked_fill(empty, -torch.inf)


def _segment_max(src: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """The largest entry of each segment as a constant; 0 where it is empty or all ``-inf``."""
    largest = segment_reduce(src.detach(), index, num_segments, "max")
    return largest.masked_fill(largest == -torch.inf, 0.0)


def _reduce_torch(src: Tensor, index: Tensor, num_segments: int, reduce: str) -> Tensor:
    """The only place where a reduction is computed: a faster tier is chosen here."""
    shape = (num_segments, *src.shape[1:])
    expanded = index.view(-1, *[1] * (src.dim() - 1)).expand_as(src)
    if reduce in ("max", "min"):
        return src.new_zeros(shape).scatter_reduce(0, expanded, src, f"a{reduce}", include_self=False)
    total = src.new_zeros(shape).scatter_add(0, expanded, src)
    if reduce == "sum":
        return total
    count = torch.bincount(index, minlength=num_segments).clamp(min=1).to(src.dtype)
    return total / count.view(-1, *[1] * (src.dim() - 1))


def _check(src: Tensor, index: Tensor) -> None:
    if src.dim() == 0 or index.dim() != 1 or index.size(0) != src.size(0):
        raise ConfigurationError(
            f"expected one index for each row, got src {tuple(src.shape)} and index {tuple(index.shape)}"
        )
