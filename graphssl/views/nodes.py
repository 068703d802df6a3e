"""Views that remove nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs, num_nodes
from graphssl.ops import segment_reduce
from graphssl.registry import VIEWS
from graphssl.views._degrees import thin_degrees
from graphssl.views.base import check_probability, device_of, edge_index_of, random_uniform
from graphssl.views.subset import copy_graph, take_nodes

__all__ = ["DropNodes"]


@VIEWS.register("drop-nodes", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class DropNodes:
    """Remove each node, with its edges, with probability ``p``; every graph keeps at least one node.

    The result carries ``n_id``, see :class:`graphssl.views.View`. A graph that would lose all its nodes
    keeps one of them, drawn uniformly. Of a sampled batch the first two seeds always stay, so that any two views share
    at least two rows (a contrast needs them); the other seeds are dropped like all nodes, and ``batch_size``
    and ``input_id`` are those of the seeds that are left. :func:`graphssl.views.align_rows` matches rows of two views.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that a node is dropped.

    Notes
    -----
    GraphCL's code drops exactly ``p * n`` nodes of a graph; here nodes are dropped independently.

    References
    ----------
    .. [1] You et al. Graph Contrastive Learning with Augmentations. NeurIPS 2020. arXiv:2010.13902, section 3.2.
    """

    p: float

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with fewer nodes, and ``n_id`` (N',)."""
        if self.p == 0:
            return copy_graph(data)
        uniform = random_uniform(num_nodes(data), device=device_of(data), generator=generator)  # (N,)
        if "batch_size" in data:  # of a sampled batch
            uniform[: min(2, data["batch_size"])] = 1.0
        graph = graph_of_node(data)
        best = segment_reduce(uniform, graph, num_graphs(data), "max")  # (G,)
        # The best of a graph survives anyway unless all fall.
        keep = (uniform >= self.p) | (uniform == best[graph])
        if "whole_in_degree" in data:
            source, target = edge_index_of(data)
            data = thin_degrees(data, keep[source] & keep[target], self.p, generator=generator)
        return take_nodes(data, keep)
