"""InfoNCE and its corrections for false and for easy negatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.functional._common import check_anchors, check_positive, check_scores, in_float32
from graphssl.pairs import Pairs

__all__ = ["debiased_info_nce_loss", "hard_info_nce_loss", "info_nce_loss"]


@in_float32
def info_nce_loss(scores: Tensor, pairs: Pairs, *, temperature: float = 0.5) -> Tensor:
    r"""Contrast each anchor's positives with its own candidates.

    .. math::
        L = -\frac{1}{A} \sum_a \frac{1}{|P_a|} \sum_{c \in P_a}
            \log \frac{e^{s_{ac}/\tau}}{\sum_{c' \in P_a \cup N_a} e^{s_{ac'}/\tau}}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Any real score; larger means more alike.
    pairs : Pairs of shape (A, C)
        :math:`P_a` and :math:`N_a` by row. A pair in neither mask is ignored and receives zero gradient.
    temperature : float, > 0
        The paper's :math:`\tau`.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised. ``log(C) - loss`` bounds mutual information from below when each
        anchor has one positive and no pair is ignored. An anchor without negatives and with one
        positive contributes 0.

    Raises
    ------
    ConfigurationError
        If an anchor has no positive, the shapes differ, or the temperature is not positive.

    Notes
    -----
    Memory O(A C); for two views see :func:`two_view_info_nce_loss`, O(N P).

    References
    ----------
    .. [1] van den Oord, Li, Vinyals. Representation Learning with Contrastive Predictive Coding. 2018.
       arXiv:1807.03748, equation 4.
    .. [2] Chen, Kornblith, Norouzi, Hinton. A Simple Framework for Contrastive Learning of Visual
       Representations. 2020. arXiv:2002.05709, equation 1 (NT-Xent: ``two_views`` of cosine scores).

    Examples
    --------
    >>> import torch
    >>> from graphssl.pairs import same_row
    >>> info_nce_loss(torch.eye(3), same_row(3), temperature=1.0)
    tensor(0.5514)
    """
    check_scores(scores, pairs)
    check_positive("temperature", temperature)
    check_anchors(pairs)
    logits = scores / temperature  # (A, C)
    used = pairs.positive | pairs.negative
    normaliser = logits.masked_fill(~used, -torch.inf).logsumexp(dim=1)  # (A,)
    aligned = logits.masked_fill(~pairs.positive, 0.0).sum(dim=1) / pairs.positive.sum(dim=1)  # (A,)
    return (normaliser - aligned).mean()


@in_float32
def debiased_info_nce_loss(scores: Tensor, pairs: Pairs, *, temperature: float = 0.5, prior: float = 0.1) -> Tensor:
    r"""Contrast after subtracting the positives that hide among the negatives.

    .. math::
        L &= -\frac{1}{A} \sum_a \frac{1}{|P_a|} \sum_{c \in P_a}
            \log \frac{e^{s_{ac}/\tau}}{e^{s_{ac}/\tau} + |N_a| g_a} \\
        g_a &= \max\Big\{ \frac{1}{1 - \pi} \Big( \frac{1}{|N_a|} \sum_{c \in N_a} e^{s_{ac}/\tau}
            - \pi \frac{1}{|P_a|} \sum_{c \in P_a} e^{s_{ac}/\tau} \Big),\; e^{-1/\tau} \Big\}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Cosine scores: the floor :math:`e^{-1/\tau}` is the smallest value that scores in [-1, 1] can give.
        Other scores stay finite, but then the floor means nothing.
    pairs : Pairs of shape (A, C)
        A pair in neither mask is ignored and receives zero gradient.
    temperature : float, > 0
        The paper's t.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive, the paper's :math:`\tau^+` (:math:`\pi` above).
        With 0 and one positive per anchor this is :func:`info_nce_loss`.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised.

    Raises
    ------
    ConfigurationError
        If an anchor has no positive or no negative, or an option is out of range.

    Notes
    -----
    The M extra samples from the positive distribution are the anchor's own positives, as in the paper's
    experiments (M = 1). Computed on logarithms throughout: nothing overflows at a temperature of 0.01.

    References
    ----------
    .. [1] Chuang, Robinson, Lin, Torralba, Jegelka. Debiased Contrastive Learning. 2020. arXiv:2007.00224,
       equations 7 and 8.
    """
    return _corrected(scores, pairs, temperature, prior, 0.0)


@in_float32
def hard_info_nce_loss(
    scores: Tensor, pairs: Pairs, *, temperature: float = 0.5, prior: float = 0.1, concentration: float = 1.0
) -> Tensor:
    r"""Contrast with negatives weighted by how hard they are, after the correction for false ones.

    :func:`debiased_info_nce_loss` with the mean over negatives replaced by a weighted mean,

    .. math::
        \sum_{c \in N_a} w_{ac} e^{s_{ac}/\tau}, \qquad
        w_{ac} = \frac{e^{\beta s_{ac}/\tau}}{\sum_{c' \in N_a} e^{\beta s_{ac'}/\tau}}

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Cosine scores; see :func:`debiased_info_nce_loss`.
    pairs : Pairs of shape (A, C)
        A pair in neither mask is ignored and receives zero gradient.
    temperature : float, > 0
        The paper's t.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive, the paper's :math:`\tau^+`.
    concentration : float, >= 0
        The paper's :math:`\beta`: 0 is the debiased loss, larger values look at the hardest negatives only.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised.

    Raises
    ------
    ConfigurationError
        If an anchor has no positive or no negative, or an option is out of range.

    Notes
    -----
    The weights take part in the gradient: the objective is the paper's, differentiated as it stands.

    References
    ----------
    .. [1] Robinson, Chuang, Sra, Jegelka. Contrastive Learning with Hard Negative Samples. 2021.
       arXiv:2010.04592, section 3.
    """
    return _corrected(scores, pairs, temperature, prior, concentration)


def _corrected(scores: Tensor, pairs: Pairs, temperature: float, prior: float, concentration: float) -> Tensor:
    check_scores(scores, pairs)
    check_correction(temperature, prior, concentration)
    check_anchors(pairs, negatives=True)
    logits = scores.masked_fill(~(pairs.positive | pairs.negative), 0.0) / temperature  # (A, C)
    of_positive = logits.masked_fill(~pairs.positive, -torch.inf)
    of_negative = logits.masked_fill(~pairs.negative, -torch.inf)
    num_positive = pairs.positive.sum(dim=1).to(logits.dtype)  # (A,)
    num_negative = pairs.negative.sum(dim=1).to(logits.dtype)  # (A,)

    # Logarithms of the three parts of g: mean over negatives, mean over positives, floor.
    weights = (concentration * logits).masked_fill(~pairs.negative, -torch.inf).log_softmax(dim=1)  # (A, C)
    negatives = (weights + of_negative).logsumexp(dim=1)  # (A,)
    positives = of_positive.logsumexp(dim=1) - num_positive.log()  # (A,)
    log_g = corrected_negatives(negatives, positives, temperature, prior)  # (A,)

    denominator = torch.logaddexp(logits, (log_g + num_negative.log())[:, None])  # (A, C)
    terms = torch.where(pairs.positive, denominator - logits, 0.0)  # (A, C)
    return (terms.sum(dim=1) / num_positive).mean()


def check_correction(temperature: float, prior: float, concentration: float) -> None:
    """The options are in range."""
    check_positive("temperature", temperature)
    if not 0 <= prior < 1:
        raise ConfigurationError(f"prior is the probability of a false negative, in [0, 1), got {prior}")
    if not 0 <= concentration < math.inf:
        raise ConfigurationError(f"concentration must be a number of at least 0, got {concentration}")


def corrected_negatives(negatives: Tensor, positives: Tensor, temperature: float, prior: float) -> Tensor:
    """Logarithm of g from those of the means over negatives and over positives, each (A,)."""
    false = positives + (math.log(prior) if prior > 0 else -math.inf)
    return (_log_difference(negatives, false) - math.log1p(-prior)).clamp_min(-1 / temperature)


def _log_difference(larger: Tensor, smaller: Tensor) -> Tensor:
    """log(exp(larger) - exp(smaller)), and -inf with zero gradient where that is not positive."""
    gap = smaller - larger
    positive = gap < 0
    safe = torch.where(positive, gap, -1.0)  # both branches of a where are differentiated
    return torch.where(positive, larger + (-torch.expm1(safe)).log(), -torch.inf)
