"""JSD, cross-entropy, Donsker-Varadhan, NWJ and the margin: against loops written from the equations."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.functional import bce_loss, donsker_varadhan_loss, jsd_loss, margin_loss, nwj_loss
from graphssl.pairs import Pairs, queue, real_versus_corrupt, same_graph, same_row, two_views

ALL = {
    "same_row": same_row(4),
    "two_views, inter": two_views(3, intra=False),
    "same_graph": same_graph(torch.tensor([0, 0, 1, 2, 2]), 3),
    "real_versus_corrupt": real_versus_corrupt(torch.tensor([0, 1, 1]), 2),
    "queue": queue(2, 3),
}


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def split(scores: list[list[float]], pairs: Pairs) -> tuple[list[float], list[float]]:
    positives, negatives = [], []
    for a in range(pairs.shape[0]):
        for c in range(pairs.shape[1]):
            if pairs.positive[a, c]:
                positives.append(scores[a][c])
            if pairs.negative[a, c]:
                negatives.append(scores[a][c])
    return positives, negatives


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def jsd(scores: list[list[float]], pairs: Pairs) -> float:
    p, n = split(scores, pairs)
    return mean([softplus(-s) for s in p]) + mean([softplus(s) for s in n])


def jsd_shifted(scores: list[list[float]], pairs: Pairs) -> float:
    """As InfoGraph writes it: E_neg - E_pos."""
    p, n = split(scores, pairs)
    e_pos = mean([math.log(2) - softplus(-s) for s in p])
    e_neg = mean([softplus(-s) + s - math.log(2) for s in n])
    return e_neg - e_pos


def bce(scores: list[list[float]], pairs: Pairs) -> float:
    p, n = split(scores, pairs)
    terms = [math.log(1 / (1 + math.exp(-s))) for s in p] + [math.log(1 - 1 / (1 + math.exp(-s))) for s in n]
    return -mean(terms)


def donsker_varadhan(scores: list[list[float]], pairs: Pairs) -> float:
    p, n = split(scores, pairs)
    return -(mean(p) - math.log(mean([math.exp(s) for s in n])))


def nwj(scores: list[list[float]], pairs: Pairs) -> float:
    p, n = split(scores, pairs)
    return -(mean(p) - math.exp(-1) * mean([math.exp(s) for s in n]))


def margin(scores: list[list[float]], pairs: Pairs) -> float:
    terms = []
    for a in range(pairs.shape[0]):
        for p in range(pairs.shape[1]):
            for n in range(pairs.shape[1]):
                if pairs.positive[a, p] and pairs.negative[a, n]:
                    terms.append(max(0.0, 0.7 - scores[a][p] + scores[a][n]))
    return mean(terms)


Loss = Callable[[Tensor, Pairs], Tensor]
LOSSES: dict[str, tuple[Loss, Callable[[list[list[float]], Pairs], float]]] = {
    "jsd": (jsd_loss, jsd),
    "jsd shifted": (lambda s, p: jsd_loss(s, p, shifted=True), jsd_shifted),
    "bce": (bce_loss, bce),
    "donsker-varadhan": (donsker_varadhan_loss, donsker_varadhan),
    "nwj": (nwj_loss, nwj),
    "margin": (lambda s, p: margin_loss(s, p, margin=0.7), margin),
}


def some_scores(pairs: Pairs) -> Tensor:
    return 2 * torch.randn(pairs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", LOSSES)
def test_equals_loops(kind: str, name: str) -> None:
    loss, reference = LOSSES[kind]
    scores = some_scores(ALL[name])
    assert loss(scores, ALL[name]).item() == pytest.approx(reference(scores.tolist(), ALL[name]), rel=1e-12)


@pytest.mark.parametrize("kind", LOSSES)
def test_ignored_scores_may_even_be_nan(kind: str) -> None:
    loss, _ = LOSSES[kind]
    pairs = ALL["real_versus_corrupt"]
    ignored = ~(pairs.positive | pairs.negative)
    scores = some_scores(pairs)
    for filler in (math.nan, math.inf, -math.inf):
        filled = scores.masked_fill(ignored, filler).requires_grad_()
        value = loss(filled, pairs)
        (grad,) = torch.autograd.grad(value, filled)
        assert torch.equal(value, loss(scores, pairs))
        assert torch.equal(grad[ignored], torch.zeros_like(grad[ignored]))


@pytest.mark.parametrize("kind", LOSSES)
def test_extremes_of_random_sign_stay_finite(kind: str) -> None:
    loss, _ = LOSSES[kind]
    pairs = same_row(6)
    scores = (1e4 * some_scores(pairs).sign()).float().requires_grad_()
    value = loss(scores, pairs)
    (grad,) = torch.autograd.grad(value, scores)
    assert value.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("kind", LOSSES)
def test_one_kind_of_pair_alone_is_an_error(kind: str) -> None:
    loss, _ = LOSSES[kind]
    with pytest.raises(ConfigurationError, match="no pair is negative"):
        loss(torch.zeros(3, 1), same_graph(torch.zeros(3, dtype=torch.long), 1))
    nothing, something = torch.zeros(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ConfigurationError, match="no pair is positive"):
        loss(torch.zeros(2, 2), Pairs(nothing, something))


@pytest.mark.parametrize("kind", LOSSES)
def test_shapes_must_fit(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\(3, 4\)"):
        LOSSES[kind][0](torch.zeros(3, 4), same_row(3))


@pytest.mark.parametrize("kind", LOSSES)
def test_float32_under_autocast(kind: str) -> None:
    loss, _ = LOSSES[kind]
    scores = some_scores(same_row(4)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(scores, same_row(4))
    assert torch.equal(value, loss(scores, same_row(4)))


def test_both_jsd_forms_differ_by_a_constant_only() -> None:
    pairs = ALL["same_graph"]
    scores = some_scores(pairs).requires_grad_()
    plain, shifted = jsd_loss(scores, pairs), jsd_loss(scores, pairs, shifted=True)
    assert (plain - shifted).item() == pytest.approx(2 * math.log(2))
    assert torch.equal(*(torch.autograd.grad(loss, scores)[0] for loss in (plain, shifted)))


def test_bce_is_half_of_jsd_with_equal_counts_only() -> None:
    equal, unequal = ALL["real_versus_corrupt"], ALL["same_row"]
    scores = some_scores(equal)
    assert torch.allclose(bce_loss(scores, equal), jsd_loss(scores, equal) / 2)
    scores = some_scores(unequal)
    assert not torch.allclose(bce_loss(scores, unequal), jsd_loss(scores, unequal) / 2)


def test_the_tail_of_the_softplus_is_exact_in_float64() -> None:
    scores = torch.tensor([[30.0]]).double()
    one = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    loss = jsd_loss(torch.cat([scores, -scores], 1), one)
    assert loss.item() == pytest.approx(2 * math.log1p(math.exp(-30)), rel=1e-12)


@pytest.mark.parametrize("loss", [donsker_varadhan_loss, nwj_loss])
def test_bounds_at_the_true_density_ratio_give_the_mutual_information(loss: Loss) -> None:
    """A pair of equal, uniform symbols of k values: I = log k, reached by both bounds."""
    k = 4
    same, none = torch.eye(k, dtype=torch.bool), torch.zeros(k, k, dtype=torch.bool)
    joint_then_product = Pairs(torch.cat([same, none], 1), torch.cat([none, ~none], 1))
    log_ratio = torch.where(same, math.log(k), -60.0).repeat(1, 2).double()
    scores = log_ratio + (1 if loss is nwj_loss else 0)
    assert -loss(scores, joint_then_product).item() == pytest.approx(math.log(k), rel=1e-9)


def test_donsker_varadhan_ignores_a_constant() -> None:
    scores = some_scores(same_row(4))
    assert torch.allclose(donsker_varadhan_loss(scores + 100, same_row(4)), donsker_varadhan_loss(scores, same_row(4)))


def test_nwj_follows_the_equation_up_to_51_and_its_tangent_beyond() -> None:
    pairs = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    for score, expected in ((50.9, math.exp(49.9)), (61.0, math.exp(50) * 11)):
        loss = nwj_loss(torch.tensor([[0.0, score]], dtype=torch.float64), pairs)
        assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_margin_skips_anchors_without_triplets_and_refuses_none_at_all() -> None:
    positive = torch.tensor([[1, 0], [1, 1]], dtype=torch.bool)
    scores = torch.tensor([[0.2, 0.1], [9.0, -9.0]])
    assert margin_loss(scores, Pairs(positive, ~positive), margin=0.5).item() == pytest.approx(0.4)
    apart = Pairs(torch.tensor([[True, False], [False, False]]), torch.tensor([[False, False], [True, False]]))
    with pytest.raises(ConfigurationError, match="both a positive and a negative"):
        margin_loss(scores, apart)


def test_margin_must_not_be_negative() -> None:
    with pytest.raises(ConfigurationError, match="margin"):
        margin_loss(torch.zeros(2, 2), same_row(2), margin=-1.0)
