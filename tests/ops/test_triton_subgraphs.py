"""The Triton kernel of induced subgraphs, against torch, bit for bit."""

from importlib import util

import pytest
import torch
from hard_graphs import GRAPHS
from triton_devices import INTERPRETED, on_devices

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from graphssl.ops import backend, ego_nets, induced_subgraphs, trace_subgraphs, walk_subgraphs
from graphssl.ops.csr import CSR
from graphssl.ops.triton import subgraphs as kernel

FIELDS = ("node", "ptr", "edge_index", "edge", "edge_ptr")
N = 60 if INTERPRETED else 5000


def graph(symmetric=False):
    """In random order: two hubs, one with each edge three times, self-loops, duplicates, isolated nodes."""
    generator = torch.Generator().manual_seed(0)
    ends = [(torch.rand(2, 3 * N, generator=generator) ** 2 * (N - 5)).long()]
    ends += [
        torch.stack([torch.full((5 * N,), hub), torch.randint(N, (5 * N,), generator=generator)]) for hub in (7, 8)
    ]
    ends += [ends[-1], ends[-1]]
    edge_index = torch.cat(ends, dim=1)
    if symmetric:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    return CSR.from_edges(edge_index[:, torch.randperm(edge_index.size(1), generator=generator)], N)


def lists(sizes):
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randperm(N, generator=generator)[:size] for size in sizes]
    return torch.cat(parts), torch.tensor([0, *sizes]).cumsum(0)


def assert_the_bits_of_torch(make, csr, *args, device, **options):
    with backend.use("torch"):
        expected = make(csr, *args, **options)
    with backend.use("triton"):
        found = make(csr.to(device), *(a.to(device) if isinstance(a, torch.Tensor) else a for a in args), **options)
    for name in FIELDS:
        assert torch.equal(getattr(found, name).cpu(), getattr(expected, name)), name
    return expected


@on_devices
@pytest.mark.parametrize("symmetric", [False, True])
def test_induced(device, symmetric):
    csr = graph(symmetric)
    node, ptr = lists([5, 0, N, 1, 9, 0])
    assert not torch.equal(node, node.sort().values)
    found = assert_the_bits_of_torch(induced_subgraphs, csr, node, ptr, device=device)
    assert found.edge.numel() >= csr.num_edges  # the third list is the whole graph


@on_devices
@pytest.mark.parametrize("others", [[], [20], [0, 40, 41, 8, 31]])
def test_few_nodes_with_a_hub(device, others):
    """The nodes are looked up in its row, and some are there several times."""
    csr = graph()
    assert int(csr.ptr.diff()[7]) >= 5 * N
    node = torch.tensor([7, *others])
    found = assert_the_bits_of_torch(induced_subgraphs, csr, node, torch.tensor([0, len(node)]), device=device)
    assert others == [] or found.edge.numel() > len(node)


@on_devices
@pytest.mark.parametrize("name", GRAPHS)
def test_hard_graphs(device, name):
    edge_index, n = GRAPHS[name]
    csr = CSR.from_edges(edge_index, n)
    node = torch.cat([torch.arange(n).flip(0), torch.arange(n)])
    assert_the_bits_of_torch(induced_subgraphs, csr, node, torch.tensor([0, n, n, 2 * n]), device=device)
    assert_the_bits_of_torch(induced_subgraphs, csr, node[:0], torch.tensor([0, 0]), device=device)
    assert_the_bits_of_torch(induced_subgraphs, csr, node[:0], torch.tensor([0]), device=device)


@on_devices
def test_traces_walks_and_ego_nets(device, monkeypatch):
    calls = []
    launch = kernel.lists
    monkeypatch.setattr(kernel, "lists", lambda *args: calls.append(args) or launch(*args))
    csr = graph()
    seeds = torch.tensor([3, 58, 7, 3, 0])
    trace = torch.tensor([[3, 7, 3, 8], [58, 58, 58, 58], [0, 1, 7, 2]])
    assert_the_bits_of_torch(trace_subgraphs, csr, trace, device=device)
    assert_the_bits_of_torch(walk_subgraphs, csr, seeds, 8, restart=0.3, device=device)
    assert_the_bits_of_torch(walk_subgraphs, csr, seeds[:0], 8, restart=0.3, device=device)
    assert_the_bits_of_torch(ego_nets, csr, seeds, 2, max_nodes=12, device=device)
    assert len(calls) == 4
