"""BYOL: predict what a slowly moving copy of yourself says about another view; no negatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from graphssl.functional import cosine_loss
from graphssl.heads import EMA, Predictor, Projector, output_width
from graphssl.method import Method, Recipe, register


@register("byol", level="any", paper="arXiv:2006.07733", tags=("bootstrap", "two-view"))
class BYOL(Method):
    r"""Bootstrap your own latent.

    .. math::
        L = \big[2 - 2\cos(q(z_1), \mathrm{sg}\, z'_2)\big] + \big[2 - 2\cos(q(z_2), \mathrm{sg}\, z'_1)\big]

    with :math:`z = g(f(\cdot))` of the online network and :math:`z'` of the target, whose weights follow
    :math:`\xi \leftarrow m \xi + (1 - m)\theta`, :math:`m` rising from ``momentum`` to 1 along a half cosine.

    Parameters
    ----------
    encoder : batch -> (N, D)
        :math:`f`. Its output is the embedding.
    predictor : (N, P) -> (N, P)
        :math:`q`.
    view1, view2 : batch -> batch
        Row i of both must be the same thing.
    projector : (N, D) -> (N, P), optional
        :math:`g`; left out in graph versions.
    momentum : float
        First value of :math:`m`.
    reinitialize_target : bool
        Start the target from weights of its own instead of a copy.

    References
    ----------
    .. [1] Grill et al. Bootstrap your own latent. NeurIPS 2020. Equations 2 and 3.
    """

    def __init__(
        self,
        encoder: nn.Module,
        predictor: nn.Module,
        view1: Callable[[Any], Any],
        view2: Callable[[Any], Any],
        *,
        projector: nn.Module | None = None,
        momentum: float = 0.99,
        reinitialize_target: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.predictor = encoder, predictor
        self.projector = projector or nn.Identity()
        self.target = EMA(
            nn.Sequential(self.encoder, self.projector), momentum=momentum, reinitialize=reinitialize_target
        )
        self.view1, self.view2 = view1, view2
        self.momentum = momentum

    def loss(self, batch: Any) -> Tensor:
        """Sum of both directions, shape ``()``, in [0, 8]."""
        batch1, batch2 = self.view1(batch), self.view2(batch)
        q1 = self.predictor(self.projector(self.encoder(batch1)))  # (N, P)
        q2 = self.predictor(self.projector(self.encoder(batch2)))  # (N, P)
        return cosine_loss(q1, self.target(batch2)) + cosine_loss(q2, self.target(batch1))

    def embed(self, batch: Any) -> Tensor:
        """The online encoder's output, shape (N, D)."""
        return self.encoder(batch)

    def after_step(self, progress: float) -> None:
        """Move the target towards the online network."""
        self.target.update(1 - (1 - self.momentum) * (1 + math.cos(math.pi * progress)) / 2)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: nn.Module,
        view1: Callable[[Any], Any],
        view2: Callable[[Any], Any],
        projector_channels: int | None = 256,
        predictor_channels: int = 512,
        momentum: float = 0.996,
    ) -> BYOL:
        """Build around an encoder with ``out_channels`` and two views; ``projector_channels=None`` leaves it out."""
        width = output_width(encoder)
        projector = None
        if projector_channels is not None:
            projector = Projector(width, predictor_channels, projector_channels, norm="batch")
        width = projector_channels or width
        predictor = Predictor(width, predictor_channels, width, norm="batch")
        return cls(encoder, predictor, view1, view2, projector=projector, momentum=momentum)


RECIPES = {
    "default": Recipe(
        training=dict(epochs=300, lr=1e-3, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1)
    )
}
