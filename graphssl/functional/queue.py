"""InfoNCE against a queue of old keys, without a matrix of all scores."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from graphssl.errors import ConfigurationError
from graphssl.functional._common import check_aligned, check_positive, in_float32, unit
from graphssl.ops import cross_logsumexp

__all__ = ["queue_info_nce_loss"]


@in_float32
def queue_info_nce_loss(anchors: Tensor, keys: Tensor, queue: Tensor, *, temperature: float = 0.07) -> Tensor:
    r"""Contrast each anchor with its key, against a queue, by cosine, in memory O((N + K) P).

    .. math::
        L = -\frac{1}{N} \sum_i \log \frac{e^{\cos(a_i, k_i)/\tau}}
            {e^{\cos(a_i, k_i)/\tau} + \sum_q e^{\cos(a_i, q)/\tau}}

    Equal, in value and gradient, to :func:`info_nce_loss` of the cosine scores of ``anchors`` with
    ``torch.cat([keys, queue])`` and ``pairs.queue(N, K)``.

    Parameters
    ----------
    anchors, keys : Tensor, shape (N, P)
        Key i is the positive of anchor i; keys of other anchors are ignored. Normalised here.
    queue : Tensor, shape (K, P)
        Negatives of every anchor, possibly none; usually without gradient, which then costs nothing.
    temperature : float, > 0
        The paper's :math:`\tau`, and its value.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised; 0 with an empty queue. Differentiable once.

    Raises
    ------
    ConfigurationError
        If the shapes or types differ, there are no anchors, or the temperature is not positive.

    References
    ----------
    .. [1] He, Fan, Wu, Xie, Girshick. Momentum Contrast for Unsupervised Visual Representation Learning. 2020.
       arXiv:1911.05722, equation 1.
    """
    check_aligned(anchors, keys)
    check_positive("temperature", temperature)
    if queue.dim() != 2 or queue.size(1) != anchors.size(1) or queue.dtype != anchors.dtype:
        raise ConfigurationError(
            f"queue must be {anchors.dtype} of shape (rows, {anchors.size(1)}), like the anchors, got {queue.dtype} of "
            f"shape {tuple(queue.shape)}"
        )
    anchors, keys, queue = (unit(z, dim=1) for z in (anchors, keys, queue))
    positives = (anchors * keys).sum(dim=1) / temperature  # (N,)
    bound = (1 + 1e-5) / temperature
    negatives, _ = cross_logsumexp(anchors, queue, scale=1 / temperature, columns=False, bound=bound)  # (N,)
    return -logsigmoid(positives - negatives).mean()
