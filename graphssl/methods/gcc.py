"""GCC: a node's subgraph against another walk's subgraph of the same node; structure alone, for any graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch, Data

from graphssl.data import NodeBlocks, graph_source, num_nodes
from graphssl.encoders import Encoder, build_encoder
from graphssl.errors import ConfigurationError
from graphssl.functional import info_nce_loss, queue_info_nce_loss
from graphssl.heads import EMA, Queue
from graphssl.method import Method, Recipe, register
from graphssl.ops import Subgraphs, positional_embeddings, walk_subgraphs
from graphssl.pairs import same_row
from graphssl.readouts import SumReadout
from graphssl.samplers import SeedLoader

EMBEDDED = 1024  # subgraphs encoded together


@dataclass(frozen=True)
class Structures:
    """Graphs without names or attributes, each with one marked node: what GCC's encoder reads.

    Parameters
    ----------
    edge_index : Tensor of int64, shape (2, E)
    batch : Tensor of int64, shape (N,)
        The graph of each node.
    position : Tensor, shape (N, 32)
        Leading eigenvectors of the graph's normalised adjacency.
    seed : Tensor of int64, shape (G,)
        The marked node of each graph.
    """

    edge_index: Tensor
    batch: Tensor
    position: Tensor
    seed: Tensor

    @classmethod
    def of(cls, found: Subgraphs, channels: int) -> Structures:
        """Of subgraphs with their seeds first; the eigenvectors are computed here."""
        position = positional_embeddings(found.edge_index, found.ptr, channels)
        # Both directions are there: with targets in order, the encoder has nothing to sort.
        return cls(found.edge_index.flip(0), found.batch, position, found.ptr[:-1])

    def to(self, device: torch.device) -> Structures:
        """The same on another device."""
        return Structures(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Pair:
    """Two samples of the same seeds."""

    query: Structures
    key: Structures

    def to(self, device: torch.device) -> Pair:
        """The same on another device."""
        return Pair(self.query.to(device), self.key.to(device))


class StructureEncoder(nn.Module):
    """Eigenvectors, a degree embedding and a mark on the seed through a GIN: (G, D) of unit length.

    The input and every layer's output, of these ``widths``, are summed over the nodes and mapped linearly; a code is
    the sum of these maps.
    """

    def __init__(
        self, layers: Encoder, widths: list[int], degree_channels: int, max_degree: int, out_channels: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.degrees = nn.Embedding(max_degree + 1, degree_channels)
        self.layers, self.dropout, self.widths = layers, dropout, widths
        self.readout = SumReadout()
        self.heads = nn.ModuleList(nn.Linear(width, out_channels) for width in widths)

    def forward(self, graphs: Structures) -> Tensor:
        """Codes of the graphs' seeds."""
        degree = torch.bincount(graphs.edge_index[1], minlength=graphs.batch.numel())  # (N,)
        mark = torch.zeros(degree.numel(), 1, device=degree.device).index_fill_(0, graphs.seed, 1.0)
        x = torch.cat([graphs.position, self.degrees(degree.clamp(max=self.degrees.num_embeddings - 1)), mark], dim=1)
        h = self.layers(Data(x=x, edge_index=graphs.edge_index, batch=graphs.batch))  # (N, layers * hidden)
        pooled = self.readout(torch.cat([x, h], dim=1), graphs.batch, graphs.seed.numel()).split(self.widths, dim=1)
        maps = [head(part) for head, part in zip(self.heads, pooled, strict=True)]
        code = torch.stack([F.dropout(part, self.dropout, self.training) for part in maps]).sum(dim=0)
        return F.normalize(code, dim=1, eps=1e-5)


@register("gcc", level="node", paper="arXiv:2006.09963", tags=("contrastive", "structural", "pre-training"))
class GCC(Method):
    r"""Graph contrastive coding: subgraph instance discrimination.

    .. math::
        L = -\log \frac{e^{q^\top k_+ / \tau}}{\sum_{j=0}^{K} e^{q^\top k_j / \tau}}

    q and :math:`k_+` are codes of two random walks' subgraphs around one node, the other :math:`k_j` of other nodes'
    subgraphs: of the batch (end to end), or of a queue filled by a slowly moving copy of the encoder (MoCo).

    Parameters
    ----------
    encoder : Structures -> (G, D) of unit length
    walk_length : int
        Moves of a walk.
    restart_prob : float
        Probability of going back to the seed before a move.
    positional_channels : int
        How many eigenvectors.
    temperature : float
        :math:`\tau`.
    momentum : float or None
        Of the encoder of keys; None: one encoder for both, without a queue (E2E).
    queue_size : int
        K, with a momentum.
    views : int
        A node's embedding is the mean over this many walks' subgraphs (the authors take two).

    Notes
    -----
    1. Features, weights and directions are not read. One graph is embedded node by node, (N, D); graphs of a batch as
       wholes, (G, D), the node of highest degree being marked.
    2. Eigenvectors have the sign that makes their largest entry positive; the authors leave it to the solver.
    3. Seeds of an epoch are drawn with odds degree^0.75, as many as there are nodes.

    References
    ----------
    .. [1] Qiu, Chen, Dong, Zhang, Yang, Ding, Wang, Tang. GCC: Graph Contrastive Coding for Graph Neural Network
       Pre-Training. KDD 2020. Equation 1, section 3.
    """

    equivariant = False  # walks are drawn by the numbers of nodes
    reads_features = False

    def __init__(
        self,
        encoder: nn.Module,
        *,
        walk_length: int = 256,
        restart_prob: float = 0.8,
        positional_channels: int = 32,
        temperature: float = 0.07,
        momentum: float | None = 0.999,
        queue_size: int = 16_384,
        out_channels: int = 64,
        views: int = 8,
    ) -> None:
        super().__init__()
        self.encoder, self.temperature, self.views = encoder, temperature, views
        self.walk_length, self.restart_prob = walk_length, restart_prob
        self.positional_channels = positional_channels
        self.target = None if momentum is None else EMA(encoder, momentum)
        self.queue = None if momentum is None else Queue(queue_size, out_channels)
        self._keys: Tensor | None = None

    def prepare(self, data: Any) -> Any:
        """The edges alone, so that graphs of any features go together."""
        if isinstance(data, list):
            return [self.prepare(graph) for graph in data]
        if isinstance(data, Data) and not isinstance(data, Batch):
            return Data(edge_index=data.edge_index, num_nodes=num_nodes(data))
        return data

    def batches(self, data: Any, *, batch_size: int | None, seed: int) -> SeedLoader:
        """Pairs of subgraphs of seeds from all graphs, drawn by degree."""
        return SeedLoader(data, self._pair, batch_size=batch_size or 32, power=0.75, seed=seed)

    def _pair(self, csr: Any, seeds: Tensor, streams: Tensor, key: int) -> Pair:
        """Two walks' subgraphs of each seed."""
        query, other = (self._subgraphs(csr, seeds, 2 * streams + i, key) for i in (0, 1))
        return Pair(query, other)

    def _subgraphs(self, csr: Any, seeds: Tensor, streams: Tensor, key: int) -> Structures:
        found = walk_subgraphs(csr, seeds, self.walk_length, restart=self.restart_prob, seed=key, streams=streams)
        return Structures.of(found, self.positional_channels)

    def loss(self, batch: Pair | Data) -> Tensor:
        """InfoNCE of a batch of pairs, shape ``()``; a graph gives one pair for each node."""
        if not isinstance(batch, Pair):
            csr, key = graph_source(batch).topology("out").undirected, int(torch.randint(2**62, ()))
            nodes = torch.arange(csr.num_nodes)
            batch = self._pair(csr, nodes, nodes, key).to(batch.edge_index.device)
        q = self.encoder(batch.query)  # (B, D)
        if self.target is None or self.queue is None:
            return self._among_batch(q, self.encoder(batch.key))
        self._keys = self.target(batch.key)  # (B, D)
        if not len(self.queue):
            return self._among_batch(q, self._keys)
        return queue_info_nce_loss(q, self._keys, self.queue.values(), temperature=self.temperature)

    def _among_batch(self, q: Tensor, keys: Tensor) -> Tensor:
        """The other keys of the batch as negatives: end to end, and as long as the queue is empty."""
        if q.size(0) < 2:
            raise ConfigurationError("a contrast needs at least two nodes: with one there is no negative")
        return info_nce_loss(q @ keys.t(), same_row(q.size(0)), temperature=self.temperature)

    def after_step(self, progress: float) -> None:
        """Move the encoder of keys, and queue its codes."""
        if self.target is not None and self.queue is not None and self._keys is not None:
            self.queue.push(self._keys)
            self.target.update()
            self._keys = None

    def embed(self, graph: Any) -> Tensor:
        """Codes of the nodes of one graph, (N, D), averaged over walks, or of the graphs of a batch, (G, D)."""
        if isinstance(graph, Structures):
            return self.encoder(graph)
        if isinstance(graph, Pair):
            return self.encoder(graph.query)
        if isinstance(graph, Batch):
            return self.encoder(self.structures(graph))
        device = next(self.parameters()).device
        graph, result = (graph.source, torch.device("cpu")) if isinstance(graph, NodeBlocks) else (graph, device)
        codes = []
        for nodes in torch.arange(num_nodes(graph)).split(EMBEDDED):
            views = [self.encoder(self.subgraphs(graph, nodes, seed=i).to(device)) for i in range(self.views)]
            codes.append(torch.stack(views).mean(dim=0).to(result))
        return torch.cat(codes)

    def subgraphs(self, graph: Any, nodes: Tensor, *, seed: int = 0) -> Structures:
        """One walk's subgraph of each of these nodes: a batch that :meth:`embed` and fine-tuning take."""
        return self._subgraphs(graph_source(graph).topology("out").undirected, nodes, nodes, seed)

    def structures(self, graphs: Batch) -> Structures:
        """The graphs of a batch as wholes, the node of highest degree marked, for :meth:`embed`: costs eigenvectors."""
        csr = graph_source(graphs).topology("out").undirected
        degree = csr.ptr.diff()
        hubs = [int(start + degree[start:end].argmax()) for start, end in pairwise(graphs.ptr.tolist())]
        row = torch.repeat_interleave(torch.arange(degree.numel(), device=degree.device), degree)
        edge_index = torch.stack([csr.neighbour.long(), row])
        position = positional_embeddings(edge_index, graphs.ptr, self.positional_channels)
        seed = torch.tensor(hubs, device=degree.device)
        return Structures(edge_index, graphs.batch, position, seed)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: str = "gin",
        hidden_channels: int = 64,
        out_channels: int | None = None,
        num_layers: int = 5,
        activation: str = "relu",
        encoder_options: Mapping[str, Any] | None = None,
        positional_channels: int = 32,
        degree_channels: int = 16,
        max_degree: int = 512,
        dropout: float = 0.5,
        walk_length: int = 256,
        restart_prob: float = 0.8,
        temperature: float = 0.07,
        momentum: float | None = 0.999,
        queue_size: int = 16_384,
        views: int = 8,
    ) -> GCC:
        """Build from options: a GIN of five layers of width 64; ``momentum=None`` trains end to end."""
        if "jumping" in (encoder_options or {}):
            raise ConfigurationError("gcc reads out every layer: leave 'jumping' out of encoder_options")
        width = out_channels or hidden_channels
        widths = [positional_channels + degree_channels + 1, *[hidden_channels] * num_layers]
        layers = build_encoder(
            encoder, widths[0], hidden_channels=hidden_channels, num_layers=num_layers,
            activation=activation, jumping="cat",
            options={"inner_norm": True, "norm_first": True} if encoder == "gin" else None,
            further=encoder_options,
        )  # fmt: skip
        return cls(
            StructureEncoder(layers, widths, degree_channels, max_degree, width, dropout), walk_length=walk_length,
            restart_prob=restart_prob, positional_channels=positional_channels, temperature=temperature,
            momentum=momentum, queue_size=queue_size, out_channels=width, views=views,
        )  # fmt: skip


_TRAINING = dict(steps=75_000, batch_size=32, lr=5e-3, weight_decay=1e-5, clip_norm=1.0, schedule="linear", warmup=0.1)
RECIPES = {
    "default": Recipe(training={**_TRAINING, "steps": 2000}),
    "paper": Recipe(training=_TRAINING, source="section 4.1 of the paper; train.py of THUDM/GCC"),
    # What the encoder that comes with the package was trained with, see benchmarks/gcc.py.
    "gcc-small": Recipe(
        options=dict(momentum=None, walk_length=128, temperature=0.5),
        training={**_TRAINING, "steps": 1000, "batch_size": 256},
        source="the paper's end-to-end variant with shorter walks and training: minutes on one core; walks of 128 "
        "moves and the temperature by validation inside training folds, see benchmarks/results/gcc",
    ),
}
