"""Negative sampling: each positive pair against the negatives that its anchor drew."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphssl.functional._common import check_both_kinds, check_scores, in_float32
from graphssl.pairs import Pairs

__all__ = ["negative_sampling_loss"]


@in_float32
def negative_sampling_loss(scores: Tensor, pairs: Pairs) -> Tensor:
    r"""Skip-gram's objective: every positive pair comes with all negatives of its anchor.

    .. math::
        L = -\frac{1}{|P|} \sum_{(a, c) \in P} \Big( \log \sigma(s_{ac})
            + \sum_{c' \in N_a} \log \sigma(-s_{ac'}) \Big)

    Parameters
    ----------
    scores : Tensor, shape (A, C)
        Logits: inner products of the vectors of anchors and contexts.
    pairs : Pairs of shape (A, C)
        P and N. A pair in neither mask is ignored and receives zero gradient, as do the negatives of an anchor without
        a positive.

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
    The positives of an anchor share its negatives. With one positive and K negatives for each anchor this is the
    equation of [1]_, and ``bce_loss == negative_sampling_loss / (K + 1)``.

    References
    ----------
    .. [1] Mikolov, Sutskever, Chen, Corrado, Dean. Distributed Representations of Words and Phrases and their
       Compositionality. 2013. arXiv:1310.4546, equation 4.

    Examples
    --------
    >>> import torch
    >>> from graphssl.pairs import same_row
    >>> negative_sampling_loss(torch.zeros(3, 3), same_row(3))  # 3 log 2
    tensor(2.0794)
    """
    check_scores(scores, pairs)
    check_both_kinds(pairs)
    used = pairs.positive | pairs.negative
    s = scores.masked_fill(~used, 0.0)  # what is ignored may be infinite or NaN
    times = pairs.positive.sum(dim=1, keepdim=True).to(s.dtype)  # (A, 1), how often a negative counts
    terms = logsigmoid(torch.where(pairs.positive, s, -s)) * torch.where(pairs.positive, 1.0, times)
    return -torch.where(used, terms, 0.0).sum() / pairs.positive.sum()
