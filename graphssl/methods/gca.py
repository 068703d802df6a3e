"""GCA: GRACE with views that spare central edges and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.heads import Projector
from graphssl.method import Recipe, register
from graphssl.methods.grace import GRACE
from graphssl.views import AdaptiveDropEdges, AdaptiveMaskFeatures, Compose, per_view


@register("gca", level="node", paper="arXiv:2010.14945", tags=("contrastive", "two-view", "adaptive"))
def gca(
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
    centrality: Literal["degree", "eigenvector", "pagerank"] = "degree",
    drop_edges: float | Sequence[float] = (0.3, 0.5),
    mask_features: float | Sequence[float] = (0.1, 0.1),
    max_probability: float = 0.7,
    temperature: float = 0.4,
    num_anchors: int | None = None,
) -> GRACE:
    r"""Graph contrastive learning with adaptive augmentation: :class:`~graphssl.methods.grace.GRACE` with other views.

    An edge is dropped with probability

    .. math::
        \min\Big( p_e \frac{s_{\max} - s_{uv}}{s_{\max} - s_{\text{mean}}},\; p_\tau \Big),
        \quad s_{uv} = \log \varphi(v)

    where :math:`\varphi` is the ``centrality`` of the target (``degree``, ``eigenvector`` or ``pagerank``);
    feature columns are masked likewise, by the centrality of the nodes that have them.

    Parameters
    ----------
    data : Data
        Only its number of features is used.
    drop_edges, mask_features : float or two floats
        :math:`p_e` and :math:`p_f` of the views.
    max_probability : float
        :math:`p_\tau`.

    References
    ----------
    .. [1] Zhu, Xu, Yu, Liu, Wu, Wang. Graph Contrastive Learning with Adaptive Augmentation. WWW 2021.
       Equations 4 to 8.
    """
    network = build_encoder(
        encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
        num_layers=num_layers, activation=activation, norm=norm, further=encoder_options,
    )  # fmt: skip
    width = network.out_channels
    edges, columns = per_view(drop_edges, "drop_edges"), per_view(mask_features, "mask_features")
    view1, view2 = (
        Compose([  # masking first: centralities are those of the whole graph, computed once
            AdaptiveMaskFeatures(f, centrality=centrality, max_p=max_probability),
            AdaptiveDropEdges(e, centrality=centrality, max_p=max_probability),
        ])
        for e, f in zip(edges, columns, strict=True)
    )  # fmt: skip
    projector = Projector(width, projector_channels or width, width, activation="elu")
    return GRACE(network, projector, view1, view2, temperature=temperature, num_anchors=num_anchors)


def _recipe(
    hidden: int, projector: int, activation: str, edges: tuple[float, float], features: tuple[float, float],
    temperature: float, lr: float, epochs: int,
) -> Recipe:  # fmt: skip
    return Recipe(
        options=dict(
            hidden_channels=2 * hidden, out_channels=hidden, projector_channels=projector, activation=activation,
            drop_edges=edges, mask_features=features, temperature=temperature,
        ),
        training=dict(epochs=epochs, lr=lr, weight_decay=1e-5),
        source="param/*.json of CRIPAC-DIG/GCA (degree centrality)",
    )  # fmt: skip


RECIPES = {
    "default": Recipe(training=dict(epochs=200, lr=1e-3, weight_decay=1e-5)),
    "amazon-computers": _recipe(128, 128, "rrelu", (0.6, 0.3), (0.2, 0.3), 0.2, 1e-2, 2000),
    "amazon-photo": _recipe(256, 64, "relu", (0.3, 0.5), (0.1, 0.1), 0.3, 1e-1, 2000),
    "coauthor-cs": _recipe(256, 256, "rrelu", (0.3, 0.2), (0.3, 0.4), 0.4, 5e-4, 1000),
    "coauthor-physics": _recipe(128, 64, "rrelu", (0.4, 0.1), (0.1, 0.4), 0.5, 1e-2, 1500),
}
