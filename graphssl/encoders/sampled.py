"""Batches of sampled neighbourhoods: the seeds stand first, and each layer needs one ring of nodes less."""

from __future__ import annotations

from itertools import accumulate

from torch import Tensor
from torch_geometric.data import Data

from graphssl.ops import remember

__all__ = ["keep_reachable", "num_seeds"]


def num_seeds(data: Data) -> int | None:
    """How many of the first rows are seeds, in a sampled batch; None in a whole graph or a batch of graphs."""
    return int(data["batch_size"]) if "batch_size" in data else None  # the attribute of a Batch is something else


def keep_reachable(h: Tensor, data: Data, *, layers_left: int) -> tuple[Tensor, Data]:
    """What the next layers need of a sampled batch: nodes at most ``layers_left`` hops from a seed.

    Parameters
    ----------
    h : Tensor, shape (N, D)
        The output of a layer.
    data : Data
        With ``num_sampled_nodes`` and ``num_sampled_edges``, how many are new at each hop, where each edge leads to the
        hop before: as it was sampled, or with less. Else nothing is left out.
    layers_left : int
        Number of layers that follow.

    Notes
    -----
    Of the nodes at the last hop no edges are needed, nor of ``data`` anything but edges and degrees.
    """
    if not all(name in data for name in ("batch_size", "num_sampled_nodes", "num_sampled_edges")):
        return h, data
    reached = list(accumulate(data["num_sampled_nodes"]))  # nodes within 0, 1, ... hops
    if layers_left >= len(reached) - 1:
        return h, data
    nodes = reached[layers_left]
    if layers_left == 0:
        return h[:nodes], data
    targets = reached[layers_left - 1]

    def cut(edge_index: Tensor, edge_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        kept = ((edge_index[1] < targets) & (edge_index[0] < nodes)).nonzero().view(-1)
        weight = None if edge_weight is None else edge_weight[kept]
        return edge_index.index_select(1, kept), weight

    if data.get("edge_weight") is not None and data.edge_weight.requires_grad:
        edge_index, weight = cut(data.edge_index, data.edge_weight)
    else:
        edge_index, weight = remember(cut, data.edge_index, data.get("edge_weight"), key=("reachable", targets, nodes))
    smaller = Data(edge_index=edge_index, num_nodes=nodes, batch_size=data["batch_size"])
    smaller.num_sampled_nodes = data["num_sampled_nodes"][: layers_left + 1]
    smaller.num_sampled_edges = data["num_sampled_edges"][:layers_left]
    if weight is not None:
        smaller.edge_weight = weight
    for name in ("whole_in_degree", "whole_norm_degree", "batch"):
        if data.get(name) is not None:
            smaller[name] = data[name][:nodes]
    return h[:nodes], smaller
