"""Taking nodes or edges of a graph without losing what belongs to them: attributes, batch, node identity."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import Kind, attribute_kinds, num_graphs, num_nodes, take_rows
from graphssl.views.base import edge_index_of

__all__ = ["copy_graph", "replace_edges", "take_edges", "take_nodes"]


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
    new = {
        key: take_rows(data[key], positions) for key, kind in kinds.items() if kind == "edge" and key != "edge_index"
    }
    new["edge_index"] = edge_index_of(data).index_select(1, positions) if edge_index is None else edge_index
    if "num_sampled_edges" in data:  # new edges may join any two hops
        new["num_sampled_edges"] = _per_hop(positions, data["num_sampled_edges"]) if edge_index is None else None
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
        new |= {
            key: take_rows(data[key], inside) for key, kind in kinds.items() if kind == "edge" and key != "edge_index"
        }
        new["edge_index"] = (keep.cumsum(0) - 1)[edge_index.index_select(1, inside)]
        if "num_sampled_edges" in data:
            new["num_sampled_edges"] = _per_hop(inside, data["num_sampled_edges"])
    new |= {key: take_rows(data[key], positions) for key, kind in kinds.items() if kind == "node"}
    numbering = [key for key in data.keys() if "index" in key or key == "face"]  # noqa: SIM118
    new |= {key: None for key in numbering if key != "edge_index" and key not in kinds}
    if "batch_size" in data:  # a sampled batch: seeds first, then the nodes new at each hop
        seeds = keep[: data["batch_size"]]
        new["batch_size"] = int(seeds.sum())
        if "input_id" in data:
            new["input_id"] = data["input_id"][seeds]
        if "num_sampled_nodes" in data:
            new["num_sampled_nodes"] = _per_hop(positions, data["num_sampled_nodes"])
    return _finish(copy_graph(data, **new), data, kinds | {"n_id": "node"}, positions.numel())


def replace_edges(data: Data, edge_index: Tensor, *, edge_weight: Tensor) -> Data:
    """The graph with other edges, (2, K) and (K,): no other per-edge attribute is kept.

    In a batch the edges must come graph by graph. Of a sampled batch, the degrees in the whole graph go as well.
    """
    kinds = attribute_kinds(data)
    sampled = [key for key in ("num_sampled_edges", "whole_in_degree", "whole_norm_degree") if key in data]
    new: dict[str, Tensor | None] = {key: None for key, kind in kinds.items() if kind == "edge"}
    new |= dict.fromkeys(sampled)
    new |= {"edge_index": edge_index, "edge_weight": edge_weight}
    kinds |= {"edge_index": "edge", "edge_weight": "edge"}
    return _finish(copy_graph(data, **new), data, kinds, num_nodes(data))


def _per_hop(positions: Tensor, sizes: Sequence[int]) -> list[int]:
    """How many of these rows belong to each hop, of which there are ``sizes`` rows."""
    ends = torch.tensor(sizes, device=positions.device).cumsum(0)
    return torch.bincount(torch.bucketize(positions, ends, right=True), minlength=len(sizes)).tolist()


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
