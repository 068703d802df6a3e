"""Subgraphs against networkx and loops, in every tier and for every instruction set."""

import functools
from concurrent.futures import ThreadPoolExecutor

import networkx as nx
import pytest
import torch
from hard_graphs import GRAPHS
from scipy import stats
from tiers import TIERS, needs_cpp, tier
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, ego_nets, induced_subgraphs, random_walks, trace_subgraphs, walk_subgraphs
from graphssl.ops.csr import CSR

FIELDS = ("node", "ptr", "edge_index", "edge", "edge_ptr")


def random_edges(n=60, edges=900, seed=0):
    """Directed, with loops, duplicates, isolated nodes and one hub whose row is searched, not scanned."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = (torch.rand(2, edges, generator=generator) ** 2 * (n - 5)).long()
    hub = torch.stack([torch.full((600,), 3), torch.randint(n - 5, (600,), generator=generator)])
    return torch.cat([edge_index, hub], dim=1)[:, torch.randperm(edges + 600, generator=generator)]


def both_ways(edge_index):
    """Symmetric, with loops, a second hub, and some pairs more often one way than the other."""
    second = torch.stack([torch.full((500,), 7), edge_index[1, :500]])
    whole = torch.cat([edge_index, edge_index.flip(0), second, second.flip(0)], dim=1)
    return torch.cat([whole, whole[:, ::5]], dim=1)


def same(one, other):
    return all(torch.equal(getattr(one, field), getattr(other, field)) for field in FIELDS)


def lists(n=60):
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randperm(n, generator=generator)[:size] for size in (5, 0, 1, 40, n, 2)]
    return torch.cat(parts), torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", TIERS)
def test_induced_edges_are_those_of_networkx(name, symmetric):
    edge_index = both_ways(random_edges()) if symmetric else random_edges()
    csr = CSR.from_edges(edge_index, 60)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(60))
    graph.add_edges_from((u, v, i) for i, (u, v) in enumerate(edge_index.t().tolist()))
    node, ptr = lists()
    with tier(name):
        found = induced_subgraphs(csr, node, ptr)
    assert torch.equal(found.node, node)
    assert torch.equal(found.ptr, ptr)
    assert torch.equal(node[found.edge_index], edge_index[:, found.edge])
    for s in range(len(ptr) - 1):
        own = slice(int(found.edge_ptr[s]), int(found.edge_ptr[s + 1]))
        wanted = graph.subgraph(node[ptr[s] : ptr[s + 1]].tolist()).edges(keys=True)
        assert sorted(found.edge[own].tolist()) == sorted(i for *_, i in wanted)
        local, target = found.edge_index[:, own]
        assert ((local >= ptr[s]) & (local < ptr[s + 1]) & (target >= ptr[s]) & (target < ptr[s + 1])).all()
        assert [*zip(local.tolist(), node[target].tolist(), strict=True)] == sorted(
            zip(local.tolist(), node[target].tolist(), strict=True)
        )
    with tier("torch"):
        assert same(found, induced_subgraphs(csr, node, ptr))


ALL = GRAPHS | {"random": (random_edges(), 60), "symmetric": (both_ways(random_edges()), 60)}


def made(csr):
    """Subgraphs in all ways, of all nodes twice, of one and of none; the last ones from walks and from their traces."""
    seeds = torch.arange(csr.num_nodes).repeat(2)
    found = [ego_nets(csr, s, h, max_nodes=m) for s in (seeds[:1], seeds[:0]) for h, m in ((0, 2), (3, 7))]
    found += [ego_nets(csr, seeds, h, max_nodes=m) for h, m in ((0, 1), (1, None), (1, 7), (3, None), (3, 2), (3, 40))]
    for s in (seeds[:1], seeds[:0], seeds):
        found.append(walk_subgraphs(csr, s, 30, restart=0.4, seed=3))
        found.append(trace_subgraphs(csr, random_walks(csr, s, 30, restart=0.4, seed=3)))
    return found


@functools.cache
def made_plainly(graph):
    with tier("torch"):
        return made(CSR.from_edges(*ALL[graph]))


@pytest.mark.parametrize("graph", ALL)
@pytest.mark.parametrize("name", TIERS)
def test_every_tier_alike(name, graph):
    with tier(name):
        found = made(CSR.from_edges(*ALL[graph]))
    assert all(same(one, other) for one, other in zip(found, made_plainly(graph), strict=True))
    assert same(found[-1], found[-2])
    for subgraphs in found:
        first = torch.arange(subgraphs.ptr.numel() - 1) % ALL[graph][1]
        assert torch.equal(subgraphs.node[subgraphs.ptr[:-1]], first)  # the seed first


@pytest.mark.parametrize("name", TIERS)
def test_ego_nets_are_breadth_first_and_thinned_uniformly(name):
    edge_index = random_edges(edges=60)[:, :80]
    csr = CSR.from_edges(edge_index, 60)
    graph = nx.DiGraph(edge_index.t().tolist())
    graph.add_nodes_from(range(60))
    star = CSR.from_edges(torch.stack([torch.zeros(9, dtype=torch.long), torch.arange(1, 10)]), 10)
    with tier(name):
        found = ego_nets(csr, torch.arange(60), 2)
        thinned = ego_nets(star, torch.zeros(4000, dtype=torch.long), 1, max_nodes=4)
    for s in range(60):
        nodes = found.node[found.ptr[s] : found.ptr[s + 1]].tolist()
        distance = nx.single_source_shortest_path_length(graph, s, cutoff=2)
        assert sorted(nodes) == sorted(distance)
        assert [distance[v] for v in nodes] == sorted(distance.values())
    assert (thinned.ptr.diff() == 4).all()
    assert stats.chisquare(thinned.node.bincount()[1:], [4000 / 3] * 9).pvalue > 1e-3


@pytest.mark.parametrize("graph", ALL)
@pytest.mark.parametrize("name", TIERS)
def test_symmetry(name, graph):
    edge_index, n = ALL[graph]
    pairs = {*map(tuple, edge_index.t().tolist())}
    with tier(name):
        assert CSR.from_edges(edge_index, n).is_symmetric == all((v, u) in pairs for u, v in pairs)
    assert CSR.from_edges(torch.cat([edge_index, edge_index.flip(0)], dim=1), n).is_symmetric


@pytest.mark.parametrize("name", TIERS)
def test_calls_from_several_threads_do_not_share_memory(name):
    """The kernels keep the memory of the last call for the next one: sizes go up and down here."""
    csr = CSR.from_edges(both_ways(random_edges(seed=2)), 60)
    sizes = [1, 200, 7, 400, 64, 3] * 8
    with tier(name), ThreadPoolExecutor(4) as pool:
        batches = [torch.arange(size) % 60 for size in sizes]
        alone = [walk_subgraphs(csr, seeds, 20, restart=0.5, seed=i) for i, seeds in enumerate(batches)]
        work = [pool.submit(walk_subgraphs, csr, s, 20, restart=0.5, seed=i) for i, s in enumerate(batches)]
        assert all(same(one.result(), other) for one, other in zip(work, alone, strict=True))


def test_batches_and_threads():
    csr, seeds = CSR.from_edges(random_edges(), 60), torch.arange(60).repeat(4)
    before = torch.get_num_threads()
    for way in (lambda s: walk_subgraphs(csr, s, 20, restart=0.3), lambda s: ego_nets(csr, s, 2, max_nodes=20)):
        try:
            torch.set_num_threads(2)
            many = way(seeds)
            torch.set_num_threads(1)
            assert same(way(seeds), many)
        finally:
            torch.set_num_threads(before)
        whole = way(seeds[:60])
        parts = [way(part) for part in seeds[:60].split(7)]
        assert torch.equal(torch.cat([part.node for part in parts]), whole.node)
        assert torch.equal(torch.cat([part.edge for part in parts]), whole.edge)
        assert torch.equal(whole.batch.bincount(minlength=60), whole.ptr.diff())


@needs_cpp
def test_without_the_tier_and_with_read_only_files(tmp_path):
    csr = CSR.from_edges(random_edges(), 60)
    stored = {}
    for field in ("ptr", "neighbour", "edge"):
        values = getattr(csr, field)
        (tmp_path / field).write_bytes(values.numpy().tobytes())
        stored[field] = torch.from_file(str(tmp_path / field), size=values.numel(), dtype=values.dtype)
        (tmp_path / field).chmod(0o400)
    mapped, seeds = CSR(**stored), torch.arange(60)
    with backend.use("subgraphs=torch,random_walks=torch"):
        plain = walk_subgraphs(mapped, seeds, 20, restart=0.3)
    assert same(walk_subgraphs(mapped, seeds, 20, restart=0.3), plain)
    assert same(walk_subgraphs(csr, seeds, 20, restart=0.3), plain)


def test_errors():
    csr, node = CSR.from_edges(random_edges(), 60), torch.tensor([1, 2, 1])
    for way in ("torch", "cpp") if TIERS[1:] else ("torch",):
        with backend.use(way), pytest.raises(InvalidGraphError, match="twice"):
            induced_subgraphs(csr, node, torch.tensor([0, 3]))
    for ptr in ([0, 2], [1, 3], [0, 3, 2, 3], []):
        with pytest.raises(InvalidGraphError, match="ascend"):
            induced_subgraphs(csr, node, torch.tensor(ptr, dtype=torch.long))
    with pytest.raises(InvalidGraphError):
        trace_subgraphs(csr, node)
    for options in ({"hops": -1}, {"hops": 1.5}, {"hops": 1, "max_nodes": 0}, {"hops": 1, "max_nodes": 2.5}):
        with pytest.raises(ConfigurationError):
            ego_nets(csr, node, **options)
    for wrong in (
        lambda graph: induced_subgraphs(graph, node, torch.tensor([0, 3])),
        lambda graph: trace_subgraphs(graph, node[None]),
        lambda graph: walk_subgraphs(graph, node, 3, restart=0.5),
        lambda graph: ego_nets(graph, node, 1),
    ):
        with pytest.raises(InvalidGraphError, match="expected a CSR, got Data"):
            wrong(Data())
    with pytest.raises(InvalidGraphError, match="ptr as a tensor"):
        induced_subgraphs(csr, node, [0, 3])
    with pytest.raises(InvalidGraphError, match="trace as a tensor"):
        trace_subgraphs(csr, [[1, 2]])


def test_ops_are_registered():
    csr, seeds = CSR.from_edges(random_edges(), 60), torch.arange(5)
    ops, graph = torch.ops.graphssl, (csr.ptr, csr.neighbour)
    torch.library.opcheck(ops.list_subgraphs.default, (*graph, csr.edge, seeds, torch.tensor([0, 2, 5]), False))
    torch.library.opcheck(ops.walk_subgraphs.default, (*graph, None, csr.edge, seeds, seeds, 5, 0.5, False))
    torch.library.opcheck(ops.ego_nets.default, (*graph, None, seeds, seeds, 2, 9, False))
