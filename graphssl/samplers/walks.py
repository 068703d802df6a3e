"""Random walks over a graph: uniform, weighted, and node2vec's."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from graphssl.checks import whole_number
from graphssl.data import graph_source
from graphssl.errors import ConfigurationError
from graphssl.ops import random_walks

__all__ = ["RandomWalks"]


class RandomWalks:
    r"""Walks of a fixed length from given nodes.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
        Walks follow the direction of edges, and choose them in proportion to ``weight_attr`` where a ``Data`` has it.
    walk_length : int
        Number of moves. A walk that comes to a node without edges stays there.
    p, q : float, > 0
        Of node2vec: coming from node t, an edge back to t has weight 1 / p, one to a neighbour of t weight 1, any other
        1 / q. With 1 and 1 the walk forgets where it came from (DeepWalk).
    weight_attr : str, optional

    References
    ----------
    .. [1] Perozzi, Al-Rfou, Skiena. DeepWalk. KDD 2014. arXiv:1403.6652.
    .. [2] Grover, Leskovec. node2vec. KDD 2016. arXiv:1607.00653, section 3.2.
    """

    def __init__(
        self, data: Any, walk_length: int, *, p: float = 1.0, q: float = 1.0, weight_attr: str | None = "edge_weight"
    ) -> None:
        if not (p > 0 and q > 0):
            raise ConfigurationError(f"expected p > 0 and q > 0; got {p} and {q}")
        self.source = graph_source(data, weight_attr=weight_attr)
        self.walk_length, self.p, self.q = whole_number("walk_length", walk_length, 1), p, q

    def sample(self, seeds: Tensor, seed: int = 0, *, streams: Tensor | None = None) -> Tensor:
        """Walks, int64 (S, walk_length + 1), each with its seed first; see :meth:`RandomWalkSubgraphs.sample`."""
        csr = self.source.topology("out")
        return random_walks(csr, seeds, self.walk_length, seed=seed, streams=streams, p=self.p, q=self.q)
