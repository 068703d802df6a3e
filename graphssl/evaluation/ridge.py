"""Least squares on class indicators with an L2 penalty, in closed form for every C."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from graphssl.evaluation.basis import check_problem, row_basis

__all__ = ["ridge_path"]


def ridge_path(Z: np.ndarray, target: np.ndarray, grid: Sequence[float], *, penalise_bias: bool = False) -> np.ndarray:
    r"""Ridge classifiers for a grid of C from one eigendecomposition.

    .. math::
        \min_{W, b} \tfrac12 \lVert W \rVert^2 + \tfrac C 2 \sum_i \lVert W z_i + b - (2 t_i - 1) \rVert^2

    Parameters
    ----------
    Z : (n, D) float
        Training rows.
    target : (n, K) bool or float
        One column a class, 1 where the row belongs to it.
    grid : sequence of float, > 0
        Values of C, the inverse of the usual :math:`\alpha`.
    penalise_bias : bool
        Add :math:`\tfrac12 \lVert b \rVert^2`.

    Returns
    -------
    (len(grid), D + 1, K) float64
        Weights in the order of ``grid``; the last row of each is the bias.

    Raises
    ------
    ConfigurationError
        If Z or the grid is empty, Z is not finite, a C is not positive, or the target does not have as many rows.

    Notes
    -----
    Columns are orthogonal in the principal basis, so each weight is a quotient; O(n D min(n, D)) for any length of
    the grid. Equals scikit-learn's ``RidgeClassifier`` with more than two classes; with two, K = 2 columns give
    opposite scores.
    """
    check_problem(Z, target, grid)
    basis = row_basis(Z, penalise_bias=penalise_bias)
    sign = torch.from_numpy(2 * np.array(target, dtype=np.float64) - 1)  # (n, K)
    alpha = 1 / torch.tensor([float(C) for C in grid], dtype=sign.dtype)
    squares = basis.rows.square().sum(dim=0)  # (R,)
    shrunk = 1 / (squares + alpha[:, None] * basis.penalised)  # (C, R)
    weights = basis.back @ (shrunk[:, :, None] * (basis.rows.T @ sign))  # (C, D + 1, K)
    return weights.numpy()
