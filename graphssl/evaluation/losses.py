"""Convex losses of linear classifiers: values for selection, derivatives of the logistic ones for their solver."""

from __future__ import annotations

from typing import Protocol as Interface

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

__all__ = ["LOSSES", "Loss", "row_losses"]


class Loss(Interface):
    """Derivatives of a logistic loss by the scores of P problems with k scores a row.

    Scores S, targets T (zeros and ones), slopes R and directions Q have shape (P, k, n). A slope is the probability
    minus the target, so it also holds the second derivative.
    """

    joint: bool
    """Whether the scores of a row belong to one problem (k = K) or each class is its own (k = 1)."""

    def slope(self, S: Tensor, T: Tensor) -> Tensor:
        """First derivative, (P, k, n)."""

    def curvature(self, R: Tensor, T: Tensor, Q: Tensor) -> Tensor:
        """Second derivative along ``Q``, summed over the scores of a row: (P, n)."""

    def diagonal(self, R: Tensor, T: Tensor) -> Tensor:
        """Second derivative by each score alone, for the preconditioner: (P, k, n)."""


class _Multinomial:
    joint = True

    def slope(self, S: Tensor, T: Tensor) -> Tensor:
        return torch.softmax(S, dim=1).sub_(T)

    def curvature(self, R: Tensor, T: Tensor, Q: Tensor) -> Tensor:
        weighted = (R + T).mul_(Q)
        return (weighted * Q).sum(dim=1).sub_(weighted.sum(dim=1).square_())

    def diagonal(self, R: Tensor, T: Tensor) -> Tensor:
        p, k = R + T, R.shape[1]
        # weights sum to zero over the classes, and on such the Hessian at equal p is k / (k - 1) times its diagonal
        return p * (1 - p) * (k / max(k - 1, 1))


class _OneVersusRest:
    joint = False

    def slope(self, S: Tensor, T: Tensor) -> Tensor:
        return torch.sigmoid(S).sub_(T)

    def curvature(self, R: Tensor, T: Tensor, Q: Tensor) -> Tensor:
        return (self.diagonal(R, T) * Q.square()).sum(dim=1)

    def diagonal(self, R: Tensor, T: Tensor) -> Tensor:
        p = R + T
        return p * (1 - p)


#: Losses that :func:`graphssl.evaluation.solver.logistic_paths` minimises, by name.
LOSSES: dict[str, Loss] = {
    "multinomial": _Multinomial(),
    "one-vs-rest": _OneVersusRest(),
}


def row_losses(scores: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    r"""Loss of each row.

    Parameters
    ----------
    scores : (n, K) float
    y : (n,) int
        Classes, in 0..K-1.
    loss : str
        ``multinomial``: :math:`\log \sum_k e^{s_k} - s_y`, in nats. The others sum over classes, with
        :math:`t_k = \pm 1`: ``one-vs-rest`` :math:`\log(1 + e^{-t_k s_k})`, in nats; ``squared-hinge``
        :math:`\max(0, 1 - t_k s_k)^2`; ``squared`` :math:`(t_k - s_k)^2 / 2`.

    Returns
    -------
    (n,) float
    """
    correct = scores[np.arange(len(y)), y]
    if loss == "multinomial":
        return logsumexp(scores, axis=1) - correct
    if loss == "one-vs-rest":
        return np.logaddexp(0.0, scores).sum(axis=1) - correct
    sign = np.where(np.arange(scores.shape[1]) == y[:, None], 1.0, -1.0)  # (n, K)
    gap = 1 - sign * scores
    return (np.maximum(gap, 0) ** 2).sum(axis=1) if loss == "squared-hinge" else 0.5 * (gap**2).sum(axis=1)
