"""DeepWalk: random walks as sentences, nodes as words, and skip-gram on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from graphssl.data import num_nodes
from graphssl.encoders import Table
from graphssl.errors import ConfigurationError
from graphssl.estimators import NegativeSampling
from graphssl.method import Method, Recipe, register
from graphssl.pairs import Pairs, within_window
from graphssl.samplers import WalkBatch, WalkLoader

BATCH_SIZE = 128  # walks


@register("deepwalk", level="node", paper="arXiv:1403.6652", tags=("contrastive", "random-walk", "transductive"))
class DeepWalk(Method):
    r"""DeepWalk: skip-gram on random walks.

    .. math::
        L = -\frac{1}{|P|} \sum_{(i, j) \in P} \Big( \log \sigma(u_i^\top v_j)
            + \sum_{k=1}^{K} \log \sigma(-u_i^\top v_{n_{ik}}) \Big)

    P holds all pairs of nodes on a walk that are at most a window apart, u are the embeddings, v the vectors of
    contexts, and :math:`n_{ik}` nodes drawn with odds degree^(3/4).

    Parameters
    ----------
    encoder : Table of (N, D)
        u, the paper's :math:`\Phi`.
    context : Table of (N, D)
        v.
    sampler : graph -> WalkLoader
        Called with ``batch_size`` and ``seed``, too.
    window : int
        Largest distance on a walk, w.
    estimator : scores, pairs -> ()

    Notes
    -----
    1. Negative sampling as in [2]_, where [1]_ has a hierarchical softmax.
    2. A place's K negatives are shared by all of its contexts; word2vec draws K for each pair. The expectation is the
       same.
    3. Every pair in the window counts once; word2vec draws the window of each place from 1, ..., w.
    4. Adam on batches of walks, where the authors update after each pair with a falling rate.
    5. Features and (unless the sampler is node2vec's) weights of edges are not read. A walk ends where no edge leaves;
       nodes that no edge touches keep their random row.

    References
    ----------
    .. [1] Perozzi, Al-Rfou, Skiena. DeepWalk: Online Learning of Social Representations. KDD 2014. Algorithms 1 and 2.
    .. [2] Mikolov, Sutskever, Chen, Corrado, Dean. Distributed Representations of Words and Phrases and their
       Compositionality. 2013. arXiv:1310.4546, equation 4.
    """

    inductive = False
    reads_features = False
    equivariant = False  # a row belongs to a node's number

    def __init__(
        self,
        encoder: Table,
        context: Table,
        *,
        sampler: Callable[..., WalkLoader] = WalkLoader,
        window: int = 10,
        estimator: Callable[[Tensor, Pairs], Tensor] = NegativeSampling(),
    ) -> None:
        super().__init__()
        if window < 1:
            raise ConfigurationError(f"window must be at least 1, got {window}")
        self.encoder, self.context = encoder, context
        self.sampler, self.window, self.estimator = sampler, window, estimator

    def batches(self, data: Any, *, batch_size: int | None, seed: int) -> WalkLoader:
        """Walks from every node; ``batch_size`` counts walks, default 128."""
        return self.sampler(data, batch_size=batch_size or BATCH_SIZE, seed=seed)

    def loss(self, batch: Any) -> Tensor:
        """Negative sampling over the walks of a batch, shape ``()``; a graph gives one walk from each node."""
        if not isinstance(batch, WalkBatch):
            loader = self.sampler(batch, batch_size=BATCH_SIZE, seed=0)
            key = int(torch.randint(2**62, ()))
            batch = loader.make(torch.arange(loader.starts.numel()), key).to(self.encoder.weight.device)
        u, v = self.encoder.rows(batch.walks), self.context.rows(batch.walks)  # (B, T, D)
        near = u @ v.transpose(1, 2)  # (B, T, T)
        far = (u.unsqueeze(-2) @ self.context.rows(batch.negatives).transpose(-1, -2)).squeeze(-2)  # (B, T, K)
        size, negatives = batch.negatives.shape[1:]
        pairs = within_window(batch.lengths, size, window=self.window, negatives=negatives)
        return self.estimator(torch.cat([near, far], dim=2).flatten(0, 1), pairs)

    def embed(self, graph: Any) -> Tensor:
        """The rows of all nodes, (N, D); of a batch of walks those of their first nodes, (B, D)."""
        return self.encoder.rows(graph.walks[:, 0]) if isinstance(graph, WalkBatch) else self.encoder(graph)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        out_channels: int = 128,
        walks_per_node: int = 10,
        walk_length: int = 80,
        window: int = 10,
        negatives: int = 5,
    ) -> DeepWalk:
        """Build from options: two tables of width 128 and uniform walks."""
        sampler = partial(WalkLoader, walk_length=walk_length, walks_per_node=walks_per_node, negatives=negatives)
        return cls(*tables(data, out_channels), sampler=sampler, window=window)


def tables(data: Any, out_channels: int) -> tuple[Table, Table]:
    """Vectors of the nodes of a graph, and of nodes as contexts."""
    nodes = num_nodes(data)
    return Table(nodes, out_channels), Table(nodes, out_channels, zero=True)


RECIPES = {
    "default": Recipe(training=dict(steps=1000, lr=1e-2)),
    "paper": Recipe(
        options=dict(walks_per_node=80, walk_length=40),
        training=dict(epochs=1, lr=1e-2),
        source="README.rst of phanein/deepwalk, 'the same as in the paper': 80 walks of length 40, window 10, D = 128; "
        "one epoch; the rate is ours",
    ),
}
