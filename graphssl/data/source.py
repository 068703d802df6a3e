"""What samplers and blockwise inference read a graph through: its topology, and rows of what nodes and edges carry."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch_geometric.data import Data, FeatureStore, GraphStore

from graphssl.data.attributes import attribute_kinds, take_rows
from graphssl.data.check import edges_of
from graphssl.data.disk import DiskGraph
from graphssl.data.graphs import num_features, num_nodes
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import gcn_degree, remember
from graphssl.ops.checks import check_tensor
from graphssl.ops.csr import CSR

__all__ = ["GraphSource", "degrees", "describe_graph", "graph_source", "topology_of"]


@runtime_checkable
class GraphSource(Protocol):
    """A graph that is read in pieces, whatever form it has; :func:`graph_source` makes one."""

    num_nodes: int
    num_features: int

    def topology(self, direction: str = "out") -> CSR:
        """The neighbours of each node along the edges (``out``) or against them (``in``)."""
        ...

    def node_rows(self, nodes: Tensor) -> dict[str, Any]:
        """What these nodes carry: ``x`` (len(nodes), F) as float32, and other attributes by name."""
        ...

    def edge_rows(self, edges: Tensor) -> dict[str, Any]:
        """What these edges carry (``edge_weight``, ``edge_attr``, ...), by name."""
        ...

    def norm_degree(self) -> Tensor | None:
        """Weights of the edges that end in each node, with a self-loop on every node, (N,); None: edges, plus 1."""
        ...


def graph_source(graph: Any, *, weight_attr: str | None = None, time_attr: str | None = None) -> GraphSource:
    """The source that reads a graph.

    Parameters
    ----------
    graph : Data, DiskGraph, a pair (FeatureStore, GraphStore), or a GraphSource
        Of a pair, the attributes of the first group (node type) and the first edges between its nodes, in any layout.
    weight_attr, time_attr : str, optional
        Which per-edge attributes hold the odds of an edge to be sampled (where it has them; else all edges are equal)
        and its time stamp; of a graph on disk they are ``edge_weight`` and ``time``.

    Raises
    ------
    InvalidGraphError
        If it is none of these, or the edges (E = 0 is fine), features or weights are no tensors of their form.
    """
    if isinstance(graph, Data):
        return _InMemory(graph, weight_attr, time_attr)
    if isinstance(graph, DiskGraph):
        return _OnDisk(graph, weight_attr, time_attr)
    if isinstance(graph, (_InMemory, _OnDisk)) and not (weight_attr is None and time_attr is None):
        return type(graph)(graph.graph, weight_attr, time_attr)
    if isinstance(graph, GraphSource):
        return graph
    if isinstance(graph, tuple) and len(graph) == 2:
        features, topology = graph
        if isinstance(features, DiskGraph) and features is topology:
            return _OnDisk(features, weight_attr, time_attr)
        if isinstance(features, FeatureStore) and isinstance(topology, GraphStore):
            if time_attr is not None:
                raise ConfigurationError("time stamps are read from a Data or a DiskGraph, not from a pair of stores")
            return _Stores(features, topology)
    raise InvalidGraphError(
        f"expected one graph as Data, an open DiskGraph, or (FeatureStore, GraphStore), got {type(graph).__name__}; "
        "graphssl.data.to_graphs(graph).data makes a Data of arrays, networkx and scipy"
    )


def topology_of(graph: Any) -> CSR:
    """The edges of a graph in any form that :func:`graph_source` reads, of each node those that leave it.

    A CSR stays as it is.
    """
    return graph if isinstance(graph, CSR) else graph_source(graph).topology("out")


def describe_graph(graph: Any) -> str:
    """What a user calls the form that a graph has, for messages."""
    if isinstance(graph, (_OnDisk, DiskGraph)):
        return "a graph on disk"
    return "a pair of stores" if isinstance(graph, (_Stores, tuple)) else f"a {type(graph).__name__}"


def degrees(source: GraphSource, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Of these nodes, the number of edges that end in them, and what the GCN normalises by: float32 (len(nodes),)."""
    ptr, norm = source.topology("in").ptr, source.norm_degree()
    count = (ptr[nodes + 1] - ptr[nodes]).float()
    return count, count + 1 if norm is None else norm[nodes]


def _loops_and_weights(edge_index: Tensor, weight: Tensor | None, num_nodes: int) -> Tensor | None:
    """The norm degree, or None where counting edges gives it."""
    loops = edge_index[0] == edge_index[1]
    if weight is None and not bool(loops.any()):
        return None
    return gcn_degree(edge_index, num_nodes, weight)


class _InMemory:
    """A ``Data``: nothing is copied, the topology is remembered for as long as the edges live."""

    def __init__(self, graph: Data, weight_attr: str | None, time_attr: str | None) -> None:
        edges_of(graph)
        for name in filter(None, ("edge_weight", weight_attr, time_attr)):
            if graph.get(name) is not None:
                check_tensor(name, graph[name])
        self.num_nodes, self.num_features = num_nodes(graph), num_features(graph)
        named = {name: "edge" for name in (weight_attr, time_attr) if name and graph.get(name) is not None}
        self.graph, self.kinds = graph, {**attribute_kinds(graph), **named}  # whatever their size would tell
        self.weight = graph.get(weight_attr) if weight_attr else None
        if time_attr and graph.get(time_attr) is None:
            raise ConfigurationError(f"the graph has no attribute {time_attr!r} to read time stamps from")
        self.time = graph.get(time_attr) if time_attr else None

    def topology(self, direction: str = "out") -> CSR:
        def build(edge_index: Tensor, weight: Tensor | None, time: Tensor | None) -> CSR:
            return CSR.from_edges(edge_index, self.num_nodes, direction=direction, weight=weight, time=time)

        key = ("csr", direction, self.num_nodes, self.time is None)
        return remember(build, self.graph.edge_index, self.weight, self.time, key=key)

    def node_rows(self, nodes: Tensor) -> dict[str, Any]:
        return {name: take_rows(self.graph[name], nodes) for name, kind in self.kinds.items() if kind == "node"}

    def norm_degree(self) -> Tensor | None:
        def build(edge_index: Tensor, weight: Tensor | None) -> Tensor | None:
            return _loops_and_weights(edge_index, weight, self.num_nodes)

        return remember(
            build, self.graph.edge_index, self.graph.get("edge_weight"), key=("norm degree", self.num_nodes)
        )

    def edge_rows(self, edges: Tensor) -> dict[str, Any]:
        names = (name for name, kind in self.kinds.items() if kind == "edge" and name != "edge_index")
        return {name: take_rows(self.graph[name], edges) for name in names}


class _OnDisk:
    """A graph on disk: rows are read from the memory maps when they are asked for."""

    def __init__(self, graph: DiskGraph, weight_attr: str | None, time_attr: str | None) -> None:
        self.graph, self.weighted, self.timed = graph, weight_attr is not None, time_attr is not None
        self.num_nodes, self.num_features = graph.num_nodes, graph.num_features
        if self.timed and graph.topology("out").time is None:
            raise ConfigurationError(f"{graph!r} has no time stamps: write it with time")
        self._csr = {direction: self._wanted(graph.topology(direction)) for direction in ("out", "in")}

    def _wanted(self, csr: CSR) -> CSR:
        weight, time = (csr.weight if self.weighted else None), (csr.time if self.timed else None)
        return csr if weight is csr.weight and time is csr.time else replace(csr, weight=weight, time=time)

    def topology(self, direction: str = "out") -> CSR:
        return self._csr[direction]

    def node_rows(self, nodes: Tensor) -> dict[str, Any]:
        rows = {"x": self.graph.gather(nodes)} if self.num_features else {}
        return rows if self.graph.y is None else {**rows, "y": self.graph.y[nodes]}

    def edge_rows(self, edges: Tensor) -> dict[str, Any]:
        out = self.graph.topology("out")
        found = {"edge_weight": out.weight, "time": out.time, "edge_attr": self.graph.edge_attr}
        return {name: value[edges] for name, value in found.items() if value is not None}

    def norm_degree(self) -> Tensor | None:
        return self.graph.norm_degree


class _Stores:
    """A pair of PyG stores: features are read row by row, the edges once, into memory."""

    def __init__(self, features: FeatureStore, topology: GraphStore) -> None:
        self.features, self.edges = features, topology
        attributes = features.get_all_tensor_attrs()
        group = attributes[0].group_name if attributes else None
        self.attributes = {a.attr_name: a for a in attributes if a.group_name == group}
        self.group = group if isinstance(group, str) else None  # None or unset where there is one type alone
        if "x" not in self.attributes:
            raise InvalidGraphError(f"expected the feature store to hold 'x', it holds {sorted(self.attributes)}")
        if isinstance(features, Data):
            check_tensor("x", features.x)
        size = tuple(features.get_tensor_size(self.attributes["x"]) or ())
        if len(size) != 2:
            raise InvalidGraphError(f"expected 'x' of shape (N, F) in the feature store, got {size}")
        self.num_nodes, self.num_features = size

    def _joins_nodes(self, edge_type: tuple[str, str, str] | None) -> bool:
        """Whether edges of the type start and end at the nodes whose features are read."""
        return edge_type is None or (edge_type[0] == edge_type[-1] == (self.group or edge_type[0]))

    @functools.cached_property
    def _edge_index(self) -> Tensor:
        attributes = self.edges.get_all_edge_attrs()
        if not attributes:
            raise InvalidGraphError("the graph store holds no edges")
        first = next((a for a in attributes if self._joins_nodes(a.edge_type)), None)
        if first is None:
            raise InvalidGraphError(
                f"expected edges between nodes of the type {self.group!r}, whose features are read; the graph store "
                f"has the types {[a.edge_type for a in attributes]}: give stores with edges of one node type"
            )
        row, col = self.edges.get_edge_index(first)
        check_tensor("rows of edges", row)
        check_tensor("columns of edges", col)
        if first.layout.value == "csr":
            row = torch.repeat_interleave(torch.arange(row.numel() - 1), row.diff())
        elif first.layout.value == "csc":
            col = torch.repeat_interleave(torch.arange(col.numel() - 1), col.diff())
        return torch.stack([row, col]).long()

    def topology(self, direction: str = "out") -> CSR:
        def build(edge_index: Tensor) -> CSR:
            return CSR.from_edges(edge_index, self.num_nodes, direction=direction)

        return remember(build, self._edge_index, key=("csr", direction))

    def node_rows(self, nodes: Tensor) -> dict[str, Any]:
        rows = {}
        for name, attribute in self.attributes.items():
            wanted = copy.copy(attribute)
            wanted.index = nodes
            if not wanted.is_set("group_name"):  # of a Data used as a store
                wanted.group_name = None
            rows[name] = self.features.get_tensor(wanted)
        return {**rows, "x": rows["x"].float()}

    def norm_degree(self) -> Tensor | None:
        def build(edge_index: Tensor) -> Tensor | None:
            return _loops_and_weights(edge_index, None, self.num_nodes)

        return remember(build, self._edge_index, key="norm degree")

    def edge_rows(self, edges: Tensor) -> dict[str, Any]:
        return {}
