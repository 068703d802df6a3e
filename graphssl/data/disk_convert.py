"""Graphs in files brought to disk, without ever holding one in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from graphssl.data.disk import DiskGraph, open_graph
from graphssl.data.disk_sources import (
    TextFormat,
    edge_list_format,
    edges_of_text,
    stored_arrays,
    table_of_text,
)
from graphssl.data.disk_writer import MEMORY_BYTES, SHARD_ROWS, GraphWriter
from graphssl.errors import ConfigurationError, CorruptFileError, InvalidGraphError, MissingFileError

__all__ = ["convert_edge_list"]

_TEXT = (".txt", ".csv", ".tsv")


def convert_edge_list(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    undirected: bool | None = None,
    num_nodes: int | None = None,
    dtype: str = "float32",
    shard_rows: int = SHARD_ROWS,
    memory_bytes: int = MEMORY_BYTES,
) -> DiskGraph:
    """Bring a graph of any size from files to a folder on disk, block by block, and open it.

    Parameters
    ----------
    path : path
        - ``.csv``, ``.tsv``, ``.txt``, also with ``.gz``: an edge list, written as for
          :func:`graphssl.data.read_graph_file`, but nodes are whole numbers and stay as they are.
        - A folder of OGB, or its folder ``raw``: ``edge.csv.gz`` and, where they are, ``num-node-list.csv.gz``,
          ``node-feat.csv.gz``, ``node-label.csv.gz``, ``edge-feat.csv.gz``; one graph.
        - ``.npz``, or a folder of ``.npy`` files: ``edge_index`` (2, E), and optionally ``edge_weight``, ``time``,
          ``edge_attr``, ``x``, ``y``, ``num_nodes``; a single ``.npy`` file is ``edge_index``. Arrays must be stored
          row by row.
    folder : path
        Where to; must not exist, or be empty.
    undirected : bool, optional
        Whether both directions of each edge are stored, once. Default: yes for an edge list of text, no for others,
        as :func:`graphssl.data.read_graph_file` has it.
    num_nodes : int, optional
        Default: what the files tell, else the largest node plus 1.
    dtype, shard_rows, memory_bytes
        As in :class:`graphssl.data.GraphWriter`.

    Raises
    ------
    MissingFileError, CorruptFileError, InvalidGraphError, ConfigurationError, StorageError
        Naming the line, where the file is text; nothing is left in ``folder``.

    Notes
    -----
    To number nodes by names takes a dictionary of all names in memory, so text as identifiers is refused: use
    :func:`graphssl.data.read_graph_file` and :func:`graphssl.data.write_graph`.
    """
    path = Path(path).expanduser()
    raw = path / "raw" if (path / "raw" / "edge.csv.gz").is_file() else path
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])
    text = suffix.removesuffix(".gz") in _TEXT and path.is_file()
    if not path.exists():
        raise MissingFileError(f"{str(path)!r} does not exist: give the path of a file or folder")
    writer = GraphWriter(
        folder, num_nodes=num_nodes, undirected=text if undirected is None else undirected, dtype=dtype,
        shard_rows=shard_rows, memory_bytes=memory_bytes,
    )  # fmt: skip
    block_bytes = max(1 << 12, min(writer.memory_bytes // 16, 1 << 24))
    with writer:
        if text:
            _edges_of_text(writer, path, edge_list_format(path), block_bytes)
        elif (raw / "edge.csv.gz").is_file():
            _from_ogb(writer, raw, block_bytes)
        elif suffix in (".npz", ".npy") or (path / "edge_index.npy").is_file():
            _from_arrays(writer, path, block_bytes)
        else:
            raise InvalidGraphError(
                f"cannot tell the format of {str(path)!r}: expected .txt, .csv or .tsv (also .gz), .npz, .npy, or a "
                "folder with edge_index.npy or raw/edge.csv.gz"
            )
    return open_graph(folder)


def _edges_of_text(writer: GraphWriter, path: Path, form: TextFormat, block_bytes: int) -> None:
    for edges, weight in edges_of_text(path, form, block_bytes):
        writer.add_edges(edges, weight=weight)


def _from_ogb(writer: GraphWriter, raw: Path, block_bytes: int) -> None:
    sizes = raw / "num-node-list.csv.gz"
    if sizes.is_file():
        counts = np.concatenate([np.empty((0, 1)), *table_of_text(sizes, np.int64, block_bytes)])
        if counts.size != 1:
            raise InvalidGraphError(f"{sizes} lists {counts.size} graphs, expected one: convert each by itself")
        _set_num_nodes(writer, int(counts[0, 0]), sizes)
    features, labels = raw / "node-feat.csv.gz", raw / "node-label.csv.gz"
    if features.is_file():
        for block in table_of_text(features, np.float32, block_bytes):
            writer.add_features(block)
    if labels.is_file():
        whole = all((block == np.floor(block)).all() for block in table_of_text(labels, np.float64, block_bytes))
        for block in table_of_text(labels, np.float64, block_bytes):
            block = block.astype(np.int64 if whole else np.float32)
            writer.add_labels(block[:, 0] if block.shape[1] == 1 else block)
    form, path = TextFormat(",", None, 0, None), raw / "edge-feat.csv.gz"
    if not path.is_file():
        _edges_of_text(writer, raw / "edge.csv.gz", form, block_bytes)
        return
    attributes = _Rows(table_of_text(path, np.float32, block_bytes), path)
    for edges, _ in edges_of_text(raw / "edge.csv.gz", form, block_bytes):
        writer.add_edges(edges, attr=attributes.next(edges.shape[1]))
    attributes.finish()


class _Rows:
    """Rows of a table that comes in blocks, as many at a time as are asked for."""

    def __init__(self, blocks: Iterator[np.ndarray], path: Path) -> None:
        self._blocks, self._path, self._taken = blocks, path, 0
        self._left: list[np.ndarray] = []

    def next(self, count: int) -> np.ndarray:
        while sum(map(len, self._left)) < count:
            block = next(self._blocks, None)
            if block is None:
                found = self._taken + sum(map(len, self._left))
                raise CorruptFileError(f"{self._path} has {found} rows, fewer than there are edges: one row an edge")
            self._left.append(block)
        rows = np.concatenate(self._left)
        self._left, self._taken = [rows[count:]], self._taken + count
        return rows[:count]

    def finish(self) -> None:
        if any(len(rows) for rows in self._left) or next(self._blocks, None) is not None:
            raise CorruptFileError(
                f"{self._path} has more than {self._taken} rows, the number of edges: one row an edge"
            )


def _from_arrays(writer: GraphWriter, path: Path, block_bytes: int) -> None:
    arrays = stored_arrays(path)
    edges = arrays.get("edge_index")
    if edges is None:
        raise CorruptFileError(f"{path} has no array 'edge_index': found {', '.join(sorted(arrays)) or 'nothing'}")
    if len(edges.shape) != 2 or edges.shape[0] != 2:
        hint = ": transpose it" if len(edges.shape) == 2 and edges.shape[1] == 2 else ""
        raise InvalidGraphError(f"{edges.path}: edge_index must have shape (2, num_edges), got {edges.shape}{hint}")
    if "num_nodes" in arrays:
        _set_num_nodes(writer, int(next(arrays["num_nodes"].numbers(0, 1, 1))[0]), path)
    for name, take in (("x", writer.add_features), ("y", writer.add_labels)):
        if name in arrays:
            for block in arrays[name].rows(block_bytes):
                take(block)
    count = edges.shape[1]
    names = {"weight": "edge_weight", "time": "time", "attr": "edge_attr"}
    values = {key: arrays[name] for key, name in names.items() if name in arrays}
    for name, value in values.items():
        if value.shape[:1] != (count,):
            raise InvalidGraphError(f"{path}: expected one {name} for each of {count} edges, got shape {value.shape}")
    size = max(1, block_bytes // (32 + sum(value.row_bytes for value in values.values())))
    for sources, targets, *rest in zip(
        edges.numbers(0, count, size),
        edges.numbers(count, 2 * count, size),
        *(value.rows_by(size) for value in values.values()),
        strict=True,
    ):
        writer.add_edges(np.stack([sources, targets]), **dict(zip(values, rest, strict=True)))


def _set_num_nodes(writer: GraphWriter, count: int, path: Path) -> None:
    if writer.num_nodes not in (None, count):
        raise ConfigurationError(f"num_nodes is {writer.num_nodes}, but {path} tells {count}: leave it away")
    writer.num_nodes = count
