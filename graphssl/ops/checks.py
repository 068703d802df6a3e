"""One look at what a caller gives, before anything is read or written by it."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError

__all__ = ["outside", "whole_number"]


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """``value`` as an int; 3.0 is one.

    Raises
    ------
    ConfigurationError
        If it is no whole number, or less than ``least``.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, SupportsIndex) or (least is not None and operator.index(value) < least):
        bound = "" if least is None else f" >= {least}"
        raise ConfigurationError(f"expected {name}{bound} as a whole number, got {value!r}")
    return operator.index(value)


def outside(index: Tensor, size: int) -> int | None:
    """An entry that is not in [0, size), the negative one first; None if all are inside."""
    if index.numel() == 0:
        return None
    low, high = torch.stack(index.aminmax()).tolist()  # on a GPU they are waited for once
    return low if low < 0 else high if high >= size else None
