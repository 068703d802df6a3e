"""Deep Graph Infomax: nodes against a summary of their own graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.critics import BilinearCritic
from graphssl.data import graph_of_node, num_features, num_graphs
from graphssl.encoders import build_encoder
from graphssl.estimators import BCE
from graphssl.method import Method, Recipe, register
from graphssl.pairs import Pairs, real_versus_corrupt
from graphssl.readouts import MeanReadout
from graphssl.views import ShuffleFeatures


@register("dgi", level="node", paper="arXiv:1809.10341", tags=("contrastive", "infomax"))
class DGI(Method):
    r"""Deep Graph Infomax.

    .. math::
        L = -\frac{1}{2N} \Big[ \sum_i \log D(h_i, s) + \sum_j \log\big(1 - D(\tilde h_j, s)\big) \Big],
        \quad D(h, s) = \sigma(h^\top W s), \quad s = \sigma\big(\tfrac{1}{N} \sum_i h_i\big)

    Parameters
    ----------
    encoder : Data -> (N, D)
        :math:`h`, the paper's :math:`\mathcal{E}`.
    critic : (G, D), (N, D) -> (G, N)
        Logit of :math:`D`.
    corruption : view
        The paper's :math:`\mathcal{C}`: rows of the features are permuted, edges stay.
    readout : (N, D), batch -> (G, D)
        Before its sigmoid; with several graphs in a batch each has its own summary.
    estimator : scores, pairs -> ()

    Notes
    -----
    1. On a batch of graphs every node meets the summary of its own graph only; features are shuffled within a graph.
    2. The summary of an untrained encoder is nearly constant, so the critic at first only separates real from
       corrupted rows (Zheng et al., GGD, 2022); see :mod:`graphssl.methods.ggd`.

    References
    ----------
    .. [1] Velickovic, Fedus, Hamilton, Lio, Bengio, Hjelm. Deep Graph Infomax. ICLR 2019. Equation 1, section 4.2.
    """

    def __init__(
        self,
        encoder: nn.Module,
        critic: nn.Module,
        *,
        corruption: Callable[[Data], Data] = ShuffleFeatures(),
        readout: nn.Module | None = None,
        estimator: Callable[[Tensor, Pairs], Tensor] = BCE(),
    ) -> None:
        super().__init__()
        self.encoder, self.critic = encoder, critic
        self.corruption, self.estimator = corruption, estimator
        self.readout = readout or MeanReadout()

    def loss(self, graph: Data) -> Tensor:
        """Binary cross-entropy of telling nodes from corrupted nodes given the summary, shape ``()``."""
        h = self.encoder(graph)  # (N, D)
        h_corrupt = self.encoder(self.corruption(graph))  # (N, D)
        own, graphs = graph_of_node(graph)[: h.size(0)], num_graphs(graph)  # of a sampled batch, its seeds
        summary = self.readout(h, own, graphs).sigmoid()  # (G, D)
        scores = torch.cat([self.critic(summary, h), self.critic(summary, h_corrupt)], dim=1)  # (G, 2N)
        return self.estimator(scores, real_versus_corrupt(own, graphs))

    def embed(self, graph: Data) -> Tensor:
        """The encoder's output, shape (N, D)."""
        return self.encoder(graph)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: str | nn.Module = "gcn",
        hidden_channels: int = 512,
        out_channels: int | None = None,
        num_layers: int = 1,
        activation: str = "prelu",
        norm: str | None = None,
        encoder_options: Mapping[str, Any] | None = None,
    ) -> DGI:
        """Build from options: one GCN layer of width 512 with PReLU and a bilinear critic, as in the paper."""
        network = build_encoder(
            encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
            num_layers=num_layers, activation=activation, norm=norm, further=encoder_options,
        )  # fmt: skip
        return cls(network, BilinearCritic(network.out_channels, network.out_channels))


_PLANETOID = Recipe(
    training=dict(epochs=10_000, patience=20, lr=1e-3),
    features="row-normalized",
    source="section 4.2 of the paper; execute.py of PetarV-/DGI: 512 units, Adam 1e-3, patience 20 on the loss",
)
RECIPES = {
    "default": Recipe(training=dict(epochs=500, patience=50, lr=1e-3)),
    "cora": _PLANETOID,
    "citeseer": _PLANETOID,
    "pubmed": _PLANETOID,
}
