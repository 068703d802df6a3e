"""Every registered agreement keeps the contract; the contract catches agreements that break it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from graphssl import functional as F
from graphssl.agreements import CCA, CrossCorrelation, VICReg
from graphssl.registry import AGREEMENTS, Entry
from graphssl.testing import check_agreement

Agreement = Callable[[Tensor, Tensor], Tensor]


@pytest.mark.parametrize("entry", AGREEMENTS, ids=lambda entry: entry.name)
def test_contract(entry: Entry) -> None:
    check_agreement(entry.obj())
    assert entry.summary


@pytest.mark.parametrize(
    ("agreement", "function"),
    [
        (CrossCorrelation(off_diagonal=0.7), lambda a, b: F.barlow_twins_loss(a, b, off_diagonal=0.7)),
        (CCA(decorrelation=0.2), lambda a, b: F.cca_ssg_loss(a, b, decorrelation=0.2)),
        (
            VICReg(invariance=1.0, variance=2.0, covariance=3.0, target_std=4.0, eps=0.5),
            lambda a, b: F.vicreg_loss(a, b, invariance=1.0, variance=2.0, covariance=3.0, target_std=4.0, eps=0.5),
        ),
    ],
    ids=lambda part: type(part).__name__,
)
def test_options_reach_the_function(agreement: Agreement, function: Agreement) -> None:
    z1, z2 = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(agreement(z1, z2), function(z1, z2))


def wrong_sign(z1: Tensor, z2: Tensor) -> Tensor:
    return cosine_similarity(z1, z2).mean()


def per_row(z1: Tensor, z2: Tensor) -> Tensor:
    return (z1 - z2).square().sum(1)


def divides_by_the_norm(z1: Tensor, z2: Tensor) -> Tensor:
    return -(z1 * z2).sum(1).div(z1.norm(dim=1) * z2.norm(dim=1)).mean()


def by_position(z1: Tensor, z2: Tensor) -> Tensor:
    return ((normalize(z1) - normalize(z2)).square().sum(1) * torch.arange(len(z1), dtype=z1.dtype)).mean()


def normalises_in_place(z1: Tensor, z2: Tensor) -> Tensor:
    with torch.no_grad():
        z2.div_(z2.norm())
    return F.cosine_loss(z1, z2)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (wrong_sign, "equal views give"),
        (per_row, r"shape \(\)"),
        (divides_by_the_norm, "zero row"),
        (by_position, "order of rows|float32"),
        (normalises_in_place, "written to"),
    ],
)
def test_the_contract_catches(broken: Agreement, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise) as caught:
        check_agreement(broken)
    assert broken.__name__ in str(caught.value)
