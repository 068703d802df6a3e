"""Sorting more edges than fit in memory: by buckets on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["EdgeSorter", "Fields"]

_BUCKETS = 128
_CELLS = 1 << 14
Fields = Mapping[str, tuple[Any, tuple[int, ...]]]  # type and shape of each, by name


class EdgeSorter:
    """Pairs of nodes, with values, that come back in ascending order; equal pairs in the order in which they came.

    Records are spilled to one file. When they are more than fit in memory they are dealt to buckets of successive
    pairs, whose limits come from a histogram, and each bucket is sorted by itself; one that is still too large (the
    edges of a hub) is dealt again.

    Parameters
    ----------
    path : Path
        Name that the temporary files begin with.
    fields : Fields
        Values that each pair carries.
    memory_bytes : int
        Bound of the memory that sorting takes. Copies of a single pair are always sorted together.

    Notes
    -----
    Cost: each record is written and read twice, once more for each time that a bucket is dealt again.
    """

    def __init__(self, path: Path, fields: Fields, memory_bytes: int) -> None:
        self._path = path
        self._pairs_only = not fields
        self._record = np.dtype(
            [("first", "<i4"), ("second", "<i4"), *((name, *field) for name, field in fields.items())]
        )
        # keys, their order and what sorting takes; records, their sorted copy, and as much for whoever reads them
        self.capacity = max(1, memory_bytes // (48 + 5 * self._record.itemsize))
        self._spill = open(path, "wb")  # noqa: SIM115 (closed by chunks or abandon)
        self._count = 0

    def add(self, first: np.ndarray, second: np.ndarray, **values: np.ndarray) -> None:
        """Take pairs, of nodes in [0, 2^31)."""
        for start in range(0, len(first), self.capacity):
            part = slice(start, start + self.capacity)
            records = np.empty(len(first[part]), self._record)
            records["first"], records["second"] = first[part], second[part]
            for name, value in values.items():
                records[name] = value[part]
            self._spill.write(records.data.cast("B"))
        self._count += len(first)

    def chunks(self, num_nodes: int) -> Iterator[np.ndarray]:
        """The records in order; equal pairs are never in two chunks. The temporary files are gone afterwards."""
        self._spill.close()
        yield from self._sorted(self._path, self._count, 0, num_nodes * num_nodes, num_nodes)

    def abandon(self) -> None:
        """Close the file."""
        self._spill.close()

    def _sorted(self, path: Path, count: int, low: int, high: int, num_nodes: int) -> Iterator[np.ndarray]:
        if count <= self.capacity or high - low <= 1:
            if count:
                yield self._order(np.fromfile(path, self._record), num_nodes)  # no name here keeps the records alive
            path.unlink()
            return
        width = -(-(high - low) // _CELLS)
        cells = np.zeros(_CELLS, dtype=np.int64)
        for block in self._blocks(path):
            cells += np.bincount((_key(block, num_nodes) - low) // width, minlength=_CELLS)
        bucket, groups = _group(cells, max(self.capacity, count // _BUCKETS))
        paths = [path.with_name(f"{path.name}-{i}") for i in range(len(groups))]
        with ExitStack() as stack:
            files = [stack.enter_context(open(name, "wb")) for name in paths]
            for block in self._blocks(path):
                which = bucket[(_key(block, num_nodes) - low) // width]
                block = block[np.argsort(which, kind="stable")]
                ends = np.cumsum(np.bincount(which, minlength=len(groups)))
                for file, first, last in zip(files, np.r_[0, ends[:-1]], ends, strict=True):
                    if first < last:
                        file.write(block[first:last].data.cast("B"))
        path.unlink()
        for name, (size, start, end) in zip(paths, groups, strict=True):
            yield from self._sorted(name, size, low + start * width, min(high, low + end * width), num_nodes)

    def _order(self, records: np.ndarray, num_nodes: int) -> np.ndarray:
        key = _key(records, num_nodes)
        if self._pairs_only:  # nothing but the pair: equal records need no order, and sorting numbers is faster
            key.sort()
            records["first"] = key // num_nodes
            records["second"] = key % num_nodes
            return records
        if (key[1:] >= key[:-1]).all():
            return records
        return records[np.argsort(key, kind="stable")]

    def _blocks(self, path: Path) -> Iterator[np.ndarray]:
        size = max(1, self.capacity // 2)
        with open(path, "rb") as file:
            while len(block := np.fromfile(file, self._record, size)):
                yield block


def _key(records: np.ndarray, num_nodes: int) -> np.ndarray:
    key = records["first"].astype(np.int64)
    key *= num_nodes
    key += records["second"]
    return key


def _group(cells: np.ndarray, limit: int) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Join successive cells while they hold at most ``limit``.

    The bucket of each cell, uint16, and for each bucket how many records it has, its first cell that has one, and the
    cell behind its last.
    """
    bucket = np.zeros(len(cells), dtype=np.uint16)
    groups: list[tuple[int, int, int]] = []
    for i in np.flatnonzero(cells).tolist():
        count = int(cells[i])
        if groups and groups[-1][0] + count <= limit:
            groups[-1] = (groups[-1][0] + count, groups[-1][1], i + 1)
        else:
            groups.append((count, i, i + 1))
        bucket[i] = len(groups) - 1
    return bucket, groups
