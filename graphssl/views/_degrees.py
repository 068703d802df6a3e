"""Degrees of a sampled batch: what views of edges do to those of the whole graph that it stands for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.views.base import edge_index_of
from graphssl.views.subset import copy_graph

__all__ = ["extend_degrees", "thin_degrees"]


def thin_degrees(data: Data, kept: Tensor, p: float | Tensor, *, generator: torch.Generator | None) -> Data:
    r"""A sampled batch with the degrees of the whole graph after its edges were dropped, too; any other graph as it is.

    Of the :math:`d` edges that end in a node :math:`k` were sampled, and :math:`m` of these are kept. The others are
    dropped here with the same probability: the node keeps :math:`K = m + \mathrm{Bin}(d - k, 1 - p)` edges in
    the whole graph, which is what ``whole_norm_degree`` then counts. ``whole_in_degree`` becomes :math:`m d / k`, so
    that encoders go on scaling what comes over an edge by :math:`d / k`, the inverse of its probability to be sampled:
    sums over the m edges are on average those over all edges that the view keeps in the whole graph, m = 0 included.

    Parameters
    ----------
    data : Data
    kept : Tensor, shape (E,), bool
        The edges of the batch that are kept.
    p : float, or Tensor of shape (E,)
        Probability of an edge to be dropped. Of each edge: those that were not sampled have the mean of the
        sampled ones into the same node, or of all where there is none.

    Notes
    -----
    With weights, the kept share of what was not sampled counts, as if all of it had equal weights.
    """
    if "whole_in_degree" not in data or "whole_norm_degree" not in data:
        return data
    source, target = edge_index_of(data)
    nodes, in_degree, norm_degree = data["whole_in_degree"].numel(), data["whole_in_degree"], data["whole_norm_degree"]

    def total(values: Tensor) -> Tensor:
        return in_degree.new_zeros(nodes).index_add_(0, target, values.to(in_degree.dtype))  # (N,)

    here, left = total(torch.ones_like(kept)), total(kept)
    if isinstance(p, Tensor):
        everywhere = p.mean() if p.numel() else 0.0
        keep_rate = (1 - torch.where(here > 0, total(p) / here.clamp(min=1), everywhere)).clamp(0, 1)
    else:
        keep_rate = torch.full_like(in_degree, 1 - p)
    unseen = (in_degree - here).round().clamp(min=0)
    survivors = torch.binomial(unseen, keep_rate, generator=generator)

    weight = in_degree.new_ones(kept.numel()) if data.get("edge_weight") is None else data.edge_weight.detach().view(-1)
    weight = weight - (source == target).to(weight.dtype)  # beyond the loop of weight 1 that each node has
    seen = total(weight)
    rest = (norm_degree - 1 - seen).clamp(min=0)
    rest_left = torch.where(unseen > 0, rest / unseen.clamp(min=1) * survivors, rest * keep_rate)
    twice = torch.where(seen > 0, (norm_degree - 1 - rest) / seen, 1.0)  # below 1 where edges were sampled repeatedly
    return copy_graph(
        data,
        whole_in_degree=torch.where(here > 0, in_degree * left / here.clamp(min=1), survivors),
        whole_norm_degree=1 + total(weight * kept) * twice + rest_left,
    )


def extend_degrees(data: Data, kept: Tensor, edge_index: Tensor, donor: Tensor) -> Data:
    """A sampled batch with the degrees that further edges give; any other graph as it is.

    A new edge stands for itself alone. Where no sampled edge ends, so does all that ends there.

    Parameters
    ----------
    data : Data
    kept : Tensor of int64
        The edges of the batch that stay.
    edge_index : Tensor, shape (2, K)
        The new ones.
    donor : Tensor of int64, shape (K,)
        The edges of the batch whose weights they have.
    """
    if "whole_in_degree" not in data or "whole_norm_degree" not in data:
        return data
    in_degree, target = data["whole_in_degree"], edge_index[1]
    sampled = torch.bincount(edge_index_of(data)[1][kept], minlength=in_degree.numel()) > 0
    ones = in_degree.new_ones(target.numel())
    weight = ones if data.get("edge_weight") is None else data.edge_weight.detach().view(-1)[donor].to(ones.dtype)
    return copy_graph(
        data,
        whole_in_degree=(in_degree * sampled).index_add(0, target, ones),
        whole_norm_degree=data["whole_norm_degree"].index_add(0, target, weight),
    )
