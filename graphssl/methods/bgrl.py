"""BGRL: BYOL on the nodes of two graph views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.heads import Predictor
from graphssl.method import Recipe, register
from graphssl.methods.byol import BYOL
from graphssl.views import two_edge_and_feature_views


@register("bgrl", level="node", paper="arXiv:2102.06514", tags=("bootstrap", "two-view"))
def bgrl(
    data: Any,
    *,
    encoder: str | nn.Module = "gcn",
    hidden_channels: int = 512,
    out_channels: int | None = None,
    num_layers: int = 2,
    activation: str = "prelu",
    norm: str | None = "batch",
    encoder_options: Mapping[str, Any] | None = None,
    predictor_channels: int = 512,
    drop_edges: float | Sequence[float] = (0.2, 0.4),
    mask_features: float | Sequence[float] = (0.2, 0.3),
    momentum: float = 0.99,
    reinitialize_target: bool = True,
) -> BYOL:
    """Bootstrapped graph latents: :class:`~graphssl.methods.byol.BYOL` on graph views.

    No projector; the predictor has one hidden layer with PReLU and no batch norm; the target starts from weights of
    its own, as in the authors' code.

    Notes
    -----
    1. The loss is twice the authors' 2 - cos - cos.
    2. Batch norm has torch's momentum of 0.1; the authors' is 0.99, so theirs remembers only the last batch.

    References
    ----------
    .. [1] Thakoor et al. Large-Scale Representation Learning on Graphs via Bootstrapping. ICLR 2022. Equations 1 to 3.
    """
    network = build_encoder(
        encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
        num_layers=num_layers, activation=activation, norm=norm, further=encoder_options,
    )  # fmt: skip
    width = network.out_channels
    view1, view2 = two_edge_and_feature_views(drop_edges=drop_edges, mask_features=mask_features)
    predictor = Predictor(width, predictor_channels, width, activation="prelu")
    return BYOL(network, predictor, view1, view2, momentum=momentum, reinitialize_target=reinitialize_target)


def _recipe(widths: tuple[int, int], lr: float, edges: tuple[float, float], features: tuple[float, float]) -> Recipe:
    return Recipe(
        options=dict(hidden_channels=widths[0], out_channels=widths[1], drop_edges=edges, mask_features=features),
        training=dict(epochs=10_000, lr=lr, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1),
        features="row-normalized",
        source="config/*.cfg and bgrl/data.py of nerdslab/bgrl",
    )


def _public(lr: float, edges: Any, features: Any, seeds: str) -> Recipe:
    return Recipe(
        options=dict(drop_edges=edges, mask_features=features),
        training=dict(epochs=500, lr=lr, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1),
        features="row-normalized",
        source=f"no setting is published: chosen on the validation nodes of the public split (5 settings, {seeds})",
    )


RECIPES = {
    "default": Recipe(
        training=dict(epochs=500, lr=1e-3, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1)
    ),
    "cora:public": _public(5e-4, 0.3, 0.4, "seed 0"),
    "citeseer:public": _public(1e-4, (0.2, 0.4), (0.2, 0.3), "seeds 0 and 1"),
    "amazon-computers": _recipe((256, 128), 5e-4, (0.5, 0.4), (0.2, 0.1)),
    "amazon-photo": _recipe((256, 128), 1e-4, (0.4, 0.1), (0.1, 0.2)),
    "coauthor-cs": _recipe((512, 256), 1e-5, (0.3, 0.2), (0.3, 0.4)),
    "coauthor-physics": _recipe((256, 128), 1e-5, (0.4, 0.1), (0.1, 0.4)),
}
