"""One look at an index before anything is read or written by it."""

from __future__ import annotations

from torch import Tensor

__all__ = ["outside"]


def outside(index: Tensor, size: int) -> int | None:
    """An entry that is not in [0, size), the negative one first; None if all are inside."""
    if index.numel() == 0:
        return None
    low, high = (int(bound) for bound in index.aminmax())
    return low if low < 0 else high if high >= size else None
