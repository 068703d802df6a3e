"""Agreement of aligned rows."""

from __future__ import annotations

from torch import Tensor

from graphssl.functional._common import check_aligned, in_float32, unit

__all__ = ["cosine_loss"]


@in_float32
def cosine_loss(z1: Tensor, z2: Tensor) -> Tensor:
    r"""Squared distance of aligned unit rows: the bootstrap loss.

    .. math::
        L = \frac{1}{N} \sum_i \left\| \frac{z^1_i}{\|z^1_i\|} - \frac{z^2_i}{\|z^2_i\|} \right\|^2
          = \frac{1}{N} \sum_i (2 - 2 \cos(z^1_i, z^2_i))

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, P)
        Row i of one belongs to row i of the other. No gradient is stopped here: hand in a target
        that needs none.

    Returns
    -------
    Tensor, shape ()
        In [0, 4], to be minimised.

    Raises
    ------
    ConfigurationError
        If the shapes differ or there are no rows.

    Notes
    -----
    One direction. BYOL adds both, ``cosine_loss(q1, t2) + cosine_loss(q2, t1)``; BGRL's loss is half of
    that sum. A zero row has cosine 0 with everything, and zero gradient.

    References
    ----------
    .. [1] Grill et al. Bootstrap Your Own Latent. 2020. arXiv:2006.07733, equation 2.
    """
    check_aligned(z1, z2)
    return (2 - 2 * (unit(z1, dim=1) * unit(z2, dim=1)).sum(dim=1)).mean()
