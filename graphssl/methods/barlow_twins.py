"""Barlow Twins: make the two views' codes agree and their coordinates independent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from graphssl.agreements import CrossCorrelation
from graphssl.heads import Projector, output_width
from graphssl.method import Method, Recipe, register


@register("barlow-twins", level="any", paper="arXiv:2103.03230", tags=("redundancy-reduction", "two-view"))
class BarlowTwins(Method):
    r"""Self-supervised learning via redundancy reduction.

    .. math::
        L = \sum_i (1 - C_{ii})^2 + \lambda \sum_i \sum_{j \ne i} C_{ij}^2

    with :math:`C` the cross-correlation of the two views' codes over the batch.

    Parameters
    ----------
    encoder : batch -> (N, D)
        Its output is the embedding.
    view1, view2 : batch -> batch
        Row i of both must be the same thing.
    projector : (N, D) -> (N, P), optional
        Used for the loss only; left out in graph versions.
    agreement : (N, P), (N, P) -> ()
        The loss above.

    References
    ----------
    .. [1] Zbontar, Jing, Misra, LeCun, Deny. Barlow Twins. ICML 2021. Equations 1 and 2.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view1: Callable[[Any], Any],
        view2: Callable[[Any], Any],
        *,
        projector: nn.Module | None = None,
        agreement: Callable[[Tensor, Tensor], Tensor] = CrossCorrelation(),
    ) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector or nn.Identity()
        self.view1, self.view2, self.agreement = view1, view2, agreement

    def loss(self, batch: Any) -> Tensor:
        """The agreement of the two views' codes, shape ``()``."""
        z1 = self.projector(self.encoder(self.view1(batch)))  # (N, P)
        z2 = self.projector(self.encoder(self.view2(batch)))  # (N, P)
        return self.agreement(z1, z2)

    def embed(self, batch: Any) -> Tensor:
        """The encoder's output, shape (N, D)."""
        return self.encoder(batch)

    @classmethod
    def from_options(
        cls,
        data: Any,
        *,
        encoder: nn.Module,
        view1: Callable[[Any], Any],
        view2: Callable[[Any], Any],
        projector_channels: int | None = 512,
        off_diagonal: float | None = None,
    ) -> BarlowTwins:
        r"""Build around an encoder and two views; :math:`\lambda` is ``off_diagonal``, by default 1/P."""
        projector = None
        if projector_channels is not None:
            projector = Projector(output_width(encoder), projector_channels, projector_channels, norm="batch")
        return cls(encoder, view1, view2, projector=projector, agreement=CrossCorrelation(off_diagonal=off_diagonal))


RECIPES = {
    "default": Recipe(
        training=dict(epochs=300, lr=1e-3, optimizer="adamw", weight_decay=1e-5, schedule="cosine", warmup=0.1)
    )
}
