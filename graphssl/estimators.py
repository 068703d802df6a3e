"""Estimators turn scores and pairs into a loss: the functions of ``graphssl.functional`` with their options bound.

Each is called as ``estimator(scores, pairs)``, (A, C) -> (), in nats, to be minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphssl import functional as F
from graphssl.pairs import Pairs
from graphssl.registry import ESTIMATORS

__all__ = [
    "BCE", "JSD", "NWJ", "DebiasedInfoNCE", "DonskerVaradhan", "HardInfoNCE", "InfoNCE", "Margin",
    "NegativeSampling",
]  # fmt: skip


@ESTIMATORS.register("jsd")
@dataclass(frozen=True, kw_only=True)
class JSD:
    """Jensen-Shannon divergence; see :func:`graphssl.functional.jsd_loss`.

    Parameters
    ----------
    shifted : bool
        Subtract 2 log 2, the form of f-GAN and InfoGraph. The gradient is the same.
    """

    shifted: bool = False

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.jsd_loss(scores, pairs, shifted=self.shifted)


@ESTIMATORS.register("info-nce")
@dataclass(frozen=True, kw_only=True)
class InfoNCE:
    """Contrast with each anchor's own candidates; see :func:`graphssl.functional.info_nce_loss`.

    Parameters
    ----------
    temperature : float, > 0
        Divides the scores.
    """

    temperature: float = 0.5

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.info_nce_loss(scores, pairs, temperature=self.temperature)


@ESTIMATORS.register("donsker-varadhan")
@dataclass(frozen=True)
class DonskerVaradhan:
    """Donsker-Varadhan bound; see :func:`graphssl.functional.donsker_varadhan_loss`."""

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.donsker_varadhan_loss(scores, pairs)


@ESTIMATORS.register("nwj")
@dataclass(frozen=True)
class NWJ:
    """Bound of Nguyen, Wainwright and Jordan; see :func:`graphssl.functional.nwj_loss`."""

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.nwj_loss(scores, pairs)


@ESTIMATORS.register("bce")
@dataclass(frozen=True)
class BCE:
    """Binary cross-entropy; see :func:`graphssl.functional.bce_loss`."""

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.bce_loss(scores, pairs)


@ESTIMATORS.register("negative-sampling")
@dataclass(frozen=True)
class NegativeSampling:
    """Skip-gram's negative sampling; see :func:`graphssl.functional.negative_sampling_loss`."""

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.negative_sampling_loss(scores, pairs)


@ESTIMATORS.register("margin")
@dataclass(frozen=True, kw_only=True)
class Margin:
    """Triplet margin; see :func:`graphssl.functional.margin_loss`.

    Parameters
    ----------
    margin : float, >= 0
        In units of the scores.
    """

    margin: float = 0.5

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in units of the scores, (A, C) -> ()."""
        return F.margin_loss(scores, pairs, margin=self.margin)


@ESTIMATORS.register("debiased-info-nce")
@dataclass(frozen=True, kw_only=True)
class DebiasedInfoNCE:
    """InfoNCE corrected for false negatives; see :func:`graphssl.functional.debiased_info_nce_loss`.

    Parameters
    ----------
    temperature : float, > 0
        Divides the scores, which should be cosines.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive.
    """

    temperature: float = 0.5
    prior: float = 0.1

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.debiased_info_nce_loss(scores, pairs, temperature=self.temperature, prior=self.prior)


@ESTIMATORS.register("hard-info-nce")
@dataclass(frozen=True, kw_only=True)
class HardInfoNCE:
    """InfoNCE with weight on hard negatives; see :func:`graphssl.functional.hard_info_nce_loss`.

    Parameters
    ----------
    temperature : float, > 0
        Divides the scores, which should be cosines.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive.
    concentration : float, >= 0
        How much the hardest negatives count; 0 is :class:`DebiasedInfoNCE`.
    """

    temperature: float = 0.5
    prior: float = 0.1
    concentration: float = 1.0

    def __call__(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss in nats, (A, C) -> ()."""
        return F.hard_info_nce_loss(
            scores, pairs, temperature=self.temperature, prior=self.prior, concentration=self.concentration
        )
