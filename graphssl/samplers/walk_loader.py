"""Batches of random walks with negatives: what skip-gram reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.data import graph_source
from graphssl.errors import InvalidGraphError
from graphssl.ops import random_walks
from graphssl.ops.csr import CSR
from graphssl.ops.stream import stream_keys, uniform
from graphssl.samplers.loader import Loader

__all__ = ["WalkBatch", "WalkLoader"]


@dataclass(frozen=True)
class WalkBatch:
    """Walks, and negatives for each of their places.

    Parameters
    ----------
    walks : Tensor of int64, shape (B, T)
        Nodes. Behind the end of a walk its last node is repeated.
    lengths : Tensor of int64, shape (B,)
        Nodes of each walk before it ends, at most T.
    negatives : Tensor of int64, shape (B, T, K)
    """

    walks: Tensor
    lengths: Tensor
    negatives: Tensor

    def to(self, device: torch.device) -> WalkBatch:
        """The same on another device."""
        return WalkBatch(self.walks.to(device), self.lengths.to(device), self.negatives.to(device))


class WalkLoader(Loader):
    r"""Walks from every node, in random order, each place of a walk with nodes drawn as negatives.

    An epoch starts ``walks_per_node`` walks from each node that has an edge to leave by.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
        Walks follow the direction of edges, and end at a node without any.
    walk_length : int
        Moves of a walk: T - 1.
    walks_per_node : int
    negatives : int
        K. They are drawn with odds :math:`d^{3/4}` of their degree d (weights of the edges from and to a node): on
        undirected graphs walks visit nodes in proportion to degree, so that these are the unigram odds of [2]_.
    p, q : float, > 0
        Of node2vec, see :class:`RandomWalks`; both 1 in DeepWalk.
    weight_attr : str, optional
        Attribute of edges with their odds to be chosen; None: all equal.
    batch_size : int
        Walks in a batch, B.
    seed, prefetch, workers
        See :class:`Loader`.

    Yields
    ------
    WalkBatch

    Raises
    ------
    InvalidGraphError
        If there is no edge to walk along.
    ConfigurationError
        If a number is out of its range.

    References
    ----------
    .. [1] Perozzi, Al-Rfou, Skiena. DeepWalk. KDD 2014. arXiv:1403.6652, algorithm 1.
    .. [2] Mikolov, Sutskever, Chen, Corrado, Dean. Distributed Representations of Words and Phrases and their
       Compositionality. 2013. arXiv:1310.4546, section 2.2.

    Examples
    --------
    >>> import graphssl
    >>> data = graphssl.load_dataset("karate")
    >>> batch = next(iter(graphssl.samplers.WalkLoader(data, walk_length=6, negatives=2, batch_size=16)))
    >>> batch.walks.shape, batch.negatives.shape
    (torch.Size([16, 7]), torch.Size([16, 7, 2]))
    """

    def __init__(
        self,
        data: Any,
        *,
        walk_length: int = 80,
        walks_per_node: int = 10,
        negatives: int = 5,
        p: float = 1.0,
        q: float = 1.0,
        weight_attr: str | None = None,
        batch_size: int = 128,
        seed: int = 0,
        prefetch: int = 2,
        workers: int = 1,
    ) -> None:
        walks_per_node = whole_number("walks_per_node", walks_per_node, 1)
        self.csr = graph_source(data, weight_attr=weight_attr).topology("out")
        self.walk_length = whole_number("walk_length", walk_length, 1)
        self.negatives = whole_number("negatives", negatives, 1)
        self.p, self.q = p, q
        away, toward = _strengths(self.csr)
        self.leaves = away > 0
        self.starts = self.leaves.nonzero().squeeze(1)
        self.odds = (away + toward).pow(0.75).cpu().cumsum(0).to(away.device)  # added in the same order everywhere
        if not self.starts.numel():
            raise InvalidGraphError("expected a graph with edges (of weight above 0): none can be walked along")
        count = self.starts.numel() * walks_per_node
        super().__init__(
            count, batch_size=batch_size, shuffle=True, seed=seed, prefetch=prefetch, workers=workers
        )  # fmt: skip

    def make(self, items: Tensor, key: int) -> Any:
        """The walks of these items, each with a stream of its own for moves and another for negatives."""
        items = items.to(self.csr.device)
        seeds = self.starts[items % self.starts.numel()]
        walks = random_walks(self.csr, seeds, self.walk_length, seed=key, streams=items, p=self.p, q=self.q)
        lengths = 1 + self.leaves[walks[:, :-1]].long().cumprod(1).sum(1)  # a move for each node left, up to the first
        keys = stream_keys(int(stream_keys(key, torch.tensor([-1]))), items)[:, None]
        drawn = uniform(keys, torch.arange(walks.size(1) * self.negatives, device=walks.device)) * self.odds[-1]
        nodes = torch.searchsorted(self.odds, drawn, right=True).clamp_(max=self.odds.numel() - 1)
        return WalkBatch(walks, lengths, nodes.view(*walks.shape, self.negatives))


def _strengths(csr: CSR) -> tuple[Tensor, Tensor]:
    """Weights of the edges from each node, and to it, float64 (N,)."""
    weight = None if csr.weight is None else csr.weight.double()
    toward = torch.bincount(csr.neighbour, weight, minlength=csr.num_nodes).double()
    if csr.cumulative is None:
        return csr.ptr.diff().double(), toward
    total = torch.cat([csr.cumulative, csr.cumulative.new_zeros(1)])[csr.ptr[1:] - 1]  # -1 reads the zero
    return torch.where(csr.ptr.diff() > 0, total, 0.0), toward
