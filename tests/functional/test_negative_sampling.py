"""Negative sampling: against loops written from the equation."""

import math

import pytest
import torch
from torch import Tensor

from graphssl.functional import bce_loss, negative_sampling_loss
from graphssl.pairs import Pairs, queue, same_row, within_window


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def loops(scores: list[list[float]], pairs: Pairs) -> float:
    total, count = 0.0, 0
    for a in range(pairs.shape[0]):
        for c in range(pairs.shape[1]):
            if pairs.positive[a, c]:
                total += log_sigmoid(scores[a][c])
                total += sum(log_sigmoid(-scores[a][n]) for n in range(pairs.shape[1]) if pairs.negative[a, n])
                count += 1
    return -total / count


def some_pairs() -> dict[str, Pairs]:
    uneven = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    negative = torch.tensor([[0, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    walks = within_window(torch.tensor([4, 2]), 4, window=2, negatives=3)
    return {"same_row": same_row(4), "queue": queue(2, 3), "uneven": Pairs(uneven, negative), "walks": walks}


def some_scores(pairs: Pairs) -> Tensor:
    return 2 * torch.randn(pairs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", some_pairs())
def test_equals_loops(name: str) -> None:
    pairs = some_pairs()[name]
    scores = some_scores(pairs)
    assert negative_sampling_loss(scores, pairs).item() == pytest.approx(loops(scores.tolist(), pairs), rel=1e-12)


@pytest.mark.parametrize("name", some_pairs())
def test_gradient(name: str) -> None:
    pairs = some_pairs()[name]
    scores = some_scores(pairs).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: negative_sampling_loss(s, pairs), scores)
    (grad,) = torch.autograd.grad(negative_sampling_loss(scores, pairs), scores)
    lonely = ~pairs.positive.any(dim=1)
    assert not grad[~(pairs.positive | pairs.negative)].any()
    assert not grad[lonely].any()


def test_one_positive_and_k_negatives_are_k_plus_1_times_the_cross_entropy() -> None:
    pairs = queue(4, 7)
    scores = some_scores(pairs)
    assert torch.allclose(negative_sampling_loss(scores, pairs), 8 * bce_loss(scores, pairs))
