"""Every registered sampler and every loader passes the public contract suites, and these find mistakes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from graphssl.data import write_graph
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.registry import SAMPLERS
from graphssl.samplers import (
    ClusterLoader,
    EgoNets,
    NeighborLoader,
    RandomWalks,
    RandomWalkSubgraphs,
    SeedLoader,
    WalkLoader,
    negative_edges,
)
from graphssl.testing import check_loader, check_sampler
from graphssl.testing.samplers import example_inputs
from graphssl.testing.views import assert_same

needs_cpp = pytest.mark.skipif(bool(native.why_missing()), reason=f"C++ kernels: {native.why_missing()}")
every_tier = pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=needs_cpp)])


@every_tier
@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in SAMPLERS])
def test_registered_samplers(entry, tier):
    with backend.use(tier):
        check_sampler(lambda data: entry.obj(data, **entry.info["example"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda data: EgoNets(data, 3),
        lambda data: EgoNets(data, 0),
        lambda data: EgoNets(data, 2, max_nodes=3),
        lambda data: RandomWalkSubgraphs(data, 0),
        lambda data: RandomWalkSubgraphs(data, 40, 0.1),
        lambda data: RandomWalkSubgraphs(data, 8, 0.5, weight_attr=None),
    ],
)
def test_samplers_with_other_options(make):
    check_sampler(make)


@every_tier
def test_samplers_give_the_same_in_every_tier(tier):
    data = example_inputs()["a graph with loops, duplicates and isolated nodes"]
    sampler = RandomWalkSubgraphs(data, 12, 0.3)
    with backend.use("torch"):
        expected = sampler.sample(torch.arange(9), seed=3)
    with backend.use(tier):
        assert_same(tier, sampler.sample(torch.arange(9), seed=3), expected)


def test_without_attributes_the_topology_alone():
    data = example_inputs()["a directed graph"]
    for make in (lambda **kw: EgoNets(data, 2, **kw), lambda **kw: RandomWalkSubgraphs(data, 9, **kw)):
        full, bare = make().sample(torch.arange(6)), make(attributes=False).sample(torch.arange(6))
        assert set(bare.keys()) == {"edge_index", "n_id", "e_id", "batch", "ptr", "num_nodes"}
        for key in ("edge_index", "n_id", "e_id", "batch", "ptr"):
            assert torch.equal(bare[key], full[key])
        for part, whole in zip(bare.to_data_list(), full.to_data_list(), strict=True):
            assert part.num_nodes == whole.num_nodes
            assert torch.equal(part.edge_index, whole.edge_index)


def test_batches_come_apart_with_arrays_and_lists():
    data = example_inputs()["a directed graph"]
    nodes, edges = data.num_nodes, data.num_edges
    data.width, data.name = np.arange(nodes) / 2, [f"node {i}" for i in range(nodes)]
    data.kind, data.edge_kind = np.array(data.name), tuple(range(edges))
    data.edge_size = np.arange(edges)
    for sampler in (EgoNets(data, 1), RandomWalkSubgraphs(data, 9)):
        batch = sampler.sample(torch.tensor([3, 0, 5]))
        assert torch.equal(batch.width, batch.n_id.double() / 2)
        for part in batch.to_data_list():
            assert torch.equal(part.width, part.n_id.double() / 2)
            assert part.name == list(part.kind) == [f"node {i}" for i in part.n_id.tolist()]
            assert torch.equal(part.edge_size, part.e_id)
            assert list(part.edge_kind) == part.e_id.tolist()


def test_samplers_read_graphs_on_disk(tmp_path):
    data = example_inputs()["a directed graph"]
    data.train_mask = data.node_label = data.edge_attr = None
    disk = write_graph(tmp_path / "g", data)
    for name in SAMPLERS.names():
        entry = SAMPLERS.get(name)
        here, there = (entry.obj(d, **entry.info["example"]).sample(torch.arange(6), seed=1) for d in (data, disk))
        for key in ("n_id", "edge_index", "ptr", "x", "edge_weight"):
            assert torch.equal(here[key], there[key]), (name, key)
        assert isinstance(there, Batch)


def test_walks_start_at_their_seeds_and_follow_edges():
    data = example_inputs()["a directed graph"]
    walks = RandomWalks(data, 5, p=0.5, q=2.0).sample(torch.tensor([0, 3, 0]), seed=2)
    assert walks.shape == (3, 6)
    assert walks[:, 0].tolist() == [0, 3, 0]
    edges = {tuple(pair) for pair in data.edge_index.t().tolist()}
    assert all((a, b) in edges for walk in walks for a, b in pairwise(walk.tolist()))


def test_seeds_may_be_a_list_or_an_array():
    data = example_inputs()["a directed graph"]
    walks = RandomWalks(data, 5)
    assert torch.equal(walks.sample([3, 0]), walks.sample(torch.tensor([3, 0])))
    for sampler in (EgoNets(data, 1), RandomWalkSubgraphs(data, 5.0)):
        expected = sampler.sample(torch.tensor([3, 0]))
        for seeds in ([3, 0], np.array([3, 0])):
            assert_same("seeds", sampler.sample(seeds), expected)
        assert len(sampler.sample([])) == 0
        with pytest.raises(InvalidGraphError, match="integers"):
            sampler.sample(["a"])


def test_streams_may_be_a_list_or_an_array():
    data = example_inputs()["a directed graph"]
    for sampler in (EgoNets(data, 2, max_nodes=3), RandomWalkSubgraphs(data, 5)):
        expected = sampler.sample([3, 0], streams=torch.tensor([7, 8]))
        for streams in ([7, 8], np.array([7, 8])):
            assert_same("streams", sampler.sample([3, 0], streams=streams), expected)
        for streams in ([7.0, 8.0], [7], [True, False]):
            with pytest.raises(InvalidGraphError, match="streams as integers"):
                sampler.sample([3, 0], streams=streams)


EVERY = {
    "neighbours": lambda data, **seed: NeighborLoader(data, [2], **seed),
    "clusters": lambda data, **seed: ClusterLoader(data, 1, **seed),
    "seeds": lambda data, **seed: SeedLoader(data, lambda *args: None, batch_size=2, **seed),
    "walk batches": lambda data, **seed: WalkLoader(data, **seed),
    "walks": lambda data, **seed: RandomWalks(data, 3).sample([0, 1], **seed),
    "subgraphs": lambda data, **seed: RandomWalkSubgraphs(data, 3).sample([0, 1], **seed),
    "ego nets": lambda data, **seed: EgoNets(data).sample([0, 1], **seed),
    "negative edges": lambda data, **seed: negative_edges(data, 3, **seed),
}
every_sampler = pytest.mark.parametrize("name", EVERY)
NO_SEEDS = [0.5, float("nan"), None, "3", True, [1], torch.tensor(0.5), torch.tensor([1, 2])]


@every_sampler
@pytest.mark.parametrize("seed", NO_SEEDS, ids=repr)
def test_seeds_are_whole_numbers(name, seed):
    with pytest.raises(ConfigurationError, match="expected seed as a whole number"):
        EVERY[name](example_inputs()["a directed graph"], seed=seed)


@every_sampler
@pytest.mark.parametrize("seed", [-1, 2**70, 3.0, np.int64(3), torch.tensor(3)], ids=repr)
def test_any_whole_number_is_a_seed(name, seed):
    found, expected = (EVERY[name](example_inputs()["a directed graph"], seed=number) for number in (seed, int(seed)))
    if hasattr(found, "epoch"):  # a loader
        assert found.seed == expected.seed == int(seed)
    else:
        found, expected = (made if isinstance(made, torch.Tensor) else made.n_id for made in (found, expected))
        assert torch.equal(found, expected)


EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])
X = torch.ones(3, 2)


@every_sampler
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(x=X, edge_index=EDGES.numpy()), "edge_index as a tensor, got ndarray"),
        (Data(x=X, edge_index=EDGES.tolist()), "edge_index as a tensor, got list"),
        (Data(edge_index=EDGES.numpy()), "edge_index as a tensor, got ndarray"),
        (Data(x=X.numpy(), edge_index=EDGES), "x as a tensor, got ndarray"),
        (Data(x=X, edge_index=EDGES, edge_weight=np.ones(3)), "edge_weight as a tensor, got ndarray"),
        (Data(x=X, edge_index=EDGES.T), "transpose"),
        (Data(x=X, edge_index=EDGES.int()), "edge_index.long()"),
        (Data(x=X, adj_t=torch.eye(3).to_sparse()), "to_edge_index"),
        ((X.numpy(), EDGES.numpy()), "got tuple; .*to_graphs"),
        ((Data(x=X, edge_index=EDGES.numpy()),) * 2, "edges as a tensor, got ndarray"),
        ((Data(x=X.numpy(), edge_index=EDGES),) * 2, "x as a tensor, got ndarray"),
    ],
)
def test_graphs_of_another_form_are_named(name, data, message):
    with pytest.raises(InvalidGraphError, match=message):
        EVERY[name](data)


def neighbours(**options):
    return lambda data, **settings: NeighborLoader(data, [2, 2], **options, **settings)


def clusters(data, **settings):
    return ClusterLoader(data, parts=torch.arange(data.num_nodes) // 2 * 3, **settings)  # parts 1, 2, 4, ... are empty


@every_tier
@pytest.mark.parametrize("options", [{}, {"replace": True}, {"subgraph_type": "induced"}, {"disjoint": True}], ids=str)
def test_neighbor_loader(options, tier):
    with backend.use(tier):
        check_loader(neighbours(**options), inputs=lambda batch: batch.input_id)


def test_cluster_loader():
    check_loader(clusters, inputs=lambda batch: batch.n_id)


def test_seed_loader_reads_one_graph_or_several_in_any_form(tmp_path):
    data = example_inputs()["a directed graph"]
    disk = write_graph(tmp_path / "g", data)

    def seeds(graphs):
        loader = SeedLoader(graphs, lambda csr, seeds, streams, key: (csr.num_nodes, seeds.tolist()), batch_size=2)
        return list(loader.epoch(1))

    assert seeds(data) == seeds(disk) == seeds((data, data)) == seeds([disk])
    assert [nodes for nodes, _ in seeds([data, disk])] == [12] * 6


def test_seed_loader_draws_by_degree_and_leaves_out_a_last_one():
    star = example_inputs()["a directed graph"]
    star.edge_index = torch.tensor([[0, 0, 0, 0], [1, 2, 3, 4]])  # degrees 4, 1, 1, 1, 1, 0
    drawn = []
    loader = SeedLoader(star, lambda csr, seeds, streams, key: seeds, batch_size=6, power=1.0)
    for number in range(500):
        drawn += torch.cat(list(loader.epoch(number))).tolist()
    share = torch.bincount(torch.tensor(drawn), minlength=6) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([4, 1, 1, 1, 1, 0]) / 8, atol=5 * 0.5 / 3000**0.5, rtol=0)
    assert len(SeedLoader(star, lambda *_: None, batch_size=5)) == 1
    with pytest.raises(InvalidGraphError, match="empty list"):
        SeedLoader([], lambda *_: None, batch_size=2)
    star.edge_index = torch.tensor([[0], [1]])  # all degrees 1, whose powers are 1
    with pytest.raises(ConfigurationError, match="power"):
        SeedLoader(star, lambda *_: None, batch_size=2, power=float("nan"))
    star.edge_index = star.edge_index[:, :0]
    with pytest.raises(InvalidGraphError, match="with edges"):
        SeedLoader(star, lambda *_: None, batch_size=2)


@pytest.mark.gpu
def test_pinned_batches():
    data = example_inputs()["a directed graph"]
    for make in (neighbours(), clusters):
        batch = next(iter(make(data, batch_size=2, pin_memory=True)))
        assert batch.x.is_pinned()
        assert batch.edge_index.is_pinned()


@pytest.mark.parametrize(
    "settings", [{"batch_size": 0}, {"prefetch": -1}, {"workers": 0}, {"seed": 0.5}, {"seed": 1j}, {"seed": None}]
)
def test_bad_settings_are_named(settings):
    data = example_inputs()["a directed graph"]
    for make in (neighbours(), clusters):
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            make(data, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: EgoNets(d, -1), "hops >= 0"),
        (lambda d: EgoNets(d, 1, max_nodes=0), "max_nodes >= 1"),
        (lambda d: RandomWalkSubgraphs(d, -1), "walk_length"),
        (lambda d: RandomWalkSubgraphs(d, 3, 1.5), "restart_prob"),
        (lambda d: RandomWalks(d, 0), "walk_length >= 1"),
        (lambda d: RandomWalks(d, 3, q=0.0), "q > 0"),
        (lambda d: RandomWalks(d, 2.5), "walk_length >= 1 as a whole number, got 2.5"),
        (lambda d: RandomWalkSubgraphs(d, 2.5), "walk_length"),
        (lambda d: EgoNets(d, 1, max_nodes=2.5), "max_nodes"),
        (lambda d: SeedLoader(d, None, batch_size=0), "batch_size"),
        (lambda d: SeedLoader(d, None, batch_size=2, power=1e5), "power"),
    ],
)
def test_bad_options_are_named(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(example_inputs()["a directed graph"])


class Wrong:
    """An ego net sampler with a mistake put into its batch, or made while sampling."""

    def __init__(self, data, mistake):
        self.right, self.mistake, self.data = EgoNets(data, 1), mistake, data

    def sample(self, seeds, seed=0, *, streams=None):
        batch = self.right.sample(seeds, seed, streams=streams)
        self.mistake(batch, self.data, seeds)
        return batch


def loses_an_edge(batch, data, seeds):
    batch.e_id = batch.e_id.roll(1)


def writes_to_the_graph(batch, data, seeds):
    data.x.mul_(1.0)


def uses_the_default_stream(batch, data, seeds):
    torch.rand(1)


def depends_on_the_batch(batch, data, seeds):
    batch.extra = torch.full((batch.num_nodes,), seeds.numel())
    batch._slice_dict["extra"], batch._inc_dict["extra"] = batch._slice_dict["n_id"], batch._inc_dict["n_id"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (loses_an_edge, "has edges|do not fit"),
        (writes_to_the_graph, "in place"),
        (uses_the_default_stream, "default random stream"),
        (depends_on_the_batch, "depends on the other seeds"),
    ],
)
def test_the_suite_finds_mistakes_of_samplers(mistake, message):
    with pytest.raises(AssertionError, match=message):
        check_sampler(lambda data: Wrong(data, mistake))


class Forgets(NeighborLoader):
    def make(self, items, key):
        return super().make(items[1:] if items.numel() > 1 else items, key)


class Counts(NeighborLoader):
    calls = 0

    def make(self, items, key):
        self.calls += 1
        return super().make(items, key + self.calls)


@pytest.mark.parametrize(("kind", "message"), [(Forgets, "not each input once"), (Counts, "other batches|epoch")])
def test_the_suite_finds_mistakes_of_loaders(kind, message):
    with pytest.raises(AssertionError, match=message):
        check_loader(lambda data, **settings: kind(data, [1], **settings), inputs=lambda batch: batch.input_id)
