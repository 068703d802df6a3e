"""GGD: tell the nodes of a graph from those of its shuffled copy; one number a node, no summary, no similarities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch_geometric.data import Data

from graphssl.data import num_features
from graphssl.encoders import build_encoder, encode_and_smooth
from graphssl.method import Method, Recipe, register
from graphssl.views import ShuffleFeatures, two_edge_and_feature_views


@register("ggd", level="node", paper="arXiv:2206.01535", tags=("contrastive", "group-discrimination"))
class GGD(Method):
    r"""Graph group discrimination.

    .. math::
        L = -\frac{1}{2N} \Big[ \sum_i \log \sigma(y_i) + \sum_j \log\big(1 - \sigma(\tilde y_j)\big) \Big],
        \quad y_i = \mathbf{1}^\top (W h_i + b)

    The embedding adds a propagated copy: :math:`h + \tilde A^n h`.

    Parameters
    ----------
    encoder : Data -> (N, D)
    head : (N, D) -> (N, D)
        Its entries are summed to the score :math:`y`.
    view : view
        Applied to the graph before both groups are made from it.
    corruption : view
        Makes the second group.
    hops : int
        :math:`n`; 0 embeds with the encoder alone.

    References
    ----------
    .. [1] Zheng, Pan, Lee, Zheng, Yu. Rethinking and Scaling Up Graph Contrastive Learning: An Extremely Efficient
       Approach with Group Discrimination. NeurIPS 2022. Equations 5 to 7.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        view: Callable[[Data], Data],
        *,
        corruption: Callable[[Data], Data] = ShuffleFeatures(),
        hops: int = 5,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.view, self.corruption, self.hops = encoder, head, view, corruption, hops

    def loss(self, graph: Data) -> Tensor:
        """Binary cross-entropy over both groups, shape ``()``."""
        graph = self.view(graph)
        real = self.head(self.encoder(graph)).sum(dim=1)  # (N,)
        corrupt = self.head(self.encoder(self.corruption(graph))).sum(dim=1)  # (N,)
        label = torch.cat([torch.ones_like(real), torch.zeros_like(corrupt)])  # (2N,)
        return binary_cross_entropy_with_logits(torch.cat([real, corrupt]), label)

    def embed(self, graph: Data) -> Tensor:
        """The encoder's output plus its copy propagated ``hops`` times, shape (N, D)."""
        return encode_and_smooth(self.encoder, graph, self.hops)

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
        drop_edges: float | Sequence[float] = 0.0,
        mask_features: float | Sequence[float] = 0.2,
        hops: int = 5,
    ) -> GGD:
        """Build from options: one GCN layer of width 512 with PReLU."""
        network = build_encoder(
            encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
            num_layers=num_layers, activation=activation, norm=norm, further=encoder_options,
        )  # fmt: skip
        view, _ = two_edge_and_feature_views(drop_edges=drop_edges, mask_features=mask_features)
        return cls(network, nn.Linear(network.out_channels, network.out_channels), view, hops=hops)


_PLANETOID = Recipe(
    training=dict(epochs=500, patience=500, lr=1e-3),
    features="row-normalized",
    source="manual_version/execute.py of the authors' repository Graph-Group-Discrimination (best training loss kept)",
)
RECIPES = {
    "default": Recipe(training=dict(epochs=500, patience=500, lr=1e-3)),
    "cora": _PLANETOID,
    "citeseer": _PLANETOID,
    "pubmed": _PLANETOID,
}
