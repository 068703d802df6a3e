"""Sums of weights over a node's entries: of any block, in memory or in a file, for samplers to search."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data

import graphssl.ops.csr as csr_module
from graphssl.data import graph_source, write_graph
from graphssl.ops.csr import CSR
from graphssl.samplers import NeighborLoader, RandomWalks


def weighted(nodes: int = 30, edges: int = 200) -> Data:
    """Nodes without edges, a hub, weights of 0."""
    random = torch.Generator().manual_seed(0)
    ends = torch.randint(nodes - 3, (2, edges), generator=random)
    ends[0, : edges // 3] = 4
    weight = torch.rand(edges, generator=random)
    weight[::7] = 0
    return Data(x=torch.randn(nodes, 2, generator=random), edge_index=ends, edge_weight=weight)


@pytest.mark.parametrize("block", [1, 5, 66, 2**20])
@pytest.mark.parametrize("memory", [0, 2**28])
def test_sums_are_those_of_loops(block, memory, monkeypatch):
    monkeypatch.setattr(csr_module, "BLOCK", block)
    monkeypatch.setattr(csr_module, "DEFAULT_MEMORY", memory)
    data = weighted()
    for direction in ("out", "in"):
        csr = CSR.from_edges(data.edge_index, 30, direction=direction, weight=data.edge_weight)
        expected = []
        for first, last in zip(csr.ptr.tolist(), csr.ptr.tolist()[1:], strict=False):
            total = 0.0
            for weight in csr.weight[first:last].tolist():
                total += weight
                expected.append(total)
        assert csr.cumulative.dtype == torch.float64
        torch.testing.assert_close(csr.cumulative, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    for edge_index, weight in ((data.edge_index, None), (torch.empty(2, 0, dtype=torch.int64), torch.empty(0))):
        sums = CSR.from_edges(edge_index, 30, weight=weight).cumulative
        assert sums is None if weight is None else sums.shape == (0,)


@pytest.mark.parametrize("heavy", [1e10, 1e17])
def test_light_rows_keep_their_odds_beside_heavy_ones(heavy):
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 2, 3, 0]])
    data = Data(num_nodes=4, edge_index=edge_index, edge_weight=torch.tensor([heavy, 1e-6, 3e-6, heavy]))
    steps = RandomWalks(data, walk_length=1, weight_attr="edge_weight").sample(torch.ones(4000, dtype=torch.int64))[
        :, 1
    ]
    assert set(steps.tolist()) == {2, 3}
    assert abs((steps == 3).double().mean() - 0.75) < 4 * (0.75 * 0.25 / 4000) ** 0.5
    loader = NeighborLoader(data, [1], weight_attr="edge_weight", replace=True)
    assert [batch.edge_index.size(1) for batch in loader] == [1, 1, 1, 1]


def test_samples_do_not_depend_on_where_the_sums_are(tmp_path, monkeypatch):
    data = weighted()
    draws = []
    for memory in (2**28, 0):
        monkeypatch.setattr(csr_module, "DEFAULT_MEMORY", memory)
        graph = write_graph(tmp_path / str(memory), data)
        loader = NeighborLoader(graph, [4, 4], batch_size=30, weight_attr="edge_weight", replace=True, prefetch=0)
        walks = RandomWalks(graph, walk_length=8, weight_attr="edge_weight").sample(torch.arange(30))
        assert graph_source(graph, weight_attr="edge_weight").topology().weight is not None
        draws.append((next(iter(loader)).n_id, walks))
    for first, second in zip(*draws, strict=True):
        assert torch.equal(first, second)


def anonymous() -> int:
    """Bytes of memory of this process that are no file's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's table of the process")
def test_sums_in_a_file_take_no_memory_of_the_process(monkeypatch):
    monkeypatch.setattr(csr_module, "BLOCK", 2**16)
    monkeypatch.setattr(csr_module, "DEFAULT_MEMORY", 2**20)
    nodes, degree = 1_000_000, 12  # 96 MB of sums
    ptr = torch.arange(nodes + 1) * degree
    csr = CSR(ptr, torch.zeros(nodes * degree, dtype=torch.int32), weight=torch.ones(nodes * degree))
    before = anonymous()
    sums = csr.cumulative
    assert anonymous() - before < 16e6
    assert sums[-degree:].tolist() == list(range(1, degree + 1))
