"""Arrays that took long to read from raw files, kept as npz; a damaged or outdated one is made again."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from graphssl.data._text import read_npz, write_npz
from graphssl.errors import CorruptFileError, StorageError
from graphssl.sources import home

#: Raised when a reader changes what it returns.
READER_VERSION = 2


def processed(
    name: str, raw: Sequence[Path], build: Callable[[], Mapping[str, np.ndarray]], *, root: str | Path | None
) -> Mapping[str, np.ndarray]:
    """The arrays that ``build`` makes from the files ``raw``, from the cache while those files are unchanged.

    The key is the raw files' paths, sizes and modification times and the version of the reader. A cache that cannot
    be written is no error: the work is done again next time.
    """
    facts = [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in raw]
    key = hashlib.sha256("\n".join([str(READER_VERSION), *facts]).encode()).hexdigest()[:16]
    folder = home() if root is None else Path(root).expanduser().absolute()
    path = folder / "processed" / f"{name}-{key}.npz"
    if path.is_file():
        with contextlib.suppress(CorruptFileError):
            return read_npz(path)
    arrays = build()
    with contextlib.suppress(StorageError):
        write_npz(path, arrays)
    return arrays
