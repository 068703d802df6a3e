"""Large results in files that are mapped into memory: the system takes their pages back when it needs them."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphssl.errors import StorageError

__all__ = ["DEFAULT_MEMORY", "empty_mapped"]

DEFAULT_MEMORY = 2**28


def empty_mapped(*shape: int, dtype: torch.dtype, memory_bytes: int, folder: str | Path | None = None) -> Tensor:
    """An array on the CPU to be filled: in memory when it takes no more than ``memory_bytes``, else in a file.

    Parameters
    ----------
    folder : path, optional
        Where the file is made, default the system's folder for temporary files. It has no name there and is gone once
        nobody holds the array.

    Raises
    ------
    StorageError
        If the file cannot be made.
    """
    kind = torch.empty(0, dtype=dtype).numpy().dtype
    size = math.prod(shape) * kind.itemsize
    if size <= memory_bytes:
        return torch.empty(shape, dtype=dtype)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            return torch.from_numpy(np.memmap(file, dtype=kind, mode="r+", shape=shape))
    except OSError as error:
        raise StorageError(f"cannot make a file of {size:,} bytes for a result: {error}") from error
