"""Reductions over groups of rows, each group by one program, in a fixed order."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.ops.memory import remember
from graphssl.ops.triton.rows import reduce_rows

__all__ = ["segment_reduce"]

_LONGEST = 1024  # rows that one program reduces; longer segments are cut into pieces


class _Grouping(NamedTuple):
    """Where the rows of each segment are; ``pieces``, cuts of the segments and which are whose, only if one is long."""

    ptr: Tensor  # (S + 1,)
    order: Tensor | None  # (E,) rows by segment, None if they already are
    pieces: tuple[Tensor, Tensor, Tensor] | None  # begin (Q,), end (Q,), ptr (S + 1,)


def segment_reduce(src: Tensor, index: Tensor, num_segments: int, reduce: str) -> Tensor:
    """Reduce the rows of ``src`` that carry the same index.

    Parameters
    ----------
    src : Tensor of float32, shape (E, D)
    index : Tensor of int64, shape (E,)
        In any order, in [0, num_segments). What was worked out about it is remembered as long as it lives.
    num_segments : int
        S.
    reduce : str
        ``sum``, ``mean``, ``max`` or ``min``.

    Returns
    -------
    Tensor, shape (S, D)
        0 where a segment is empty. NaN spreads, and the same input gives the same bits.

    Raises
    ------
    ConfigurationError
        If an index is outside [0, num_segments).

    Notes
    -----
    The first call with an index waits for the device, and sorts unless the index is sorted.
    """
    group = remember(functools.partial(_group, num_segments=num_segments), index, key=("segments", num_segments))
    simple = "sum" if reduce == "mean" else reduce
    src = src.contiguous()
    out = src.new_empty(num_segments, src.size(1))
    if group.pieces is None:
        reduce_rows(src, group.ptr[:-1], group.ptr[1:], out, simple, order=group.order)
    else:
        begin, end, ptr = group.pieces
        part = reduce_rows(src, begin, end, src.new_empty(begin.size(0), src.size(1)), simple, order=group.order)
        reduce_rows(part, ptr[:-1], ptr[1:], out, simple)
    if reduce == "mean":
        out /= group.ptr.diff().clamp(min=1).unsqueeze(-1)
    return out


def _group(index: Tensor, *, num_segments: int) -> _Grouping:
    order = None
    if bool((index[1:] < index[:-1]).any()):
        index, order = torch.sort(index, stable=True)
    segments = torch.arange(num_segments + 1, device=index.device)
    ptr = torch.searchsorted(index, segments)
    counts = ptr.diff()
    largest = counts.max() if num_segments > 0 else ptr[0]
    first, last, longest = torch.stack([ptr[0], ptr[-1], largest]).tolist()  # one wait for the device
    if first != 0 or last != index.size(0):
        raise ConfigurationError(
            f"expected an index in [0, {num_segments}), found {int(index[0] if first else index[-1])}: "
            "number the segments from 0, or give a larger num_segments"
        )
    if longest <= _LONGEST:
        return _Grouping(ptr, order, None)
    cuts = (counts + _LONGEST - 1) // _LONGEST  # (S,)
    piece_ptr = torch.cat([cuts.new_zeros(1), cuts.cumsum(0)])
    whose = torch.repeat_interleave(segments[:-1], cuts)  # (Q,)
    begin = ptr[whose] + _LONGEST * (torch.arange(whose.size(0), device=index.device) - piece_ptr[whose])
    end = torch.minimum(begin + _LONGEST, ptr[whose + 1])
    return _Grouping(ptr, order, (begin, end, piece_ptr))
