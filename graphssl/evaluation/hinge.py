"""Linear support vector machines with the squared hinge loss, one a class, solved exactly for every C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphssl.evaluation.basis import check_problem, row_basis

__all__ = ["squared_hinge_path"]


def squared_hinge_path(
    Z: np.ndarray,
    target: np.ndarray,
    grid: Sequence[float],
    *,
    penalise_bias: bool = True,
    tol: float = 1e-8,
    max_iter: int = 100,
) -> np.ndarray:
    r"""Solve for each class, with :math:`t_i = \pm 1`, along a grid of C.

    .. math::
        \min_{w, b} \tfrac12 |w|^2 + C \sum_i \max(0, 1 - t_i (w \cdot z_i + b))^2

    Parameters
    ----------
    Z : (n, D) float
        Training rows.
    target : (n, K) bool or float
        One column a class, 1 where the row belongs to it.
    grid : sequence of float, > 0
        Values of C; the path runs upwards, each started from the solution before it.
    penalise_bias : bool
        Add :math:`\tfrac12 b^2`, as liblinear does: then this is scikit-learn's ``LinearSVC``.
    tol : float
        A problem is solved when no entry of the gradient of the objective divided by C n exceeds it.
    max_iter : int
        Newton steps for each problem.

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
    Rows beyond the margin have no part in the objective, on the others it is least squares, so Newton's step is a
    ridge regression on the rows inside, and with a line search the right set of rows is found in finitely many steps
    (Keerthi and DeCoste, A modified finite Newton method for fast solution of large scale linear SVMs, 2005). A step
    costs O(m R^2 + R^3) with R = min(n, D) + 1 and m rows that crossed the margin since the step before.
    """
    check_problem(Z, target, grid)
    basis = row_basis(Z, penalise_bias=penalise_bias)
    A = basis.rows
    signs = torch.from_numpy(2 * np.array(target, dtype=np.float64).T - 1)  # (K, n)
    found = signs.new_zeros(len(grid), len(signs), A.shape[1])
    everything = _Inside(torch.ones(len(A), dtype=torch.bool), 2 * A.T @ A)  # where all scores are zero
    mirrored = len(signs) == 2 and bool((signs[0] == -signs[1]).all())
    for k, sign in enumerate(signs[:1] if mirrored else signs):
        w, inside = found.new_zeros(A.shape[1]), everything
        for i in np.argsort(grid, kind="stable"):
            w, inside = _newton(A, sign, basis.penalised / float(grid[i]), w, inside, tol, max_iter)
            found[i, k] = w
    if mirrored:
        found[:, 1] = -found[:, 0]
    return (found @ basis.back.T).transpose(1, 2).numpy()


class _Inside(NamedTuple):
    """Rows inside the margin, (n,) bool, and the Hessian of their losses, (R, R)."""

    rows: Tensor
    hessian: Tensor

    def moved(self, A: Tensor, rows: Tensor) -> _Inside:
        """For another set of rows, from those that changed if they are the fewer."""
        changed = rows != self.rows
        if int(changed.sum()) < int(rows.sum()):
            part = A[changed]
            weight = torch.where(rows[changed], 2.0, -2.0).to(A.dtype)
            return _Inside(rows, self.hessian + (weight[:, None] * part).T @ part)
        return _Inside(rows, 2 * A[rows].T @ A[rows])


def _newton(
    A: Tensor, sign: Tensor, penalty: Tensor, w: Tensor, inside: _Inside, tol: float, max_iter: int
) -> tuple[Tensor, _Inside]:
    """Minimise half the penalised squares plus the squared hinge losses: (n, R), (n,), (R,), the start (R,) -> (R,)."""
    gap = 1 - sign * (A @ w)  # (n,)
    for _ in range(max_iter):
        gradient = penalty * w - 2 * (A.T @ (sign * gap.clamp(min=0)))
        if bool(gradient.abs().max() <= tol * len(A)):
            break
        inside = inside.moved(A, gap > 0)
        empty = not bool(inside.rows.any())  # then a free bias has no curvature left
        step = -torch.linalg.solve(inside.hessian + torch.diag(penalty + empty), gradient)
        closing = -sign * (A @ step)  # (n,)
        t = _exact_step(gap, closing, float(penalty @ (w * step)), float(penalty @ step.square()))
        w, gap = w + t * step, gap + t * closing
    return w, inside


def _exact_step(gap: Tensor, closing: Tensor, linear: float, quadratic: float) -> float:
    """The minimiser along a line, where the derivative is increasing and piecewise linear, by Newton in a bracket."""
    t, low, high = 1.0, 0.0, float("inf")
    for _ in range(60):
        now = (gap + t * closing).clamp_(min=0)
        derivative = linear + t * quadratic + 2 * float(now @ closing)
        low, high = (t, high) if derivative < 0 else (low, t)
        curvature = quadratic + 2 * float(closing[now > 0].square().sum())
        newton = t - derivative / curvature if curvature > 0 else t
        following = newton if low < newton < high else (2 * t if high == float("inf") else (low + high) / 2)
        if abs(following - t) <= 1e-12 * t:
            break
        t = following
    return t
