"""Results kept for as long as the tensors they were computed from live unchanged."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import Tensor

__all__ = ["remembered"]

T = TypeVar("T")
_Place = tuple[tuple[int, ...], Hashable]
# For each place: the tensors (weakly), their versions, and the result.
_RESULTS: dict[_Place, tuple[tuple[weakref.ref[Tensor], ...], tuple[int, ...], Any]] = {}


def remembered(tensors: tuple[Tensor, ...], key: Hashable, build: Callable[[], T]) -> T:
    """``build()``, computed once for these very tensor objects and this key.

    Computed anew once a tensor has been written in place, forgotten when one dies; the result must not hold them.
    """
    if any(tensor.is_inference() for tensor in tensors):
        return build()  # such tensors do not count writes
    place = (tuple(id(tensor) for tensor in tensors), key)
    versions = tuple(tensor._version for tensor in tensors)
    found = _RESULTS.get(place)
    if found is not None and found[1] == versions and all(r() is t for r, t in zip(found[0], tensors, strict=True)):
        return found[2]
    result = build()
    watch = tuple(weakref.ref(tensor, lambda _: _RESULTS.pop(place, None)) for tensor in tensors)
    _RESULTS[place] = (watch, versions, result)
    return result
