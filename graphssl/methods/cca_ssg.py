"""CCA-SSG: two views agree, and the coordinates of each are decorrelated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.agreements import CCA
from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.method import Method, Recipe, register
from graphssl.views import align_rows, two_edge_and_feature_views


@register("cca-ssg", level="node", paper="arXiv:2106.12484", tags=("redundancy-reduction", "two-view"))
class CCASSG(Method):
    r"""From canonical correlation analysis to self-supervised graph neural networks.

    .. math::
        L = -\tfrac{1}{N} \mathrm{tr}(Z_1^\top Z_2)
            + \lambda \big( \lVert C_1 - I \rVert_F^2 + \lVert C_2 - I \rVert_F^2 \big),
        \quad C = \tfrac{1}{N} Z^\top Z

    with the columns of Z standardised over the nodes.

    Parameters
    ----------
    encoder : Data -> (N, D)
    view1, view2 : views
    agreement : (N, D), (N, D) -> ()
        The loss above.

    References
    ----------
    .. [1] Zhang, Wu, Yan, Wipf, Yu. From Canonical Correlation Analysis to Self-supervised Graph Neural Networks.
       NeurIPS 2021. Equation 4.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view1: Callable[[Data], Data],
        view2: Callable[[Data], Data],
        *,
        agreement: Callable[[Tensor, Tensor], Tensor] = CCA(),
    ) -> None:
        super().__init__()
        self.encoder, self.view1, self.view2, self.agreement = encoder, view1, view2, agreement

    def loss(self, graph: Data) -> Tensor:
        """Invariance and decorrelation of the two views' codes, shape ``()``."""
        graph1, graph2 = self.view1(graph), self.view2(graph)
        z1, z2 = align_rows(self.encoder(graph1), graph1, self.encoder(graph2), graph2)  # (N, D) each
        return self.agreement(z1, z2)

    def embed(self, graph: Data) -> Tensor:
        """The encoder's output on the whole graph, not standardised, shape (N, D)."""
        return self.encoder(graph)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: str | nn.Module = "gcn",
        hidden_channels: int = 512,
        out_channels: int | None = None,
        num_layers: int = 2,
        activation: str = "relu",
        norm: str | None = None,
        encoder_options: Mapping[str, Any] | None = None,
        drop_edges: float | Sequence[float] = 0.2,
        mask_features: float | Sequence[float] = 0.2,
        decorrelation: float = 1e-3,
    ) -> CCASSG:
        r"""Build from options; ``decorrelation`` is :math:`\lambda`. The last layer has no activation."""
        network = build_encoder(
            encoder, num_features(data), hidden_channels=hidden_channels, out_channels=out_channels,
            num_layers=num_layers, activation=activation, norm=norm,
            final_activation=False, further=encoder_options,
        )  # fmt: skip
        view1, view2 = two_edge_and_feature_views(drop_edges=drop_edges, mask_features=mask_features)
        return cls(network, view1, view2, agreement=CCA(decorrelation=decorrelation))


def _recipe(epochs: int, decorrelation: float, features: float, edges: float, **options: Any) -> Recipe:
    return Recipe(
        options=dict(decorrelation=decorrelation, drop_edges=edges, mask_features=features, **options),
        training=dict(epochs=epochs, lr=1e-3),
        features="row-normalized",
        source="README.md of hengruizhang98/CCA-SSG",
    )


RECIPES = {
    "default": Recipe(training=dict(epochs=50, lr=1e-3)),
    "cora": _recipe(50, 1e-3, 0.1, 0.4),
    "citeseer": _recipe(20, 5e-4, 0.0, 0.4, num_layers=1),
    "pubmed": _recipe(100, 1e-3, 0.3, 0.5),
    "amazon-computers": _recipe(50, 5e-4, 0.1, 0.3),
    "amazon-photo": _recipe(50, 1e-3, 0.2, 0.3),
    "coauthor-cs": _recipe(50, 1e-3, 0.2, 0.2, encoder="mlp"),
    "coauthor-physics": _recipe(100, 1e-3, 0.5, 0.5),
}
