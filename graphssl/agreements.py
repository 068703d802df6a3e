"""Agreements compare two aligned matrices without negatives: functions of ``graphssl.functional`` with options bound.

Each is called as ``agreement(z1, z2)``, (N, P), (N, P) -> (), to be minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphssl import functional as F
from graphssl.registry import AGREEMENTS

__all__ = ["CCA", "Bootstrap", "CrossCorrelation", "VICReg"]


@AGREEMENTS.register("bootstrap")
@dataclass(frozen=True)
class Bootstrap:
    """2 - 2 cos of aligned rows; see :func:`graphssl.functional.cosine_loss`."""

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Loss in [0, 4], (N, P), (N, P) -> ()."""
        return F.cosine_loss(z1, z2)


@AGREEMENTS.register("barlow-twins")
@dataclass(frozen=True, kw_only=True)
class CrossCorrelation:
    """Cross-correlation towards the identity; see :func:`graphssl.functional.barlow_twins_loss`.

    Parameters
    ----------
    off_diagonal : float, optional
        Weight of the entries beside the diagonal; 1 / D unless given.
    """

    off_diagonal: float | None = None

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Loss, (N, P), (N, P) -> ()."""
        return F.barlow_twins_loss(z1, z2, off_diagonal=self.off_diagonal)


@AGREEMENTS.register("vicreg")
@dataclass(frozen=True, kw_only=True)
class VICReg:
    """Invariance, variance, covariance; see :func:`graphssl.functional.vicreg_loss`.

    Parameters
    ----------
    invariance, variance, covariance : float
        Weights of the three terms.
    target_std : float
        The deviation that each column should reach.
    eps : float
        Added to each variance before the square root.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    target_std: float = 1.0
    eps: float = 1e-4

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Loss, (N, P), (N, P) -> ()."""
        return F.vicreg_loss(
            z1,
            z2,
            invariance=self.invariance,
            variance=self.variance,
            covariance=self.covariance,
            target_std=self.target_std,
            eps=self.eps,
        )


@AGREEMENTS.register("cca")
@dataclass(frozen=True, kw_only=True)
class CCA:
    """Alignment with uncorrelated columns; see :func:`graphssl.functional.cca_ssg_loss`.

    Parameters
    ----------
    decorrelation : float
        Weight of the decorrelation of each view.
    """

    decorrelation: float = 1e-3

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Loss, (N, P), (N, P) -> ()."""
        return F.cca_ssg_loss(z1, z2, decorrelation=self.decorrelation)
