"""Taking nodes or edges of a graph without losing what belongs to them: attributes, batch, node identity."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import num_graphs, num_nodes
from graphssl.views.base import edge_index_of

__all__ = ["attribute_kinds", "copy_graph", "replace_edges", "take_edges", "take_nodes"]

Kind = Literal["node", "edge"]

# Names whose meaning is fixed by PyG; every other attribute is judged by its slices and its size.
_NODE_NAMES = frozenset({"x", "pos", "batch", "n_id", "node_type", "train_mask", "val_mask", "test_mask"})
_EDGE_NAMES = frozenset({"edge_index", "edge_attr", "edge_weight", "edge_type", "e_id"})
_OTHER_NAMES = frozenset({"ptr", "num_nodes", "edge_label", "edge_label_index", "input_id", "batch_size"})


def attribute_kinds(data: Data) -> dict[str, Kind]:
    """Which attributes hold one row per node and which one per edge; the others are left out.

    Known names decide first; then, for a PyG batch, the slices it was collated with; then the size.
    Where the numbers of nodes and edges are equal, a name that contains "edge" is per edge. One
    row for each graph is taken for per-edge only under such a name: it rather belongs to the graph.
    """
    nodes, edges = num_nodes(data), -1 if data.edge_index is None else data.edge_index.size(1)
    kinds = {key: _kind(data, key, nodes, edges) for key in data.keys()}  # noqa: SIM118 (Data iterates otherwise)
    return {key: kind for key, kind in kinds.items() if kind is not None}


def _kind(data: Data, key: str, nodes: int, edges: int) -> Kind | None:
    value = data[key]
    slices: dict[str, Any] = getattr(data, "_slice_dict", None) or {}
    if key in _OTHER_NAMES or key.endswith("_ptr"):
        return None
    if isinstance(value, list | tuple) and not slices:  # a batch keeps one entry per graph in a list
        rows = len(value)
    elif isinstance(value, Tensor | np.ndarray) and value.ndim > 0:
        rows = value.shape[-1] if key == "edge_index" else value.shape[0]
    else:
        return None

    per_node, per_edge = rows == nodes, rows == edges
    if key in _NODE_NAMES:
        return "node" if per_node else None
    if key in _EDGE_NAMES:
        return "edge" if per_edge else None
    if "index" in key:  # numbers of nodes, not rows of edges
        return "node" if per_node and "edge" not in key and np.ndim(value) == 1 else None
    per_graph = rows == num_graphs(data)
    if isinstance(slices.get(key), Tensor):
        own = slices[key].cpu()
        per_graph = bool((own.diff() == 1).all())
        per_node = per_node and torch.equal(own, data.ptr.cpu())
        per_edge = per_edge and "edge_index" in slices and torch.equal(own, slices["edge_index"].cpu())
    if per_edge and "edge" in key:
        return "edge"
    return "node" if per_node else "edge" if per_edge and not per_graph else None


def copy_graph(data: Data, **changes: Any) -> Data:
    """A shallow copy of the graph with some attributes replaced."""
    out = copy.copy(data)
    for key, value in changes.items():
        out[key] = value
    return out


def take_edges(data: Data, index: Tensor, *, edge_index: Tensor | None = None) -> Data:
    """The graph with the given edges and what belongs to them.

    Parameters
    ----------
    data : Data
        One graph or a batch.
    index : Tensor, (E,) bool or (K,) long
        Edges to keep, or positions of edges, repeated if wished. In a batch the result's edges
        must come graph by graph, as PyG's own batches have them.
    edge_index : Tensor, shape (2, K), optional
        End points to use instead of those of the edges taken: the attributes still come from ``index``.

    Returns
    -------
    Data
        A new graph with the same nodes.
    """
    kinds = attribute_kinds(data)
    positions = index.nonzero().view(-1) if index.dtype == torch.bool else index
    new = {key: _take(data[key], positions) for key, kind in kinds.items() if kind == "edge" and key != "edge_index"}
    new["edge_index"] = edge_index_of(data).index_select(1, positions) if edge_index is None else edge_index
    return _finish(copy_graph(data, **new), data, kinds, num_nodes(data))


def take_nodes(data: Data, keep: Tensor) -> Data:
    """The graph induced by some nodes, with what belongs to its nodes and edges, and ``n_id``.

    Parameters
    ----------
    data : Data
        One graph or a batch.
    keep : Tensor, shape (N,), bool
        Nodes to keep. At least one in each graph, or a graph is left without nodes.

    Returns
    -------
    Data
        A new graph: nodes in their old order, edges between kept nodes renumbered, ``n_id`` (N',) long.
        Attributes that name nodes by number, other than ``edge_index``, would point to wrong nodes and are left out.
    """
    kinds = attribute_kinds(data)
    positions = keep.nonzero().view(-1)  # (N',)
    new: dict[str, Any] = {"n_id": positions}
    if data.edge_index is not None:
        edge_index = edge_index_of(data)
        inside = (keep[edge_index[0]] & keep[edge_index[1]]).nonzero().view(-1)  # (E',)
        new |= {key: _take(data[key], inside) for key, kind in kinds.items() if kind == "edge" and key != "edge_index"}
        new["edge_index"] = (keep.cumsum(0) - 1)[edge_index.index_select(1, inside)]
    new |= {key: _take(data[key], positions) for key, kind in kinds.items() if kind == "node"}
    numbering = [key for key in data.keys() if "index" in key or key == "face"]  # noqa: SIM118
    new |= {key: None for key in numbering if key != "edge_index" and key not in kinds}
    return _finish(copy_graph(data, **new), data, kinds | {"n_id": "node"}, positions.numel())


def replace_edges(data: Data, edge_index: Tensor, *, edge_weight: Tensor) -> Data:
    """The graph with other edges, (2, K) and (K,): no other per-edge attribute is kept.

    In a batch the edges must come graph by graph.
    """
    kinds = attribute_kinds(data)
    new: dict[str, Tensor | None] = {key: None for key, kind in kinds.items() if kind == "edge"}
    new |= {"edge_index": edge_index, "edge_weight": edge_weight}
    kinds |= {"edge_index": "edge", "edge_weight": "edge"}
    return _finish(copy_graph(data, **new), data, kinds, num_nodes(data))


def _take(value: Any, positions: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, positions)
    if isinstance(value, np.ndarray):
        return value[positions.cpu().numpy()]
    return type(value)(value[position] for position in positions.tolist())


def _finish(out: Data, data: Data, kinds: dict[str, Kind], nodes: int) -> Data:
    """Write down what else depends on the numbers of nodes and edges: ``num_nodes``, ``ptr``, a batch's slices."""
    present = set(out.keys())
    if "num_nodes" in present or not present & {"x", "batch"}:
        out.num_nodes = nodes  # otherwise it would be guessed from the edges that are left
    if "batch" not in present:
        return out
    graphs = num_graphs(data)
    ptr = {"node": _boundaries(out.batch, graphs)}
    if out.edge_index is not None:
        ptr["edge"] = _boundaries(out.batch[out.edge_index[0]], graphs)
    if "ptr" in present:
        out.ptr = ptr["node"]
    for key, kind in kinds.items():  # those made by follow_batch
        if f"{key}_ptr" in present:
            out[f"{key}_ptr"] = ptr[kind]
    if getattr(data, "_slice_dict", None) is not None:
        _restore_slices(out, data, kinds, {kind: value.cpu() for kind, value in ptr.items()})
    return out


def _restore_slices(out: Data, data: Any, kinds: dict[str, Kind], ptr: dict[str, Tensor]) -> None:
    """What ``Batch.to_data_list`` cuts by: where each attribute's graphs begin, and what was added to its values."""
    slices, added = dict(data._slice_dict), dict(data._inc_dict)
    for key, kind in kinds.items():
        if key in slices or key not in data:
            slices[key] = ptr[kind]
            added.setdefault(key, torch.zeros(ptr[kind].numel() - 1, dtype=torch.long))
    if "edge_index" in added:
        added["edge_index"] = ptr["node"][:-1]
    present = set(out.keys())
    out._slice_dict = {key: value for key, value in slices.items() if key in present}
    out._inc_dict = {key: value for key, value in added.items() if key in present}
    store = out.stores[0]
    if hasattr(store, "_num_nodes"):  # of graphs that were given num_nodes
        store._num_nodes = ptr["node"].diff().tolist()


def _boundaries(graph: Tensor, graphs: int) -> Tensor:
    """Where each graph's rows begin and end, (G + 1,)."""
    return torch.nn.functional.pad(torch.bincount(graph, minlength=graphs).cumsum(0), (1, 0))
