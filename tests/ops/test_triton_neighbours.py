"""The Triton kernel of neighbour sampling, against torch, bit for bit."""

from importlib import util

import pytest
import torch
from hard_graphs import GRAPHS
from triton_devices import INTERPRETED, on_devices

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from graphssl.ops import backend, sample_neighbours
from graphssl.ops.csr import CSR
from graphssl.ops.triton import neighbours as kernel

FIELDS = ("node", "row", "col", "entry", "edge", "batch", "num_sampled_nodes", "num_sampled_edges")
N = 70 if INTERPRETED else 20_000


def graph(**values):
    """Directed, its edges in random order: hubs, duplicates, self-loops, isolated nodes."""
    generator = torch.Generator().manual_seed(0)
    ends = (torch.rand(2, 10 * N, generator=generator) ** 3 * (N - 5)).long()
    return CSR.from_edges(ends, N, direction="in", **values)


def assert_the_bits_of_torch(csr, seeds, fanouts, device, **options):
    with backend.use("torch"):
        expected = sample_neighbours(csr, seeds, fanouts, **options)
    with backend.use("triton"):
        found = sample_neighbours(csr.to(device), seeds.to(device), fanouts, **options)
    for name in FIELDS:
        one, other = getattr(found, name), getattr(expected, name)
        assert torch.equal(one.cpu(), other) if isinstance(one, torch.Tensor) else one == other, name
    return expected


class Recorder:
    """In place of a kernel: runs it and notes its last argument, the fan-out."""

    def __init__(self, inner):
        self.inner, self.fanouts = inner, []

    def __getitem__(self, grid):
        def launch(*args, **options):
            self.fanouts.append(args[-1])
            self.inner[grid](*args, **options)

        return launch


@pytest.fixture
def calls(monkeypatch):
    """The fan-outs that the kernel drew, not torch."""
    recorder = Recorder(kernel.draw_kernel)
    monkeypatch.setattr(kernel, "draw_kernel", recorder)
    return recorder.fanouts


@on_devices
@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_the_bits_of_torch(device, replace, disjoint, calls):
    seeds = torch.cat([torch.arange(N - 1, N - 40, -3), torch.tensor([0, 1, 0])])  # the last ones hubs, one twice
    options = dict(replace=replace, disjoint=disjoint, seed=5)
    for fanouts in ([3, 2], [1], [5, 0, 2], [-1, 4]):
        assert_the_bits_of_torch(graph(), seeds, fanouts, device, **options)
    assert calls == [3, 2, 1, 5, 4]  # without 0 and -1


@on_devices
@pytest.mark.parametrize("replace", [False, True])
def test_fanouts_up_to_the_largest(device, replace, calls):
    csr = graph()
    seeds = torch.tensor([0, 1, 2, 30, 60])
    assert int(csr.ptr.diff()[0]) > 65
    for fanout in (17, 33, 64, 65):
        assert_the_bits_of_torch(csr, seeds, [fanout], device, replace=replace)
    assert calls == [17, 33, 64]


@on_devices
@pytest.mark.parametrize("name", GRAPHS)
def test_hard_graphs(device, name):
    edge_index, n = GRAPHS[name]
    csr = CSR.from_edges(edge_index, n, direction="in")
    for seeds in (torch.arange(n).flip(0).repeat(2), torch.empty(0, dtype=torch.long)):
        for replace in (False, True):
            assert_the_bits_of_torch(csr, seeds, [2, 9], device, replace=replace)


@on_devices
def test_every_subset_is_drawn(device, calls):
    """Of 6 neighbours, 2 or 4: from a star, by streams of 200 copies of the seed."""
    edge_index = torch.stack([torch.arange(1, 7), torch.zeros(6, dtype=torch.long)])
    csr, seeds = CSR.from_edges(edge_index, 7, direction="in"), torch.zeros(200, dtype=torch.long)
    for fanout in (2, 4):
        found = assert_the_bits_of_torch(csr, seeds, [fanout], device, disjoint=True)
        assert len(found.entry.view(200, fanout).unique(dim=0)) == 15
    assert calls == [2, 4]


@on_devices
def test_weights_and_times_are_left_to_torch(device, calls):
    seeds = torch.arange(10)
    assert_the_bits_of_torch(graph(weight=torch.ones(10 * N)), seeds, [3], device)
    csr = graph(time=torch.arange(10 * N) % 9)
    assert_the_bits_of_torch(csr, seeds, [3], device, disjoint=True, seed_time=torch.full((10,), 4))
    assert calls == []
