"""One look at what a caller gives, before anything is read or written by it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphssl.errors import InvalidGraphError

__all__ = ["check_tensor", "not_finite", "outside"]


def check_tensor(name: str, value: Any) -> None:
    """Raise an :class:`InvalidGraphError` unless ``value`` is a tensor."""
    if not isinstance(value, Tensor):
        raise InvalidGraphError(f"expected {name} as a tensor, got {type(value).__name__}: use torch.as_tensor")


def outside(index: Tensor, size: int) -> int | None:
    """An entry that is not in [0, size), the negative one first; None if all are inside."""
    if index.numel() == 0:
        return None
    low, high = torch.stack(index.aminmax()).tolist()  # on a GPU they are waited for once
    return low if low < 0 else high if high >= size else None


def not_finite(value: Tensor) -> int | None:
    """Row of the first NaN or infinite entry; None if all are finite.

    The extremes show it, in one pass and without a mask of the tensor's size unless something is wrong.
    """
    value = value.detach()
    if value.layout != torch.strided:
        value = value.to_sparse_coo().coalesce()
        place = not_finite(value.values())
        return None if place is None else int(value.indices()[0, place])
    if value.numel() == 0 or not (value.is_floating_point() or value.is_complex()):
        return None
    if not value.is_complex() and bool(torch.isfinite(torch.stack(torch.aminmax(value))).all()):
        return None
    rows = (~torch.isfinite(value)).reshape(value.size(0), -1).any(dim=1).nonzero()
    return int(rows[0]) if rows.numel() else None
