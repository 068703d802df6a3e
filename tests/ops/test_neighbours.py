"""Sampled neighbourhoods: their structure, their distributions, and the same bits from every tier."""

import itertools
import math
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import torch
from hard_graphs import GRAPHS
from scipy.stats import chisquare
from tiers import TIERS, tier
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import _neighbours_torch, backend, sample_neighbours
from graphssl.ops.csr import CSR
from graphssl.ops.stream import stream_keys, uniform
from graphssl.ops.walks import default_streams

FIELDS = ("node", "row", "col", "entry", "edge", "batch", "num_sampled_nodes", "num_sampled_edges")
every_tier = pytest.mark.parametrize("name", TIERS)


def random_graph(n=300, edges=3000, seed=0, **values):
    """Directed, with hubs, isolated nodes, self-loops and duplicates; edges in random order."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = (torch.rand(2, edges, generator=generator) ** 3 * (n - 5)).long()
    weight = torch.rand(edges, generator=generator) * (torch.rand(edges, generator=generator) > 0.3)
    time = torch.randint(0, 100, (edges,), generator=generator)
    values = {name: {"weight": weight, "time": time}[name] for name, wanted in values.items() if wanted}
    return edge_index, CSR.from_edges(edge_index, n, direction="in", **values)


def star(leaves, **values):
    """Node 0 with that many sources."""
    edge_index = torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.long)])
    return CSR.from_edges(edge_index, leaves + 1, direction="in", **values)


def assert_same(one, other):
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, name


def check(sample, edge_index, csr, seeds, fanouts, *, replace=False, disjoint=False):
    """All that holds for every sample."""
    source, target = edge_index
    assert torch.equal(sample.node[: len(seeds)], seeds)
    assert torch.equal(sample.node[sample.row], source[sample.edge])
    assert torch.equal(sample.node[sample.col], target[sample.edge])
    assert torch.equal(csr.edge_ids(sample.entry), sample.edge)
    assert sum(sample.num_sampled_nodes) == sample.node.numel()
    assert sum(sample.num_sampled_edges) == sample.row.numel()
    place = list(zip(sample.col.tolist(), sample.entry.tolist(), strict=True))
    assert place == sorted(place)
    assert replace or len(set(place)) == len(place)
    if disjoint:
        assert torch.equal(sample.batch[: len(seeds)], torch.arange(len(seeds)))
        assert torch.equal(sample.batch[sample.row], sample.batch[sample.col])
    own = sample.batch.tolist() if disjoint else [0] * sample.node.numel()
    later = list(zip(own, sample.node.tolist(), strict=True))[len(seeds) :]
    assert len(set(later)) == len(later)  # beside seeds that come twice each node has one row
    begin = 0
    per_node = torch.bincount(sample.col, minlength=sample.node.numel())
    degree = csr.ptr.diff()
    for hop, fanout in enumerate(fanouts):
        end = begin + sample.num_sampled_nodes[hop]
        d = degree[sample.node[begin:end]]
        if csr.weight is None:
            limit = d if fanout < 0 else (d > 0) * fanout if replace else d.clamp(max=fanout)
            assert torch.equal(per_node[begin:end], limit)
        assert int(per_node[begin:end].sum()) == sample.num_sampled_edges[hop]
        begin = end
    assert int(per_node[begin:].sum()) == 0


@every_tier
@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("kind", ["plain", "weight", "time"])
def test_edges_exist_and_tiers_agree(name, disjoint, replace, kind):
    edge_index, csr = random_graph(**{kind: True} if kind != "plain" else {})
    seeds = torch.randperm(300, generator=torch.Generator().manual_seed(1))[:40]
    for fanouts in ([4, 3, 2], [40, 0, 5], [-1, 3], [2, -1], [], [0]):
        options = dict(replace=replace, disjoint=disjoint, seed=5)
        with tier(name):
            found = sample_neighbours(csr, seeds, fanouts, **options)
        check(found, edge_index, csr, seeds, fanouts, replace=replace, disjoint=disjoint)
        if kind == "weight":
            assert bool((csr.weight[found.entry] > 0).all())
        with backend.use("torch"):
            assert_same(found, sample_neighbours(csr, seeds, fanouts, **options))


@every_tier
@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("graph", GRAPHS)
def test_hard_graphs(name, graph, disjoint):
    edge_index, n = GRAPHS[graph]
    csr = CSR.from_edges(edge_index, n, direction="in")
    for seeds in (torch.arange(n), torch.arange(n).flip(0).repeat(2), torch.empty(0, dtype=torch.long)):
        for fanouts in ([1, 2], [-1, -1, -1]):
            with tier(name):
                found = sample_neighbours(csr, seeds, fanouts, disjoint=disjoint)
            check(found, edge_index, csr, seeds, fanouts, disjoint=disjoint)
            with backend.use("torch"):
                assert_same(found, sample_neighbours(csr, seeds, fanouts, disjoint=disjoint))


@every_tier
def test_all_neighbours_are_the_neighbourhood(name):
    edge_index, csr = random_graph(edges=500)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(300))
    graph.add_edges_from(edge_index.t().tolist())
    seeds = torch.tensor([200, 3, 299, 100])
    for hops in range(4):
        with tier(name):
            found = sample_neighbours(csr, seeds, [-1] * hops)
        distance = nx.multi_source_dijkstra_path_length(graph.reverse(), set(seeds.tolist()), cutoff=hops)
        assert set(found.node.tolist()) == set(distance)
        expanded = {node for node, d in distance.items() if d < hops}
        wanted = [i for i, target in enumerate(edge_index[1].tolist()) if target in expanded]
        assert sorted(found.edge.tolist()) == wanted
        levels = Counter(distance.values())
        assert found.num_sampled_nodes == [levels[d] for d in range(hops + 1)]


def subsets(csr, size, times=20_000, **options):
    """How often each set (or sorted sequence) of neighbours of node 0 is drawn."""
    found = sample_neighbours(csr, torch.zeros(times, dtype=torch.long), [size], disjoint=True, **options)
    return Counter(map(tuple, found.entry.view(times, -1).tolist()))


def test_every_subset_is_equally_likely():
    counts = subsets(star(7), 3)
    wanted = list(itertools.combinations(range(7), 3))
    assert set(counts) == set(wanted)
    assert chisquare([counts[s] for s in wanted]).pvalue > 0.01


def test_large_fanouts_are_uniform():
    drawn = Counter(itertools.chain.from_iterable(subsets(star(50), 40, times=5000).elements()))
    share, deviations = 0.8, np.array([drawn[e] for e in range(50)]) - 4000
    statistic = (deviations**2).sum() / (5000 * share * (1 - share)) * 49 / 50  # of a sample without replacement
    assert 26 < statistic < 79  # 0.5 % on either side of chi-square with 49 degrees of freedom


def test_with_replacement_is_uniform():
    pairs = subsets(star(5), 2, replace=True)
    wanted = list(itertools.combinations_with_replacement(range(5), 2))
    expected = [20_000 / 25 * (1 if a == b else 2) for a, b in wanted]
    assert chisquare([pairs[p] for p in wanted], expected).pvalue > 0.01


WEIGHT = torch.tensor([1.0, 0.0, 5.0, 2.0, 0.5, 0.0])


def test_weights_with_replacement():
    counts = Counter(itertools.chain.from_iterable(subsets(star(6, weight=WEIGHT), 1, replace=True)
                                                   .elements()))  # fmt: skip
    some = [i for i in range(6) if WEIGHT[i] > 0]
    assert set(counts) == set(some)
    assert chisquare([counts[i] for i in some], (WEIGHT[some] / WEIGHT.sum() * 20_000).double()).pvalue > 0.01


def test_weights_without_replacement():
    """Each set as often as when one after the other is drawn, with odds among those that are left."""
    counts = subsets(star(6, weight=WEIGHT), 2)
    probability = Counter()
    for sequence in itertools.permutations(np.flatnonzero(WEIGHT.numpy()).tolist(), 2):
        p, left = 1.0, float(WEIGHT.sum())
        for i in sequence:
            p, left = p * float(WEIGHT[i]) / left, left - float(WEIGHT[i])
        probability[tuple(sorted(sequence))] += p
    assert set(counts) == set(probability)
    wanted = sorted(probability)
    assert chisquare([counts[s] for s in wanted], [20_000 * probability[s] for s in wanted]).pvalue > 0.01


@every_tier
@pytest.mark.parametrize("each", [1, 5, 20, math.inf])
def test_of_many_weights_the_first_times_are_drawn(name, each):
    """Whatever their sizes: ``each`` weights within every power of ten."""
    weight = 10.0 ** -(torch.arange(200) / each)
    with tier(name):
        found = sample_neighbours(star(200, weight=weight), torch.zeros(99, dtype=torch.long), [10], disjoint=True)
    streams = torch.arange(99) * 2**32
    keys = stream_keys(stream_keys(stream_keys(0, streams), torch.zeros_like(streams)), torch.zeros_like(streams))
    some = weight.float().nonzero().squeeze(1)
    waiting = -torch.log1p(-uniform(keys.unsqueeze(1), some)) / weight.float()[some].double()
    first = some[waiting.topk(10, largest=False).indices].sort(1).values
    assert torch.equal(found.entry.view(99, 10), first)


@every_tier
@pytest.mark.parametrize("replace", [False, True])
def test_only_zero_weights(name, replace):
    with tier(name):
        for fanout in (3, -1, 100):
            found = sample_neighbours(star(9, weight=torch.zeros(9)), torch.tensor([0]), [fanout], replace=replace)
            assert found.row.numel() == 0


def test_logarithm():
    x = torch.cat([torch.rand(10_000, dtype=torch.float64), torch.tensor([1.0, 2.0**-53, 1 - 2.0**-53]).double()])
    x = x.clamp(min=2.0**-53)
    torch.testing.assert_close(_neighbours_torch._minus_log(x), -x.log(), rtol=1e-14, atol=0)


@every_tier
@pytest.mark.parametrize("replace", [False, True])
def test_time(name, replace):
    edge_index, csr = random_graph(time=True)
    stamp = torch.empty(3000, dtype=torch.long)
    stamp[csr.edge_ids(torch.arange(3000))] = csr.time
    seeds, limit = torch.arange(60), torch.arange(60) * 2 - 10
    for fanouts in ([5, 3], [-1, 2], [40, 40]):
        options = dict(disjoint=True, replace=replace, seed_time=limit)
        with tier(name):
            found = sample_neighbours(csr, seeds, fanouts, **options)
        assert bool((stamp[found.edge] <= limit[found.batch[found.col]]).all())
        with backend.use("torch"):
            assert_same(found, sample_neighbours(csr, seeds, fanouts, **options))
        for s in range(60):
            early = int((stamp[edge_index[1] == s] <= limit[s]).sum())
            size = early if fanouts[0] < 0 else min(early, 1) * fanouts[0] if replace else min(early, fanouts[0])
            assert int((found.col == s).sum()) == size


def test_time_is_uniform():
    csr = star(9, time=torch.tensor([1, 9, 1, 1, 9, 1, 1, 9, 9]))
    counts = subsets(csr, 2, seed_time=torch.full((20_000,), 1))
    wanted = list(itertools.combinations([0, 2, 3, 5, 6], 2))
    assert set(counts) == set(wanted)
    assert chisquare([counts[s] for s in wanted]).pvalue > 0.01


@every_tier
def test_trees_do_not_depend_on_the_batch(name):
    _, csr = random_graph()
    seeds = torch.tensor([7, 0, 250, 30])
    with tier(name):
        together = sample_neighbours(csr, seeds, [4, 3, 2], disjoint=True)
        for s in range(4):
            alone = sample_neighbours(csr, seeds[s : s + 1], [4, 3, 2], disjoint=True)
            merged = sample_neighbours(csr, seeds[s : s + 1], [4, 3, 2])
            assert torch.equal(together.node[together.batch == s], alone.node)
            assert torch.equal(together.entry[together.batch[together.col] == s], alone.entry)
            assert torch.equal(merged.entry, alone.entry)  # one tree is all there is


@every_tier
def test_merged_seeds_share_nodes(name):
    edge_index, csr = random_graph()
    seeds = torch.tensor([0, 1, 0, 2])
    with tier(name):
        merged = sample_neighbours(csr, seeds, [-1, -1])
        trees = sample_neighbours(csr, seeds, [-1, -1], disjoint=True)
    check(merged, edge_index, csr, seeds, [-1, -1])
    assert set(merged.edge.tolist()) == set(trees.edge.tolist())
    assert trees.node.numel() > merged.node.numel()
    assert 2 not in merged.row.tolist()  # where it is found, the seed that comes twice is its first row
    assert torch.equal(merged.entry[merged.col == 0], merged.entry[merged.col == 2])
    assert merged.batch is None


@every_tier
def test_few_seeds_of_many_nodes(name):
    """A hash table numbers the nodes, and grows."""
    edge_index, csr = random_graph(n=70_000, edges=60_000)
    seeds = torch.tensor([0, 69_999, 3])
    for fanouts in ([10, 10], [-1, -1, -1, -1, -1]):
        with tier(name):
            found = sample_neighbours(csr, seeds, fanouts)
        check(found, edge_index, csr, seeds, fanouts)
        with backend.use("torch"):
            assert_same(found, sample_neighbours(csr, seeds, fanouts))
    assert found.node.numel() > 5000


@every_tier
def test_as_many_trees_as_a_table_has_places(name):
    edge_index, csr = random_graph(n=4096)
    for fanouts in ([0], [1, 1]):
        with tier(name):
            found = sample_neighbours(csr, torch.arange(4096), fanouts, disjoint=True)
        check(found, edge_index, csr, torch.arange(4096), fanouts, disjoint=True)


@pytest.mark.parametrize("kind", ["plain", "weight"])
def test_threads(kind):
    _, csr = random_graph(n=3000, edges=30_000, weight=kind == "weight")
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(sample_neighbours(csr, torch.arange(2000), [40, 5]))
    finally:
        torch.set_num_threads(before)
    assert_same(*results)


@every_tier
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_read_only_files(name, tmp_path):
    _, csr = random_graph(weight=True, time=True)
    mapped = {}
    for field in ("ptr", "neighbour", "edge", "weight", "time"):
        np.save(tmp_path / f"{field}.npy", getattr(csr, field).numpy())
        mapped[field] = torch.from_numpy(np.load(tmp_path / f"{field}.npy", mmap_mode="r"))
    with tier(name):
        for replace in (False, True):
            found = sample_neighbours(CSR(**mapped), torch.arange(50), [3, 2], replace=replace)
            assert_same(found, sample_neighbours(csr, torch.arange(50), [3, 2], replace=replace))


def test_streams():
    _, csr = random_graph()
    seeds = torch.tensor([5, 3, 5, 5, 3])
    streams = default_streams(seeds)
    assert streams.tolist() == [5, 3, 5 + 2**32, 5 + 2**33, 3 + 2**32]
    assert_same(sample_neighbours(csr, seeds, [3]), sample_neighbours(csr, seeds, [3], streams=streams))
    same = sample_neighbours(csr, torch.tensor([0, 0]), [3], streams=torch.tensor([9, 9]))
    assert torch.equal(same.entry[:3], same.entry[3:])
    assert not torch.equal(sample_neighbours(csr, seeds, [3], seed=1).entry, sample_neighbours(csr, seeds, [3]).entry)


def test_errors():
    _, csr = random_graph(time=True)
    seeds = torch.tensor([1, 2])
    with pytest.raises(InvalidGraphError, match="nodes of the graph"):
        sample_neighbours(csr, torch.tensor([300]), [1])
    with pytest.raises(ConfigurationError, match="-1 for all"):
        sample_neighbours(csr, seeds, [-2])
    for wrong in (2.5, "two", None):
        with pytest.raises(ConfigurationError, match="fanouts as a whole number"):
            sample_neighbours(csr, seeds, [wrong])
    with pytest.raises(ConfigurationError, match="seed as a whole number"):
        sample_neighbours(csr, seeds, [1], seed=torch.tensor([1, 2]))
    with pytest.raises(InvalidGraphError, match="expected a CSR, got Data"):
        sample_neighbours(Data(), seeds, [1])
    with pytest.raises(InvalidGraphError, match="streams"):
        sample_neighbours(csr, seeds, [1], streams=torch.tensor([1]))
    with pytest.raises(ConfigurationError, match="disjoint"):
        sample_neighbours(csr, seeds, [1], seed_time=seeds)
    with pytest.raises(ConfigurationError, match="time stamps"):
        sample_neighbours(random_graph()[1], seeds, [1], seed_time=seeds, disjoint=True)
    with pytest.raises(InvalidGraphError, match="seed_time"):
        sample_neighbours(csr, seeds, [1], seed_time=seeds.double(), disjoint=True)
