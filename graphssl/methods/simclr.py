"""SimCLR: each example's two views against all other views in the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from graphssl.functional import two_view_info_nce_loss
from graphssl.heads import Projector, output_width
from graphssl.method import Method, Recipe, register


@register("simclr", level="any", paper="arXiv:2002.05709", tags=("contrastive", "two-view"))
class SimCLR(Method):
    r"""A simple framework for contrastive learning (NT-Xent).

    .. math::
        \ell_{i,j} = -\log \frac{e^{\cos(z_i, z_j)/\tau}}{\sum_{k \ne i} e^{\cos(z_i, z_k)/\tau}}

    where i, j are the two views of one example and k runs over the 2N views of the batch; L is the mean over all 2N.

    Parameters
    ----------
    encoder : batch -> (N, D)
        Its output is the embedding.
    projector : (N, D) -> (N, P)
        Used for the loss only.
    view1, view2 : batch -> batch
        Row i of both must be the same thing.
    temperature : float
        :math:`\tau`.
    intra : bool
        Whether views of the same side are candidates too (NT-Xent); without them the candidates are the other side's.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi, Hinton. A Simple Framework for Contrastive Learning of Visual Representations.
       ICML 2020. Equation 1.
    """

    def __init__(
        self,
        encoder: nn.Module,
        projector: nn.Module,
        view1: Callable[[Any], Any],
        view2: Callable[[Any], Any],
        *,
        temperature: float = 0.5,
        intra: bool = True,
    ) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.view1, self.view2 = view1, view2
        self.temperature, self.intra = temperature, intra

    def loss(self, batch: Any) -> Tensor:
        """NT-Xent of the batch, shape ``()``."""
        z1 = self.projector(self.encoder(self.view1(batch)))  # (N, P)
        z2 = self.projector(self.encoder(self.view2(batch)))  # (N, P)
        return two_view_info_nce_loss(z1, z2, temperature=self.temperature, intra=self.intra)

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
        projector_channels: int | None = None,
        temperature: float = 0.5,
        intra: bool = True,
    ) -> SimCLR:
        """Build around an encoder with ``out_channels`` and two views."""
        width = output_width(encoder)
        projector = Projector(width, width, projector_channels or width)
        return cls(encoder, projector, view1, view2, temperature=temperature, intra=intra)


RECIPES = {"default": Recipe(training=dict(epochs=100, lr=1e-3))}
