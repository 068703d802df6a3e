"""DeepWalk and node2vec: their loss, their batches, their table, and what they learn."""

import math
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from torch_geometric.data import Data

import graphssl
from graphssl.data import planted_communities, write_graph
from graphssl.encoders import Table
from graphssl.errors import ConfigurationError, InvalidGraphError, NotInductiveError
from graphssl.method import create_method
from graphssl.ops import backend
from graphssl.pairs import within_window
from graphssl.samplers import WalkBatch, WalkLoader
from graphssl.testing.methods import example_graph
from graphssl.training import fit, train

BOTH = ("deepwalk", "node2vec")


def graph(edges: list[tuple[int, int]], num_nodes: int, **attributes) -> Data:
    ends = torch.tensor(edges, dtype=torch.long).view(-1, 2)
    return Data(edge_index=ends.t(), num_nodes=num_nodes, **attributes)


def equal(a: WalkBatch, b: WalkBatch) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("walks", "lengths", "negatives"))


def test_pairs_of_a_window_by_their_definition() -> None:
    lengths, size, window, negatives = [5, 3, 1], 5, 2, 2
    pairs = within_window(torch.tensor(lengths), size, window=window, negatives=negatives)
    assert pairs.shape == (len(lengths) * size, size + negatives)
    for walk, i, c in product(range(len(lengths)), range(size), range(size + negatives)):
        there = i < lengths[walk]
        near = c < size and there and c < lengths[walk] and 0 < abs(i - c) <= window
        assert pairs.positive[walk * size + i, c] == near
        assert pairs.negative[walk * size + i, c] == (c >= size and there)


@pytest.mark.parametrize("change", [{"size": 0}, {"window": 0}, {"negatives": 0}])
def test_pairs_of_a_window_need_numbers_above_0(change: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        within_window(torch.tensor([1]), **{"size": 2, "window": 1, "negatives": 1, **change})


@pytest.mark.parametrize("name", BOTH)
def test_loss_equals_loops_over_walks(name: str) -> None:
    method = create_method(name, example_graph(), out_channels=4, window=2, seed=0).double()
    u, v = (table.weight.detach().normal_(generator=torch.Generator().manual_seed(i)) for i, table in
            enumerate((method.encoder, method.context)))  # fmt: skip
    walks = torch.tensor([[0, 1, 2, 1, 3], [5, 4, 4, 4, 4]])
    negatives = torch.arange(2 * 5 * 3).view(2, 5, 3) % 11
    lengths = [5, 2]
    terms = []
    for walk, length in enumerate(lengths):
        for i, j in product(range(length), repeat=2):
            if 0 < abs(i - j) <= 2:
                a, b = int(walks[walk, i]), int(walks[walk, j])
                term = math.log(1 / (1 + math.exp(-float(u[a] @ v[b]))))
                for n in negatives[walk, i].tolist():
                    term += math.log(1 / (1 + math.exp(float(u[a] @ v[n]))))
                terms.append(term)
    loss = method.loss(WalkBatch(walks, torch.tensor(lengths), negatives))
    assert loss.item() == pytest.approx(-sum(terms) / len(terms), rel=1e-12)


def test_an_epoch_starts_as_many_walks_at_every_node_with_edges() -> None:
    data = example_graph(isolated=3)
    loader = WalkLoader(data, walk_length=4, walks_per_node=3, negatives=2, batch_size=10, seed=1)
    starts = torch.cat([batch.walks[:, 0] for batch in loader])
    assert len(loader) == 7
    assert torch.equal(starts.sort().values, data.edge_index[0].unique().repeat_interleave(3))
    assert not torch.equal(starts, torch.cat([batch.walks[:, 0] for batch in loader]))  # the next epoch


def test_walks_follow_edges_and_end_where_none_leaves() -> None:
    data = graph([(0, 1), (1, 2), (3, 3), (3, 1)], 5)
    edges = set(map(tuple, data.edge_index.t().tolist()))
    loader = WalkLoader(data, walk_length=6, walks_per_node=20, negatives=1, batch_size=200)
    (batch,) = loader
    assert set(batch.walks[:, 0].tolist()) == {0, 1, 3}
    for walk, length in zip(batch.walks.tolist(), batch.lengths.tolist(), strict=True):
        assert all(move in edges for move in pairwise(walk[:length]))
        assert set(walk[length - 1 :]) == {2} or length == 7  # 2 is the only end
    assert not (batch.negatives == 4).any()  # it has no edge


def test_negatives_have_odds_of_degree_to_three_quarters() -> None:
    data = graph([(0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (3, 0), (2, 3), (3, 2)], 5)
    loader = WalkLoader(data, walk_length=9, walks_per_node=100, negatives=5, batch_size=400)
    (batch,) = loader
    odds = np.array([3, 1, 2, 2, 0]) ** 0.75
    seen = torch.bincount(batch.negatives.flatten(), minlength=5).numpy()
    assert seen[4] == 0
    assert chisquare(seen[:4], seen.sum() * odds[:4] / odds.sum()).pvalue > 1e-3


def test_node2vec_reads_weights_and_deepwalk_does_not() -> None:
    data = graph([(0, 1), (1, 0), (0, 2), (2, 0)], 3, edge_weight=torch.tensor([1.0, 1.0, 0.0, 0.0]))
    walks = {}
    for name in BOTH:
        loader = create_method(name, data, walk_length=8, walks_per_node=30).batches(data, batch_size=90, seed=0)
        walks[name] = torch.cat([batch.walks for batch in loader])
    assert set(walks["node2vec"].unique().tolist()) == {0, 1}
    assert set(walks["deepwalk"].unique().tolist()) == {0, 1, 2}


def test_node2vec_reads_the_weights_of_a_graph_on_disk(tmp_path: Path) -> None:
    data = graphssl.load_dataset("karate").clone()
    data.edge_weight = 1.0 + (data.edge_index[0] * data.edge_index[1] % 7).float()  # the same both ways
    weighted = write_graph(tmp_path / "weighted", data)

    def embedding(name: str, graph: object) -> np.ndarray:
        return graphssl.Embedder(name, max_steps=3, batch_size=32, out_channels=8, device="cpu").fit_transform(graph)

    assert np.array_equal(embedding("node2vec", weighted), embedding("node2vec", data))
    data.edge_weight = None
    plain = embedding("node2vec", data)
    assert not np.array_equal(embedding("node2vec", weighted), plain)
    assert np.array_equal(embedding("deepwalk", weighted), embedding("deepwalk", data))


def test_p_and_q_reach_the_walks() -> None:
    ring = [(i, (i + d) % 12) for i in range(12) for d in (1, 11)]

    def returns(p: float, q: float) -> float:
        data = graph(ring, 12)
        loader = create_method("node2vec", data, walk_length=20, p=p, q=q).batches(data, batch_size=120, seed=0)
        (batch,) = loader
        return float((batch.walks[:, 2:] == batch.walks[:, :-2]).float().mean())

    for p, q in ((1, 1), (0.25, 1), (4, 1), (1, 0.5)):
        assert returns(p, q) == pytest.approx((1 / p) / (1 / p + 1 / q), abs=0.04)  # no triangles on a ring


def test_batches_are_the_same_again_from_any_batch_on_and_in_both_tiers() -> None:
    data = example_graph(60, isolated=0)
    loader = WalkLoader(data, walk_length=5, walks_per_node=2, negatives=3, p=0.5, q=2.0, batch_size=16, seed=3)
    whole = list(loader.epoch(4))
    assert all(map(equal, whole[3:], loader.epoch(4, start=3)))
    with backend.use("torch"):
        plain = WalkLoader(
            data, walk_length=5, walks_per_node=2, negatives=3, p=0.5, q=2.0, batch_size=16, seed=3, prefetch=0
        )
        assert all(map(equal, whole, plain.epoch(4)))


@pytest.mark.parametrize("name", BOTH)
def test_a_resumed_run_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    data, options = example_graph(), dict(out_channels=4, walk_length=5, walks_per_node=2)

    class StopError(Exception):
        pass

    def stop(step: int, loss: float) -> None:
        if step == 5:
            raise StopError

    def run(**settings) -> torch.Tensor:
        method = create_method(name, data, seed=0, **options)
        train(method, data, steps=9, lr=1e-2, batch_size=8, seed=0, device="cpu", **settings)
        return method.embed(data)

    path = tmp_path / "run.pt"
    with pytest.raises(StopError):
        run(checkpoint=path, checkpoint_every=2, on_step=stop)
    assert torch.equal(run(checkpoint=path, checkpoint_every=2), run())


def test_no_edges_no_walks() -> None:
    for data in (graph([], 4), graph([(0, 1)], 2, edge_weight=torch.zeros(1))):
        with pytest.raises(InvalidGraphError, match="edges"):
            train(create_method("node2vec", data), data, steps=1, device="cpu")


@pytest.mark.parametrize("option", ["walk_length", "walks_per_node", "negatives", "window", "out_channels"])
def test_numbers_are_at_least_1(option: str) -> None:
    data = example_graph()
    with pytest.raises(ConfigurationError, match=option):
        create_method("deepwalk", data, **{option: 0}).batches(data, batch_size=None, seed=0)


def test_a_table_gives_the_rows_of_its_graph_and_of_batches_of_its_nodes() -> None:
    table = Table(6, 3)
    assert table.weight.abs().max() <= 1 / 6
    assert not Table(6, 3, zero=True).weight.any()
    whole = table(graph([(0, 1)], 6))
    assert torch.equal(whole, table.weight)
    assert whole.data_ptr() != table.weight.data_ptr()
    n_id = torch.tensor([4, 0, 5])
    assert torch.equal(table(Data(n_id=n_id)), table.weight[n_id])
    assert torch.equal(table(Data(n_id=n_id, batch_size=2)), table.weight[n_id[:2]])
    with pytest.raises(NotInductiveError, match="6 nodes"):
        table(graph([(0, 1)], 7))


@pytest.mark.parametrize("name", BOTH)
def test_graphs_on_disk_without_features(name: str, tmp_path: Path) -> None:
    data = example_graph()
    data.x = None
    disk = write_graph(tmp_path / "g", data)
    here, there = (graphssl.Embedder(name, out_channels=8, walk_length=6, max_steps=3).fit_transform(d)
                   for d in (data, disk))  # fmt: skip
    assert np.array_equal(here, there)


@pytest.mark.parametrize("name", BOTH)
def test_embedder(name: str, tmp_path: Path) -> None:
    data = graphssl.load_dataset("karate")
    embedder = graphssl.Embedder(name, out_channels=8, walk_length=6, max_steps=3)
    z = embedder.fit_transform(data)
    assert z.shape == (34, 8)
    with pytest.raises(NotInductiveError, match="fit_transform"):
        embedder.transform(data)
    embedder.save_pretrained(tmp_path / "saved")
    restored = graphssl.Embedder.from_pretrained(tmp_path / "saved")
    assert np.array_equal(restored.method_.embed(data).detach().numpy(), z)


@pytest.mark.parametrize("name", BOTH)
def test_training_finds_communities_that_an_untrained_table_does_not_know(name: str) -> None:
    data = planted_communities(200, 4, num_features=2, signal=0.0, average_degree=8, seed=0)
    options = dict(out_channels=16, walk_length=20, window=5)

    def accuracy(steps: int) -> float:
        found = fit(name, data, options=options, max_steps=steps, batch_size=64, seed=0, device="cpu").embed()
        return cross_val_score(KNeighborsClassifier(10), found, data.y.numpy(), cv=3).mean()

    assert accuracy(0) < 0.4
    assert accuracy(200) > 0.9
