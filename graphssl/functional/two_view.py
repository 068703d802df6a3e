"""InfoNCE between two views without a matrix of all scores: exact, and linear in memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphssl.errors import ConfigurationError
from graphssl.functional._common import check_aligned, check_positive, in_float32, unit
from graphssl.functional.info_nce import check_correction, corrected_negatives
from graphssl.ops import cross_logsumexp, self_logsumexp
from graphssl.ops.checks import outside

__all__ = ["two_view_debiased_info_nce_loss", "two_view_hard_info_nce_loss", "two_view_info_nce_loss"]

# A rounding error of a score is divided by the temperature: below this one, all is float32.
_LOWEST_ROUNDED_TEMPERATURE = 0.02


@in_float32
def two_view_info_nce_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, intra: bool = True, precision: str = "float32",
    anchors: Tensor | None = None,
) -> Tensor:  # fmt: skip
    r"""Contrast each row with its partner in the other view, by cosine, in memory O(N P).

    .. math::
        L = -\frac{1}{2N} \sum_{v \in \{1, 2\}} \sum_i \log \frac{e^{\cos(z^v_i, z^{\bar v}_i)/\tau}}
            {\sum_k e^{\cos(z^v_i, z^{\bar v}_k)/\tau} + [\text{intra}] \sum_{k \neq i} e^{\cos(z^v_i, z^v_k)/\tau}}

    With ``intra`` this is GRACE's loss and NT-Xent. Equal, in value and gradient, to :func:`info_nce_loss` of
    the cosine scores of ``torch.cat([z1, z2])`` with themselves and ``two_views(N, intra=intra)``.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, P)
        Projections; row i of one belongs to row i of the other. Normalised here.
    temperature : float, > 0
        The paper's :math:`\tau`.
    intra : bool
        Count the other rows of the anchor's own view as negatives (GRACE, NT-Xent). Without them the
        positive is still in the denominator.
    precision : "float32", "high" or "bfloat16"
        How scores of negatives are multiplied; see Notes.
    anchors : Tensor of integers, shape (A,), optional
        Distinct rows. Only their terms, of both views, are averaged; their negatives are still all rows. With
        rows drawn at random the loss and its gradient are those of all rows on average, in time O(A N P).

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised; 0 when N = 1.

    Raises
    ------
    ConfigurationError
        If the shapes differ, there are no rows, an option is out of range, or anchors are no distinct rows.

    Notes
    -----
    Time O(N^2 P): every tile of scores is computed once forward and once backward, and serves both of its
    sides (one side only with ``anchors``: A = N / 2 takes as long as all rows). Differentiable once. Float32 at
    least, also under autocast. A zero row has cosine 0 with everything, and zero gradient (in a plain normalisation
    its gradient would be about 1e12).

    An anchor's loss is :math:`\log(1 + e^{n - p})` of its negatives' log-sum-exp n and its positive score p, which
    is always float32: when pairs are nearly solved, p decides. For n and its gradient, ``precision`` is a bound on
    the error, and below a temperature of 0.02, for float64 input and where there is no kernel for it (as in plain
    torch), the computation is that of float32. Tests compare both with float64, from random to solved pairs and
    down to clusters of a relative width of 0.001, at temperatures from 0.02 to 1:

    - ``"high"`` keeps 16 bits of rows and of weights (sums of two bfloat16 numbers; torch's float32 matrix products
      know the same word), on a CPU with AMX and on a GPU with Triton. The gradient's error is below 5e-5 of its norm,
      1 to 20 times float32's, and below 5e-3 at a width of 0.001, where float32's is about 1e-4.
    - ``"bfloat16"`` keeps 8 bits, and 16 of the rows that the gradient sums up, on a CPU with AMX or AVX-512
      bfloat16 and on a GPU with Triton. The gradient's error is below 3 % of its norm, its cosine above 0.999.

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
    if precision in ("high", "bfloat16") and temperature < _LOWEST_ROUNDED_TEMPERATURE:
        precision = "float32"
    z1, z2 = unit(z1, dim=1), unit(z2, dim=1)
    if anchors is not None:
        order = _anchors_first(anchors, z1.size(0), z1.device)
        if z1.size(0) > 1:  # a single row is the loss of all rows, and has no negatives
            return _anchors_loss(z1[order], z2[order], anchors.numel(), temperature, intra, precision)
    z = torch.cat([z1, z2])  # (2N, P)
    return -logsigmoid(_positives(z, temperature) - _negatives(z, 1 / temperature, intra, precision=precision)).mean()


def _anchors_first(anchors: Tensor, num_rows: int, device: torch.device) -> Tensor:
    """An order of all rows that begins with the anchors, (N,)."""
    whole = isinstance(anchors, Tensor) and not anchors.is_floating_point() and not anchors.is_complex()
    if (
        whole
        and anchors.dtype != torch.bool
        and anchors.dim() == 1
        and anchors.numel()
        and outside(anchors, num_rows) is None
    ):
        anchors = anchors.to(device, torch.long)
        others = torch.ones(num_rows, dtype=torch.bool, device=device)
        others[anchors] = False
        order = torch.cat([anchors, others.nonzero().flatten()])
        if order.numel() == num_rows:
            return order
    got = f"{anchors.dtype} of {tuple(anchors.shape)}" if isinstance(anchors, Tensor) else type(anchors).__name__
    raise ConfigurationError(
        f"anchors must be a tensor of distinct integers in [0, {num_rows}), (A,) with A >= 1, such as "
        f"torch.randperm(N)[:A]; got {got}"
    )


def _anchors_loss(z1: Tensor, z2: Tensor, count: int, temperature: float, intra: bool, precision: str) -> Tensor:
    """The terms of the first ``count`` rows of both views, of length 1, averaged."""

    def negatives(anchors: Tensor, candidates: Tensor) -> Tensor:
        scale = 1 / temperature
        out, _ = cross_logsumexp(
            anchors, candidates, scale=scale, skip_diagonal=True, columns=False,
            bound=_bound(scale), precision=precision,
        )  # fmt: skip
        return out  # (A,)

    terms = []
    for z, other in ((z1, z2), (z2, z1)):
        u = z[:count]
        n = negatives(u, other)
        if intra:
            n = torch.logaddexp(n, negatives(u, z))
        terms.append(-logsigmoid((u * other[:count]).sum(dim=1) / temperature - n))
    return torch.cat(terms).mean()


@in_float32
def two_view_debiased_info_nce_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, prior: float = 0.1, intra: bool = True
) -> Tensor:
    r"""Debiased InfoNCE between two views, by cosine, in memory O(N P).

    Equal, in value and gradient, to :func:`debiased_info_nce_loss` of the cosine scores of ``torch.cat([z1, z2])``
    with themselves and ``two_views(N, intra=intra)``.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, P)
        Projections; row i of one belongs to row i of the other. Normalised here.
    temperature : float, > 0
        The paper's t.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive, the paper's :math:`\tau^+`.
    intra : bool
        Count the other rows of the anchor's own view as negatives.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised. Differentiable once.

    Raises
    ------
    ConfigurationError
        If the shapes differ, there are fewer than 2 rows, or an option is out of range.

    References
    ----------
    .. [1] Chuang, Robinson, Lin, Torralba, Jegelka. Debiased Contrastive Learning. 2020. arXiv:2007.00224,
       equations 7 and 8.
    """
    return _corrected(z1, z2, temperature, prior, 0.0, intra)


@in_float32
def two_view_hard_info_nce_loss(
    z1: Tensor, z2: Tensor, *, temperature: float = 0.5, prior: float = 0.1, concentration: float = 1.0,
    intra: bool = True,
) -> Tensor:  # fmt: skip
    r"""Debiased InfoNCE with weight on hard negatives between two views, by cosine, in memory O(N P).

    Equal, in value and gradient, to :func:`hard_info_nce_loss` of the cosine scores of ``torch.cat([z1, z2])``
    with themselves and ``two_views(N, intra=intra)``. The weighted mean needs no weights:

    .. math::
        \log \sum_c w_{ac} e^{s_{ac}/\tau} = \log \sum_c e^{(1 + \beta) s_{ac}/\tau} - \log \sum_c e^{\beta s_{ac}/\tau}

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, P)
        Projections; row i of one belongs to row i of the other. Normalised here.
    temperature : float, > 0
        The paper's t.
    prior : float, in [0, 1)
        Probability that a negative is in truth a positive, the paper's :math:`\tau^+`.
    concentration : float, >= 0
        The paper's :math:`\beta`; 0 is :func:`two_view_debiased_info_nce_loss`, at half the cost.
    intra : bool
        Count the other rows of the anchor's own view as negatives.

    Returns
    -------
    Tensor, shape ()
        In nats, to be minimised. Differentiable once.

    Raises
    ------
    ConfigurationError
        If the shapes differ, there are fewer than 2 rows, or an option is out of range.

    References
    ----------
    .. [1] Robinson, Chuang, Sra, Jegelka. Contrastive Learning with Hard Negative Samples. 2021.
       arXiv:2010.04592, section 3.
    """
    return _corrected(z1, z2, temperature, prior, concentration, intra)


def _corrected(z1: Tensor, z2: Tensor, temperature: float, prior: float, concentration: float, intra: bool) -> Tensor:
    check_aligned(z1, z2)
    check_correction(temperature, prior, concentration)
    if z1.size(0) < 2:
        raise ConfigurationError("an anchor has no negative pair (a batch of one?): this loss needs one per anchor")
    z = torch.cat([unit(z1, dim=1), unit(z2, dim=1)])  # (2N, P)
    count = math.log((2 if intra else 1) * (z1.size(0) - 1))  # of an anchor's negatives
    weights = _negatives(z, concentration / temperature, intra) if concentration > 0 else count
    mean = _negatives(z, (1 + concentration) / temperature, intra) - weights  # (2N,)
    positives = _positives(z, temperature)
    return -logsigmoid(positives - corrected_negatives(mean, positives, temperature, prior) - count).mean()


def _positives(z: Tensor, temperature: float) -> Tensor:
    """Score of each row of two stacked views with its partner, (2N,)."""
    z1, z2 = z.chunk(2)
    return ((z1 * z2).sum(dim=1) / temperature).repeat(2)


def _negatives(z: Tensor, scale: float, intra: bool, *, precision: str = "float32") -> Tensor:
    """Log-sum-exp of the scores of each row with all but itself and its partner, (2N,)."""
    bound = _bound(scale)
    if intra:
        return self_logsumexp(z, scale=scale, skip_partner=True, bound=bound, precision=precision)
    first, second = cross_logsumexp(*z.chunk(2), scale=scale, skip_diagonal=True, bound=bound, precision=precision)
    assert second is not None
    return torch.cat([first, second])


def _bound(scale: float) -> float:
    """Of the scores of rows of length 1 up to rounding."""
    return scale * (1 + 1e-5)
