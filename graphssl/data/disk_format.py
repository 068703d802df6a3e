"""Files of a graph on disk: arrays written in a stream, read as memory maps, and a manifest that lists them."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, CorruptFileError, GraphSSLError, MissingFileError, StorageError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "ArrayStream",
    "check_files",
    "map_array",
    "new_folder",
    "read_manifest",
    "storage_errors",
    "write_manifest",
]

FORMAT = 1
MANIFEST = "manifest.json"
_WRITER = "writer"  # in a folder that is being written: the machine whose process holds its lock
_HEADER = 128  # bytes before the numbers of every array, so that they are aligned
_MAGIC = b"\x93NUMPY\x01\x00"
_KEYS = {"num_nodes": int, "num_edges": int, "num_features": int, "dtype": str, "undirected": bool, "shards": list}


class ArrayStream:
    """An ``.npy`` file that grows by rows; its header is completed when it is closed.

    Parameters
    ----------
    path : Path
    dtype : numpy dtype
    row : tuple of int
        Shape of one row; empty for an array of numbers.
    """

    def __init__(self, path: Path, dtype: Any, row: tuple[int, ...] = ()) -> None:
        self.path, self.dtype, self.row, self.length = path, np.dtype(dtype), row, 0
        self._file = open(path, "wb")  # noqa: SIM115 (closed by close)
        self._file.write(bytes(_HEADER))

    def append(self, values: np.ndarray) -> None:
        """Write rows behind the others."""
        values = np.ascontiguousarray(values, dtype=self.dtype)
        if values.size:
            self._file.write(values.data.cast("B"))
        self.length += len(values)

    def close(self) -> None:
        """Complete the header; the file is on disk when this returns."""
        self._file.seek(0)
        self._file.write(_header(self.dtype, (self.length, *self.row)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close without completing the file."""
        self._file.close()


def map_array(path: Path, dtype: Any, shape: tuple[int, ...], *, random: bool = False) -> Tensor:
    """An array as a tensor over its file: pages are read when they are used, and writes never reach the file.

    With ``random`` a page is read alone, without those around it, where the system can be told so.

    Raises
    ------
    MissingFileError, CorruptFileError
        If the file is missing, or is not an array of this type and shape.
    """
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    try:
        with open(path, "rb") as file:
            if file.read(_HEADER) != _header(dtype, shape):
                raise _corrupt(path, f"expected an array of {dtype} with shape {shape}")
            if os.fstat(file.fileno()).st_size != _HEADER + count * dtype.itemsize:
                raise _corrupt(path, f"it is not as long as an array of shape {shape}")
            if not count:
                return torch.from_numpy(np.empty(shape, dtype))
            # private, so that a stray write cannot change the file; writable, because torch warns about arrays that
            # are not; without reserve, because Linux refuses maps larger than its memory otherwise
            if sys.platform == "win32":
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            else:
                flags = mmap.MAP_PRIVATE | (0x4000 if sys.platform == "linux" else 0)  # MAP_NORESERVE
                view = mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            if random and hasattr(mmap, "MADV_RANDOM"):
                view.madvise(mmap.MADV_RANDOM)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} is missing: write the graph again") from error
    except OSError as error:
        raise CorruptFileError(f"cannot read {path}: {error.strerror}; check the disk and permissions") from error
    return torch.from_numpy(np.frombuffer(view, dtype, count, _HEADER).reshape(shape))


def write_manifest(folder: Path, facts: Mapping[str, Any], arrays: Iterable[ArrayStream]) -> None:
    """List the arrays of a folder: type, shape, size and digest of each."""
    files = {
        array.path.name: {
            "dtype": array.dtype.str,
            "shape": [array.length, *array.row],
            "bytes": array.path.stat().st_size,
            "sha256": digest(array.path),
        }
        for array in arrays
    }
    with open(folder / MANIFEST, "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **facts, "files": files}, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a folder says.

    Raises
    ------
    MissingFileError, CorruptFileError
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = "has no manifest.json, so no graph was written there" if folder.is_dir() else "is not a folder"
        raise MissingFileError(f"{str(folder)!r} {what}: give a folder made by write_graph or convert_edge_list")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _corrupt(path, f"no JSON: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else type(facts).__name__
        raise CorruptFileError(f"{path}: expected format {FORMAT}, got {found!r}: write the graph again")
    for key, kind in _KEYS.items():
        if not isinstance(facts.get(key), kind):
            raise _corrupt(path, f"{key!r} is {facts.get(key)!r}, expected {kind.__name__}")
    if not isinstance(facts.get("files"), dict):
        raise _corrupt(path, "it lists no files")
    return facts


def check_files(folder: Path, facts: Mapping[str, Any], *, verify: bool) -> None:
    """Compare the files of a folder with its manifest: sizes, and digests when ``verify``.

    Raises
    ------
    MissingFileError, CorruptFileError
        Naming the first file that differs.
    """
    for name, entry in facts["files"].items():
        path = folder / name
        if not isinstance(entry, dict) or not {"bytes", "sha256"} <= entry.keys() or path.parent != folder:
            raise _corrupt(folder / MANIFEST, f"no size and digest of {name!r}")
        if not path.is_file():
            raise MissingFileError(f"{path} is missing: write the graph again")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise _corrupt(path, f"{size} bytes, expected {entry['bytes']}")
        if verify and digest(path) != entry["sha256"]:
            raise _corrupt(path, "its sha256 is not that of the manifest")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder whole or not at all: yields a temporary sibling that takes its name at the end.

    An exception removes the sibling; what a killed process left of this folder is removed by the next that makes it.

    Raises
    ------
    ConfigurationError
        If the folder is there and not empty.
    StorageError
        If the disk is full or the place cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{str(folder)!r} is there already: delete it or choose another place")
    _remove_leftovers(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    lock = None
    try:
        with storage_errors(folder):
            temporary.mkdir(parents=True)
            lock = _lock(temporary)
        yield temporary
        with storage_errors(folder):
            (temporary / _WRITER).unlink(missing_ok=True)
            _sync(temporary)
            os.replace(temporary, folder)
            _sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder until the handle is closed or the process is gone; None where the file system has no locks."""
    if sys.platform == "win32":
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (folder / _WRITER).write_text(platform.node(), encoding="utf-8")
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove_leftovers(folder: Path) -> None:
    """Remove unfinished siblings whose process is gone: it had the lock, named its machine, and others get the lock.

    A sibling of another machine stays, since a lock may not be seen from there, and so does one without a name: it may
    be about to be locked.
    """
    if sys.platform == "win32" or not platform.node():
        return
    unfinished = re.compile(rf"\.{re.escape(folder.name)}\.\d+-[0-9a-f]{{8}}")
    siblings = list(folder.parent.iterdir()) if folder.parent.is_dir() else []
    for sibling in (each for each in siblings if unfinished.fullmatch(each.name)):
        with suppress(OSError):
            handle = os.open(sibling, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (sibling / _WRITER).read_bytes() == platform.node().encode():
                    shutil.rmtree(sibling, ignore_errors=True)
            finally:
                os.close(handle)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Tell failures of the system while writing as a :class:`StorageError`."""
    try:
        yield
    except GraphSSLError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror or error}; nothing is left there: free space or choose another"
        ) from error


def digest(path: Path) -> str:
    """The sha256 of a file."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def _sync(folder: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The first bytes of an ``.npy`` file of version 1.0 [the numpy documentation, module ``numpy.lib.format``]."""
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    size = _HEADER - len(_MAGIC) - 2
    return _MAGIC + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n"


def _corrupt(path: Path, reason: str) -> CorruptFileError:
    return CorruptFileError(f"{path} is truncated or altered ({reason}): write the graph again")
