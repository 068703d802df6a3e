"""Looking into the rows of a topology in plain torch, many rows at once: what the torch tiers of the samplers share."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bisect", "pick", "ragged"]


def pick(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` for values of shape (N,) and an index of any shape, not negative: on a CPU twice as fast."""
    return values.index_select(0, index.reshape(-1)).view(index.shape)


def ragged(begin: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """The places begin, begin + 1, ..., ``size`` of them for each row: the row of each, and the place."""
    row = torch.repeat_interleave(size)
    place = pick(begin - (size.cumsum(0) - size), row)
    place += torch.arange(row.numel(), device=size.device)
    return row, place


def bisect(values: Tensor, begin: Tensor, end: Tensor, wanted: Tensor, *, right: bool = False) -> Tensor:
    """The first place in [begin, end) whose value is at least ``wanted`` (``right``: above it); ``end`` without one."""
    low, last, wanted = begin, (end - 1).clamp(min=0), wanted.to(values.dtype)
    for bit in reversed(range(int((end - begin).max()).bit_length() if begin.numel() else 0)):
        middle = low + (2**bit - 1)
        value = pick(values, torch.minimum(middle, last))
        passed = (middle < end) & (value <= wanted if right else value < wanted)
        low = low.add(passed, alpha=2**bit)
    return low
