"""Losses that tell positive from negative pairs one by one: bounds on divergences, and cross-entropy."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphssl.functional._common import check_both_kinds, check_scores, in_float32, mean_over
from graphssl.pairs import Pairs

__all__ = ["bce_loss", "donsker_varadhan_loss", "jsd_loss", "nwj_loss"]

_LINEAR_ABOVE = 50.0


@in_float32
def jsd_loss(scores: Tensor, pairs: Pairs, *, shifted: bool = False) -> Tensor:
    r"""Tell joint from product samples by the Jensen-Shannon divergence.

    .. math::
        L = \frac{1}{|P|} \sum_{(a, c) \in P} \mathrm{sp}(-s_{ac}) + \frac{1}{|N|} \sum_{(a, c) \in N}
            \mathrm{sp}(s_{ac}), \qquad \mathrm{sp}(x) = \log(1 + e^x)

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Any real score, the paper's T; larger means more alike.
    pairs : Pairs of shape (A, C)
        P and N. A pair in neither mask is ignored and receives zero gradient.
    shifted : bool
        Subtract :math:`2 \log 2`: the form of f-GAN and InfoGraph,
        :math:`-E_P[\log 2 - \mathrm{sp}(-T)] + E_N[\mathrm{sp}(-T) + T - \log 2]`. Then ``-loss`` is a
        lower bound of twice the Jensen-Shannon divergence, in [0, 2 log 2] at its best, and constant
        scores of 0 give a loss of 0. The gradient is the same.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised.

    Raises
    ------
    ConfigurationError
        If no pair is positive, or none negative, or the shapes differ.

    Notes
    -----
    Mean over positive pairs plus mean over negative pairs, each over all anchors together: a graph
    counts by its nodes. With as many positives as negatives, ``jsd_loss == 2 * bce_loss``.
    The shift does not stand in for a mask here, as it does in InfoGraph's code: pairs are selected.

    References
    ----------
    .. [1] Hjelm et al. Learning deep representations by mutual information estimation and maximization.
       2019. arXiv:1808.06670, equation 4.
    .. [2] Nowozin, Cseke, Tomioka. f-GAN. 2016. arXiv:1606.00709, table 2 (the shifted form).
    .. [3] Sun, Hoffmann, Verma, Tang. InfoGraph. 2020. arXiv:1908.01000, equation 5.

    Examples
    --------
    >>> import torch
    >>> from graphssl.pairs import same_row
    >>> jsd_loss(torch.zeros(3, 3), same_row(3))
    tensor(1.3863)
    >>> jsd_loss(torch.zeros(3, 3), same_row(3), shifted=True)
    tensor(0.)
    """
    check_scores(scores, pairs)
    check_both_kinds(pairs)
    real = mean_over(pairs.positive, scores, lambda s: -logsigmoid(s))
    false = mean_over(pairs.negative, scores, lambda s: -logsigmoid(-s))
    loss = real + false
    return loss - 2 * math.log(2) if shifted else loss


@in_float32
def bce_loss(scores: Tensor, pairs: Pairs) -> Tensor:
    r"""Binary cross-entropy: positives are labelled 1 and negatives 0.

    .. math::
        L = -\frac{1}{|P| + |N|} \Big( \sum_{(a, c) \in P} \log \sigma(s_{ac})
            + \sum_{(a, c) \in N} \log (1 - \sigma(s_{ac})) \Big)

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Logits.
    pairs : Pairs of shape (A, C)
        P and N. A pair in neither mask is ignored and receives zero gradient.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised.

    Raises
    ------
    ConfigurationError
        If no pair is positive, or none negative, or the shapes differ.

    Notes
    -----
    One mean over all selected pairs: where negatives outnumber positives they outweigh them, and
    :func:`jsd_loss`, a mean for each kind, is another loss. With equal counts, as in DGI's
    ``real_versus_corrupt``, ``bce_loss == jsd_loss / 2``.

    References
    ----------
    .. [1] Velickovic, Fedus, Hamilton, Lio, Bengio, Hjelm. Deep Graph Infomax. 2019. arXiv:1809.10341,
       equation 1.
    """
    check_scores(scores, pairs)
    check_both_kinds(pairs)
    used = pairs.positive | pairs.negative
    return mean_over(used, scores, lambda s: -logsigmoid(torch.where(pairs.positive, s, -s)))


@in_float32
def donsker_varadhan_loss(scores: Tensor, pairs: Pairs) -> Tensor:
    r"""The Donsker-Varadhan bound on mutual information, negated.

    .. math::
        L = -\frac{1}{|P|} \sum_{(a, c) \in P} s_{ac} + \log \frac{1}{|N|} \sum_{(a, c) \in N} e^{s_{ac}}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Any real score, the paper's T. Adding a constant to all of them changes nothing.
    pairs : Pairs of shape (A, C)
        P and N. A pair in neither mask is ignored and receives zero gradient.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised; in expectation over many pairs ``-loss`` bounds mutual information
        from below.

    Raises
    ------
    ConfigurationError
        If no pair is positive, or none negative, or the shapes differ.

    Notes
    -----
    One logarithm over the negatives of all anchors together. In a batch the logarithm is a biased
    estimate, and its gradient too; the moving average of [1]_ that lessens the bias is not used.

    References
    ----------
    .. [1] Belghazi et al. Mutual Information Neural Estimation. 2018. arXiv:1801.04062, theorem 1.
    """
    check_scores(scores, pairs)
    check_both_kinds(pairs)
    real = mean_over(pairs.positive, scores, lambda s: s)
    false = scores.masked_fill(~pairs.negative, -torch.inf).flatten().logsumexp(dim=0)
    return false - pairs.negative.sum().to(scores.dtype).log() - real


@in_float32
def nwj_loss(scores: Tensor, pairs: Pairs) -> Tensor:
    r"""The bound of Nguyen, Wainwright and Jordan on mutual information, negated.

    .. math::
        L = -\frac{1}{|P|} \sum_{(a, c) \in P} s_{ac} + \frac{1}{|N|} \sum_{(a, c) \in N} e^{s_{ac} - 1}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Any real score, the paper's f; best at 1 + the log density ratio.
    pairs : Pairs of shape (A, C)
        P and N. A pair in neither mask is ignored and receives zero gradient.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised; in expectation ``-loss`` bounds mutual information from below.

    Raises
    ------
    ConfigurationError
        If no pair is positive, or none negative, or the shapes differ.

    Notes
    -----
    Deviation: above a score of 51 the exponential continues as its tangent, so that scores up to 1e4
    stay finite in float32. One such negative adds 5e21 nats over the number of negatives, and ``-loss``
    is no bound any more.

    References
    ----------
    .. [1] Nguyen, Wainwright, Jordan. Estimating divergence functionals and the likelihood ratio by convex
       risk minimization. 2010. arXiv:0809.0853.
    .. [2] Poole, Ozair, van den Oord, Alemi, Tucker. On Variational Bounds of Mutual Information. 2019.
       arXiv:1905.06922, section 2.1.
    """
    check_scores(scores, pairs)
    check_both_kinds(pairs)
    real = mean_over(pairs.positive, scores, lambda s: s)
    return mean_over(pairs.negative, scores, lambda s: _exp(s - 1)) - real


def _exp(x: Tensor) -> Tensor:
    """The exponential, continued by its tangent where float32 would soon overflow."""
    low = x.clamp_max(_LINEAR_ABOVE)
    return low.exp() * (1 + x - low)
