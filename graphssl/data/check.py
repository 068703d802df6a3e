"""Is this a graph that can be used? One cheap pass, and an error that says what is wrong."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data.graphs import num_nodes
from graphssl.errors import InvalidGraphError
from graphssl.ops.checks import check_tensor, not_finite

__all__ = ["check_graph", "edges_of"]


def check_graph(data: Data) -> None:
    """Raise when a graph cannot be used; return nothing when it can.

    No edges, isolated nodes, a single node, self-loops and duplicate edges are all fine, and so is a missing ``x``
    (see :func:`graphssl.data.with_features`).

    Parameters
    ----------
    data : Data
        ``x`` (N, F) floating and finite or absent; ``edge_index`` (2, E) int64 with entries in [0, N);
        ``edge_weight`` (E,) and ``edge_attr`` (E, ...) finite or absent.

    Raises
    ------
    InvalidGraphError
        Naming the tensor, what was expected, what came and what to do.

    Notes
    -----
    Cost: O(N F + E) time, O(1) extra memory unless something is wrong.
    """
    if not isinstance(data, Data):
        raise InvalidGraphError(f"expected a torch_geometric.data.Data, got {type(data).__name__}")
    if data.x is not None:
        _check_features(data.x)
    edge_index = edges_of(data)
    count = num_nodes(data)
    _check_count(data, count)
    if count == 0:
        raise InvalidGraphError("the graph has no nodes: x has no rows and edge_index no entries")
    _check_range(edge_index, count)
    num_edges = edge_index.size(1)
    for key in ("edge_weight", "edge_attr"):
        value = data.get(key)
        if value is not None:
            _check_edge_values(key, value, num_edges)


def _check_features(x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.dim() != 2:
        shape = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InvalidGraphError(f"x must be a tensor of shape (num_nodes, num_features), got {shape}: one row per node")
    if not x.is_floating_point():
        raise InvalidGraphError(f"x must be floating point, got {x.dtype}: convert with x.float()")
    bad = not_finite(x)
    if bad is not None:
        rows = int((~torch.isfinite(x.to_dense())).any(dim=1).sum())
        raise InvalidGraphError(f"x has NaN or infinite entries in {rows} rows, the first is row {bad}: impute them")


def edges_of(data: Data) -> Tensor:
    """The ``edge_index`` of a graph, after a look at its form: int64, shape (2, E).

    Raises
    ------
    InvalidGraphError
        If there is none, or of another form. Whether its entries are nodes is not asked.
    """
    edge_index = data.edge_index
    if edge_index is None:
        raise InvalidGraphError(f"the graph has no edge_index: {_instead(data)}")
    check_tensor("edge_index", edge_index)
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        hint = ": transpose it" if edge_index.dim() == 2 and edge_index.size(1) == 2 else ""
        raise InvalidGraphError(f"edge_index must have shape (2, num_edges), got {tuple(edge_index.shape)}{hint}")
    if edge_index.dtype != torch.int64:
        raise InvalidGraphError(f"edge_index must be int64, got {edge_index.dtype}: convert with edge_index.long()")
    return edge_index


def _instead(data: Data) -> str:
    if data.get("adj_t") is None:
        return "give one of shape (2, num_edges), with num_edges = 0 for no edges"
    return (
        "it has adj_t, whose rows are targets: set "
        "data.edge_index = torch_geometric.utils.to_edge_index(data.adj_t)[0].flip(0); [1] are the weights"
    )


def _check_count(data: Data, count: int) -> None:
    """Everything that tells the number of nodes must tell the same."""
    stated = {"num_nodes": int(data["num_nodes"])} if "num_nodes" in data else {}
    if isinstance(data.get("batch"), Tensor):
        stated["batch"] = int(data.batch.numel())
    for key, value in stated.items():
        if value != count:
            raise InvalidGraphError(f"x has {count} rows, but {key} says {value} nodes: give x one row per node")


def _check_range(edge_index: Tensor, count: int) -> None:
    if edge_index.numel() == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(edge_index))
    if low < 0:
        raise InvalidGraphError(f"edge_index has the negative node {low}: nodes are numbered from 0 to num_nodes - 1")
    if high >= count:
        raise InvalidGraphError(
            f"edge_index names node {high}, but the graph has {count} nodes (0 to {count - 1}): "
            "renumber the nodes, or add the missing rows of x"
        )


def _check_edge_values(key: str, value: Tensor, num_edges: int) -> None:
    if not isinstance(value, Tensor) or value.dim() == 0 or value.size(0) != num_edges:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise InvalidGraphError(f"{key} needs one row per edge: {num_edges} edges, got {got}")
    if key == "edge_weight" and value.dim() != 1:
        raise InvalidGraphError(f"edge_weight must have shape (num_edges,), got {tuple(value.shape)}: use edge_attr")
    bad = not_finite(value)
    if bad is not None:
        raise InvalidGraphError(f"{key} has NaN or infinite entries, the first at edge {bad}: impute or drop them")
