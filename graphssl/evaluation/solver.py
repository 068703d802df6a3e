"""L2-regularised logistic regression: every C and every subset of the rows solved as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, unknown_name
from graphssl.evaluation.basis import check_problem, row_basis
from graphssl.evaluation.losses import LOSSES, Loss

__all__ = ["logistic_path", "logistic_paths"]

_BATCH = 2**18  # scores of one batch, 2 MB: more of them gain no speed, and memory is a dozen times as much
_STEEP = 0.3  # the line search ends when the slope has fallen to this part of the first
_SEARCHES = 50


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
    r"""Logistic regression on all rows for every value of C at once.

    .. math::
        \min_{W, b} \tfrac12 \lVert W \rVert^2 + C \sum_i \ell(W z_i + b, t_i)

    Parameters
    ----------
    Z, target, grid, loss, penalise_bias, tol, max_iter
        As of :func:`graphssl.evaluation.logistic_paths`, of which this is the case of a single subset.

    Returns
    -------
    (len(grid), D + 1, K) float64
        Weights in the order of ``grid``; the last row of each is the bias.
    """
    return logistic_paths(Z, target, grid, loss=loss, penalise_bias=penalise_bias, tol=tol, max_iter=max_iter)[0]


def logistic_paths(
    Z: np.ndarray,
    target: np.ndarray,
    grid: Sequence[float],
    *,
    subsets: np.ndarray | None = None,
    loss: str = "multinomial",
    penalise_bias: bool = False,
    tol: float = 1e-4,
    max_iter: int = 1000,
) -> np.ndarray:
    r"""Solve one convex problem per subset of the rows and value of C, all together.

    .. math::
        \min_{W, b} \tfrac12 \lVert W \rVert^2 + C \sum_{i \in F} \ell(W z_i + b, t_i)

    Parameters
    ----------
    Z : (n, D) float
        Training rows.
    target : (n, K) bool or float
        One column a class, 1 where the row belongs to it; for ``one-vs-rest`` any zeros and ones, also K = 1.
    grid : sequence of float, > 0
        Values of C.
    subsets : (F, n) bool, optional
        The rows of each problem, for instance all but one fold; by default one subset with every row.
    loss : "multinomial" or "one-vs-rest"
        Cross-entropy of a softmax, or K independent logistic losses.
    penalise_bias : bool
        Add :math:`\tfrac12 \lVert b \rVert^2`, as liblinear does.
    tol : float
        A problem is finished when no entry of the gradient of its objective divided by C n exceeds it, in the basis
        of :func:`graphssl.evaluation.basis.row_basis`.
    max_iter : int
        Iterations for each problem; what is reached by then is returned.

    Returns
    -------
    (F, len(grid), D + 1, K) float64
        Weights; the last row of each is the bias.

    Raises
    ------
    UnknownNameError
        For a loss that is neither of the two.
    ConfigurationError
        If Z or the grid is empty, Z is not finite, a C is not positive, the target or the subsets do not have a row or
        column for each row of Z, or a subset is empty.

    Notes
    -----
    Conjugate gradients (Polak and Ribiere, restarted when negative) preconditioned by the diagonal of the Hessian in
    the principal basis, where it is nearly all of the Hessian; the diagonal is renewed at iterations 4, 8, 16, ...
    All problems share two matrix products an iteration, the line search needs none, and finished problems leave. If
    they are more than one batch, larger C start from the solution of the largest C before them.
    """
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    check_problem(Z, target, grid)
    basis = row_basis(Z, penalise_bias=penalise_bias)
    T = torch.from_numpy(np.array(target, dtype=np.float64).T)  # (K, n)
    K, n = T.shape
    members = torch.ones(1, n, dtype=T.dtype) if subsets is None else torch.from_numpy(np.array(subsets, np.float64))
    if members.dim() != 2 or members.shape[1] != n:
        raise ConfigurationError(f"expected subsets as a mask of shape (F, {n}), got {tuple(members.shape)}")
    F, R = len(members), basis.rows.shape[1]
    size = members.sum(dim=1)
    if not bool((size > 0).all()):
        empty = int((size == 0).nonzero()[0])
        raise ConfigurationError(f"every subset must hold a row to learn from, but subset {empty} of {F} is empty")
    T = T[None] if LOSSES[loss].joint else T[:, None]  # (J, k, n)

    order = np.argsort(grid, kind="stable")
    width = max(1, _BATCH // (F * K * n))
    found = T.new_empty(F, len(grid), K, R)
    start = T.new_zeros(F, 1, K, R)
    for part in np.split(order, range(width, len(order), width)):
        shape = (F, len(part), len(T))
        C = torch.tensor([float(grid[i]) for i in part], dtype=T.dtype)
        penalty = (1 / (C * size[:, None]))[:, :, None, None, None] * basis.penalised
        solution = _minimise(
            basis.rows,
            T.expand(*shape, -1, -1).flatten(0, 2),
            (members / size[:, None])[:, None, None, None].expand(*shape, 1, n).flatten(0, 2),
            penalty.expand(*shape, 1, R).flatten(0, 2),
            start.expand(-1, len(part), -1, -1).reshape(-1, T.shape[1], R),
            LOSSES[loss], tol, max_iter,
        )  # fmt: skip
        solution = solution.view(F, len(part), K, R)
        if LOSSES[loss].joint:  # a softmax does not see what all classes share; without it the norm is smaller
            solution = solution - solution.mean(dim=2, keepdim=True)
        found[:, part] = solution
        start = found[:, part[-1:]]
    return (found @ basis.back.T).transpose(2, 3).numpy()


def _minimise(
    A: Tensor, T: Tensor, weight: Tensor, penalty: Tensor, W: Tensor, loss: Loss, tol: float, max_iter: int
) -> Tensor:
    """Minimise P objectives: weighted losses of ``W A'`` plus half the penalised squares of ``W``.

    A (n, R), T (P, k, n), weight (P, 1, n), penalty (P, 1, R), W (P, k, R), the start -> (P, k, R).
    """
    result = W.clone()
    active = torch.arange(len(W))
    columns, squares = A.T.contiguous(), A.square()  # (R, n), (n, R)
    S = W @ columns
    slope = loss.slope(S, T)
    G = (weight * slope) @ A + penalty * W  # (P, k, R)
    D = M = G
    energy = _dot(G, G)
    for iteration in range(max_iter):
        unfinished = G.abs().amax(dim=(1, 2)) > tol
        if not bool(unfinished.all()):
            result[active[~unfinished]] = W[~unfinished]
            if not bool(unfinished.any()):
                return result
            state = (active, T, weight, penalty, W, S, slope, G, D, M, energy)
            active, T, weight, penalty, W, S, slope, G, D, M, energy = (x[unfinished] for x in state)
        if iteration == 0 or (iteration >= 4 and iteration & (iteration - 1) == 0):
            floor = 1e-10 * weight @ squares  # for the free intercept of rows that are all fitted perfectly
            M = torch.maximum((weight * loss.diagonal(slope, T)) @ squares, floor) + penalty
            D = -G / M
            energy = -_dot(G, D)
        Q = D @ columns  # (P, k, n)
        along = (_dot(penalty * W, D), _dot(penalty * D, D))
        t, S, slope = _line_search(loss, S, T, weight, slope, Q, _dot(G, D), along)
        W = W + t[:, None, None] * D
        previous, G = G, (weight * slope) @ A + penalty * W
        preconditioned = G / M
        renewed = _dot(G, preconditioned)
        beta = ((renewed - _dot(previous, preconditioned)) / energy).clamp_(min=0)
        energy = renewed
        D = beta[:, None, None] * D - preconditioned
        downhill = _dot(G, D) < 0
        if not bool(downhill.all()):
            D = torch.where(downhill[:, None, None], D, -preconditioned)
    result[active] = W
    return result


def _line_search(
    loss: Loss,
    S: Tensor,
    T: Tensor,
    weight: Tensor,
    slope: Tensor,
    Q: Tensor,
    first: Tensor,
    ridge: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps (P,) along ``Q`` where the derivative has nearly vanished, and scores and slopes there.

    Along a line a convex objective has an increasing derivative, so Newton's steps kept inside a bracket find its
    zero; values of the objective, whose differences drown in rounding near the solution, are not needed. ``first``
    (P,) is the derivative at 0, and ``ridge`` the penalty's: constant and linear coefficient.
    """
    low, high = torch.zeros_like(first), torch.full_like(first, float("inf"))
    t, derivative, moved = low, first, S
    searching = torch.ones_like(first, dtype=torch.bool)
    for _ in range(_SEARCHES):
        second = (weight[:, 0] * loss.curvature(slope, T, Q)).sum(dim=1) + ridge[1]
        newton = t - derivative / second
        bound = torch.minimum(high, 10 * t + 10)
        fallback = torch.where(torch.isinf(high), bound, (low + high) / 2)
        t = torch.where(searching, torch.where((newton > low) & (newton < bound), newton, fallback), t)
        moved = torch.addcmul(S, t[:, None, None], Q)
        slope = loss.slope(moved, T)
        derivative = _dot(weight * slope, Q) + ridge[0] + t * ridge[1]
        searching = derivative.abs() > _STEEP * first.abs()
        if not bool(searching.any()):
            break
        low, high = torch.where(derivative < 0, t, low), torch.where(derivative < 0, high, t)
    return t, moved, slope


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of P pairs: (P, ...), (P, ...) -> (P,)."""
    return (a * b).flatten(1).sum(dim=1)
