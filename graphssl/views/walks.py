"""Views that keep a connected piece of each graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs, num_nodes
from graphssl.ops import segment_reduce
from graphssl.registry import VIEWS
from graphssl.views.base import check_probability, edge_index_of, random_uniform
from graphssl.views.subset import copy_graph, take_nodes

__all__ = ["RandomWalkSubgraph"]


@VIEWS.register("random-walk-subgraph", example={"ratio": 0.5}, identity={"ratio": 1.0})
@dataclass(frozen=True)
class RandomWalkSubgraph:
    r"""Keep the nodes that a random walk from a random node visits, in each graph of a batch.

    The walk starts at a uniform node and moves, at each step, to a uniform node among all unvisited
    neighbours of what it has visited, until it holds ``max(1, round(ratio * n))`` of the graph's n
    nodes or its component is exhausted. What is kept is therefore connected (edges count in both directions);
    a disconnected graph may keep fewer nodes, and only ``ratio = 1`` keeps a graph as it is, disconnected or not.
    The result carries ``n_id``, see :class:`graphssl.views.View`. In a sampled batch the walk starts at the first
    seed, so that any two views share a row.

    Parameters
    ----------
    ratio : float in [0, 1]
        Fraction of the nodes to keep; GraphCL uses 0.2 for TU data sets.

    Notes
    -----
    This is GraphCL's walk with its neighbour set growing, as intended: in the authors' code the line that
    extends the set has no effect, and samples are stars around the first node.

    All graphs of a batch walk at once. Each node v draws a waiting time :math:`w_v \sim \mathrm{Exp}(1)` and is
    visited at :math:`T_v = w_v + \min_{u \in N(v)} T_u`, the start at 0. Waiting times have no memory, so every
    unvisited neighbour is equally likely to be the next, and the first k nodes by T are those of the walk. Costs
    O(E) for each hop of the longest of these fastest paths, instead of one step per node.

    References
    ----------
    .. [1] You et al. Graph Contrastive Learning with Augmentations. NeurIPS 2020. arXiv:2010.13902, section 3.2.
    """

    ratio: float

    def __post_init__(self) -> None:
        check_probability("ratio", self.ratio)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with fewer nodes, and ``n_id`` (N',)."""
        edge_index = edge_index_of(data)
        if self.ratio == 1:
            return copy_graph(data)
        graph, graphs = graph_of_node(data), num_graphs(data)
        uniform = random_uniform(2, num_nodes(data), device=edge_index.device, generator=generator, dtype=torch.float64)
        if "batch_size" in data:  # of a sampled batch
            uniform[0, :1] = 1.0
        lottery = segment_reduce(uniform[0], graph, graphs, "max")  # (G,)
        start = uniform[0] == lottery[graph]  # (N,)
        waiting = -torch.log1p(-uniform[1])
        time = _visiting_times(edge_index, start, waiting)  # (N,)

        size = torch.bincount(graph, minlength=graphs)
        wanted = (self.ratio * size.double()).round().long().clamp(min=1)  # (G,)
        by_time = torch.argsort(time, stable=True)
        order = by_time[torch.argsort(graph[by_time], stable=True)]  # graph by graph, first visited first
        first = size.cumsum(0) - size
        rank = torch.empty_like(order)
        rank[order] = torch.arange(order.numel(), device=order.device) - first[graph[order]]
        return take_nodes(data, (rank < wanted[graph]) & time.isfinite())


def _visiting_times(edge_index: Tensor, start: Tensor, waiting: Tensor) -> Tensor:
    """First-passage times T (N,), infinite out of reach; edges (2, E) are walked both ways."""
    source, target = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    time = torch.where(start, 0.0, torch.inf).to(waiting.dtype)
    changed = start
    while bool(changed.any()):
        edges = changed[source].nonzero().view(-1)  # only these can make a difference
        arrival = torch.full_like(time, torch.inf).scatter_reduce(0, target[edges], time[source[edges]], "amin")
        earlier = torch.minimum(time, arrival + waiting)
        changed, time = earlier < time, earlier
    return time
