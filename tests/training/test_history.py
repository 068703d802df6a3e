"""Collapse measures at their known values."""

import pytest
import torch

from graphssl.training import effective_rank, feature_std


def test_effective_rank_of_known_spectra() -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(50, 9, generator=generator) - 0.0)[0]
    left = torch.linalg.qr(torch.cat([torch.ones(50, 1), left], dim=1))[0][:, 1:5]  # columns orthogonal to 1: centred
    assert effective_rank(left) == pytest.approx(4.0, rel=1e-4)
    assert effective_rank(left[:, :1] @ torch.randn(1, 6, generator=generator)) == pytest.approx(1.0, rel=1e-3)
    assert effective_rank(torch.ones(10, 3)) == 0.0
    wide = torch.randn(5, 40, generator=generator)
    assert effective_rank(wide) <= 4.0 + 1e-6  # centring takes one dimension


def test_feature_std_is_one_when_spread_and_zero_when_collapsed() -> None:
    rows = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    assert feature_std(rows) == pytest.approx(1.0, abs=0.02)
    assert feature_std(torch.ones(10, 16)) == pytest.approx(0.0, abs=1e-6)
    assert feature_std(torch.randn(1, 4)) == 0.0
