"""Negative samples: never an edge, all that is possible equally likely."""

from collections import Counter

import pytest
import torch
from hard_graphs import GRAPHS
from scipy.stats import chisquare
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import negative_edges, negative_targets
from graphssl.ops.csr import CSR


def free_pairs(edge_index, n, self_loops):
    edges = set(map(tuple, edge_index.t().tolist()))
    return {(u, v) for u in range(n) for v in range(n) if (u, v) not in edges and (self_loops or u != v)}


def random_edges(n, edges, seed=0):
    return (torch.rand(2, edges, generator=torch.Generator().manual_seed(seed)) ** 2 * n).long()


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_number_of_pairs(graph, self_loops):
    edge_index, n = GRAPHS[graph]
    csr = CSR.from_edges(edge_index, n)
    free = free_pairs(edge_index, n, self_loops)
    for num in range(len(free) + 1):
        pairs = negative_edges(csr, num, self_loops=self_loops)
        assert pairs.shape == (2, num)
        found = set(map(tuple, pairs.t().tolist()))
        assert len(found) == num
        assert found <= free
    for num in (len(free) + 1, n * n + 1):
        with pytest.raises(ConfigurationError, match="ask for fewer"):
            negative_edges(csr, num, self_loops=self_loops)


def test_no_nodes():
    csr = CSR.from_edges(torch.empty(2, 0, dtype=torch.long), 0)
    assert negative_edges(csr, 0).shape == (2, 0)
    assert negative_targets(csr, torch.empty(0, dtype=torch.long), k=3).shape == (0, 3)
    with pytest.raises(ConfigurationError):
        negative_edges(csr, 1)


@pytest.mark.parametrize("edges", [40, 400], ids=["by rejection", "listed"])
def test_pairs_are_equally_likely(edges):
    edge_index = random_edges(12, edges)
    csr = CSR.from_edges(edge_index, 12)
    free = sorted(free_pairs(edge_index, 12, False))
    num, times = max(1, len(free) // 4), 2000
    counts = Counter()
    for seed in range(times):
        counts.update(map(tuple, negative_edges(csr, num, seed=seed).t().tolist()))
    share = num / len(free)
    statistic = sum((counts[pair] - times * share) ** 2 for pair in free) / (times * share * (1 - share))
    freedom = len(free) - 1  # the counts of a sample without replacement vary less, by a factor of (n - 1) / n
    assert set(counts) <= set(free)
    assert abs(statistic * freedom / len(free) - freedom) < 3 * (2 * freedom) ** 0.5


def test_pairs_of_a_large_graph():
    edge_index = random_edges(5000, 50_000)
    csr = CSR.from_edges(edge_index, 5000)
    u, v = negative_edges(csr, 20_000)
    key = u * 5000 + v
    assert not torch.isin(key, edge_index[0] * 5000 + edge_index[1]).any()
    assert not (u == v).any()
    assert key.unique().numel() == 20_000
    assert torch.equal(negative_edges(csr, 20_000), torch.stack([u, v]))
    assert not torch.equal(negative_edges(csr, 20_000, seed=1), torch.stack([u, v]))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("others", [3, 58], ids=["by rejection", "listed"])
def test_targets_follow_the_weights(weighted, others):
    """A node with few neighbours, and one with nearly all nodes as neighbours."""
    n = 64
    csr = CSR.from_edges(torch.stack([torch.zeros(others, dtype=torch.long), torch.arange(1, others + 1)]), n)
    weights = torch.arange(n) % 4
    targets = negative_targets(csr, torch.tensor([0, 5, 0]), k=8000, weights=weights if weighted else None)
    assert targets.shape == (3, 8000)
    assert not torch.equal(targets[0], targets[2])
    for source, row in zip((0, 5), targets, strict=False):
        neighbours = set(range(1, others + 1)) if source == 0 else set()
        odds = {v: (v % 4 if weighted else 1) for v in range(n) if v != source and v not in neighbours}
        odds = {v: o for v, o in odds.items() if o}
        counts = Counter(row.tolist())
        assert set(counts) <= set(odds)
        expected = [8000 * o / sum(odds.values()) for o in odds.values()]
        assert chisquare([counts[v] for v in odds], expected).pvalue > 0.01


def test_targets_do_not_depend_on_the_batch():
    csr = CSR.from_edges(random_edges(100, 2000), 100)
    sources = torch.tensor([4, 90, 0, 33])
    together = negative_targets(csr, sources, k=7)
    for i, source in enumerate(sources):
        assert torch.equal(negative_targets(csr, source.view(1), k=7)[0], together[i])


def test_targets_of_hard_graphs():
    for edge_index, n in GRAPHS.values():
        csr = CSR.from_edges(edge_index, n)
        free = free_pairs(edge_index, n, False)
        for source in range(n):
            wanted = {v for u, v in free if u == source}
            if not wanted:
                with pytest.raises(InvalidGraphError, match=f"node {source} has no target"):
                    negative_targets(csr, torch.tensor([source]), k=1)
                continue
            assert set(negative_targets(csr, torch.tensor([source]), k=100)[0].tolist()) == wanted


def test_errors():
    csr = CSR.from_edges(random_edges(10, 20), 10)
    source = torch.tensor([1])
    for call in (
        lambda: negative_edges(csr, -1),
        lambda: negative_targets(csr, source, k=-1),
        lambda: negative_targets(csr, source, k=1, weights=torch.ones(9)),
        lambda: negative_targets(csr, source, k=1, weights=-torch.ones(10)),
        lambda: negative_targets(csr, source, k=1, weights=torch.zeros(10)),
        lambda: negative_targets(csr, source, k=1.5),
        lambda: negative_edges(csr, 1.5),
        lambda: negative_edges(csr, "two"),
        lambda: negative_edges(csr, 2, seed=0.5),
        lambda: negative_edges(csr, torch.tensor(1.5)),
        lambda: negative_edges(csr, True),
        lambda: negative_targets(csr, source, k=1, seed=torch.tensor([1])[:0]),
    ):
        with pytest.raises(ConfigurationError):
            call()
    with pytest.raises(InvalidGraphError):
        negative_targets(csr, torch.tensor([10]), k=1)
    with pytest.raises(InvalidGraphError, match="weights as a tensor, got list"):
        negative_targets(csr, source, k=1, weights=[1.0] * 10)
    data = Data(edge_index=random_edges(10, 20), num_nodes=10)
    for call in (lambda: negative_edges(data, 1), lambda: negative_targets(data, source, k=1)):
        with pytest.raises(InvalidGraphError, match=r"expected a CSR, got Data: .*topology_of"):
            call()
