"""InfoGraph: the code of a graph should know the codes of its own nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.critics import DotCritic
from graphssl.data import graph_of_node, num_features, num_graphs
from graphssl.encoders import build_encoder
from graphssl.estimators import JSD
from graphssl.functional import same_graph_jsd_loss
from graphssl.method import Method, Recipe, register
from graphssl.pairs import Pairs, same_graph
from graphssl.readouts import make_readout

_MANY_SCORES = 2**22  # above as many, 16 MB, they are not kept


class _Head(nn.Module):
    """Three ReLU layers beside a linear short cut: the paper's discriminator network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [layer for _ in range(3) for layer in (nn.Linear(channels, channels), nn.ReLU())]
        self.block, self.shortcut = nn.Sequential(*layers), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + self.shortcut(x)


@register("infograph", level="graph", paper="arXiv:1908.01000", tags=("contrastive", "infomax"))
class InfoGraph(Method):
    r"""Mutual information between a graph and its substructures.

    .. math::
        L = \frac{1}{N} \sum_{i \in G_j} \mathrm{sp}(-T_{ij})
            + \frac{1}{N(B-1)} \sum_{i \notin G_j} \mathrm{sp}(T_{ij}), \quad T_{ij} = \phi(h_i)^\top \psi(g_j)

    the Jensen-Shannon estimator over the N nodes and B graphs of a batch.

    Parameters
    ----------
    encoder : Data -> (N, D)
        Codes of nodes: all layers concatenated.
    readout : (N, D), batch -> (G, D)
        Codes of graphs, and the embedding.
    node_head, graph_head : (., D) -> (., D)
        :math:`\phi` and :math:`\psi`; used for the loss only.
    critic, estimator
        The score :math:`T` and the bound.

    Notes
    -----
    1. The released code quotes the best test score over epochs and classifiers; here the encoder of the last epoch is
       evaluated, and nothing is chosen by a test score.
    2. The optional adversarial prior on graph codes is left out.
    3. Above 4 million scores (nodes times graphs of a batch) the same loss is computed without keeping them.

    References
    ----------
    .. [1] Sun, Hoffmann, Verma, Tang. InfoGraph. ICLR 2020. Equations 4 and 5.
    """

    def __init__(
        self,
        encoder: nn.Module,
        readout: nn.Module,
        node_head: nn.Module,
        graph_head: nn.Module,
        *,
        critic: nn.Module | None = None,
        estimator: Callable[[Tensor, Pairs], Tensor] = JSD(),
    ) -> None:
        super().__init__()
        self.encoder, self.readout = encoder, readout
        self.node_head, self.graph_head = node_head, graph_head
        self.critic, self.estimator = critic or DotCritic(), estimator

    def loss(self, batch: Data) -> Tensor:
        """Jensen-Shannon loss of nodes against graphs, shape ``()``."""
        h = self.encoder(batch)  # (N, D)
        g = self.readout(h, graph_of_node(batch), num_graphs(batch))  # (G, D)
        nodes, graphs, own = self.node_head(h), self.graph_head(g), graph_of_node(batch)  # (N, D), (G, D), (N,)
        usual = isinstance(self.critic, DotCritic) and self.estimator == JSD()
        if usual and nodes.size(0) * graphs.size(0) > _MANY_SCORES:
            return same_graph_jsd_loss(nodes, graphs, own)  # the same, without the scores
        return self.estimator(self.critic(nodes, graphs), same_graph(own, graphs.size(0)))

    def embed(self, batch: Data) -> Tensor:
        """Pooled codes, shape (G, D)."""
        return self.readout(self.encoder(batch), graph_of_node(batch), num_graphs(batch))

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: str | nn.Module = "gin",
        hidden_channels: int = 32,
        num_layers: int = 3,
        activation: str = "relu",
        norm: str | None = "batch",
        readout: str = "sum",
        encoder_options: Mapping[str, Any] | None = None,
    ) -> InfoGraph:
        """Build from options: GIN 3 x 32 with batch norm, layers concatenated, sum pooling."""
        network = build_encoder(
            encoder, num_features(data), hidden_channels=hidden_channels, num_layers=num_layers,
            activation=activation, norm=norm, jumping="cat", further=encoder_options,
        )  # fmt: skip
        width = network.out_channels
        return cls(network, make_readout(readout, width), _Head(width), _Head(width))


def _recipe(features: str) -> Recipe:
    return Recipe(
        training=dict(epochs=20, lr=1e-3, batch_size=128),
        features=features,
        source="section 5.1 of the paper (GIN, 20 epochs, batch 128); lr is the middle one of its three",
    )


RECIPES = {
    "default": Recipe(training=dict(epochs=20, lr=1e-3, batch_size=128)),
    "mutag": _recipe("node-labels"),
    "proteins": _recipe("node-labels"),
    "nci1": _recipe("node-labels"),
    "imdb-binary": _recipe("degree-one-hot"),
    "reddit-binary": _recipe("constant"),
    "collab": _recipe("degree-one-hot"),
}
