"""Graphs written to disk in a stream, in memory that does not grow with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.data import Data
from typing_extensions import Self

from graphssl.checks import whole_number
from graphssl.data.check import check_graph
from graphssl.data.disk import DiskGraph, open_graph
from graphssl.data.disk_format import ArrayStream, new_folder, storage_errors, write_manifest
from graphssl.data.disk_rows import (
    RowPointers,
    both_directions,
    edge_attributes,
    edge_values,
    float_rows,
    merge_equal,
    node_pairs,
)
from graphssl.data.disk_sort import EdgeSorter, Fields
from graphssl.data.graphs import num_nodes as count_nodes
from graphssl.errors import ConfigurationError, InvalidGraphError

__all__ = ["GraphWriter", "write_graph"]

MEMORY_BYTES = 256 << 20
SHARD_ROWS = 1 << 20


def write_graph(
    folder: str | os.PathLike[str],
    data: Data,
    *,
    undirected: bool = False,
    dtype: str = "float32",
    shard_rows: int = SHARD_ROWS,
) -> DiskGraph:
    """Write a graph that is in memory to a folder, and open it.

    Parameters
    ----------
    folder : path
        Must not exist, or be empty.
    data : Data
        ``edge_index``, and where there are such: ``x``, ``y`` (one row a node), ``edge_weight``, ``time``,
        ``edge_attr`` (one entry or row an edge). Other tensors are not written.
    undirected, dtype, shard_rows
        As in :class:`GraphWriter`.

    Raises
    ------
    ConfigurationError, InvalidGraphError, StorageError
    """
    check_graph(data)
    writer = GraphWriter(folder, num_nodes=count_nodes(data), undirected=undirected, dtype=dtype, shard_rows=shard_rows)
    with writer:
        if data.x is not None:
            writer.add_features(data.x)
        if data.get("y") is not None:
            writer.add_labels(data.y)
        given = {"weight": data.get("edge_weight"), "time": data.get("time"), "attr": data.get("edge_attr")}
        writer.add_edges(data.edge_index, **given)
    return open_graph(folder)


class GraphWriter:
    """Write a graph to a folder block by block.

    A context manager: the folder appears, whole, when the block ends without an exception; otherwise nothing is left.

    Parameters
    ----------
    folder : path
        Must not exist, or be empty. See :func:`graphssl.data.open_graph` for what is in it.
    num_nodes : int, optional
        N, below 2^31. Default: the rows of the features or labels, else the largest node of an edge plus 1.
    undirected : bool
        Store both directions of each edge, self-loops once; edges between the same nodes (and with the same time, when
        edges have one) are one edge, with the largest of their weights and the attributes of the first.
    dtype : str
        ``float32`` or ``float16``: how features are stored.
    shard_rows : int
        Rows of features in one file.
    memory_bytes : int
        Bound of the memory that sorting the edges takes, beside the blocks that are given.

    Examples
    --------
    >>> import tempfile, torch
    >>> folder = tempfile.mkdtemp()
    >>> with GraphWriter(folder) as writer:
    ...     for _ in range(2):
    ...         writer.add_features(torch.ones(2, 3))
    ...     writer.add_edges(torch.tensor([[3, 0], [0, 1]]))
    >>> open_graph(folder)
    DiskGraph(num_nodes=4, num_edges=2, num_features=3, dtype='float32', directed)

    Notes
    -----
    Edges are sorted by buckets on disk, which for a while takes three times the room of the edges. Cost: O(E log E).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        num_nodes: int | None = None,
        undirected: bool = False,
        dtype: str = "float32",
        shard_rows: int = SHARD_ROWS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        if dtype not in ("float32", "float16"):
            raise ConfigurationError(f"dtype is 'float32' or 'float16', got {dtype!r}")
        if num_nodes is not None:
            num_nodes = whole_number("num_nodes", num_nodes)
            if not 0 < num_nodes < 2**31:
                raise InvalidGraphError(f"expected num_nodes in [1, 2^31), got {num_nodes}")
        self.folder = Path(folder).expanduser().absolute()
        self.num_nodes, self.undirected, self.dtype = num_nodes, undirected, dtype
        self.shard_rows = whole_number("shard_rows", shard_rows, 1)
        self.memory_bytes = whole_number("memory_bytes", memory_bytes, 1)
        self._stack = ExitStack()
        self._arrays: dict[str, ArrayStream] = {}
        self._sorter: EdgeSorter | None = None
        self._fields: Fields = {}  # what edges carry
        self._rows, self._columns, self._edges, self._largest = 0, 0, 0, -1

    def __enter__(self) -> Self:
        self._work = self._stack.enter_context(new_folder(self.folder))
        self._stack.callback(self._abandon)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack, storage_errors(self.folder):
            self._finish()

    def add_features(self, block: Tensor | np.ndarray) -> None:
        """Take features of the next nodes: real and finite, shape (B, F).

        Raises
        ------
        InvalidGraphError, StorageError
        """
        rows = float_rows(block, self.dtype, self._columns or None, self._rows)
        self._columns = rows.shape[1]
        with storage_errors(self.folder):
            while len(rows):
                number, used = divmod(self._rows, self.shard_rows)
                part = rows[: self.shard_rows - used]
                self._array(f"x-{number:05d}.npy", rows.dtype, rows.shape[1:]).append(part)
                self._rows += len(part)
                rows = rows[len(part) :]

    def add_edges(
        self,
        edge_index: Tensor | np.ndarray,
        *,
        weight: Tensor | np.ndarray | None = None,
        time: Tensor | np.ndarray | None = None,
        attr: Tensor | np.ndarray | None = None,
    ) -> None:
        """Take edges: integers of shape (2, B), and for each a finite weight >= 0 and an integer time, or not.

        ``attr``, their ``edge_attr``, are finite numbers of shape (B,) or (B, K), kept as int64 or float32.

        Raises
        ------
        InvalidGraphError, StorageError
        """
        pairs = node_pairs(edge_index, self.num_nodes, self._edges)
        given = {"weight": weight, "time": time, "attr": attr}
        values = {
            name: (edge_attributes if name == "attr" else edge_values)(value, name, pairs.shape[1], self._edges)
            for name, value in given.items()
            if value is not None
        }
        fields = {name: (value.dtype, value.shape[1:]) for name, value in values.items()}
        if self._sorter is None:
            self._fields = fields
            with storage_errors(self.folder):
                self._sorter = self._new_sorter("")
        elif self._fields != fields:
            have, came = (_told(each) for each in (self._fields, fields))
            raise InvalidGraphError(f"edges before edge {self._edges} have {have}, these {came}: give all alike")
        self._largest = max(self._largest, int(pairs.max()) if pairs.size else -1)
        self._edges += pairs.shape[1]
        if self.undirected:
            pairs, values = both_directions(pairs, values)
        with storage_errors(self.folder):
            self._sorter.add(pairs[0], pairs[1], **values)

    def add_labels(self, block: Tensor | np.ndarray) -> None:
        """Take labels of the next nodes: numbers, shape (B,) or (B, C).

        Raises
        ------
        InvalidGraphError, StorageError
        """
        values = block.detach().cpu().numpy() if isinstance(block, Tensor) else np.asarray(block)
        known = self._arrays.get("y.npy")
        if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
            raise InvalidGraphError(f"expected labels as numbers (B,) or (B, C), got {values.dtype} of {values.shape}")
        if known is not None and (known.dtype, known.row) != (values.dtype, values.shape[1:]):
            raise InvalidGraphError(
                f"labels before were {known.dtype} with rows of shape {known.row}, these are {values.dtype} with "
                f"{values.shape[1:]}: give all alike"
            )
        with storage_errors(self.folder):
            self._array("y.npy", values.dtype, values.shape[1:]).append(values)

    def _array(self, name: str, dtype: Any, row: tuple[int, ...] = ()) -> ArrayStream:
        if name not in self._arrays:
            if not hasattr(self, "_work"):
                raise ConfigurationError("a GraphWriter writes inside its block: with GraphWriter(...) as writer")
            self._arrays[name] = ArrayStream(self._work / name, dtype, row)
        return self._arrays[name]

    def _carried(self, prefix: str) -> Fields:
        """What is stored with the edges of a direction; attributes of incoming ones are found by their number."""
        if not prefix:
            return self._fields
        kept = {name: field for name, field in self._fields.items() if name != "attr"}
        return {**kept, "edge": (np.dtype(np.int64), ())}

    def _new_sorter(self, prefix: str) -> EdgeSorter:
        fields = self._carried(prefix)
        twice = self.undirected and "time" in fields  # equal edges of one time are found by sorting again
        sorter = EdgeSorter(self._work / f"{prefix}sort", fields, self.memory_bytes // (2 if twice else 1))
        self._stack.callback(sorter.abandon)
        return sorter

    def _finish(self) -> None:
        labels = self._arrays["y.npy"].length if "y.npy" in self._arrays else 0
        count = self.num_nodes or self._rows or labels or self._largest + 1
        if count == 0:
            raise InvalidGraphError("the graph has no nodes: give features, edges or num_nodes")
        for name, rows in (("features", self._rows), ("labels", labels)):
            if rows not in (0, count):
                raise InvalidGraphError(f"expected {name} of {count} nodes, got {rows}: one row a node")
        if self._largest >= count:
            raise InvalidGraphError(
                f"an edge names node {self._largest}, but the graph has {count} nodes (0 to {count - 1})"
            )
        out = self._sorter or self._new_sorter("")
        into = None if self.undirected else self._new_sorter("in_")
        num_edges = self._write_direction("", out.chunks(count), count, into)
        if into is not None:
            self._write_direction("in_", into.chunks(count), count, None)
        for array in self._arrays.values():
            array.close()
        facts = {
            "num_nodes": count,
            "num_edges": num_edges,
            "num_features": self._columns,
            "dtype": self.dtype,
            "undirected": self.undirected,
            "shards": [name for name in self._arrays if name.startswith("x-")],
        }
        write_manifest(self._work, facts, self._arrays.values())

    def _write_direction(self, prefix: str, chunks: Iterable[np.ndarray], count: int, into: EdgeSorter | None) -> int:
        """Write the arrays of one direction and hand each edge, with its number, to the other; the number of edges."""
        rows = RowPointers(self._array(f"{prefix}ptr.npy", np.int64), count)
        neighbour = self._array(f"{prefix}neighbour.npy", np.int32)
        values = {
            name: self._array("edge_attr.npy" if name == "attr" else f"{prefix}{name}.npy", *field)
            for name, field in self._carried(prefix).items()
        }
        shared = [name for name in values if name != "attr"]
        for records in self._merged(chunks):
            if into is not None:
                edge = np.arange(rows.total, rows.total + len(records))
                into.add(records["second"], records["first"], edge=edge, **{name: records[name] for name in shared})
            rows.append(records["first"])
            neighbour.append(records["second"])
            for name, array in values.items():
                array.append(records[name])
            del records  # before the next are sorted
        rows.complete()
        return rows.total

    def _merged(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return map(merge_equal, chunks) if self.undirected else iter(chunks)

    def _abandon(self) -> None:
        for array in self._arrays.values():
            array.abandon()


def _told(fields: Fields) -> str:
    """What edges carry, in words."""
    words = [
        f"attr as {dtype} of shape (B, {row[0]})" if row else f"{name} as {dtype}"
        for name, (dtype, row) in fields.items()
    ]
    return " and ".join(words) or "neither weight, time nor attr"
