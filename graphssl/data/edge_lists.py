"""Graphs in files: edge lists as text, graphs as npz."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data._text import edge_list_header, read_npz, write_npz
from graphssl.data.graphs import num_nodes
from graphssl.errors import CorruptFileError, InvalidGraphError, MissingFileError

__all__ = ["read_graph_file", "save_graph"]

_SUFFIXES = (".csv", ".tsv", ".txt", ".npz")
Row = tuple[str, str, float | None]


def read_graph_file(path: str | os.PathLike[str]) -> tuple[Data, np.ndarray | None]:
    """Read a graph and the identifiers of its nodes from a file.

    Parameters
    ----------
    path : path
        - ``.csv``, ``.tsv``: a header row, then one edge a row: source, target in columns 1 and 2; a column named
          ``weight`` is optional.
        - ``.txt``: no header; source, target and optionally a weight, separated by white space; ``#`` starts a comment.
        - ``.npz``: ``edge_index`` (2, E) and optionally ``x``, ``y``, ``edge_weight``, ``edge_attr``, ``num_nodes``,
          ``node_ids`` and masks, as :func:`save_graph` writes them; taken as they are (no direction is added).

    Returns
    -------
    Data, array or None
        A text edge list is an undirected graph: both directions of each edge, self-loops once; a pair listed again, in
        either order, is one edge with the largest of its weights. Nodes are numbered in the order in which
        their identifiers first appear, row by row, source before target; identifiers are int64 when all are whole
        numbers, else text, and None for an npz without ``node_ids``.

    Raises
    ------
    MissingFileError, CorruptFileError, InvalidGraphError
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise MissingFileError(
            f"{str(path)!r} {what}: give the path of a {', '.join(_SUFFIXES)} file; load_dataset loads by name"
        )
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InvalidGraphError(f"cannot tell the format of {path.name!r}: expected one of {', '.join(_SUFFIXES)}")
    if suffix == ".npz":
        return _read_npz(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _from_rows(_plain(file, path) if suffix == ".txt" else _delimited(file, path), path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptFileError(f"{path} is no text edge list in UTF-8 ({error}): export it again") from error
    except OSError as error:
        raise CorruptFileError(f"cannot read {path}: {error.strerror}; check the disk and permissions") from error


def save_graph(data: Data, path: str | os.PathLike[str], *, node_ids: np.ndarray | None = None) -> None:
    """Write the tensors of a graph to an ``.npz`` file that :func:`read_graph_file` reads; atomic, without pickle.

    Raises
    ------
    StorageError
        If the file cannot be written; an older one is untouched.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InvalidGraphError(f"graphs are saved as .npz, got {path.name!r}")
    arrays = {key: value.detach().cpu().numpy() for key, value in data.to_dict().items() if isinstance(value, Tensor)}
    arrays["num_nodes"] = np.array(num_nodes(data))
    if node_ids is not None:
        ids = np.asarray(node_ids)
        arrays["node_ids"] = ids.astype(str) if ids.dtype == object else ids
    write_npz(path, arrays)


def _read_npz(path: Path) -> tuple[Data, np.ndarray | None]:
    arrays = dict(read_npz(path))
    if "edge_index" not in arrays:
        raise CorruptFileError(f"{path} has no array 'edge_index': found {', '.join(sorted(arrays)) or 'nothing'}")
    ids = arrays.pop("node_ids", None)
    count = arrays.pop("num_nodes", None)
    text = [key for key, value in arrays.items() if value.dtype.kind not in "biufc"]
    if text:
        raise InvalidGraphError(f"{path}: the array {text[0]!r} holds {arrays[text[0]].dtype}, expected numbers")
    edges = arrays["edge_index"]
    if edges.dtype.kind in "iu":  # of any width, and in any order of bytes
        arrays["edge_index"] = edges.astype(np.int64)
    native = {key: value.astype(value.dtype.newbyteorder("="), copy=False) for key, value in arrays.items()}
    data = Data(**{key: torch.from_numpy(value) for key, value in native.items()})
    if data.x is None and count is not None:
        if count.size != 1 or count.dtype.kind not in "iu":
            raise InvalidGraphError(f"{path}: expected num_nodes as one integer, got {count.dtype} of {count.shape}")
        data.num_nodes = int(count.reshape(()))
    if ids is not None and ids.shape != (num_nodes(data),):
        raise InvalidGraphError(f"{path}: node_ids has shape {ids.shape}, expected ({num_nodes(data)},)")
    return data, ids


def _delimited(file: Iterable[str], path: Path) -> Iterator[Row]:
    rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    header = edge_list_header(next(rows, []), path)
    weight = header.index("weight", 2) if "weight" in header[2:] else None
    for row in rows:
        if row:
            yield _row(row, weight, f"{path}, line {rows.line_num}")


def _plain(file: Iterable[str], path: Path) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        row = line.partition("#")[0].split()
        if row:
            yield _row(row, 2 if len(row) > 2 else None, f"{path}, line {number}")


def _row(row: list[str], weight: int | None, where: str) -> Row:
    if len(row) < 2 or not row[0].strip() or not row[1].strip():
        raise CorruptFileError(f"{where}: expected a source and a target, got {row}")
    value = None
    if weight is not None:
        try:
            value = float(row[weight])
        except (IndexError, ValueError):
            got = repr(row[weight]) if weight < len(row) else "nothing"
            raise CorruptFileError(f"{where}: expected a number as weight in column {weight + 1}, got {got}") from None
    return row[0].strip(), row[1].strip(), value


def _from_rows(rows: Iterable[Row], path: Path) -> tuple[Data, np.ndarray]:
    numbering: dict[str, int] = {}
    ends: list[int] = []
    weights: list[float] = []
    for source, target, weight in rows:
        ends.append(numbering.setdefault(source, len(numbering)))
        ends.append(numbering.setdefault(target, len(numbering)))
        if weight is not None:
            weights.append(weight)
    if not numbering:
        raise InvalidGraphError(f"{path} lists no edges, so the graph has no nodes")
    if weights and 2 * len(weights) != len(ends):
        raise CorruptFileError(f"{path}: {len(weights)} of {len(ends) // 2} rows have a weight: give all or none")

    count = len(numbering)
    source_, target_ = np.asarray(ends, dtype=np.int64).reshape(-1, 2).T
    keys = np.concatenate([source_ * count + target_, target_ * count + source_])
    unique, inverse = np.unique(keys, return_inverse=True)
    data = Data(edge_index=torch.from_numpy(np.stack([unique // count, unique % count])), num_nodes=count)
    if weights:
        largest = np.full(unique.size, -np.inf)
        np.maximum.at(largest, inverse.reshape(-1), np.tile(weights, 2))
        data.edge_weight = torch.from_numpy(largest.astype(np.float32))
    return data, _identifiers(list(numbering))


def _identifiers(names: list[str]) -> np.ndarray:
    """Whole numbers when all names are, and are written the usual way; else text."""
    try:
        values = [int(name) for name in names]
        if [str(value) for value in values] == names:
            return np.asarray(values, dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    return np.asarray(names)
