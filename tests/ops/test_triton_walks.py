"""The Triton kernel of random walks, against torch, bit for bit."""

from importlib import util

import pytest
import torch
from triton_devices import on_devices

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from graphssl.ops import backend, random_walks
from graphssl.ops.csr import CSR


def graph(weighted: bool) -> CSR:
    """A hub, duplicates, loops, dead ends, isolated nodes."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.cat([torch.randint(40, (2, 120), generator=generator), torch.stack([torch.zeros(60, dtype=torch.long),
                      torch.randint(1, 60, (60,), generator=generator)])], dim=1)  # fmt: skip
    weight = torch.rand(ends.size(1), generator=generator) if weighted else None
    if weight is not None:
        weight[::5] = 0
    return CSR.from_edges(ends, 70, weight=weight)


@on_devices
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("restart", [0.0, 0.3, 1.0])
def test_the_bits_of_torch(device, weighted, restart):
    csr = graph(weighted)
    seeds = torch.arange(70).repeat(2)
    with backend.use("torch"):
        expected = random_walks(csr, seeds, 9, seed=3, restart=restart)
    with backend.use("triton"):
        found = random_walks(csr.to(device), seeds.to(device), 9, seed=3, restart=restart)
    assert torch.equal(found.cpu(), expected)
    assert len({tuple(walk) for walk in expected.tolist()}) > 70


@on_devices
def test_no_walks_and_no_moves(device):
    csr = graph(False).to(device)
    with backend.use("triton"):
        assert random_walks(csr, torch.empty(0, dtype=torch.long, device=device), 4).shape == (0, 5)
        assert random_walks(csr, torch.arange(3, device=device), 0).tolist() == [[0], [1], [2]]
