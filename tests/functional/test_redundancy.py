"""Barlow Twins, CCA-SSG and VICReg: against loops written from the equations."""

import math

import pytest
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError
from graphssl.functional import barlow_twins_loss, cca_ssg_loss, vicreg_loss

N, D = 6, 3
Columns = list[list[float]]


def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z1 = 1 + 2 * torch.randn(N, D, generator=generator, dtype=torch.float64)
    return z1, z1 + torch.randn(N, D, generator=generator, dtype=torch.float64)


def columns(z: Tensor) -> Columns:
    return z.T.tolist()


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def covariance(x: list[float], y: list[float], *, lost: int = 0) -> float:
    mean_x, mean_y = mean(x), mean(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / (len(x) - lost)


def correlation(x: list[float], y: list[float]) -> float:
    return covariance(x, y) / math.sqrt(covariance(x, x) * covariance(y, y))


@pytest.mark.parametrize("off_diagonal", [None, 0.0, 0.3])
def test_barlow_twins_equals_loops(off_diagonal: float | None) -> None:
    z1, z2 = views()
    a, b = columns(z1), columns(z2)
    weight = 1 / D if off_diagonal is None else off_diagonal
    expected = 0.0
    for j in range(D):
        for k in range(D):
            c = correlation(a[j], b[k])
            expected += (1 - c) ** 2 if j == k else weight * c**2
    assert barlow_twins_loss(z1, z2, off_diagonal=off_diagonal).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decorrelation", [0.0, 1e-3, 1.0])
def test_cca_equals_loops(decorrelation: float) -> None:
    z1, z2 = views()
    a, b = columns(z1), columns(z2)
    expected = -sum(correlation(a[j], b[j]) for j in range(D))
    for c in (a, b):
        for j in range(D):
            for k in range(D):
                expected += decorrelation * ((j == k) - correlation(c[j], c[k])) ** 2
    assert cca_ssg_loss(z1, z2, decorrelation=decorrelation).item() == pytest.approx(expected, rel=1e-12)


def test_cca_is_half_the_papers_invariance_up_to_a_constant() -> None:
    z1, z2 = views()
    s1, s2 = ((z - z.mean(0)) / z.std(0, correction=0) for z in (z1, z2))
    invariance = (s1 - s2).square().sum() / N
    assert cca_ssg_loss(z1, z2, decorrelation=0.0).item() == pytest.approx((invariance.item() - 2 * D) / 2)


def test_vicreg_equals_loops() -> None:
    z1, z2 = views()
    s = mean(
        [sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in zip(z1.tolist(), z2.tolist(), strict=True)]
    )
    v = c = 0.0
    for z in (columns(z1), columns(z2)):
        v += mean([max(0.0, 2.5 - math.sqrt(covariance(x, x, lost=1) + 1e-4)) for x in z])
        c += sum(covariance(z[j], z[k], lost=1) ** 2 for j in range(D) for k in range(D) if j != k) / D
    loss = vicreg_loss(z1, z2, invariance=3.0, variance=5.0, covariance=0.7, target_std=2.5)
    assert v > 0
    assert loss.item() == pytest.approx(3 * s + 5 * v + 0.7 * c, rel=1e-12)


@pytest.mark.parametrize("loss", [barlow_twins_loss, cca_ssg_loss])
def test_scale_and_offset_of_a_column_are_irrelevant(loss) -> None:  # type: ignore[no-untyped-def]
    z1, z2 = views()
    moved = z1 * torch.tensor([1e-3, 1.0, 50.0]).double() + torch.tensor([3.0, -9.0, 0.0]).double()
    torch.testing.assert_close(loss(moved, z2), loss(z1, z2))


def test_best_values() -> None:
    z = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # uncorrelated columns of variance 1
    assert barlow_twins_loss(z, z).item() == pytest.approx(0, abs=1e-6)
    assert cca_ssg_loss(z, z).item() == pytest.approx(-2)
    assert vicreg_loss(2 * z, 2 * z).item() == 0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
@pytest.mark.parametrize("loss", [barlow_twins_loss, cca_ssg_loss])
def test_a_constant_column_has_no_correlation_and_no_gradient(loss, value: float) -> None:  # type: ignore[no-untyped-def]
    """0.1 has no exact mean in float32: what is left after centring is rounding, and must not be scaled up."""
    z1, z2 = (z.float().repeat(100, 1) for z in views())
    z1[:, 1] = z2[:, 1] = value
    if value == 0.1:
        assert (z1[:, 1] - z1[:, 1].mean()).any()
    z1.requires_grad_()
    total = loss(z1, z2)
    (grad,) = torch.autograd.grad(total, z1)
    assert not grad[:, 1].any()
    assert grad.abs().max() < 10
    keep = [0, 2]
    without = {
        barlow_twins_loss: lambda: barlow_twins_loss(z1[:, keep], z2[:, keep], off_diagonal=1 / D) + 1,
        cca_ssg_loss: lambda: cca_ssg_loss(z1[:, keep], z2[:, keep]) + 2e-3,
    }[loss]()
    torch.testing.assert_close(total, without)


def test_collapse_costs_more_than_spread() -> None:
    z, _ = views()
    for loss in (barlow_twins_loss, cca_ssg_loss, vicreg_loss):
        assert loss(torch.zeros_like(z), torch.zeros_like(z)) > loss(z / z.std(0), z / z.std(0))


@pytest.mark.parametrize("loss", [barlow_twins_loss, cca_ssg_loss, vicreg_loss])
def test_autocast_computes_in_float32(loss) -> None:  # type: ignore[no-untyped-def]
    z1, z2 = (z.float() for z in views())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(z1, z2)
    assert torch.equal(found, loss(z1, z2))


@pytest.mark.parametrize("loss", [barlow_twins_loss, cca_ssg_loss, vicreg_loss])
def test_one_row_is_refused(loss) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match="at least 2 row"):
        loss(torch.zeros(1, 3), torch.zeros(1, 3))
