"""Whatever a user calls a graph, as PyG ``Data``."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data, Dataset, FeatureStore

from graphssl.data.check import check_graph
from graphssl.data.edge_lists import read_graph_file
from graphssl.data.features import with_features
from graphssl.data.graphs import GraphList, num_features
from graphssl.data.source import graph_source
from graphssl.errors import InvalidGraphError

__all__ = ["Inputs", "to_graphs"]

ACCEPTED = (
    "a PyG Data or Batch, a list or Dataset of Data, a networkx graph, a scipy sparse adjacency, "
    "a tuple (x, edge_index), a DiskGraph, (FeatureStore, GraphStore), or a path to .csv, .tsv, .txt or .npz"
)
_ONE_GRAPH = "; a grid search cannot split one graph into folds: compare settings of a method with  graphssl compare"


@dataclass(frozen=True)
class Inputs:
    """Graphs ready for use.

    Parameters
    ----------
    data : Data or list of Data
        Checked, with float32 features; never the caller's object.
    node_ids : array of shape (N,), or None
        The identifier of each row, where the input had identifiers.
    """

    data: Any
    node_ids: np.ndarray | None = None

    @property
    def is_list(self) -> bool:
        """Whether there are several graphs (also when the list has one)."""
        return isinstance(self.data, list)


def to_graphs(X: Any, *, features: str | None = "auto") -> Inputs:
    """Convert and check what a user calls a graph.

    Parameters
    ----------
    X : graph or graphs
        - ``Data``: as it is. A ``Batch``, a list or tuple of ``Data``, or a ``Dataset``: a list of graphs.
        - a networkx graph: rows in the order of ``X.nodes``; both directions of an undirected edge; parallel edges
          each; the edge attribute ``weight`` (1 where absent) as ``edge_weight``; the node attribute ``x`` or
          ``features`` as features.
        - a scipy sparse matrix (N, N): entry (i, j) is the edge from i to j, its value the weight; without weights
          when all are 1. An asymmetric matrix is a directed graph.
        - ``(x, edge_index)``: arrays or tensors (N, F) and (2, E), directed as given; ``x`` may be None.
        - a DiskGraph, or (FeatureStore, GraphStore): read in pieces, and not checked; only with the features it has.
        - a path: see :func:`graphssl.data.read_graph_file`.
    features : str, optional
        See :func:`graphssl.data.with_features`; None leaves them as they are, missing ones included.

    Returns
    -------
    Inputs

    Raises
    ------
    InvalidGraphError
        If it is none of these, or a graph cannot be used (see :func:`graphssl.data.check_graph`).
    MissingFileError, CorruptFileError
        For paths.
    """
    node_ids = None
    stores = X[0] if isinstance(X, tuple) and len(X) == 2 else X
    if isinstance(stores, FeatureStore) and not isinstance(stores, Data):
        return Inputs(graph_source(X))
    if isinstance(X, (str, os.PathLike)):
        data, node_ids = read_graph_file(X)
    elif isinstance(X, nx.Graph):
        data, node_ids = _from_networkx(X)
    elif sp.issparse(X):
        data = _from_scipy(X)
    elif isinstance(X, Data) and not isinstance(X, Batch):
        data = X
    elif isinstance(X, Batch):
        return _list_inputs(X.to_data_list(), X, features)
    elif isinstance(X, (list, tuple, Dataset)) and _holds_graphs(X):
        return _list_inputs([X[i] for i in range(len(X))], X, features)
    elif isinstance(X, (tuple, list)) and len(X) == 2:
        data = _from_arrays(*X)
    else:
        hint = _ONE_GRAPH if isinstance(X, list) else ""
        raise InvalidGraphError(f"expected {ACCEPTED}; got {_describe(X)}{hint}")
    data = _checked(data)
    return Inputs(data if features is None else with_features(data, features), node_ids)


def _holds_graphs(X: Sequence[Any]) -> bool:
    return len(X) == 0 or isinstance(X[0], Data)


def _describe(X: Any) -> str:
    shape = getattr(X, "shape", None)
    return type(X).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")


def _list_inputs(graphs: list[Any], X: Any, features: str | None) -> Inputs:
    if not graphs:
        raise InvalidGraphError("the list of graphs is empty: give at least one graph")
    checked = []
    for i, graph in enumerate(graphs):
        try:
            checked.append(_checked(graph))
        except InvalidGraphError as error:
            raise InvalidGraphError(f"graph {i} of {len(graphs)}: {error}") from None
    if features is not None:
        num_features(checked)  # raises when they differ
    if isinstance(X, GraphList):
        checked = GraphList(checked, name=X.name, num_classes=X.num_classes)
    return Inputs(checked if features is None else with_features(checked, features))


def _checked(data: Data) -> Data:
    """A checked copy (tensors shared) with float32 features and weights."""
    if isinstance(data, Data):
        data = copy.copy(data)
        for key in ("x", "edge_weight", "edge_attr"):
            value = data.get(key)
            if isinstance(value, Tensor):
                data[key] = _to_float32(value, whole=key != "edge_attr")
        if isinstance(data.edge_index, EdgeIndex):
            data.edge_index = data.edge_index.as_tensor()
    check_graph(data)
    return data


def _to_float32(value: Tensor, *, whole: bool) -> Tensor:
    """Dense float32; whole numbers too when ``whole`` (those of ``edge_attr`` may be types)."""
    if value.layout != torch.strided:
        value = value.to_dense()
    convert = value.is_floating_point() or (whole and not value.is_complex())
    return value.float() if convert else value


def _from_arrays(x: Any, edge_index: Any) -> Data:
    edges = _tensor(edge_index, "edge_index")
    if edges.dtype in (torch.int32, torch.int16, torch.uint8, torch.int8) or edges.numel() == 0:
        edges = edges.long()
    if edges.numel() == 0 and edges.dim() == 1:
        edges = edges.reshape(2, 0)
    if x is None:
        return Data(edge_index=edges, num_nodes=int(edges.max()) + 1 if edges.numel() else 0)
    return Data(x=_tensor(x, "x"), edge_index=edges)


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if sp.issparse(value):
        value = value.toarray()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"dtype {array.dtype}")
        return torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError) as error:
        raise InvalidGraphError(f"{name} must be an array of numbers, got {type(value).__name__} ({error})") from error


def _from_scipy(matrix: Any) -> Data:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidGraphError(
            f"an adjacency must be square, got shape {matrix.shape}: give (x, edge_index){_ONE_GRAPH}"
        )
    csr = sp.csr_matrix(matrix, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    coo = csr.tocoo()
    edges = np.stack([coo.row, coo.col]).astype(np.int64)
    data = Data(edge_index=torch.from_numpy(edges), num_nodes=csr.shape[0])
    if (coo.data != 1).any():
        data.edge_weight = torch.from_numpy(coo.data.astype(np.float32))
    return data


def _from_networkx(graph: nx.Graph) -> tuple[Data, np.ndarray]:
    nodes = list(graph)
    numbering = {node: i for i, node in enumerate(nodes)}
    listed = list(graph.edges(data="weight"))
    ends = np.array([(numbering[u], numbering[v]) for u, v, _ in listed], dtype=np.int64).reshape(-1, 2).T  # (2, E)
    weight = None
    if any(value is not None for _, _, value in listed):
        try:
            weight = np.array([1.0 if value is None else float(value) for _, _, value in listed], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidGraphError(f"the edge attribute 'weight' must hold numbers: {error}") from error
    if not graph.is_directed():
        back = ends[0] != ends[1]  # a self-loop is its own reverse
        weight = None if weight is None else np.concatenate([weight, weight[back]])
        ends = np.concatenate([ends, ends[::-1, back]], axis=1)
    data = Data(edge_index=torch.from_numpy(np.ascontiguousarray(ends)), num_nodes=len(nodes))
    if weight is not None:
        data.edge_weight = torch.from_numpy(weight)
    x = _node_features(graph)
    if x is not None:
        data.x = x
    return data, _identifiers(nodes)


def _node_features(graph: nx.Graph) -> Tensor | None:
    for key in ("x", "features"):
        rows = [value for _, value in graph.nodes(data=key) if value is not None]
        if not rows:
            continue
        if len(rows) != len(graph):
            raise InvalidGraphError(f"{len(rows)} of {len(graph)} nodes have the attribute {key!r}: give it to all")
        try:
            return torch.from_numpy(np.stack([np.atleast_1d(np.asarray(row, dtype=np.float32)) for row in rows]))
        except (TypeError, ValueError) as error:
            raise InvalidGraphError(
                f"the node attribute {key!r} must hold equally many numbers a node: {error}"
            ) from error
    return None


def _identifiers(nodes: list[Any]) -> np.ndarray:
    """An array of the same identifiers; of objects unless all are text or all are whole numbers."""
    if nodes and (all(type(n) is int for n in nodes) or all(type(n) is str for n in nodes)):
        array = np.asarray(nodes)
        if array.dtype.kind in "iU" and array.tolist() == nodes:
            return array
    array = np.empty(len(nodes), dtype=object)
    array[:] = nodes
    return array
