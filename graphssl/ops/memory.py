"""Results remembered for as long as the tensors they were made from live, unchanged."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

__all__ = ["forget", "remember"]

T = TypeVar("T")


class _Entry(NamedTuple):
    tensors: tuple[weakref.ref[Tensor], ...]
    versions: tuple[int, ...]
    result: object


# By the identity of the first tensor, then by the other tensors' identities and the key.
_ENTRIES: dict[int, dict[Hashable, _Entry]] = {}


def remember(build: Callable[..., T], *tensors: Tensor | None, key: Hashable) -> T:
    """``build(*tensors)``, computed once for these very tensor objects.

    Parameters
    ----------
    build : callable
        Its result must not share memory with the tensors, nor hold them: it would keep them alive.
    *tensors : Tensor or None
        The first is a tensor. The result is forgotten when one of them dies and not used once one was
        written in place (by torch's own count of writes).
    key : hashable
        What else the result depends on.
    """
    first, given = tensors[0], [tensor for tensor in tensors if tensor is not None]
    assert first is not None
    if any(tensor.is_inference() for tensor in given):
        return build(*tensors)  # writes to such tensors are not counted
    place, inner = id(first), (key, *(id(tensor) for tensor in tensors))
    entry = _ENTRIES.get(place, {}).get(inner)
    versions = tuple(tensor._version for tensor in given)
    alive = entry is not None and all(ref() is tensor for ref, tensor in zip(entry.tensors, given, strict=True))
    if entry is not None and alive and entry.versions == versions:
        return entry.result  # type: ignore[return-value]
    with torch.inference_mode(False), torch.no_grad():  # the result may serve training later
        result = build(*tensors)

    def drop(_: object) -> None:
        _ENTRIES.get(place, {}).pop(inner, None)
        if not _ENTRIES.get(place, True):
            _ENTRIES.pop(place, None)

    watches = tuple(weakref.ref(tensor, drop) for tensor in given)
    _ENTRIES.setdefault(place, {})[inner] = _Entry(watches, versions, result)
    return result


def forget() -> None:
    """Forget every result (they go by themselves with their tensors)."""
    _ENTRIES.clear()
