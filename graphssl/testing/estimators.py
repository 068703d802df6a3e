"""What every estimator and every agreement promises, as checks to run on yours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphssl.pairs import Pairs, queue, real_versus_corrupt, same_graph, same_row, two_views

__all__ = ["check_agreement", "check_estimator"]

Estimator = Callable[[Tensor, Pairs], Tensor]
Agreement = Callable[[Tensor, Tensor], Tensor]

_EXTREME = 1e4


def check_estimator(estimator: Estimator, *, seed: int = 0) -> None:
    """Check that scores and pairs become a loss as the rest of the package expects.

    On pairs of every constructor: a finite scalar; the gradient PyTorch computes is the derivative; scores
    are not written to; ignored pairs change nothing, are not counted, and get exactly zero gradient; the
    order of anchors and of candidates is irrelevant; scores of +-1e4 stay finite in float32; perfect
    scores beat reversed ones; half-precision scores are computed in float32.

    Parameters
    ----------
    estimator : callable
        ``(scores, pairs) -> ()``, to be minimised.
    seed : int
        Seed of the scores; the caller's random state is not used.

    Raises
    ------
    AssertionError
        Naming the first promise that is broken, and the pairs it was broken on.
    """
    random = torch.Generator().manual_seed(seed)
    for name, pairs in _pairs_of_every_kind().items():
        where = f"{_name(estimator)} on {name}"
        scores = torch.rand(pairs.shape, generator=random) * 2 - 1  # (A, C), in the range of cosines
        _check_loss(lambda s, pairs=pairs: estimator(s, pairs), (scores,), where)
        _check_ignored(estimator, scores, pairs, where)
        _check_order(estimator, scores, pairs, where, random)
        _check_extremes(estimator, pairs, where)
        _check_precision(lambda s, pairs=pairs: estimator(s, pairs), (scores,), where)


def check_agreement(agreement: Agreement, *, seed: int = 0) -> None:
    """Check that two aligned matrices become a loss as the rest of the package expects.

    A finite scalar; the gradient PyTorch computes is the derivative; inputs are not written to; the order
    of rows is irrelevant; entries of +-1e4, zero rows and constant columns stay finite in value and
    gradient; equal views beat misaligned ones; half-precision inputs are computed in float32.

    Parameters
    ----------
    agreement : callable
        ``(z1, z2) -> ()``, to be minimised.
    seed : int
        Seed of the matrices; the caller's random state is not used.

    Raises
    ------
    AssertionError
        Naming the first promise that is broken.
    """
    random = torch.Generator().manual_seed(seed)
    where = _name(agreement)
    z1, z2 = torch.randn(12, 4, generator=random), torch.randn(12, 4, generator=random)
    _check_loss(agreement, (z1, z2), where)

    order = torch.randperm(12, generator=random)
    _require(_close(agreement(z1[order], z2[order]), agreement(z1, z2)), f"{where}: the order of rows changes the loss")
    aligned, misaligned = agreement(z1, z1), agreement(z1, z1.roll(1, dims=0))
    _require(bool(aligned < misaligned), f"{where}: equal views give {aligned:.4g}, misaligned ones {misaligned:.4g}")

    dead_row, dead_column = z1.clone(), z1.clone()
    dead_row[0] = 0
    dead_column[:, 0] = 0.1
    extremes = {
        f"entries of +-{_EXTREME:g}": (_EXTREME * z1.sign(), _EXTREME * z2.sign()),
        "a zero row": (dead_row, z2),
        "a constant column": (dead_column, z2),
        "nothing but zeros": (torch.zeros_like(z1), torch.zeros_like(z2)),
        "equal views": (z1, z1.clone()),
    }
    for case, views in extremes.items():
        _finite(agreement, views, f"{where} at {case}")
    _check_precision(agreement, (z1, z2), where)


def _pairs_of_every_kind() -> dict[str, Pairs]:
    """Pairs with a positive and a negative for each anchor; the last two also ignore some."""
    graph_of_node = torch.tensor([0, 0, 1, 2, 2, 2])
    return {
        "same_row(4)": same_row(4),
        "two_views(3)": two_views(3),
        "two_views(3, intra=False)": two_views(3, intra=False),
        "same_graph of 6 nodes in 3 graphs": same_graph(graph_of_node, 3),
        "real_versus_corrupt of 6 nodes in 3 graphs": real_versus_corrupt(graph_of_node, 3),
        "queue(3, 4)": queue(3, 4),
    }


def _check_loss(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...], where: str) -> None:
    """What holds for any loss: a finite scalar, its derivative, untouched inputs."""
    before = [x.clone() for x in inputs]
    value = loss(*inputs)
    _require(isinstance(value, Tensor) and value.shape == (), f"{where}: the loss must be a tensor of shape ()")
    _require(all(map(torch.equal, inputs, before)), f"{where}: an input was written to")
    _finite(loss, inputs, where)

    double = [x.double().requires_grad_() for x in inputs]
    _require(loss(*double).dtype == torch.float64, f"{where}: float64 inputs must give a float64 loss")
    try:
        torch.autograd.gradcheck(loss, double)
    except RuntimeError as error:
        raise AssertionError(f"{where}: the gradient is not the derivative: {error}") from error


def _check_precision(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...], where: str) -> None:
    coarse = [x.bfloat16() for x in inputs]
    value, exact = loss(*coarse), loss(*(x.float() for x in coarse))
    _require(value.dtype == torch.float32, f"{where}: bfloat16 inputs must be computed in float32, got {value.dtype}")
    _require(_close(value, exact), f"{where}: bfloat16 inputs give {value:.6g}, the same in float32 {exact:.6g}")


def _check_ignored(estimator: Estimator, scores: Tensor, pairs: Pairs, where: str) -> None:
    """Also with one more candidate that every anchor ignores: it must not even be counted."""
    none = torch.zeros_like(pairs.positive[:, :1])
    wider = Pairs(torch.cat([pairs.positive, none], 1), torch.cat([pairs.negative, none], 1))
    ignored = ~(wider.positive | wider.negative)
    scores = torch.cat([scores, torch.ones_like(scores[:, :1])], 1).requires_grad_()
    value = estimator(scores, wider)
    (grad,) = torch.autograd.grad(value, scores)
    _require(not grad[ignored].any(), f"{where}: a pair in neither mask has a gradient that is not exactly zero")
    other = estimator(torch.where(ignored, 100.0 - scores, scores), wider)
    _require(bool(other == value), f"{where}: the scores of pairs in neither mask change the loss")
    alone = estimator(scores[:, :-1], pairs)
    _require(_close(alone, value), f"{where}: pairs in neither mask are counted: one more candidate changes the loss")


def _check_order(estimator: Estimator, scores: Tensor, pairs: Pairs, where: str, random: torch.Generator) -> None:
    anchors = torch.randperm(pairs.shape[0], generator=random)
    candidates = torch.randperm(pairs.shape[1], generator=random)

    def moved(matrix: Tensor) -> Tensor:
        return matrix[anchors][:, candidates]

    value, again = (
        estimator(scores, pairs),
        estimator(moved(scores), Pairs(moved(pairs.positive), moved(pairs.negative))),
    )
    _require(_close(value, again), f"{where}: the order of anchors and candidates changes the loss")


def _check_extremes(estimator: Estimator, pairs: Pairs, where: str) -> None:
    perfect = torch.where(pairs.positive, 1.0, -1.0)
    for case, scores in (("perfect", perfect), ("reversed", -perfect), ("equal", torch.ones_like(perfect))):
        _finite(lambda s: estimator(s, pairs), (_EXTREME * scores,), f"{where} at {case} scores of +-{_EXTREME:g}")
    good, bad = estimator(perfect, pairs), estimator(-perfect, pairs)
    _require(
        bool(good < bad), f"{where}: perfect scores give {good:.4g}, reversed ones {bad:.4g}; the loss is minimised"
    )


def _finite(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...], where: str) -> None:
    leaves = [x.clone().requires_grad_() for x in inputs]
    value = loss(*leaves)
    _require(bool(value.isfinite()), f"{where}: the loss is {value.item()}")
    _require(value.requires_grad, f"{where}: the loss has no gradient")
    for grad in torch.autograd.grad(value, leaves, allow_unused=True):
        _require(grad is None or bool(grad.isfinite().all()), f"{where}: the gradient is not finite")


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def _name(part: object) -> str:
    return getattr(part, "__name__", None) or type(part).__name__


def _require(promise: bool, message: str) -> None:
    if not promise:  # not an assert statement: it must hold under python -O too
        raise AssertionError(message)
