"""GRACE: every node against itself in another view, with all other nodes of both views as negatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.checks import whole_number
from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.functional import two_view_info_nce_loss
from graphssl.heads import Projector
from graphssl.method import Method, Recipe, register
from graphssl.views import align_rows, two_edge_and_feature_views


@register("grace", level="node", paper="arXiv:2006.04131", tags=("contrastive", "two-view"))
class GRACE(Method):
    r"""Deep graph contrastive representation learning.

    .. math::
        \ell(u_i, v_i) = -\log \frac{e^{\cos(u_i, v_i)/\tau}}
            {\sum_k e^{\cos(u_i, v_k)/\tau} + \sum_{k \ne i} e^{\cos(u_i, u_k)/\tau}}, \quad
        L = \frac{1}{2N} \sum_i \big[ \ell(u_i, v_i) + \ell(v_i, u_i) \big]

    Parameters
    ----------
    encoder : Data -> (N, D)
    projector : (N, D) -> (N, P)
        :math:`g`; used for the loss only.
    view1, view2 : views
        :math:`u` and :math:`v` are projected codes of the two. Views may remove nodes: rows are then matched by
        identity, and nodes missing from one view are left out.
    temperature : float
        :math:`\tau`.
    intra : bool
        Whether other nodes of the same view are negatives too.
    precision : "float32", "high" or "bfloat16"
        Of the negatives' scores; see :func:`graphssl.functional.two_view_info_nce_loss`.
    num_anchors : int, optional
        How many nodes, drawn anew at each step, have a term in L; ``None``: all. All nodes are negatives still, and
        loss and gradient those of all nodes on average, at about 2 ``num_anchors`` / N of the cost.

    Notes
    -----
    1. The loss is exact at any size: it is computed in blocks, in memory linear in N.

    References
    ----------
    .. [1] Zhu, Xu, Yu, Liu, Wu, Wang. Deep Graph Contrastive Representation Learning. 2020. Equations 1 and 2.
    """

    def __init__(
        self,
        encoder: nn.Module,
        projector: nn.Module,
        view1: Callable[[Data], Data],
        view2: Callable[[Data], Data],
        *,
        temperature: float = 0.5,
        intra: bool = True,
        precision: str = "float32",
        num_anchors: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.view1, self.view2 = view1, view2
        self.temperature, self.intra, self.precision = temperature, intra, precision
        self.num_anchors = None if num_anchors is None else whole_number("num_anchors", num_anchors, 1)

    def loss(self, graph: Data) -> Tensor:
        """InfoNCE between the two views, averaged over both directions, shape ``()``."""
        graph1, graph2 = self.view1(graph), self.view2(graph)
        u = self.projector(self.encoder(graph1))  # (N, P)
        v = self.projector(self.encoder(graph2))  # (N, P)
        u, v = align_rows(u, graph1, v, graph2)
        anchors = None
        if self.num_anchors is not None and self.num_anchors < u.size(0):
            anchors = torch.randperm(u.size(0), device=u.device)[: self.num_anchors]
        return two_view_info_nce_loss(
            u, v, temperature=self.temperature, intra=self.intra, precision=self.precision, anchors=anchors
        )

    def embed(self, graph: Data) -> Tensor:
        """The encoder's output on the whole graph, shape (N, D)."""
        return self.encoder(graph)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: str | nn.Module = "gcn",
        hidden_channels: int = 256,
        out_channels: int | None = None,
        num_layers: int = 2,
        activation: str = "relu",
        norm: str | None = None,
        encoder_options: Mapping[str, Any] | None = None,
        projector_channels: int | None = None,
        drop_edges: float | Sequence[float] = (0.2, 0.4),
        mask_features: float | Sequence[float] = (0.3, 0.4),
        temperature: float = 0.5,
        intra: bool = True,
        precision: str = "float32",
        num_anchors: int | None = None,
    ) -> GRACE:
        """Build from options; ``drop_edges`` and ``mask_features`` take one number for both views, or two."""
        network = build_encoder(
            encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
            num_layers=num_layers, activation=activation, norm=norm, further=encoder_options,
        )  # fmt: skip
        width = network.out_channels
        projector = Projector(width, projector_channels or width, width, activation="elu")
        view1, view2 = two_edge_and_feature_views(drop_edges=drop_edges, mask_features=mask_features)
        return cls(
            network, projector, view1, view2,
            temperature=temperature, intra=intra, precision=precision, num_anchors=num_anchors,
        )  # fmt: skip


def _recipe(
    width: int, activation: str, edges: tuple[float, float], features: tuple[float, float],
    temperature: float, lr: float, epochs: int,
) -> Recipe:  # fmt: skip
    return Recipe(
        options=dict(
            hidden_channels=2 * width, out_channels=width, activation=activation,
            drop_edges=edges, mask_features=features, temperature=temperature,
        ),
        training=dict(epochs=epochs, lr=lr, weight_decay=1e-5),
        features="row-normalized",
        source="config.yaml of CRIPAC-DIG/GRACE",
    )  # fmt: skip


RECIPES = {
    "default": Recipe(training=dict(epochs=200, lr=1e-3, weight_decay=1e-5)),
    "cora": _recipe(128, "relu", (0.2, 0.4), (0.3, 0.4), 0.4, 5e-4, 200),
    "cora:public": replace(
        _recipe(256, "relu", (0.2, 0.4), (0.3, 0.4), 0.4, 5e-4, 400),
        source="as cora; width and epochs chosen on the validation nodes of the public split (8 settings, 2 seeds)",
    ),
    "citeseer": _recipe(256, "prelu", (0.2, 0.0), (0.3, 0.2), 0.9, 1e-3, 200),
    "pubmed": _recipe(256, "relu", (0.4, 0.1), (0.0, 0.2), 0.7, 1e-3, 1500),
    "dblp": _recipe(256, "relu", (0.1, 0.4), (0.1, 0.0), 0.7, 1e-3, 1000),
}
