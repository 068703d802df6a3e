"""InfoNCE, debiased and hard: against loops written from the equations."""

import math

import pytest
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.functional import debiased_info_nce_loss, hard_info_nce_loss, info_nce_loss
from graphssl.pairs import Pairs, queue, real_versus_corrupt, same_graph, same_row, two_views

TEMPERATURES = (0.1, 0.5, 1.0)


def several_positives() -> Pairs:
    """Two positives for anchor 0, one for anchor 1, three for anchor 2; column 4 is ignored but for anchor 1."""
    positive = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0]], dtype=torch.bool)
    negative = torch.tensor([[0, 0, 1, 1, 0], [1, 1, 0, 0, 1], [1, 0, 0, 0, 0]], dtype=torch.bool)
    return Pairs(positive, negative)


ALL = {
    "same_row": same_row(4),
    "two_views": two_views(3),
    "two_views, inter": two_views(3, intra=False),
    "same_graph": same_graph(torch.tensor([0, 0, 1, 2]), 3),
    "real_versus_corrupt": real_versus_corrupt(torch.tensor([0, 1, 1]), 2),
    "queue": queue(2, 3),
    "several positives": several_positives(),
}


def cosine_like(pairs: Pairs, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(pairs.shape, generator=generator) * 2 - 1).double()


def rows(pairs: Pairs) -> list[tuple[list[int], list[int]]]:
    return [
        (p.nonzero().flatten().tolist(), n.nonzero().flatten().tolist()) for p, n in zip(*_masks(pairs), strict=True)
    ]


def _masks(pairs: Pairs) -> tuple[Tensor, Tensor]:
    return pairs.positive, pairs.negative


def info_nce_by_loops(scores: list[list[float]], pairs: Pairs, t: float) -> float:
    total = 0.0
    for s, (positives, negatives) in zip(scores, rows(pairs), strict=True):
        denominator = sum(math.exp(s[c] / t) for c in positives + negatives)
        total += sum(-math.log(math.exp(s[c] / t) / denominator) for c in positives) / len(positives)
    return total / len(scores)


def hard_by_loops(scores: list[list[float]], pairs: Pairs, t: float, prior: float, beta: float) -> float:
    total = 0.0
    for s, (positives, negatives) in zip(scores, rows(pairs), strict=True):
        weights = [math.exp(beta * s[c] / t) for c in negatives]
        of_negatives = sum(w * math.exp(s[c] / t) for w, c in zip(weights, negatives, strict=True)) / sum(weights)
        of_positives = sum(math.exp(s[c] / t) for c in positives) / len(positives)
        g = max((of_negatives - prior * of_positives) / (1 - prior), math.exp(-1 / t))
        for c in positives:
            own = math.exp(s[c] / t)
            total -= math.log(own / (own + len(negatives) * g)) / len(positives)
    return total / len(scores)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", ALL)
def test_info_nce_equals_loops(name: str, temperature: float) -> None:
    pairs = ALL[name]
    scores = cosine_like(pairs)
    expected = info_nce_by_loops(scores.tolist(), pairs, temperature)
    assert info_nce_loss(scores, pairs, temperature=temperature).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("prior", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", ALL)
def test_debiased_equals_loops(name: str, temperature: float, prior: float) -> None:
    pairs = ALL[name]
    scores = cosine_like(pairs)
    expected = hard_by_loops(scores.tolist(), pairs, temperature, prior, beta=0.0)
    loss = debiased_info_nce_loss(scores, pairs, temperature=temperature, prior=prior)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("concentration", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", ALL)
def test_hard_equals_loops(name: str, temperature: float, concentration: float) -> None:
    pairs = ALL[name]
    scores = cosine_like(pairs, seed=1)
    expected = hard_by_loops(scores.tolist(), pairs, temperature, 0.1, concentration)
    loss = hard_info_nce_loss(scores, pairs, temperature=temperature, prior=0.1, concentration=concentration)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_both_sides_of_the_floor_are_exercised() -> None:
    """In the tests above: a negative mean above the floor, and a difference that is not positive."""
    pairs = same_row(3)
    high, low = torch.full((3, 3), 0.9).double(), (2 * torch.eye(3) - 1).double()
    for scores in (high, low):
        expected = hard_by_loops(scores.tolist(), pairs, 0.5, 0.6, 0.0)
        loss = debiased_info_nce_loss(scores, pairs, temperature=0.5, prior=0.6)
        assert loss.item() == pytest.approx(expected, rel=1e-9)
    floor = 2 * math.exp(-1 / 0.5)
    assert debiased_info_nce_loss(low, pairs, temperature=0.5, prior=0.6).item() == pytest.approx(
        -math.log(math.exp(2) / (math.exp(2) + floor)), rel=1e-9
    )


def test_without_false_or_hard_negatives_all_three_are_one_loss() -> None:
    pairs = two_views(4)
    scores = cosine_like(pairs)
    plain = info_nce_loss(scores, pairs, temperature=0.3)
    assert torch.allclose(debiased_info_nce_loss(scores, pairs, temperature=0.3, prior=0.0), plain)
    assert torch.allclose(hard_info_nce_loss(scores, pairs, temperature=0.3, prior=0.0, concentration=0.0), plain)


def test_hard_weights_raise_the_loss_of_one_hard_negative() -> None:
    scores = torch.tensor([[0.5, 0.9, -0.9, -0.9], [-0.9, 0.5, -0.9, -0.9]])
    pairs = Pairs(torch.eye(4, dtype=torch.bool)[:2], ~torch.eye(4, dtype=torch.bool)[:2])
    losses = [hard_info_nce_loss(scores, pairs, concentration=beta).item() for beta in (0.0, 1.0, 4.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_uniform_scores_cost_log_c() -> None:
    assert info_nce_loss(torch.zeros(5, 5), same_row(5)).item() == pytest.approx(math.log(5), rel=1e-6)


def test_adding_a_constant_to_an_anchor_changes_nothing() -> None:
    pairs = same_row(4)
    scores = cosine_like(pairs)
    shifted = scores + torch.tensor([[1.0], [-7.0], [300.0], [0.0]])
    assert torch.allclose(info_nce_loss(shifted, pairs), info_nce_loss(scores, pairs))


def test_an_anchor_alone_with_its_positive_costs_nothing() -> None:
    scores = torch.tensor([[3.0]], requires_grad=True)
    loss = info_nce_loss(scores, same_row(1))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.item() == 0


@pytest.mark.parametrize("loss", [info_nce_loss, debiased_info_nce_loss, hard_info_nce_loss])
def test_a_temperature_of_a_hundredth_overflows_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    pairs = two_views(4)
    for scores in (cosine_like(pairs).float(), 2 * pairs.positive.float() - 1, 1 - 2 * pairs.positive.float()):
        scores = scores.requires_grad_()
        value = loss(scores, pairs, temperature=0.01)
        (grad,) = torch.autograd.grad(value, scores)
        assert value.isfinite()
        assert grad.isfinite().all()


@pytest.mark.parametrize("loss", [info_nce_loss, debiased_info_nce_loss, hard_info_nce_loss])
@pytest.mark.parametrize("name", ["two_views, inter", "real_versus_corrupt", "queue", "several positives"])
def test_ignored_scores_may_even_be_nan(loss, name: str) -> None:  # type: ignore[no-untyped-def]
    pairs = ALL[name]
    ignored = ~(pairs.positive | pairs.negative)
    assert ignored.any()
    scores = cosine_like(pairs)
    expected = loss(scores, pairs)
    for filler in (math.nan, math.inf, -math.inf):
        filled = scores.masked_fill(ignored, filler).requires_grad_()
        value = loss(filled, pairs)
        (grad,) = torch.autograd.grad(value, filled)
        assert torch.equal(value, expected)
        assert torch.equal(grad[ignored], torch.zeros_like(grad[ignored]))


def test_an_anchor_without_positive_is_an_error() -> None:
    positive = torch.eye(3, dtype=torch.bool)
    positive[1] = False
    with pytest.raises(ConfigurationError, match="no positive"):
        info_nce_loss(torch.zeros(3, 3), Pairs(positive, ~torch.eye(3, dtype=torch.bool)))
    with pytest.raises(ConfigurationError, match="no positive"):
        info_nce_loss(torch.zeros(4, 8), real_versus_corrupt(torch.tensor([0, 2, 0, 3]), 4))  # graph 1 has no nodes


@pytest.mark.parametrize("loss", [debiased_info_nce_loss, hard_info_nce_loss])
def test_corrections_need_a_negative_per_anchor(loss) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match="no negative"):
        loss(torch.zeros(2, 2), two_views(1))


@pytest.mark.parametrize(
    "call",
    [
        lambda s, p: info_nce_loss(s, p, temperature=0.0),
        lambda s, p: info_nce_loss(s, p, temperature=math.nan),
        lambda s, p: debiased_info_nce_loss(s, p, prior=1.0),
        lambda s, p: debiased_info_nce_loss(s, p, prior=-0.1),
        lambda s, p: hard_info_nce_loss(s, p, concentration=-1.0),
        lambda s, p: info_nce_loss(s[:2], p),
        lambda s, p: info_nce_loss(s.long(), p),
        lambda s, p: info_nce_loss(s.tolist(), p),
    ],
)
def test_bad_options_and_shapes_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match=r"must|prior"):
        call(torch.zeros(3, 3), same_row(3))


def test_float32_under_autocast() -> None:
    pairs = two_views(8)
    scores = cosine_like(pairs).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = info_nce_loss(scores, pairs, temperature=0.05)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, info_nce_loss(scores, pairs, temperature=0.05))
