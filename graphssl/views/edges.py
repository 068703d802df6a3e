"""Views that remove and add edges."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs
from graphssl.ops import remember
from graphssl.registry import VIEWS
from graphssl.views._degrees import extend_degrees, thin_degrees
from graphssl.views.base import (
    check_generator,
    check_probability,
    edge_index_of,
    order_by_group,
    random_below,
    random_uniform,
)
from graphssl.views.subset import copy_graph, take_edges

__all__ = ["AddEdges", "DropEdges", "PerturbEdges"]


@VIEWS.register("drop-edges", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class DropEdges:
    """Remove each edge with probability ``p``.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that an edge is dropped.
    undirected : bool
        Drop or keep both directions of an edge, and its duplicates, together. The default treats
        every column of ``edge_index`` on its own, as the code of GRACE and BGRL does.

    Notes
    -----
    A sampled batch stands for a larger graph, whose other edges are dropped, too: ``whole_in_degree`` and
    ``whole_norm_degree`` become those of the graph with fewer edges, so that a layer gives on average what it gives of
    the view of the whole graph. ``docs/samplers.md`` says how close.

    References
    ----------
    .. [1] Zhu et al. Deep Graph Contrastive Representation Learning (GRACE). 2020. arXiv:2006.04131, section 3.2.1.
    """

    p: float
    undirected: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with fewer edges and the same nodes."""
        edge_index_of(data)
        if self.p == 0:
            return copy_graph(data)
        kept = kept_edges(data, self.p, undirected=self.undirected, generator=generator)
        return take_edges(thin_degrees(data, kept, self.p, generator=generator), kept)


@VIEWS.register("add-edges", example={"p": 0.3}, identity={"p": 0.0}, adds_edges=True)
@dataclass(frozen=True)
class AddEdges:
    """Add random edges: ``round(p * E)`` inside a graph of E edges, never between two graphs of a batch.

    Both ends are uniform over the nodes of the graph and differ; an edge that is already there may be
    added again. A graph of one node gets none. A new edge takes its attributes (``edge_attr``, ``edge_weight``, ...)
    from a random edge of the same graph, so that they stay valid whatever they mean.

    Parameters
    ----------
    p : float in [0, 1]
        New edges as a fraction of the graph's edges.
    undirected : bool
        Add ``round(p * E / 2)`` pairs of opposite edges instead.

    Notes
    -----
    In a sampled batch E counts the sampled edges, and both ends are nodes of the batch: a node is given fewer new
    edges than in the whole graph, and each stands for itself alone.
    """

    p: float
    undirected: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with more edges and the same nodes."""
        everything = torch.arange(edge_index_of(data).size(1), device=edge_index_of(data).device)
        if self.p == 0:
            return copy_graph(data)
        return _with_new_edges(data, everything, self.p, undirected=self.undirected, generator=generator)


@VIEWS.register("perturb-edges", example={"p": 0.3}, identity={"p": 0.0}, adds_edges=True)
@dataclass(frozen=True)
class PerturbEdges:
    """Drop each edge with probability ``p`` and add ``round(p * E)`` random ones: GraphCL's edge perturbation.

    Parameters
    ----------
    p : float in [0, 1]
        As in :class:`DropEdges` and :class:`AddEdges`; E counts the edges before dropping.
    undirected : bool
        As in :class:`DropEdges` and :class:`AddEdges`.

    Notes
    -----
    GraphCL's code for TU data sets only deletes; this is what its paper describes.

    References
    ----------
    .. [1] You et al. Graph Contrastive Learning with Augmentations. NeurIPS 2020. arXiv:2010.13902, section 3.2.
    """

    p: float
    undirected: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with other edges and the same nodes."""
        edge_index_of(data)
        if self.p == 0:
            return copy_graph(data)
        kept = kept_edges(data, self.p, undirected=self.undirected, generator=generator)
        data = thin_degrees(data, kept, self.p, generator=generator)
        return _with_new_edges(data, kept.nonzero().view(-1), self.p, undirected=self.undirected, generator=generator)


def kept_edges(data: Data, p: float | Tensor, *, undirected: bool, generator: torch.Generator | None) -> Tensor:
    """Which edges survive when each is dropped with probability ``p`` (a number or (E,)): (E,) bool."""
    edge_index = edge_index_of(data)
    if not undirected:
        return random_uniform(edge_index.size(1), device=edge_index.device, generator=generator) >= p
    # One random number per pair of nodes.
    assert data.edge_index is not None
    check_generator(generator, edge_index.device)
    pair = remember(lambda *_: _pair_of_edge(edge_index), data.edge_index, key="pairs")
    uniform = random_uniform(int(pair.max()) + 1 if pair.numel() else 0, device=pair.device, generator=generator)
    return uniform[pair] >= p


def _pair_of_edge(edge_index: Tensor) -> Tensor:
    """A number for the pair of nodes that each edge joins, in whatever direction, (E,)."""
    low, high = edge_index.min(0).values, edge_index.max(0).values
    width = int(high.max()) + 1 if high.numel() else 1
    return torch.unique(low * width + high, return_inverse=True)[1]


def _with_new_edges(data: Data, kept: Tensor, p: float, *, undirected: bool, generator: torch.Generator | None) -> Data:
    """The edges ``kept`` (K,) and, per graph, a fraction ``p`` of random new ones."""
    edge_index = edge_index_of(data)
    check_generator(generator, edge_index.device)
    graph = graph_of_node(data)
    graphs = num_graphs(data)
    graph_of_edge = graph[edge_index[0]]  # (E,)
    nodes, edges = torch.bincount(graph, minlength=graphs), torch.bincount(graph_of_edge, minlength=graphs)  # (G,)

    wanted = (p * edges.double() / (2 if undirected else 1)).round().long() * (nodes > 1)
    target_graph = torch.repeat_interleave(torch.arange(graphs, device=graph.device), wanted)  # (K,)
    size = nodes[target_graph]
    source = random_below(size, generator=generator)
    target = (source + 1 + random_below(size - 1, generator=generator)) % size  # any other node
    donor = random_below(edges[target_graph], generator=generator)

    # From "the k-th node (edge) of its graph" to its position, whatever order nodes and edges come in.
    node_order, edge_order = order_by_group(graph), order_by_group(graph_of_edge)
    node_start, edge_start = nodes.cumsum(0) - nodes, edges.cumsum(0) - edges
    new = node_order[torch.stack([source, target]) + node_start[target_graph]]  # (2, K)
    donor = edge_order[donor + edge_start[target_graph]]
    if undirected:
        new, donor = torch.cat([new, new.flip(0)], dim=1), donor.repeat(2)

    data = extend_degrees(data, kept, new, donor)
    index, ends = torch.cat([kept, donor]), torch.cat([edge_index[:, kept], new], dim=1)
    if graphs > 1:
        by_graph = order_by_group(graph[ends[0]])
        index, ends = index[by_graph], ends[:, by_graph]
    return take_edges(data, index, edge_index=ends)
