"""Which attributes of a graph belong to its nodes and which to its edges."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data.graphs import num_graphs, num_nodes

__all__ = ["Kind", "attribute_kinds", "take_rows"]

Kind = Literal["node", "edge"]

# Names whose meaning is fixed by PyG; every other attribute is judged by its slices and its size.
_NODE_NAMES = frozenset({"x", "pos", "batch", "n_id", "node_type", "train_mask", "val_mask", "test_mask"})
_EDGE_NAMES = frozenset({"edge_index", "edge_attr", "edge_weight", "edge_type", "e_id"})
_OTHER_NAMES = frozenset(
    {"ptr", "num_nodes", "edge_label", "edge_label_index"}
    | {"input_id", "batch_size", "num_sampled_nodes", "num_sampled_edges"}
)


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


def take_rows(value: Any, positions: Tensor) -> Any:
    """Some rows of an attribute: of a tensor, an array or a list."""
    if isinstance(value, Tensor):
        rows = value if value.layout in (torch.strided, torch.sparse_coo) else value.to_sparse_coo()
        return rows.index_select(0, positions)
    if isinstance(value, np.ndarray):
        return value[positions.cpu().numpy()]
    return type(value)(value[position] for position in positions.tolist())
