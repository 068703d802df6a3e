"""A graph that stays on disk: features and topology as memory maps."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import FeatureStore, GraphStore, TensorAttr
from torch_geometric.data.graph_store import EdgeAttr, EdgeLayout

from graphssl.data.disk_features import DiskFeatures
from graphssl.data.disk_format import check_files, map_array, read_manifest
from graphssl.errors import ConfigurationError, CorruptFileError, InvalidGraphError
from graphssl.ops import gcn_degree
from graphssl.ops.csr import CSR, DIRECTIONS, node_ranges

__all__ = ["DiskGraph", "open_graph"]

DEGREE_BLOCK = 2**17  # edges that are added up together


def open_graph(folder: str | os.PathLike[str], *, verify: bool = False, random_reads: bool | None = None) -> DiskGraph:
    """Open a graph that :func:`write_graph`, :func:`convert_edge_list` or a :class:`GraphWriter` wrote.

    Nothing is read but the manifest and the headers of the arrays; their pages are read when they are used.

    Parameters
    ----------
    folder : path
    verify : bool
        Also compare the sha256 of every file with the manifest, which reads all of them.
    random_reads : bool, optional
        Whether features of scattered nodes are read page by page, by many threads side by side, and not with what lies
        around them. Default: when they take more than half of the machine's memory. False is better where they stay in
        memory once read, True where less memory is free.

    Raises
    ------
    MissingFileError
        If the folder, its manifest or a file is not there.
    CorruptFileError
        If a file is not as long as it should be, or is no array of the type and shape that the manifest tells; with
        ``verify`` also if a byte differs.
    """
    path = Path(folder).expanduser().absolute()
    facts = read_manifest(path)
    check_files(path, facts, verify=verify)
    return DiskGraph(path, facts, random_reads=random_reads)


class DiskGraph(FeatureStore, GraphStore):
    """A graph on disk, as a feature store and a graph store of PyG: give ``(graph, graph)`` where those are expected.

    Made by :func:`open_graph`; read only. It can be pickled: the copy opens the folder again.

    Attributes
    ----------
    num_nodes, num_edges, num_features : int
        An undirected graph has two edges for each pair of joined nodes.
    undirected : bool
    y : Tensor or None
        Labels, one row a node.
    edge_attr : Tensor or None
        Attributes of the edges, one entry or row an edge, by number of the edge.

    Notes
    -----
    As stores, it has the tensors ``x`` and ``y`` of the group None, and edges of the type None. PyG's samplers need
    nodes as int64, so :meth:`get_edge_index`, :meth:`csr`, :meth:`csc` and :meth:`coo` make a copy of the neighbours in
    memory, 8 bytes an edge; :meth:`topology` makes none.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], *, random_reads: bool | None = None) -> None:
        super().__init__()
        self.folder, self._random_reads = folder, random_reads
        self.num_nodes, self.num_edges = int(facts["num_nodes"]), int(facts["num_edges"])
        self.num_features, self.dtype = int(facts["num_features"]), str(facts["dtype"])
        self.undirected = bool(facts["undirected"])
        files = facts["files"]
        self._features = self._open_features(files, [str(name) for name in facts["shards"]])
        self._csr = self._topology(files, "")
        self._in_csr = self._csr if self.undirected else self._topology(files, "in_")
        self.y = self._map(files, "y.npy") if "y.npy" in files else None
        if self.y is not None and self.y.size(0) != self.num_nodes:
            raise self._differs("labels")
        self.edge_attr = self._map(files, "edge_attr.npy") if "edge_attr.npy" in files else None
        if self.edge_attr is not None and self.edge_attr.size(0) != self.num_edges:
            raise self._differs("edge attributes")

    def gather(self, rows: Tensor) -> Tensor:
        """Features of some nodes, in their order: float32 ``(B, F)``, in memory.

        Parameters
        ----------
        rows : Tensor of integers, shape (B,)
            Nodes, in any order, with repetitions.

        Raises
        ------
        InvalidGraphError
            If the graph has no features, or a row is not a node.
        """
        if self._features is None:
            raise InvalidGraphError(f"the graph at {self.folder} has no features: write it with x")
        return self._features.gather(self._csr.check_nodes(rows, "rows"))

    def topology(self, direction: str = "out") -> CSR:
        """The neighbours of each node, over the memory maps; nothing is copied.

        Parameters
        ----------
        direction : str
            ``out``: the targets of a node's edges; ``in``: the sources of the edges that end in it.

        Returns
        -------
        CSR
            Numbers of edges are their places in the outgoing CSR, in both directions. An undirected graph has one CSR
            for both: an incoming entry then has the number of the edge in the other direction, which has the same
            weight, time and attributes.
        """
        if direction not in DIRECTIONS:
            raise ConfigurationError(f"direction is one of {', '.join(DIRECTIONS)}, got {direction!r}")
        return self._csr if direction == "out" else self._in_csr

    @functools.cached_property
    def norm_degree(self) -> Tensor | None:
        """Weights of the edges that end in each node, with one self-loop on every node: float32 (N,).

        None where that is the number of edges plus 1: without weights and self-loops. Computed in blocks of nodes.
        """
        csr = self._in_csr
        total, plain = torch.empty(self.num_nodes), csr.weight is None
        for nodes in node_ranges(csr.ptr, DEGREE_BLOCK):
            start, stop = nodes.start, nodes.stop
            first, last = int(csr.ptr[start]), int(csr.ptr[stop])
            row = torch.repeat_interleave(torch.arange(stop - start), csr.ptr[start : stop + 1].diff())
            col = csr.neighbour[first:last].long() - start
            plain = plain and not bool((row == col).any())
            inside = torch.where(row == col, col, row + (stop - start))  # what is no loop comes from elsewhere
            weight = None if csr.weight is None else csr.weight[first:last]
            total[start:stop] = gcn_degree(torch.stack([inside, row]), 2 * (stop - start), weight)[: stop - start]
        return None if plain else total

    # What PyG asks a feature store

    def get_all_tensor_attrs(self) -> list[TensorAttr]:
        """The tensors that are there: ``x`` and ``y``, or fewer."""
        names = [name for name, there in (("x", self._features is not None), ("y", self.y is not None)) if there]
        return [TensorAttr(group_name=None, attr_name=name) for name in names]

    def _get_tensor_size(self, attr: TensorAttr) -> tuple[int, ...] | None:
        if attr.group_name is not None:
            return None
        if attr.attr_name == "x" and self._features is not None:
            return self.num_nodes, self.num_features
        return tuple(self.y.shape) if attr.attr_name == "y" and self.y is not None else None

    def _get_tensor(self, attr: TensorAttr) -> Tensor | None:
        if self._get_tensor_size(attr) is None:
            return None
        take = self.gather if attr.attr_name == "x" else self._labels
        index = attr.index
        if isinstance(index, slice) or index is None:
            return take(torch.arange(self.num_nodes)[index if index is not None else slice(None)])
        if isinstance(index, int | np.integer):
            return take(torch.tensor([int(index)]))[0]
        index = torch.as_tensor(index)
        return take(index.nonzero().view(-1) if index.dtype == torch.bool else index)

    def _put_tensor(self, tensor: Any, attr: TensorAttr) -> bool:
        raise self._read_only()

    def _remove_tensor(self, attr: TensorAttr) -> bool:
        raise self._read_only()

    # What PyG asks a graph store

    def get_all_edge_attrs(self) -> list[EdgeAttr]:
        """The layouts that are stored: CSC and CSR."""
        size = (self.num_nodes, self.num_nodes)
        return [EdgeAttr(None, layout, size=size) for layout in (EdgeLayout.CSC, EdgeLayout.CSR)]

    def csr(self, edge_types: Any = None, store: bool = False) -> Any:
        """PyG's: pointers, targets, None."""
        return self._csr.ptr, self._csr.neighbour.long(), None

    def csc(self, edge_types: Any = None, store: bool = False) -> Any:
        """PyG's: sources, pointers, and the numbers of the edges or None."""
        return self._in_csr.neighbour.long(), self._in_csr.ptr, self._in_csr.edge

    def coo(self, edge_types: Any = None, store: bool = False) -> Any:
        """PyG's: sources and targets, in the order of the edges' numbers, None."""
        return *self._pairs(self._csr), None

    def _get_edge_index(self, edge_attr: EdgeAttr) -> tuple[Tensor, Tensor] | None:
        if edge_attr.edge_type is not None:
            return None
        if edge_attr.layout == EdgeLayout.CSR:
            return self._csr.ptr, self._csr.neighbour.long()
        if edge_attr.layout == EdgeLayout.CSC:
            return self._in_csr.neighbour.long(), self._in_csr.ptr
        if edge_attr.is_sorted:  # by target
            col, row = self._pairs(self._in_csr)
            return row, col
        return self._pairs(self._csr)

    def _put_edge_index(self, edge_index: Any, edge_attr: EdgeAttr) -> bool:
        raise self._read_only()

    def _remove_edge_index(self, edge_attr: EdgeAttr) -> bool:
        raise self._read_only()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(open_graph, self.folder, random_reads=self._random_reads), ()

    def __repr__(self) -> str:
        kind = "undirected" if self.undirected else "directed"
        return (
            f"DiskGraph(num_nodes={self.num_nodes}, num_edges={self.num_edges}, num_features={self.num_features}, "
            f"dtype={self.dtype!r}, {kind})"
        )

    def _labels(self, rows: Tensor) -> Tensor:
        if self.y is None:
            raise InvalidGraphError(f"the graph at {self.folder} has no labels: write it with y")
        return self.y[self._csr.check_nodes(rows, "rows")]

    def _pairs(self, csr: CSR) -> tuple[Tensor, Tensor]:
        return csr.rows, csr.neighbour.long()

    def _topology(self, files: dict[str, Any], prefix: str) -> CSR:
        ptr = self._map(files, f"{prefix}ptr.npy", np.int64, (self.num_nodes + 1,))
        if int(ptr[0]) != 0 or int(ptr[-1]) != self.num_edges:
            raise self._differs("pointers")
        entries: dict[str, Tensor | None] = {
            name: self._map(files, f"{prefix}{name}.npy", dtype, (self.num_edges,))
            if f"{prefix}{name}.npy" in files or name == "neighbour" or prefix + name == "in_edge"
            else None
            for name, dtype in (
                ("neighbour", np.int32), ("edge", np.int64), ("weight", np.float32), ("time", np.int64),
            )
        }  # fmt: skip
        return CSR(ptr, **entries)  # type: ignore[arg-type]

    def _open_features(self, files: dict[str, Any], names: list[str]) -> DiskFeatures | None:
        if not names:
            return None
        shapes = [tuple(files.get(name, {}).get("shape", ())) for name in names]
        rows, columns = self.num_nodes, self.num_features
        height = max(1, shapes[0][0] if shapes[0] else 1)
        if shapes != [(min(height, rows - start), columns) for start in range(0, rows, height)]:
            raise self._differs("features")
        paths = [self.folder / name for name in names]
        return DiskFeatures(paths, self.dtype, rows, columns, height, random_reads=self._random_reads)

    def _map(self, files: dict[str, Any], name: str, dtype: Any = None, shape: tuple[int, ...] = ()) -> Tensor:
        entry = files.get(name)
        if entry is None:
            raise self._differs(name)
        if dtype is None:
            dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        return map_array(self.folder / name, dtype, shape)

    def _differs(self, what: str) -> CorruptFileError:
        return CorruptFileError(f"{self.folder}: {what} and manifest.json disagree: write the graph again")

    def _read_only(self) -> ConfigurationError:
        return ConfigurationError("a graph on disk is read only: write another with write_graph")
