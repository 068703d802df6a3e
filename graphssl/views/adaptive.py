"""Views of GCA: what matters little to the graph is dropped more often."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs
from graphssl.ops import remember, segment_reduce
from graphssl.registry import VIEWS
from graphssl.views._degrees import thin_degrees
from graphssl.views.base import check_probability, edge_index_of, features_of, random_uniform, zero_where
from graphssl.views.centrality import Centrality, check_centrality, node_centrality, structure_of
from graphssl.views.subset import copy_graph, take_edges

__all__ = ["AdaptiveDropEdges", "AdaptiveMaskFeatures"]

_ROWS = 4096  # of x at a time
_ALIKE = 1e-6  # s_max - s_mean up to here is rounding, not a difference in centrality
_SMALLEST = 1e-8  # power iteration leaves less than this in components that do not matter


@VIEWS.register("adaptive-drop-edges", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class AdaptiveDropEdges:
    r"""Remove edges, those into central nodes more rarely.

    .. math::
        p_{uv} = \min\left(\frac{s_{max} - s_{uv}}{s_{max} - s_{mean}}\, p,\; p_{max}\right), \quad s_{uv} = \log c_v

    with :math:`c_v` the centrality of the edge's target, maximum and mean over the edges of the graph (of each
    graph in a batch). Where these differ by less than 1e-6, :math:`p_{uv} = \min(p, p_{max})`.

    Parameters
    ----------
    p : float in [0, 1]
        The mean probability of an edge to be dropped, before clipping.
    centrality : "degree", "eigenvector" or "pagerank"
        Computed once for each ``edge_index`` object (see :func:`node_centrality`); under 1e-8 it counts as 1e-8.
    max_p : float in [0, 1]
        Largest probability; the paper's :math:`p_\tau`.

    References
    ----------
    .. [1] Zhu et al. Graph Contrastive Learning with Adaptive Augmentation. WWW 2021. arXiv:2010.14945, section 3.2.1,
       with the target's centrality as for directed graphs and in the authors' code.
    """

    p: float
    centrality: Centrality = "degree"
    max_p: float = field(default=0.7, kw_only=True)

    def __post_init__(self) -> None:
        _check(self.p, self.centrality, self.max_p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with fewer edges and the same nodes."""
        edge_index = edge_index_of(data)
        if self.p == 0:
            return copy_graph(data)
        uniform = random_uniform(edge_index.size(1), device=edge_index.device, generator=generator)
        p = self.probabilities(data)
        kept = uniform >= p
        return take_edges(thin_degrees(data, kept, p, generator=generator), kept)

    def probabilities(self, data: Data) -> Tensor:
        """The probability of each edge to be dropped, (E,) float64."""
        key = "edge weights", self.centrality
        weights = remember(lambda *_: _edge_weights(data, self.centrality), *structure_of(data), key=key)
        return (weights * self.p).clamp(max=self.max_p)


@VIEWS.register("adaptive-mask-features", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class AdaptiveMaskFeatures:
    r"""Set feature columns to zero, those that central nodes have more rarely.

    .. math::
        p_i = \min\left(\frac{s_{max} - s_i}{s_{max} - s_{mean}}\, p,\; p_{max}\right), \quad
        s_i = \log \sum_u |x_{ui}|\, c_u

    with :math:`c_u` the centrality of node u. A column that no central node has, whose sum is 0, counts in neither
    maximum nor mean and is given :math:`p_{max}`. In a batch there is one mask for all nodes, and sums run over all
    of them. Composed with :class:`AdaptiveDropEdges`, this view goes first: both then use the centralities of the
    whole graph, computed once, as GCA does; after it, they would be computed for the remaining edges at every call.

    Parameters
    ----------
    p : float in [0, 1]
        The mean probability of a column to be masked, before clipping.
    centrality : "degree", "eigenvector" or "pagerank"
        Computed once for each ``edge_index`` object (see :func:`node_centrality`); under 1e-8 it counts as 0.
    max_p : float in [0, 1]
        Largest probability; the paper's :math:`p_\tau`.

    References
    ----------
    .. [1] Zhu et al. Graph Contrastive Learning with Adaptive Augmentation. WWW 2021. arXiv:2010.14945, section 3.2.2.
    """

    p: float
    centrality: Centrality = "degree"
    max_p: float = field(default=0.7, kw_only=True)

    def __post_init__(self) -> None:
        _check(self.p, self.centrality, self.max_p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with ``x`` (N, F) masked."""
        x = features_of(data)
        if self.p == 0:
            return copy_graph(data)
        uniform = random_uniform(x.size(1), device=x.device, generator=generator)
        return copy_graph(data, x=zero_where(x, (uniform < self.probabilities(data))[None]))

    def probabilities(self, data: Data) -> Tensor:
        """The probability of each column to be masked, (F,) float64."""
        tensors, key = (features_of(data), *structure_of(data)), ("column weights", self.centrality)
        weights = remember(lambda *_: _column_weights(data, self.centrality), *tensors, key=key)
        return (weights * self.p).clamp(max=self.max_p)


def _check(p: float, centrality: str, max_p: float) -> None:
    check_probability("p", p)
    check_probability("max_p", max_p)
    check_centrality(centrality)


def _edge_weights(data: Data, centrality: Centrality) -> Tensor:
    target = edge_index_of(data)[1]
    s = node_centrality(data, centrality).clamp(min=_SMALLEST).log()[target]  # (E,)
    return _weights(s, graph_of_node(data)[target], num_graphs(data))


def _column_weights(data: Data, centrality: Centrality) -> Tensor:
    x = features_of(data)
    c = node_centrality(data, centrality)  # (N,)
    c = torch.where(c < _SMALLEST, 0.0, c)
    activity = x.new_zeros(x.size(1), dtype=c.dtype)  # (F,)
    for rows, part in zip(c.split(_ROWS), x.split(_ROWS), strict=True):  # keeps the float64 copy of x small
        activity += rows @ part.abs().to(c.dtype)
    used = activity > 0
    s = activity[used].log()
    weights = torch.full_like(activity, torch.finfo(activity.dtype).max)  # clipped to max_p
    weights[used] = _weights(s, torch.zeros_like(s, dtype=torch.long), 1)
    return weights


def _weights(s: Tensor, group: Tensor, groups: int) -> Tensor:
    """(s_max - s) / (s_max - s_mean) within each group, of mean 1; 1 in a group whose members are alike."""
    highest = segment_reduce(s, group, groups, "max")
    spread = (highest - segment_reduce(s, group, groups, "mean"))[group]
    return torch.where(spread > _ALIKE, (highest[group] - s) / spread.clamp(min=_ALIKE), 1.0)
