"""The triplet margin."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu

from graphssl.errors import ConfigurationError
from graphssl.functional._common import check_both_kinds, check_scores, in_float32
from graphssl.pairs import Pairs

__all__ = ["margin_loss"]


@in_float32
def margin_loss(scores: Tensor, pairs: Pairs, *, margin: float = 0.5) -> Tensor:
    r"""Score each positive above each negative of the same anchor, by a margin.

    .. math::
        L = \frac{1}{|T|} \sum_{(a, p, n) \in T} \max(0,\; m - s_{ap} + s_{an}), \qquad
        T = \{(a, p, n): p \in P_a, n \in N_a\}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Any real score; larger means more alike (a negated squared distance gives the paper's loss).
    pairs : Pairs of shape (A, C)
        :math:`P_a` and :math:`N_a` by row. A pair in neither mask is ignored and receives zero gradient.
    margin : float, >= 0
        In units of the scores, the paper's :math:`\alpha`.

    Returns
    -------
    Tensor, shape ()
        In units of the scores, to be minimised.

    Raises
    ------
    ConfigurationError
        If no anchor has both a positive and a negative, the shapes differ, or the margin is negative.

    Notes
    -----
    A mean over all triplets, where the paper sums over selected ones. An anchor without a positive or
    without a negative has no triplet and contributes nothing.
    Memory O(|P| C); on a GPU the list of positives is read once per call, which waits for the device.

    References
    ----------
    .. [1] Schroff, Kalenichenko, Philbin. FaceNet. 2015. arXiv:1503.03832, equation 3.
    """
    check_scores(scores, pairs)
    if not 0 <= margin < float("inf"):
        raise ConfigurationError(f"margin must be a number of at least 0, got {margin}")
    check_both_kinds(pairs)
    anchor, candidate = pairs.positive.nonzero(as_tuple=True)  # (T',), (T',): one row per positive pair
    triplets = pairs.negative[anchor]  # (T', C)
    negative = scores.masked_fill(~pairs.negative, 0.0)[anchor]  # (T', C)
    violation = relu(margin - scores[anchor, candidate][:, None] + negative)
    count = triplets.sum()
    if not pairs.every_anchor_has_negative and count == 0:
        raise ConfigurationError("no anchor has both a positive and a negative pair: there is nothing to compare")
    return violation.masked_fill(~triplets, 0.0).sum() / count
