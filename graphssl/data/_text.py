"""Files of numbers, read fast and refused when damaged."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphssl.errors import CorruptFileError
from graphssl.sources import atomic_write

_TO_SPACES = bytes.maketrans(b",\t\n\r", b"    ")

#: What numpy and zipfile raise on a file that is cut short, no npz, or holds pickled objects.
NPZ_ERRORS = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, NotImplementedError)


def corrupt(path: str | Path, reason: object) -> CorruptFileError:
    """The error for a damaged file: which one, why, and what to do."""
    return CorruptFileError(f"{path} is truncated or not what it should be ({reason}): delete it and fetch it again")


def edge_list_header(cells: Sequence[str], path: str | Path) -> list[str]:
    """The names in the first row of a table of edges, in lower case; numbers there are an edge, not names."""
    names = [cell.strip().strip('"').lower() for cell in cells]
    if len(names) < 2:
        raise CorruptFileError(f"{path}, line 1: expected a header with at least two columns, got {len(names)}")
    if all(_is_number(name) for name in names[:2]):
        raise CorruptFileError(
            f"{path}, line 1: expected a header with names such as source and target, got the numbers {names[:2]}: "
            "put a header above the first edge"
        )
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def numbers(text: bytes, dtype: type, path: str | Path) -> np.ndarray:
    """All numbers of a text, separated by commas or white space: ``(M,)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns about text that is no number
        try:
            return np.fromstring(text.translate(_TO_SPACES), dtype=dtype, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise corrupt(path, "text where numbers are expected") from error


def table(text: bytes, columns: int, dtype: type, path: str | Path) -> np.ndarray:
    """Numbers with a known number of columns: ``(M, columns)``."""
    values = numbers(text, dtype, path)
    if values.size % columns:
        raise corrupt(path, f"{values.size} numbers do not fill {columns} columns")
    return values.reshape(-1, columns)


def read_bytes(path: Path) -> bytes:
    """The whole file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptFileError(f"cannot read {path}: {error.strerror}; check the disk and permissions") from error


def read_npz(path: Path, keys: tuple[str, ...] | None = None) -> Mapping[str, Any]:
    """Arrays of an npz file (all of them, or ``keys``) without unpickling anything."""
    try:
        # opened here: numpy leaves the file open when it is no npz
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise ValueError("a single array, not an npz archive")
            return {key: file[key] for key in (file.files if keys is None else keys)}
    except NPZ_ERRORS as error:
        reason = f"no array {error}" if isinstance(error, KeyError) else error
        raise corrupt(path, reason) from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an npz file, whole or not at all."""
    with atomic_write(path) as temporary:
        np.savez(temporary, allow_pickle=False, **dict(arrays))
