"""Features on disk: rows of a table in shards, read in order or at random."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphssl.data.disk_format import map_array

__all__ = ["DiskFeatures", "physical_memory"]

_READERS = 16  # threads that wait for the disk side by side
_PIECE = 2**14  # numbers that a reader gathers at a time: so few that torch starts no threads of its own for them


class DiskFeatures:
    """A table (N, F) in shards of equal height.

    Parameters
    ----------
    paths : sequence of Path
        One file a shard; the last may be shorter.
    dtype : numpy dtype
    rows, columns : int
        N and F.
    shard_rows : int
        Height of a shard.
    random_reads : bool, optional
        Whether scattered rows are read from maps that are declared random, which spares the read-ahead around each of
        them, and by many threads, each waiting for a page. Default: if the table takes more than half of the memory
        of the machine, so that the read-ahead would not stay there. Rows in order are read with it in any case.

    Raises
    ------
    MissingFileError, CorruptFileError
        If a file is missing, or is not the array that it should be.
    """

    def __init__(
        self, paths: Sequence[Path], dtype: Any, rows: int, columns: int, shard_rows: int, *, random_reads: bool | None
    ) -> None:
        heights = [min(shard_rows, rows - start) for start in range(0, rows, shard_rows)]
        self.shape, self._height = (rows, columns), shard_rows
        self._shards = [map_array(p, dtype, (h, columns)) for p, h in zip(paths, heights, strict=True)]
        if random_reads is None:
            random_reads = rows * columns * np.dtype(dtype).itemsize > physical_memory() / 2
        self._scattered: list[Tensor] = []
        if random_reads:
            self._scattered = [
                map_array(p, dtype, (h, columns), random=True) for p, h in zip(paths, heights, strict=True)
            ]

    def gather(self, rows: Tensor) -> Tensor:
        """Rows (B,) of int64 in [0, N), in any order, with repetitions: float32 (B, F), in memory."""
        random = bool(self._scattered) and not _lie_together(rows)
        if len(self._shards) == 1 and not random:
            return self._shards[0].index_select(0, rows).float()
        shards = self._scattered if random else self._shards
        out = torch.empty(rows.numel(), self.shape[1])

        def read(piece: tuple[int, Tensor]) -> None:
            number, where = piece
            out.index_copy_(0, where, shards[number].index_select(0, rows[where] - number * self._height).float())

        pieces = self._by_shard(rows)
        if not random:
            for piece in pieces:
                read(piece)
            return out
        size = max(1, _PIECE // self.shape[1])
        with ThreadPoolExecutor(_READERS) as readers:
            list(readers.map(read, ((number, part) for number, where in pieces for part in where.split(size))))
        return out

    def _by_shard(self, rows: Tensor) -> list[tuple[int, Tensor]]:
        """For each shard that holds some of the rows, which ones."""
        count = len(self._shards)
        shard = (rows // self._height).numpy().astype(np.min_scalar_type(count))
        order = torch.from_numpy(np.argsort(shard, kind="stable"))  # few bits: a radix sort
        parts = order.split(np.bincount(shard, minlength=count).tolist())
        return [(number, where) for number, where in enumerate(parts) if where.numel()]


def _lie_together(rows: Tensor) -> bool:
    """Do they ascend, at least every second one of those they span?"""
    if rows.numel() < 2:
        return False
    return int(rows[-1] - rows[0]) < 2 * rows.numel() and bool((rows.diff() > 0).all())


def physical_memory() -> float:
    """Bytes of memory of the machine; infinite where it does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
