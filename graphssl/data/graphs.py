"""Sizes of a graph, of a batch of graphs, or of a list of graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.errors import InvalidGraphError
from graphssl.ops.checks import check_tensor

__all__ = ["GraphList", "graph_of_node", "num_features", "num_graphs", "num_nodes"]


class GraphList(list[Data]):
    """A named list of graphs; everything a list does, it does.

    Parameters
    ----------
    graphs : iterable of Data
        Each with ``y`` of shape ``(1,)`` where labels are known.
    name : str
        Registered name of the data set.
    num_classes : int
        Number of distinct graph labels.
    """

    def __init__(self, graphs: Iterable[Data], *, name: str, num_classes: int) -> None:
        super().__init__(graphs)
        self.name = name
        self.num_classes = num_classes

    @property
    def num_features(self) -> int:
        """Columns of ``x``; 0 when the graphs have no features."""
        return num_features(self)

    def __repr__(self) -> str:
        return f"GraphList({self.name!r}, graphs={len(self)}, features={self.num_features}, classes={self.num_classes})"


def graph_of_node(data: Data) -> Tensor:
    """For each node the index of its graph: ``(N,)`` long; zeros for a single graph."""
    batch = data.get("batch")
    if batch is not None:
        return batch
    anchor = data.x if data.x is not None else data.edge_index
    device = None if anchor is None else anchor.device
    return torch.zeros(num_nodes(data), dtype=torch.long, device=device)


def num_graphs(data: Data | Sequence[Data]) -> int:
    """Number of graphs in a graph (1), a batch, or a list of graphs."""
    if not isinstance(data, Data):
        return len(data)
    if data.get("ptr") is not None:
        return int(data.ptr.numel()) - 1
    batch = data.get("batch")
    if batch is None:
        return 1
    return int(batch.max()) + 1 if batch.numel() else 0


def num_nodes(data: Data | Sequence[Data]) -> int:
    """Number of nodes, summed over a list of graphs; the largest index of an edge plus 1 when nothing else tells."""
    if hasattr(data, "topology"):  # a graph that is read in pieces
        return int(getattr(data, "num_nodes"))  # noqa: B009
    if not isinstance(data, Data):
        return sum(num_nodes(graph) for graph in data)
    # Data.num_nodes warns when it has to guess from edge_index; here that guess is the documented answer.
    for key in ("x", "pos", "batch", "n_id"):
        if isinstance(data.get(key), Tensor):
            return int(data[key].size(0))
    if "num_nodes" in data:
        return int(data["num_nodes"])
    if data.edge_index is None:
        return 0
    check_tensor("edge_index", data.edge_index)
    return int(data.edge_index.max()) + 1 if data.edge_index.numel() else 0


def num_features(data: Data | Sequence[Data]) -> int:
    """Columns of ``x``; 0 without features.

    Raises
    ------
    InvalidGraphError
        If the graphs of a list differ in it, or ``x`` is no tensor.
    """
    if isinstance(data, Data):
        if data.x is None:
            return 0
        check_tensor("x", data.x)
        return int(data.x.size(-1))
    if hasattr(data, "topology"):
        return int(getattr(data, "num_features"))  # noqa: B009
    widths = {num_features(graph) for graph in data}
    if len(widths) > 1:
        raise InvalidGraphError(f"graphs differ in their number of features: {sorted(widths)}; align their columns")
    return widths.pop() if widths else 0
