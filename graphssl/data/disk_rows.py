"""Blocks of features and edges: checked, and brought into the form that is written."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphssl.data.disk_format import ArrayStream
from graphssl.errors import InvalidGraphError

__all__ = [
    "RowPointers",
    "both_directions",
    "edge_attributes",
    "edge_values",
    "float_rows",
    "merge_equal",
    "node_pairs",
]

_SLAB = 1 << 16  # pointers made at a time


class RowPointers:
    """Pointers of a CSR matrix, from the ascending rows of its entries."""

    def __init__(self, array: ArrayStream, num_nodes: int) -> None:
        self.total = 0
        self._array, self._num_nodes, self._next = array, num_nodes, 0

    def append(self, rows: np.ndarray) -> None:
        """Take the rows of the next entries."""
        if len(rows):
            rows = np.ascontiguousarray(rows)
            self._fill(rows, int(rows[-1]) + 1)
            self.total += len(rows)

    def complete(self) -> None:
        """Write the pointers of the rows that are left."""
        self._fill(np.empty(0, dtype=np.int32), self._num_nodes + 1)

    def _fill(self, rows: np.ndarray, end: int) -> None:
        for start in range(self._next, end, _SLAB):
            nodes = np.arange(start, min(end, start + _SLAB), dtype=np.int32)
            self._array.append(self.total + np.searchsorted(rows, nodes))
        self._next = max(self._next, end)


def merge_equal(records: np.ndarray) -> np.ndarray:
    """One record for each pair (and time, when there is one): the first, with the largest of their weights."""
    names = [name for name in ("first", "second", "time") if name in (records.dtype.names or ())]
    if "time" in names:
        records = records[np.lexsort(tuple(records[name] for name in reversed(names)))]
    differs = np.zeros(len(records), dtype=bool)
    differs[:1] = True
    for name in names:
        differs[1:] |= records[name][1:] != records[name][:-1]
    if differs.all():
        return records
    merged = records[differs]
    if "weight" in (records.dtype.names or ()):
        merged["weight"] = np.maximum.reduceat(records["weight"], np.flatnonzero(differs))
    return merged


def node_pairs(edge_index: Tensor | np.ndarray, num_nodes: int | None, before: int) -> np.ndarray:
    """Edges as an array (2, B); ``before`` edges came earlier.

    Raises
    ------
    InvalidGraphError
        If they are no integers of shape (2, B), or name a node outside the graph.
    """
    pairs = _array(edge_index)
    if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype.kind not in "iu":
        raise InvalidGraphError(f"expected edges as integers of shape (2, B), got {pairs.dtype} of {pairs.shape}")
    limit = 2**31 - 1 if num_nodes is None else num_nodes
    if pairs.size and (pairs.min() < 0 or pairs.max() >= limit):
        wrong = (pairs < 0) | (pairs >= limit)
        at = int(np.flatnonzero(wrong.any(axis=0))[0])
        raise InvalidGraphError(
            f"edge {before + at} is ({pairs[0, at]}, {pairs[1, at]}): nodes are numbered from 0 to {limit - 1}"
        )
    return pairs


def both_directions(pairs: np.ndarray, values: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each edge and then its reverse, loops once: of equal edges, the same one comes first in both directions."""
    kept = np.ones(2 * pairs.shape[1], dtype=bool)
    kept[1::2] = pairs[0] != pairs[1]
    ends = np.stack([pairs, pairs[::-1]], axis=2).reshape(2, -1)
    return ends[:, kept], {name: np.repeat(value, 2, axis=0)[kept] for name, value in values.items()}


def edge_values(values: Tensor | np.ndarray, name: str, count: int, before: int) -> np.ndarray:
    """Weights or times of the edges of a block: ``(B,)``.

    Raises
    ------
    InvalidGraphError
        If there is not one for each edge, a time is no integer, or a weight is negative, NaN or infinite.
    """
    array = _array(values)
    kinds = "biuf" if name == "weight" else "iu"
    if array.shape not in ((count,), (count, 1)) or array.dtype.kind not in kinds:
        numbers = "number" if name == "weight" else "integer"
        raise InvalidGraphError(
            f"expected one {numbers} as {name} for each of {count} edges, got {array.dtype} of {array.shape}"
        )
    array = array.reshape(-1)
    if name == "weight":
        wrong = ~((array >= 0) & np.isfinite(array))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise InvalidGraphError(f"edge {before + at} has the weight {array[at]}: expected finite weights >= 0")
    return array.astype(np.float32 if name == "weight" else np.int64, copy=False)


def edge_attributes(values: Tensor | np.ndarray, name: str, count: int, before: int) -> np.ndarray:
    """Attributes of the edges of a block, ``(B,)`` or ``(B, K)``: integers as int64, others as float32.

    Raises
    ------
    InvalidGraphError
        If there is not one row for each edge, or an entry is no number, NaN or infinite.
    """
    array = _array(values)
    if array.ndim not in (1, 2) or len(array) != count or array.dtype.kind not in "biuf" or 0 in array.shape[1:]:
        raise InvalidGraphError(
            f"expected {name} as numbers of shape (B,) or (B, K), B = {count} edges, got {array.dtype} of {array.shape}"
        )
    with np.errstate(over="ignore"):
        stored = array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
    wrong = ~np.isfinite(stored.reshape(count, -1)).all(axis=1)
    if wrong.any():
        at = before + int(np.flatnonzero(wrong)[0])
        raise InvalidGraphError(f"{name} has NaN or infinite entries at edge {at}: impute them")
    return stored


def float_rows(block: Tensor | np.ndarray, dtype: str, columns: int | None, before: int) -> np.ndarray:
    """Features (B, F) of the type that is stored; ``before`` rows came earlier.

    Raises
    ------
    InvalidGraphError
        If they are no numbers of shape (B, F), F differs from ``columns``, or one is not finite when stored.
    """
    rows = _array(block)
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "biuf":
        raise InvalidGraphError(f"expected features as numbers of shape (B, F), got {rows.dtype} of {rows.shape}")
    if columns is not None and rows.shape[1] != columns:
        raise InvalidGraphError(f"row {before} has {rows.shape[1]} features, those before have {columns}")
    with np.errstate(over="ignore"):
        stored = rows.astype(dtype, copy=False)
    finite = np.isfinite(stored).all(axis=1)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        hint = "impute them" if not np.isfinite(rows[at]).all() else f"too large for {dtype}: store float32"
        raise InvalidGraphError(f"x has NaN or infinite entries in row {before + at}: {hint}")
    return stored


def _array(values: Tensor | np.ndarray) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # numpy has no bfloat16
