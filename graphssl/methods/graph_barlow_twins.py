"""Graph Barlow Twins: Barlow Twins on the nodes of two graph views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from graphssl.agreements import CrossCorrelation
from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.method import Recipe, register
from graphssl.methods.barlow_twins import BarlowTwins
from graphssl.views import two_edge_and_feature_views


@register("graph-barlow-twins", level="node", paper="arXiv:2106.02466", tags=("redundancy-reduction", "two-view"))
def graph_barlow_twins(
    data: Any,
    *,
    encoder: str | nn.Module = "gcn",
    hidden_channels: int = 512,
    out_channels: int | None = 256,
    num_layers: int = 2,
    activation: str = "prelu",
    norm: str | None = "batch",
    encoder_options: Mapping[str, Any] | None = None,
    drop_edges: float | Sequence[float] = 0.4,
    mask_features: float | Sequence[float] = 0.2,
    off_diagonal: float | None = None,
) -> BarlowTwins:
    r"""Graph Barlow Twins: :class:`~graphssl.methods.barlow_twins.BarlowTwins` on graph views.

    No projector; norm and activation follow every layer but the last; :math:`\lambda = 1/D` unless
    ``off_diagonal`` is given; both views have the same strength.

    References
    ----------
    .. [1] Bielak, Kajdanowicz, Chawla. Graph Barlow Twins. Knowledge-Based Systems 2022. Equations 1 to 3.
    """
    network = build_encoder(
        encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
        num_layers=num_layers, activation=activation, norm=norm,
        final_activation=False, further=encoder_options,
    )  # fmt: skip
    view1, view2 = two_edge_and_feature_views(drop_edges=drop_edges, mask_features=mask_features)
    return BarlowTwins(network, view1, view2, agreement=CrossCorrelation(off_diagonal=off_diagonal))


def _recipe(width: int, lr: float, features: float, edges: float) -> Recipe:
    return Recipe(
        options=dict(hidden_channels=2 * width, out_channels=width, drop_edges=edges, mask_features=features),
        training=dict(epochs=1000, lr=lr, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1),
        features="row-normalized",
        source="configuration of pbielak/graph-barlow-twins",
    )


RECIPES = {
    "default": Recipe(
        training=dict(epochs=500, lr=1e-3, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1)
    ),
    "amazon-computers": _recipe(128, 5e-4, 0.1, 0.4),
    "amazon-photo": _recipe(256, 1e-4, 0.3, 0.1),
    "coauthor-cs": _recipe(256, 1e-5, 0.2, 0.5),
    "coauthor-physics": _recipe(128, 1e-5, 0.2, 0.5),
}
