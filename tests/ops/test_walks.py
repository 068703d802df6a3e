"""Random walks against their definition, in every tier and for every instruction set."""

import math
from itertools import pairwise

import pytest
import torch
from hard_graphs import GRAPHS
from scipy import stats
from tiers import TIERS, tier
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import random_walks
from graphssl.ops.csr import CSR
from graphssl.ops.walks import default_streams

SETTINGS = [{}, {"restart": 0.3}, {"restart": 1.0}, {"p": 0.25, "q": 4.0}, {"p": 5.0, "q": 0.5}]


def random_csr(n=50, edges=260, *, weighted=False, seed=0):
    """Directed, with hubs, loops, duplicates and nodes without neighbours; some weights are 0."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = (torch.rand(2, edges, generator=generator) ** 2 * (n - 5)).long()
    weight = torch.rand(edges, generator=generator) * (torch.rand(edges, generator=generator) > 0.3)
    return CSR.from_edges(edge_index, n, weight=weight if weighted else None)


def pairs(csr, *, weighted=False):
    row = torch.repeat_interleave(torch.arange(csr.num_nodes), csr.ptr.diff())
    return {
        (int(u), int(v))
        for i, (u, v) in enumerate(zip(row, csr.neighbour, strict=True))
        if not weighted or csr.weight[i] > 0
    }


def fits(counts, expected):
    return stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("name", TIERS)
def test_every_tier_walks_alike_along_edges(name, options, weighted):
    csr = random_csr(weighted=weighted)
    seeds = torch.arange(50).repeat(3)
    with tier("torch"):
        wanted = random_walks(csr, seeds, 20, seed=7, **options)
    with tier(name):
        walks = random_walks(csr, seeds, 20, seed=7, **options)
    assert torch.equal(walks, wanted)
    edges, sources = pairs(csr, weighted=weighted), {u for u, _ in pairs(csr, weighted=weighted)}
    restart = options.get("restart", 0)
    for row in walks.tolist():
        assert row[0] in range(50)
        for t, (u, v) in enumerate(pairwise(row)):
            moved = (u, v) in edges or (restart > 0 and t > 0 and (row[0], v) in edges)
            stuck = u not in sources or (restart > 0 and row[0] not in sources)
            assert moved or (stuck and v == (row[0] if restart > 0 else u))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", TIERS)
def test_hard_graphs_alike(name, graph):
    csr = CSR.from_edges(*GRAPHS[graph])
    seeds = torch.arange(csr.num_nodes)
    for options in SETTINGS:
        with tier("torch"):
            wanted = random_walks(csr, seeds, 9, **options)
        with tier(name):
            assert torch.equal(random_walks(csr, seeds, 9, **options), wanted)
            assert random_walks(csr, seeds[:0], 9, **options).shape == (0, 10)
            assert random_walks(csr, seeds, 0, **options).tolist() == [[s] for s in seeds.tolist()]


@pytest.mark.parametrize("name", TIERS)
def test_weighted_second_order_walks_where_no_node_has_a_choice(name):
    edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
    csr = CSR.from_edges(edges, 4, weight=torch.tensor([1.0, 2.0, 3.0]))
    with tier(name):
        walks = random_walks(csr, torch.tensor([0, 1]), 4, p=0.5, q=2.0)
    assert walks.tolist() == [[0, 1, 2, 3, 3], [1, 2, 3, 3, 3]]


def test_isolated_nodes_stay_and_dead_ends_return():
    csr = CSR.from_edges(torch.tensor([[0], [1]]), 3)
    assert random_walks(csr, torch.tensor([0, 2]), 3).tolist() == [[0, 1, 1, 1], [2, 2, 2, 2]]
    assert random_walks(csr, torch.tensor([0, 2]), 3, restart=1e-9).tolist() == [[0, 1, 0, 1], [2, 2, 2, 2]]


def test_restart_has_its_probability():
    """On a long directed path a move that is not one further comes from a restart."""
    n, length = 70, 64
    csr = CSR.from_edges(torch.stack([torch.arange(n - 1), torch.arange(1, n)]), n)
    walks = random_walks(csr, torch.zeros(500, dtype=torch.long), length, restart=0.2)
    restarts = int((walks[:, 2:] != walks[:, 1:-1] + 1).sum())
    moves = 500 * (length - 1)
    assert abs(restarts - 0.2 * moves) < 4 * math.sqrt(0.16 * moves)
    assert (walks[:, 1] == 1).all()


def test_neighbours_are_uniform_over_entries_or_by_weight():
    edge_index = torch.tensor([[0, 0, 0, 0, 0], [1, 2, 2, 3, 4]])
    seeds, weight = torch.zeros(20000, dtype=torch.long), torch.tensor([1.0, 0.0, 2.0, 0.5, 0.0])
    counts = random_walks(CSR.from_edges(edge_index, 5), seeds, 1)[:, 1].bincount(minlength=5)[1:]
    assert fits(counts, [4000, 8000, 4000, 4000])
    counts = random_walks(CSR.from_edges(edge_index, 5, weight=weight), seeds, 1)[:, 1].bincount(minlength=5)[1:]
    assert counts[3] == 0
    assert fits(counts[:3], torch.tensor([1.0, 2.0, 0.5]).double() / 3.5 * 20000)


@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.25), (1.0, 3.0), (20.0, 1.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_second_order_moves_have_the_odds_of_the_definition(p, q, weighted):
    """From 1, reached from 0: back to 0, on to 2 (a neighbour of 0, twice), or to 3 and 4 (not)."""
    edge_index = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 2, 0, 2, 2, 3, 4]])
    weight = torch.tensor([1.0, 0.0, 1.0, 0.5, 1.5, 3.0, 1.0]) if weighted else torch.ones(7)
    csr = CSR.from_edges(edge_index, 5, weight=weight if weighted else None)
    walks = random_walks(csr, torch.zeros(40000, dtype=torch.long), 2, p=p, q=q)
    third = walks[walks[:, 1] == 1, 2].bincount(minlength=5)[[0, 2, 3, 4]]
    odds = torch.stack([weight[2] / p, weight[3] + weight[4], weight[5] / q, weight[6] / q]).double()
    assert fits(third, odds / odds.sum() * third.sum())


@pytest.mark.parametrize("options", SETTINGS)
def test_batches_threads_and_copies(options):
    csr, seeds = random_csr(), torch.arange(50)
    whole = random_walks(csr, seeds, 15, **options)
    parts = [random_walks(csr, part, 15, **options) for part in seeds.flip(0).split(7)]
    assert torch.equal(torch.cat(parts).flip(0), whole)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        many = random_walks(csr, seeds.repeat(4), 15, **options)
        torch.set_num_threads(1)
        assert torch.equal(random_walks(csr, seeds.repeat(4), 15, **options), many)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(many[:50], whole)
    if options.get("restart") != 1:
        assert not torch.equal(many[50:100], whole)
    streams = default_streams(seeds) + 2**32
    assert torch.equal(random_walks(csr, seeds, 15, streams=streams, **options), many[50:100])
    assert not torch.equal(random_walks(csr, seeds, 15, seed=1, **options), whole)


def test_default_streams():
    assert default_streams(torch.tensor([5, 2, 5, 5, 2])).tolist() == [5, 2, 5 + 2**32, 5 + 2**33, 2 + 2**32]
    assert default_streams(torch.empty(0, dtype=torch.long)).numel() == 0


def test_errors():
    csr, seeds = random_csr(), torch.arange(5)
    for options in (
        {"restart": 1.5},
        {"restart": 0.5, "p": 2.0},
        {"p": 0.0},
        {"q": math.inf},
        {"length": -1},
        {"length": 2.5},
    ):
        with pytest.raises(ConfigurationError):
            random_walks(csr, seeds, **({"length": 3} | options))
    for bad in (torch.tensor([50]), torch.tensor([-1]), torch.zeros(2), torch.zeros(2, 2, dtype=torch.long)):
        with pytest.raises(InvalidGraphError):
            random_walks(csr, bad, 3)
    with pytest.raises(InvalidGraphError, match="stream"):
        random_walks(csr, seeds, 3, streams=torch.arange(4))
    with pytest.raises(InvalidGraphError, match="expected a CSR, got Data"):
        random_walks(Data(), seeds, 3)


@pytest.mark.parametrize("options", [(0.5, 1.0, 1.0), (0.0, 4.0, 0.25)])
def test_op_is_registered(options):
    csr = random_csr(weighted=True)
    args = csr.ptr, csr.neighbour, csr.cumulative, torch.arange(5), torch.arange(5), 4, *options
    torch.library.opcheck(torch.ops.graphssl.random_walks.default, args)
