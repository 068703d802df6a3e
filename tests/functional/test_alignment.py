import math

import pytest
import torch

from graphssl.errors import ConfigurationError
from graphssl.functional import cosine_loss


def some_rows(seed: int) -> torch.Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equals_loops() -> None:
    z1, z2 = some_rows(0), some_rows(1)
    total = 0.0
    for a, b in zip(z1.tolist(), z2.tolist(), strict=True):
        norm_a, norm_b = (math.sqrt(sum(x * x for x in row)) for row in (a, b))
        total += sum((x / norm_a - y / norm_b) ** 2 for x, y in zip(a, b, strict=True))
    assert cosine_loss(z1, z2).item() == pytest.approx(total / 5, rel=1e-12)


def test_range() -> None:
    z = some_rows(0)
    assert cosine_loss(z, 7 * z).item() == pytest.approx(0, abs=1e-12)
    assert cosine_loss(z, -z).item() == pytest.approx(4)


def test_a_zero_row_has_cosine_zero_and_no_gradient() -> None:
    z1 = torch.zeros(1, 3, requires_grad=True)
    loss = cosine_loss(z1, torch.ones(1, 3))
    loss.backward()
    assert loss.item() == 2
    assert z1.grad is not None
    assert not z1.grad.any()


def test_shapes_must_be_equal() -> None:
    with pytest.raises(ConfigurationError, match=r"\(5, 3\).*\(4, 3\)"):
        cosine_loss(some_rows(0), some_rows(1)[:4])
