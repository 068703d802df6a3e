"""An orthonormal basis in which ridge-penalised linear models are small and their Hessians nearly diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError

__all__ = ["RowBasis", "check_problem", "row_basis"]

_RANK = 1e-12  # squared singular values below this part of the largest are rounding: they come from a Gram matrix


@dataclass(frozen=True)
class RowBasis:
    """Rows in the basis of their principal directions, and the way back.

    Parameters
    ----------
    rows : (n, R) float64 Tensor
        Coordinates; columns are orthogonal. The last one is the intercept's where it is kept apart (a column of ones).
    back : (D + 1, R) float64 Tensor
        Turns weights for ``rows`` into weights for the original columns, and in its last row the intercept.
    penalised : (R,) float64 Tensor
        1, and 0 for an intercept that carries no penalty.
    """

    rows: Tensor
    back: Tensor
    penalised: Tensor


def check_problem(Z: np.ndarray, target: np.ndarray, grid: Sequence[float]) -> None:
    """Raise a :class:`ConfigurationError` unless a linear model can be fitted.

    Parameters
    ----------
    Z : (n, D) float
        Training rows: finite, n and D at least 1.
    target : (n, K) bool or float
        K at least 1.
    grid : sequence of float
        Values of C: finite, > 0, at least one.
    """
    shape, target_shape = np.shape(Z), np.shape(target)
    if len(shape) != 2 or 0 in shape:
        raise ConfigurationError(f"expected training rows Z of shape (n, D), not empty, got {shape}")
    if len(target_shape) != 2 or target_shape[0] != shape[0] or target_shape[1] == 0:
        raise ConfigurationError(
            f"expected a target of shape ({shape[0]}, K), a row for each of Z and a column a class, got {target_shape}"
        )
    if not np.isfinite(Z).all():
        raise ConfigurationError("expected finite training rows, got NaN or infinite entries in Z: leave them out")
    if len(grid) == 0 or not all(0 < float(C) < np.inf for C in grid):
        raise ConfigurationError(f"expected a grid of finite values of C > 0, got {list(grid)}")


def row_basis(Z: np.ndarray, *, penalise_bias: bool = False) -> RowBasis:
    r"""Principal directions of the rows, from the smaller of the two Gram matrices.

    .. math::
        \min_{w, b} \tfrac12 |w|^2 + C \sum_i \ell(w \cdot z_i + b)

    has its solution in the span of the rows, and :math:`|w|` does not depend on the orthonormal basis, so the problem
    in these coordinates is the same problem with R <= min(n, D) + 1 unknowns (Hastie, Tibshirani, Friedman, The
    Elements of Statistical Learning, section 18.3.5).

    Parameters
    ----------
    Z : (n, D) float
        Training rows.
    penalise_bias : bool
        True: the intercept is the weight of a column of ones among the others, as in liblinear. False: the rows are
        centred, which moves the free intercept only, and makes its column orthogonal to all others.

    Returns
    -------
    RowBasis
    """
    X = torch.from_numpy(np.array(Z, dtype=np.float64))  # a copy: (n, D)
    n, dim = X.shape
    one = X.new_ones(n, 1)
    mean = X.mean(dim=0)
    X = torch.cat([X, one], dim=1) if penalise_bias else X - mean
    squares, vectors = torch.linalg.eigh(X @ X.T if n < X.shape[1] else X.T @ X)
    kept = squares > _RANK * squares[-1]
    squares, vectors = squares[kept], vectors[:, kept]
    if n < X.shape[1]:
        rows, back = vectors * squares.sqrt(), X.T @ (vectors / squares.sqrt())
    else:
        rows, back = X @ vectors, vectors
    if penalise_bias:
        return RowBasis(rows, back, X.new_ones(rows.shape[1]))
    back = torch.cat([back, -(mean @ back)[None]])  # (D + 1, R)
    free = torch.cat([X.new_zeros(dim, 1), X.new_ones(1, 1)])  # (D + 1, 1)
    penalised = torch.cat([X.new_ones(rows.shape[1]), X.new_zeros(1)])
    return RowBasis(torch.cat([rows, one], dim=1), torch.cat([back, free], dim=1), penalised)
