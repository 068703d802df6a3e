"""What a learned embedding must beat: the features, and the features averaged over neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs, num_nodes, with_features
from graphssl.evaluation.labels import is_graph_level
from graphssl.ops import normalized_adjacency, segment_reduce, spmm

__all__ = ["CONTROLS", "propagated_embedding", "raw_embedding"]


def raw_embedding(data: Any) -> np.ndarray:
    """The node features; of several graphs, their sum over the nodes of each.

    Parameters
    ----------
    data : Data or sequence of Data
        Without features, degrees stand in (:func:`graphssl.data.with_features`).

    Returns
    -------
    (N, F) or (G, F) float32
    """
    return _each(data, lambda graph: graph.x)


def propagated_embedding(data: Any, k: int = 2) -> np.ndarray:
    r"""Features after ``k`` steps of propagation, :math:`\tilde A^k X` (Wu et al. 2019, SGC, equation 8).

    Parameters
    ----------
    data : Data or sequence of Data
        Features are divided by the sum of their row first, so that a long document counts as much as a short one.
    k : int
        Steps.

    Returns
    -------
    (N, F) float32, or (G, (k + 1) F) for several graphs
        Of several graphs: sums over the nodes of :math:`X, \tilde A X, \dots, \tilde A^k X` side by side, the fixed
        counterpart of a GNN whose layers are all read out.
    """

    def propagate(graph: Data) -> Tensor:
        adjacency = normalized_adjacency(graph.edge_index, num_nodes(graph), graph.get("edge_weight"))
        hops = [with_features(graph, "row-normalized").x]
        for _ in range(k):
            hops.append(spmm(adjacency, hops[-1]))
        return torch.cat(hops, dim=1) if is_graph_level(data) else hops[-1]

    return _each(data, propagate)


#: Controls that need no encoder, by name; ``untrained:METHOD`` is the third.
CONTROLS: dict[str, Callable[[Any], np.ndarray]] = {"raw": raw_embedding, "propagated": propagated_embedding}


def _each(data: Any, embed: Callable[[Data], Tensor]) -> np.ndarray:
    featured = with_features(data, "auto")
    if not is_graph_level(data):
        return embed(featured).to_dense().float().cpu().numpy()
    graphs = [featured] if isinstance(featured, Data) else list(featured)
    pooled = [
        segment_reduce(embed(graph).to_dense(), graph_of_node(graph), num_graphs(graph), "sum") for graph in graphs
    ]
    return torch.cat(pooled).float().cpu().numpy()
