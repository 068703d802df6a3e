"""Edges and tables in files, read in blocks: text, also compressed, and numpy arrays."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from graphssl.data._text import NPZ_ERRORS, corrupt, edge_list_header
from graphssl.errors import CorruptFileError, InvalidGraphError

__all__ = ["StoredArray", "TextFormat", "edge_list_format", "edges_of_text", "stored_arrays", "table_of_text"]

_READ_ERRORS = (EOFError, zlib.error, OSError)


class TextFormat(NamedTuple):
    """How the lines of a text are read."""

    delimiter: str | None  # None: white space
    comments: str | None
    skip: int  # lines before the first row
    weight: int | None  # column of the weights


def edge_list_format(path: Path) -> TextFormat:
    """The format of an edge list, by its suffix and its first row; as in :func:`graphssl.data.read_graph_file`.

    Raises
    ------
    CorruptFileError
        If a ``.csv`` or ``.tsv`` file has no header.
    """
    suffix = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix == ".txt":
        for text, _ in text_blocks(path, 1 << 16):
            for line in text.decode("utf-8", "replace").splitlines():
                row = line.partition("#")[0].split()
                if row:
                    return TextFormat(None, "#", 0, 2 if len(row) > 2 else None)
        return TextFormat(None, "#", 0, None)
    delimiter = "\t" if suffix == ".tsv" else ","
    first = next((text for text, _ in text_blocks(path, 1)), b"").decode("utf-8", "replace")
    header = edge_list_header(first.split(delimiter), path)
    return TextFormat(delimiter, None, 1, header.index("weight", 2) if "weight" in header[2:] else None)


def edges_of_text(path: Path, form: TextFormat, block_bytes: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Edges ``(2, B)`` and their weights, block by block.

    Raises
    ------
    InvalidGraphError
        If a node is no whole number.
    CorruptFileError
        If a row is too short, a weight is no number, or the file cannot be read.
    """
    fields: list[tuple[str, Any]] = [("source", np.int64), ("target", np.int64)]
    columns: tuple[int, ...] | None = (0, 1)
    if form.weight is not None:
        fields.append(("weight", np.float32))
        columns = (0, 1, form.weight)
    elif form.delimiter is None:
        columns = None  # so that a row with a weight is noticed
    for text, line in text_blocks(path, block_bytes):
        text, line = _skip(text, line, form)
        try:
            rows = _parse(text, form, np.dtype(fields), usecols=columns, ndmin=1)
        except (ValueError, Warning) as error:
            raise _explain(path, text, line, form) from error
        if len(rows):
            yield np.stack([rows["source"], rows["target"]]), rows["weight"] if form.weight is not None else None


def table_of_text(path: Path, dtype: Any, block_bytes: int) -> Iterator[np.ndarray]:
    """Rows ``(B, columns)`` of a table of numbers separated by commas, without a header.

    Raises
    ------
    CorruptFileError
    """
    for text, line in text_blocks(path, block_bytes):
        try:
            rows = _parse(text, TextFormat(",", None, 0, None), np.dtype(dtype), ndmin=2)
        except (ValueError, Warning) as error:
            raise CorruptFileError(f"{path}, at or after line {line}: expected rows of numbers ({error})") from error
        if len(rows):
            yield rows


def text_blocks(path: Path, size: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines of a text, about ``size`` bytes of them, and the number of the first."""
    line = 1
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb") as file:
            while text := file.read(size):
                text += file.readline()
                yield (text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text), line
                line += text.count(b"\n")
    except _READ_ERRORS as error:
        raise corrupt(path, error) from error


def _skip(text: bytes, line: int, form: TextFormat) -> tuple[bytes, int]:
    if form.skip and line == 1:
        return text.partition(b"\n")[2], 2
    return text, line


def _parse(text: bytes, form: TextFormat, dtype: np.dtype, **options: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns about 1.5 as a whole number
        warnings.filterwarnings("ignore", ".*no data.*")
        return np.loadtxt(
            io.BytesIO(text), dtype, delimiter=form.delimiter, comments=form.comments, encoding="utf-8",
            quotechar=None if form.delimiter is None else '"', **options,
        )  # fmt: skip


def _explain(path: Path, text: bytes, line: int, form: TextFormat) -> CorruptFileError | InvalidGraphError:
    """What is wrong with the first row that cannot be read."""
    columns = 2 if form.weight is None else form.weight + 1
    for number, content in enumerate(text.decode("utf-8", "replace").split("\n"), start=line):
        row = [part.strip().strip('"') for part in content.partition(form.comments or "\n")[0].split(form.delimiter)]
        where = f"{path}, line {number}"
        if not any(row):
            continue
        if len(row) < columns or (form.delimiter is None and form.weight is None and len(row) > 2):
            return CorruptFileError(f"{where}: expected {columns} columns as in the first row, got {row}")
        for node in row[:2]:
            if not node.removeprefix("-").isdecimal() or len(node) > 18:
                return InvalidGraphError(
                    f"{where}: {node!r} is no number of a node: to number nodes by their names, a dictionary of all "
                    "names is needed in memory, as read_graph_file makes it; write its graph with write_graph"
                )
        if form.weight is not None:
            try:
                float(row[form.weight])
            except ValueError:
                return CorruptFileError(
                    f"{where}: expected a number as weight in column {form.weight + 1}, got {row[form.weight]!r}"
                )
    return corrupt(path, f"rows after line {line} cannot be read")


class StoredArray:
    """A numpy array in a file or in an archive, read in its order and in blocks.

    Parameters
    ----------
    path : Path
        For messages.
    name : str
    opened : callable
        Opens its bytes from the beginning.
    """

    def __init__(self, path: Path, name: str, opened: Callable[[], IO[bytes]]) -> None:
        self.path, self.name, self._opened = path, name, opened
        try:
            with opened() as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                self.shape, fortran, self.dtype = read(file)
                self._offset = file.tell()
        except NPZ_ERRORS as error:
            raise corrupt(path, error) from error
        if self.dtype.kind not in "biuf" or (fortran and len(self.shape) > 1):
            what = "columns one after the other" if fortran else str(self.dtype)
            raise InvalidGraphError(f"{path}: {name} holds {what}, expected numbers, row by row: save it again")

    def numbers(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """The numbers from ``start`` to ``stop`` of the flat array, ``size`` at a time."""
        width = self.dtype.itemsize
        try:
            with self._opened() as file:
                file.seek(self._offset + start * width)
                for at in range(start, stop, size):
                    count = min(size, stop - at)
                    text = file.read(count * width)
                    if len(text) != count * width:
                        raise EOFError(f"{self.name} ends early")
                    yield np.frombuffer(text, self.dtype)
        except NPZ_ERRORS as error:
            raise corrupt(self.path, error) from error

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def rows(self, block_bytes: int) -> Iterator[np.ndarray]:
        """Rows, about ``block_bytes`` of them at a time."""
        return self.rows_by(max(1, block_bytes // max(1, self.row_bytes)))

    def rows_by(self, count: int) -> Iterator[np.ndarray]:
        """Rows, ``count`` at a time."""
        row = self.row_bytes // self.dtype.itemsize
        for block in self.numbers(0, self.shape[0] * row, count * max(1, row)):
            yield block.reshape(-1, *self.shape[1:])


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays of an ``.npz`` file, of a folder of ``.npy`` files, or the edges in one ``.npy`` file.

    Raises
    ------
    CorruptFileError, InvalidGraphError
    """
    names = ("edge_index", "edge_weight", "time", "edge_attr", "x", "y", "num_nodes")
    if path.is_dir():
        files = {name: path / f"{name}.npy" for name in names if (path / f"{name}.npy").is_file()}
    elif path.suffix.lower() == ".npy":
        files = {"edge_index": path}
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                held = set(archive.namelist())
        except NPZ_ERRORS as error:
            raise corrupt(path, error) from error
        return {
            name: StoredArray(path, name, lambda name=name: _member(path, f"{name}.npy"))  # type: ignore[misc]
            for name in names
            if f"{name}.npy" in held
        }
    return {name: StoredArray(file, name, lambda file=file: open(file, "rb")) for name, file in files.items()}  # type: ignore[misc]


def _member(path: Path, name: str) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        return archive.open(name)  # keeps the file open until it is closed itself
