"""Every registered estimator keeps the contract; the contract catches estimators that break it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from graphssl import functional as F
from graphssl.estimators import JSD, HardInfoNCE, InfoNCE, Margin
from graphssl.pairs import Pairs, same_row
from graphssl.registry import ESTIMATORS, Entry
from graphssl.testing import check_estimator


@pytest.mark.parametrize("entry", ESTIMATORS, ids=lambda entry: entry.name)
def test_contract(entry: Entry) -> None:
    check_estimator(entry.obj())


@pytest.mark.parametrize(
    "estimator",
    [JSD(shifted=True), InfoNCE(temperature=0.02), Margin(margin=2.0), HardInfoNCE(prior=0.0, concentration=3.0)],
    ids=repr,
)
def test_contract_holds_for_other_options(estimator: Callable[[Tensor, Pairs], Tensor]) -> None:
    check_estimator(estimator, seed=1)


@pytest.mark.parametrize("entry", ESTIMATORS, ids=lambda entry: entry.name)
def test_options_are_equal_by_value(entry: Entry) -> None:
    assert entry.obj() == entry.obj()
    assert entry.summary


@pytest.mark.parametrize(
    ("estimator", "function"),
    [
        (JSD(shifted=True), lambda s, p: F.jsd_loss(s, p, shifted=True)),
        (InfoNCE(temperature=0.2), lambda s, p: F.info_nce_loss(s, p, temperature=0.2)),
        (Margin(margin=0.9), lambda s, p: F.margin_loss(s, p, margin=0.9)),
        (
            HardInfoNCE(temperature=0.2, prior=0.3, concentration=2.0),
            lambda s, p: F.hard_info_nce_loss(s, p, temperature=0.2, prior=0.3, concentration=2.0),
        ),
    ],
    ids=lambda part: type(part).__name__,
)
def test_options_reach_the_function(
    estimator: Callable[[Tensor, Pairs], Tensor], function: Callable[[Tensor, Pairs], Tensor]
) -> None:
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(estimator(scores, same_row(4)), function(scores, same_row(4)))


def wrong_sign(scores: Tensor, pairs: Pairs) -> Tensor:
    return -F.jsd_loss(scores, pairs)


def not_reduced(scores: Tensor, pairs: Pairs) -> Tensor:
    return softplus(-scores)


def mask_by_product(scores: Tensor, pairs: Pairs) -> Tensor:
    return softplus(-scores * pairs.positive).mean() + softplus(scores * pairs.negative).mean()


def everything_else_is_negative(scores: Tensor, pairs: Pairs) -> Tensor:
    return F.jsd_loss(scores, Pairs(pairs.positive, ~pairs.positive))


def log_of_sigmoid(scores: Tensor, pairs: Pairs) -> Tensor:
    p = scores.sigmoid()
    return -p[pairs.positive].log().mean() - (1 - p[pairs.negative]).log().mean()


def writes_to_its_input(scores: Tensor, pairs: Pairs) -> Tensor:
    with torch.no_grad():
        scores.mul_(2)
    return F.jsd_loss(scores, pairs)


def by_position(scores: Tensor, pairs: Pairs) -> Tensor:
    weight = torch.arange(1.0, 1 + scores.size(1), dtype=scores.dtype)
    return F.bce_loss(scores * weight, pairs)


def half_detached(scores: Tensor, pairs: Pairs) -> Tensor:
    return F.jsd_loss((scores + scores.detach()) / 2, pairs)


def no_gradient(scores: Tensor, pairs: Pairs) -> Tensor:
    return F.jsd_loss(scores.detach(), pairs)


def in_half_precision(scores: Tensor, pairs: Pairs) -> Tensor:
    loss = softplus(-scores)[pairs.positive].mean() + softplus(scores)[pairs.negative].mean()
    return loss if scores.dtype != torch.bfloat16 else loss.bfloat16()


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (wrong_sign, "perfect scores give"),
        (not_reduced, r"shape \(\)"),
        (mask_by_product, "are counted"),
        (everything_else_is_negative, "neither mask"),
        (log_of_sigmoid, "the loss is|not finite"),
        (writes_to_its_input, "written to"),
        (by_position, "order"),
        (half_detached, "not the derivative"),
        (no_gradient, "no gradient"),
        (in_half_precision, "float32"),
    ],
)
def test_the_contract_catches(broken: Callable[[Tensor, Pairs], Tensor], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise) as caught:
        check_estimator(broken)
    assert broken.__name__ in str(caught.value)
