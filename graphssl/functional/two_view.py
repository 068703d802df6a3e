"""InfoNCE between two views without a matrix of all scores: exact, in blocks, recomputed backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from graphssl.errors import ConfigurationError
from graphssl.functional._common import check_aligned, check_positive, in_float32, unit

__all__ = ["two_view_info_nce_loss"]

# Scores held at once: on a CPU what stays in its cache (1.9 times as fast as one block at N = 2,708), on a GPU more.
_BLOCK_BYTES = {"cpu": 2**21, "cuda": 2**28}
_SMALLEST_BLOCK = 64


@in_float32
def two_view_info_nce_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, intra: bool = True, block_size: int | None = None
) -> Tensor:
    r"""Contrast each row with its partner in the other view, by cosine, in memory O(N P).

    .. math::
        L = -\frac{1}{2N} \sum_{v \in \{1, 2\}} \sum_i \log \frac{e^{\cos(z^v_i, z^{\bar v}_i)/\tau}}
            {\sum_k e^{\cos(z^v_i, z^{\bar v}_k)/\tau} + [\text{intra}] \sum_{k \neq i} e^{\cos(z^v_i, z^v_k)/\tau}}

    Equal, in value and gradient, to :func:`info_nce_loss` of the cosine scores of
    ``torch.cat([z1, z2])`` with themselves and ``two_views(N, intra=intra)``.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, P)
        Projections; row i of one belongs to row i of the other. Normalised here.
    temperature : float, > 0
        The paper's :math:`\tau`.
    intra : bool
        Count the other rows of the anchor's own view as negatives (GRACE, NT-Xent). Without them the
        positive is still in the denominator.
    block_size : int, optional
        Anchors whose scores are held at once. By default as many as make a block of 2 MB on a CPU and
        of 256 MB on a GPU, at least 64; for a small N that is all of them.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised; 0 when N = 1.

    Raises
    ------
    ConfigurationError
        If the shapes differ, there are no rows, or an option is out of range.

    Notes
    -----
    Time O(N^2 P): every block is computed once forward and once backward. The graph keeps 2N x P + 2N
    numbers. Differentiable once. Float32 at least, also under autocast. A zero row has cosine 0 with
    everything, and zero gradient (in a plain normalisation its gradient would be about 1e12).

    References
    ----------
    .. [1] Zhu et al. Deep Graph Contrastive Representation Learning (GRACE). 2020. arXiv:2006.04131,
       equations 1 and 2.
    .. [2] Chen, Kornblith, Norouzi, Hinton. A Simple Framework for Contrastive Learning of Visual
       Representations. 2020. arXiv:2002.05709, equation 1.

    Examples
    --------
    >>> import torch
    >>> two_view_info_nce_loss(torch.eye(3), torch.eye(3), temperature=1.0, intra=False)
    tensor(0.5514)
    """
    check_aligned(z1, z2)
    check_positive("temperature", temperature)
    if block_size is not None and block_size < 1:
        raise ConfigurationError(f"block_size counts anchors and must be at least 1, got {block_size}")
    z = unit(torch.cat([z1, z2]), dim=1)  # (2N, P)
    loss: Tensor = _TwoViewInfoNCE.apply(z, temperature, intra, block_size)
    return loss


class _TwoViewInfoNCE(torch.autograd.Function):
    """Unit rows of both views, (2N, P), to the loss, ()."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: float, intra: bool, block_size: int | None) -> Tensor:
        normaliser = z.new_empty(z.size(0))  # (2N,)
        for rows, columns in _blocks(z, intra, block_size):
            normaliser[rows] = _tile(z, rows, columns, temperature).logsumexp(dim=1)
        ctx.save_for_backward(z, normaliser)
        ctx.options = temperature, intra, block_size
        return (normaliser - (z * _partner(z)).sum(dim=1) / temperature).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        z, normaliser = ctx.saved_tensors
        temperature, intra, block_size = ctx.options
        grad_z = -2 * _partner(z)  # (2N, P)
        with torch.autocast(z.device.type, enabled=False):
            for rows, columns in _blocks(z, intra, block_size):
                scores = _tile(z, rows, columns, temperature)  # (B, C)
                # A score belongs to two anchors, as s_ij and as s_ji: both softmaxes meet in one product.
                weights = (scores - normaliser[rows, None]).exp_()
                weights += scores.sub_(normaliser[None, columns]).exp_()
                grad_z[rows] += weights @ z[columns]
        return grad_z.mul_(grad / (z.size(0) * temperature)), None, None, None


def _blocks(z: Tensor, intra: bool, block_size: int | None) -> Iterator[tuple[slice, slice]]:
    """Anchors of each block, and the candidates that all of them share."""
    total = z.size(0)
    middle = total // 2
    parts = [(slice(0, total), slice(0, total))]
    if not intra:
        parts = [(slice(0, middle), slice(middle, total)), (slice(middle, total), slice(0, middle))]
    for anchors, columns in parts:
        row_bytes = (columns.stop - columns.start) * z.element_size()
        step = block_size or max(_SMALLEST_BLOCK, _BLOCK_BYTES.get(z.device.type, 2**28) // row_bytes)
        for start in range(anchors.start, anchors.stop, step):
            yield slice(start, min(start + step, anchors.stop)), columns


def _tile(z: Tensor, rows: slice, columns: slice, temperature: float) -> Tensor:
    """Scores of a block, shape (B, C): cosines over the temperature, and -inf for a row with itself."""
    tile = (z[rows] / temperature) @ z[columns].T
    if columns.start <= rows.start < columns.stop:
        tile.diagonal(rows.start - columns.start).fill_(-torch.inf)
    return tile


def _partner(z: Tensor) -> Tensor:
    """The same things in the other view, (2N, P)."""
    return z.roll(z.size(0) // 2, dims=0)
