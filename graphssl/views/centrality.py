"""How central each node of a graph is: degree, eigenvector, PageRank; in plain torch, per graph of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs, num_nodes
from graphssl.errors import ConfigurationError
from graphssl.ops import remember, segment_reduce
from graphssl.views.base import edge_index_of

__all__ = ["Centrality", "degree_centrality", "eigenvector_centrality", "node_centrality", "pagerank_centrality"]

Centrality = Literal["degree", "eigenvector", "pagerank"]
_STEPS = 1000


def degree_centrality(data: Data) -> Tensor:
    """Number of edges into each node, (N,) float64; duplicates count."""
    target = edge_index_of(data)[1]
    return torch.bincount(target, minlength=num_nodes(data)).double()


def eigenvector_centrality(data: Data, *, tolerance: float = 1e-10) -> Tensor:
    r"""Entries of the leading eigenvector, (N,) float64, of norm 1 in each graph and not negative.

    A node is central when the nodes with edges into it are: :math:`\lambda c_v = \sum_{u \to v} c_u`. Power
    iteration on :math:`A + I`, which has the same eigenvectors and, unlike A on a bipartite graph, one largest
    eigenvalue. In a disconnected graph the component with the largest eigenvalue wins and the others approach zero;
    without edges all nodes are equal. Meant for undirected graphs: where directed edges form no cycle there is no
    such eigenvector, and the result is only what 1000 steps reach.

    Parameters
    ----------
    data : Data
        One graph or a batch; edge weights are not used.
    tolerance : float, > 0
        Largest change of an entry in the last step (at most 1000 steps are done).
    """
    source, target = edge_index_of(data)
    graph, graphs = graph_of_node(data), num_graphs(data)

    def normalized(vector: Tensor) -> Tensor:
        return vector / segment_reduce(vector * vector, graph, graphs).sqrt()[graph]

    def step(c: Tensor) -> Tensor:
        return normalized(c + segment_reduce(c[source], target, c.numel()))

    ones = torch.ones(num_nodes(data), dtype=torch.float64, device=source.device)
    return _iterate(step, normalized(ones), graph, graphs, tolerance)


def pagerank_centrality(data: Data, *, damping: float = 0.85, tolerance: float = 1e-10) -> Tensor:
    r"""PageRank of each node, (N,) float64, of sum 1 in each graph.

    The stationary distribution of a surfer who follows a random edge with probability ``damping`` and else, or
    where no edge leaves, jumps to a random node of the same graph.

    Parameters
    ----------
    data : Data
        One graph or a batch; edge weights are not used, duplicates count.
    damping : float in [0, 1)
        Probability of following an edge.
    tolerance : float, > 0
        Largest change of an entry in the last step (at most 1000 steps are done).
    """
    source, target = edge_index_of(data)
    graph, graphs = graph_of_node(data), num_graphs(data)
    out_degree = torch.bincount(source, minlength=graph.numel()).double()
    size = torch.bincount(graph, minlength=graphs)[graph].double()  # (N,)

    def step(rank: Tensor) -> Tensor:
        sent = rank / out_degree.clamp(min=1)
        stranded = segment_reduce(torch.where(out_degree == 0, rank, 0.0), graph, graphs)[graph]
        followed = segment_reduce(sent[source], target, rank.numel()) + stranded / size
        return damping * followed + (1 - damping) / size

    return _iterate(step, 1 / size, graph, graphs, tolerance)


def _iterate(step: Callable[[Tensor], Tensor], value: Tensor, graph: Tensor, graphs: int, tolerance: float) -> Tensor:
    """The fixed point of ``step``; each graph stops on its own, so that its result does not depend on its batch."""
    running = torch.ones(graphs, dtype=torch.bool, device=graph.device)
    for _ in range(_STEPS):
        new = step(value)
        change = segment_reduce((new - value).abs(), graph, graphs, "max")
        value = torch.where(running[graph], new, value)
        running &= change > tolerance
        if not bool(running.any()):
            break
    return value


_CENTRALITIES = {
    "degree": degree_centrality,
    "eigenvector": eigenvector_centrality,
    "pagerank": pagerank_centrality,
}


def check_centrality(name: str) -> None:
    """Raise :class:`ConfigurationError` unless the centrality is known."""
    if name not in _CENTRALITIES:
        raise ConfigurationError(f"centrality must be one of {', '.join(get_args(Centrality))}, got {name!r}")


def node_centrality(data: Data, name: Centrality) -> Tensor:
    """A centrality of the nodes, (N,) float64, computed once for each ``edge_index`` object.

    The result is remembered as long as that tensor (and ``batch``) lives and is not written to, and dropped with it.
    """
    check_centrality(name)
    return remember(lambda *_: _CENTRALITIES[name](data), *structure_of(data), key=(name, num_nodes(data)))


def structure_of(data: Data) -> tuple[Tensor, ...]:
    """The tensors that a centrality depends on."""
    edge_index_of(data)
    return (data.edge_index, data.batch) if "batch" in data else (data.edge_index,)
