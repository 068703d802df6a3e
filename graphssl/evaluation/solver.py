"""L2-regularised logistic regression along a grid of C: the one place where a linear probe is solved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

__all__ = ["logistic_losses", "logistic_path"]


def logistic_path(
    Z: np.ndarray,
    target: np.ndarray,
    grid: Sequence[float],
    *,
    loss: str = "multinomial",
    penalise_bias: bool = False,
    tol: float = 1e-4,
    max_iter: int = 1000,
) -> np.ndarray:
    r"""Solve one convex problem per value of C, each started from the solution before it.

    .. math::
        \min_{W, b} \tfrac12 \lVert W \rVert^2 + C \sum_i \ell(W z_i + b, t_i)

    Parameters
    ----------
    Z : (n, D) float
        Training rows.
    target : (n, K) bool or float
        One column a class, 1 where the row belongs to it; for ``one-vs-rest`` any zeros and ones, also K = 1.
    grid : sequence of float, > 0
        Values of C; the path runs from the smallest (most regularised, easiest) upwards.
    loss : "multinomial" or "one-vs-rest"
        Cross-entropy of a softmax, or K independent logistic losses.
    penalise_bias : bool
        Add :math:`\tfrac12 \lVert b \rVert^2`, as liblinear does.
    tol : float
        L-BFGS stops when no entry of the gradient of the objective divided by C n exceeds it.
    max_iter : int
        Iterations for each C.

    Returns
    -------
    (len(grid), D + 1, K) float64
        Weights in the order of ``grid``; the last row of each is the bias.

    Notes
    -----
    With fewer rows than columns the solution lies in the row space of Z, so the problem is
    solved exactly in an orthonormal basis of it, of size n instead of D.
    """
    Z = np.asarray(Z, dtype=np.float64)
    n, dim = Z.shape
    basis = None
    if n < dim:
        basis, triangle = np.linalg.qr(Z.T)  # (D, n), (n, n)
        Z = triangle.T
    A = np.hstack([Z, np.ones((n, 1))])  # (n, d + 1)
    target = np.asarray(target, dtype=np.float64)
    num_classes = target.shape[1]
    shrink = np.ones((A.shape[1], 1))
    shrink[-1] = float(penalise_bias)
    value = _multinomial if loss == "multinomial" else _one_vs_rest

    W = np.zeros((A.shape[1], num_classes))
    path = np.empty((len(grid), dim + 1, num_classes))
    for i in np.argsort(grid, kind="stable"):
        penalty = 1.0 / (grid[i] * n)

        def objective(flat: np.ndarray, penalty: float = penalty) -> tuple[float, np.ndarray]:
            W = flat.reshape(-1, num_classes)
            data_loss, residual = value(A @ W, target)  # (), (n, K)
            shrunk = penalty * shrink * W
            return data_loss / n + 0.5 * float((shrunk * W).sum()), (A.T @ residual / n + shrunk).ravel()

        options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": tol, "ftol": 1e-12, "maxcor": 20}
        W = minimize(objective, W.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(-1, num_classes)
        path[i, :-1] = W[:-1] if basis is None else basis @ W[:-1]
        path[i, -1] = W[-1]
    return path


def logistic_losses(scores: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    """Loss of each row: (n, K) scores, (n,) classes -> (n,), in nats; ``loss`` as in :func:`logistic_path`."""
    correct = scores[np.arange(len(y)), y]
    if loss == "multinomial":
        return logsumexp(scores, axis=1) - correct
    return np.logaddexp(0.0, scores).sum(axis=1) - correct


def _multinomial(scores: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Summed cross-entropy and its gradient with respect to the scores."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    exp = np.exp(shifted)
    total = exp.sum(axis=1, keepdims=True)
    return float((np.log(total[:, 0]) - (shifted * target).sum(axis=1)).sum()), exp / total - target


def _one_vs_rest(scores: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Summed logistic losses, one a class, and their gradient with respect to the scores."""
    return float((np.logaddexp(0.0, scores) - target * scores).sum()), expit(scores) - target
