"""Agreement of aligned rows, kept from collapse by decorrelating the columns."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu

from graphssl.functional._common import check_aligned, in_float32, unit_columns

__all__ = ["barlow_twins_loss", "cca_ssg_loss", "vicreg_loss"]


@in_float32
def barlow_twins_loss(z1: Tensor, z2: Tensor, *, off_diagonal: float | None = None) -> Tensor:
    r"""Make the cross-correlation of two views the identity.

    .. math::
        L = \sum_j (1 - C_{jj})^2 + \lambda \sum_{j \neq k} C_{jk}^2

    where :math:`C_{jk}` is the correlation over rows of column j of ``z1`` with column k of ``z2``.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, D)
        Row i of one belongs to row i of the other; at least two rows.
    off_diagonal : float, optional
        The paper's :math:`\lambda`; 1 / D unless given, as Graph Barlow Twins has it.

    Returns
    -------
    Tensor, shape ()
        Summed over columns (it grows with D), to be minimised.

    Raises
    ------
    ConfigurationError
        If the shapes differ or there are fewer than two rows.

    Notes
    -----
    Correlations are exact, :math:`C_{jj} = 1` for equal views: the released codes mix biased and
    unbiased deviations and add an epsilon. A constant column has correlation 0 with everything, and
    zero gradient. Memory O(N D + D^2).

    References
    ----------
    .. [1] Zbontar, Jing, Misra, LeCun, Deny. Barlow Twins. 2021. arXiv:2103.03230, equations 1 and 2.
    .. [2] Bielak, Kajdanowicz, Chawla. Graph Barlow Twins. 2022. arXiv:2106.02466 (the default weight).
    """
    check_aligned(z1, z2, rows=2)
    weight = 1 / z1.size(1) if off_diagonal is None else off_diagonal
    correlation = unit_columns(z1).T @ unit_columns(z2)  # (D, D)
    return (1 - correlation.diagonal()).square().sum() + weight * _off_diagonal(correlation)


@in_float32
def cca_ssg_loss(z1: Tensor, z2: Tensor, *, decorrelation: float = 1e-3) -> Tensor:
    r"""Align two views while the columns of each stay uncorrelated.

    .. math::
        L = -\frac{1}{N} \mathrm{tr}(\tilde Z_1^\top \tilde Z_2) + \lambda \left( \|I - C_1\|_F^2 + \|I - C_2\|_F^2
            \right), \qquad C_v = \frac{1}{N} \tilde Z_v^\top \tilde Z_v

    where :math:`\tilde Z` has columns of mean 0 and variance 1.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, D)
        Row i of one belongs to row i of the other; at least two rows.
    decorrelation : float
        The paper's :math:`\lambda`.

    Returns
    -------
    Tensor, shape ()
        Summed over columns, to be minimised; the first term is at best -D.

    Raises
    ------
    ConfigurationError
        If the shapes differ or there are fewer than two rows.

    Notes
    -----
    The authors' code: the trace is used instead of the paper's :math:`\|\tilde Z_1 - \tilde Z_2\|_F^2`,
    which, divided by N, is :math:`2 D` plus twice the first term here. Deviation: the code standardises
    by the unbiased deviation, which leaves the diagonal of C at (N - 1) / N; here it is 1. A constant
    column becomes zero, with zero gradient, and costs :math:`\lambda` for each view. Memory O(N D + D^2).

    References
    ----------
    .. [1] Zhang, Wu, Yan, Wipf, Yu. From Canonical Correlation Analysis to Self-supervised Graph Neural
       Networks. 2021. arXiv:2106.12484, section 3.
    """
    check_aligned(z1, z2, rows=2)
    unit1, unit2 = unit_columns(z1), unit_columns(z2)  # (N, D) each, standardised and divided by sqrt(N)
    decorrelated = sum(_from_identity(u.T @ u) for u in (unit1, unit2))
    return decorrelation * decorrelated - (unit1 * unit2).sum()


@in_float32
def vicreg_loss(
    z1: Tensor,
    z2: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    target_std: float = 1.0,
    eps: float = 1e-4,
) -> Tensor:
    r"""Invariance, variance and covariance, each with its weight.

    .. math::
        L &= \lambda\, s(Z_1, Z_2) + \mu\, (v(Z_1) + v(Z_2)) + \nu\, (c(Z_1) + c(Z_2)) \\
        s &= \frac{1}{N} \sum_i \|z^1_i - z^2_i\|^2, \qquad
        v = \frac{1}{D} \sum_j \max(0, \gamma - \sqrt{\mathrm{Var}(z_{\cdot j}) + \epsilon}), \qquad
        c = \frac{1}{D} \sum_{j \neq k} \mathrm{Cov}_{jk}^2

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, D)
        Row i of one belongs to row i of the other; at least two rows. Not normalised.
    invariance, variance, covariance : float
        The paper's :math:`\lambda`, :math:`\mu` and :math:`\nu`.
    target_std : float
        The deviation that each column should reach, the paper's :math:`\gamma`.
    eps : float
        Keeps the gradient of the square root finite, the paper's :math:`\epsilon`.

    Returns
    -------
    Tensor, shape ()
        At least 0, to be minimised.

    Raises
    ------
    ConfigurationError
        If the shapes differ or there are fewer than two rows.

    Notes
    -----
    The paper's equations. The authors' code divides s by D and halves v, so its invariance of 25 is
    25 / D here and its variance of 25 is 12.5. Variance and covariance divide by N - 1.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun. VICReg. 2022. arXiv:2105.04906, equations 1 to 6.
    """
    check_aligned(z1, z2, rows=2)
    loss = invariance * (z1 - z2).square().sum(dim=1).mean()
    for z in (z1, z2):
        centred = z - z.mean(dim=0)  # (N, D)
        cov = centred.T @ centred / (z.size(0) - 1)  # (D, D)
        std = (cov.diagonal() + eps).sqrt()  # (D,)
        loss = loss + variance * relu(target_std - std).mean() + covariance * _off_diagonal(cov) / z.size(1)
    return loss


def _off_diagonal(matrix: Tensor) -> Tensor:
    """Sum of the squares beside the diagonal, shape ()."""
    return (matrix - matrix.diagonal().diag()).square().sum()


def _from_identity(matrix: Tensor) -> Tensor:
    """Squared Frobenius distance from the identity, shape ()."""
    return _off_diagonal(matrix) + (1 - matrix.diagonal()).square().sum()
