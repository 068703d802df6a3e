"""One graph trained on in batches of nodes, embedded in blocks, in every form it comes in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch_geometric.data import Data
from torch_geometric.nn import GCN
from torch_geometric.testing import MyFeatureStore, MyGraphStore

import graphssl
from graphssl.data import planted_communities, write_graph
from graphssl.errors import ConfigurationError, InvalidGraphError, UnknownNameError
from graphssl.training import embed_data, fit, train
from graphssl.training.batches import node_batches

# All but those that draw subgraphs or walks of their own.
METHODS = [name for name in graphssl.list_methods(level="node") if name not in ("gcc", "deepwalk", "node2vec")]
SMALL = {"hidden_channels": 8}


@pytest.fixture(scope="module")
def communities() -> Data:
    """Four communities; features are so noisy and many that a random projection loses most of them."""
    return planted_communities(400, 4, num_features=200, signal=0.8, average_degree=8, seed=0)


@pytest.fixture(scope="module")
def small() -> Data:
    return planted_communities(61, 3, num_features=6, seed=0)


def stores(data: Data) -> tuple[MyFeatureStore, MyGraphStore]:
    features, edges = MyFeatureStore(), MyGraphStore()
    for name in ("x", "y", "train_mask"):
        features.put_tensor(data[name], group_name=None, attr_name=name, index=None)
    edges.put_edge_index(data.edge_index, edge_type=None, layout="coo", size=(data.num_nodes, data.num_nodes))
    return features, edges


def accuracy(embedding: np.ndarray, labels: np.ndarray) -> float:
    scaled = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
    return float(cross_val_score(LogisticRegression(max_iter=300), scaled, labels, cv=3).mean())


@pytest.mark.parametrize("name", METHODS)
def test_training_beats_the_untrained_encoder(name, communities):
    labels = communities.y.numpy()

    def mean_accuracy(max_steps: int) -> float:
        settings = dict(options={"hidden_channels": 16}, batch_size=200, training={"lr": 5e-3, "patience": None})
        runs = (fit(name, communities, max_steps=max_steps, seed=s, device="cpu", **settings) for s in (0, 1))
        return float(np.mean([accuracy(run.embed(), labels) for run in runs]))

    steps = 100 if name in ("dgi", "ggd") else 30  # telling real from corrupt nodes takes longer
    assert mean_accuracy(steps) > mean_accuracy(0) + 0.05


class KilledError(Exception):
    pass


def run(name, data, path=None, stop_at=None, **settings):
    method = graphssl.create_method(name, data, seed=4, **SMALL)

    def on_step(step: int, loss: float) -> None:
        if step == stop_at:
            raise KilledError

    settings = dict(steps=11, lr=1e-2, checkpoint_every=2, batch_size=16, patience=50) | settings
    return method, train(method, data, seed=4, device="cpu", checkpoint=path, on_step=on_step, **settings)


@pytest.mark.parametrize("name", ["grace", "bgrl", "ggd"])
@pytest.mark.parametrize("stop_at", [1, 3, 4, 7])  # an epoch has 4 batches
def test_resumed_in_the_middle_of_an_epoch_equals_uninterrupted(name, stop_at, small, tmp_path):
    whole, history = run(name, small)
    with pytest.raises(KilledError):
        run(name, small, tmp_path / "c", stop_at)
    resumed, resumed_history = run(name, small, tmp_path / "c")
    assert resumed_history.loss == history.loss
    assert resumed_history.effective_rank == history.effective_rank
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_checkpoint_with_other_neighbours_or_batches_is_refused(small, tmp_path):
    run("grace", small, tmp_path / "c")
    for change in ({"num_neighbors": [3, 3]}, {"batch_size": 15}):
        with pytest.raises(ConfigurationError, match="other settings"):
            run("grace", small, tmp_path / "c", **change)


class Watcher(graphssl.Method):
    """Keeps what it is given."""

    def __init__(self, hops: int = 2) -> None:
        super().__init__()
        self.encoder = graphssl.encoders.build_encoder("gcn", 6, hidden_channels=4, num_layers=hops)
        self.seen: list[Data] = []

    def loss(self, batch):
        self.seen.append(batch)
        return self.encoder(batch).pow(2).sum()

    def embed(self, batch):
        return self.encoder(batch)


def test_epochs_visit_every_node_once_but_a_lone_last_one(small):
    method = Watcher()
    history = train(method, small, epochs=3, batch_size=15, device="cpu")  # 61 = 4 * 15 + 1
    assert history.steps == 12
    orders = []
    for epoch in range(3):
        seen = [batch.n_id[: batch.batch_size] for batch in method.seen[4 * epoch : 4 * epoch + 4]]
        assert [seeds.numel() for seeds in seen] == [15] * 4
        orders.append(torch.cat(seen).tolist())
        assert len(set(orders[-1])) == 60
    assert len({tuple(order) for order in orders}) == 3
    method = Watcher()
    train(method, small, epochs=1, batch_size=59, device="cpu")
    assert [batch.batch_size for batch in method.seen] == [59, 2]


def test_a_graph_smaller_than_a_batch_is_one(small):
    for batch_size in (61, 1000):
        method = Watcher()
        train(method, small, epochs=2, batch_size=batch_size, device="cpu")
        assert [batch.batch_size for batch in method.seen] == [61, 61]


def test_hops_are_those_of_the_deepest_encoder(small):
    for hops in (1, 3):
        assert (
            node_batches(small, method=Watcher(hops), batch_size=8, num_neighbors=None, seed=0).num_neighbors
            == [10] * hops
        )
    method = Watcher()
    train(method, small, steps=1, batch_size=8, num_neighbors=[4, 3, 2], device="cpu")
    assert len(method.seen[0].num_sampled_nodes) == 4
    mlp = graphssl.create_method("grace", small, encoder="mlp", **SMALL)
    train(mlp, small, steps=2, batch_size=8, device="cpu")
    external = graphssl.create_method("dgi", small, encoder=GCN(6, 8, num_layers=2))
    loader = node_batches(small, method=external, batch_size=8, num_neighbors=None, seed=0)
    assert loader.num_neighbors == [10, 10]  # of a module of PyG's: as many as it has layers that pass messages
    train(external, small, steps=2, batch_size=8, num_neighbors=[5, 5], device="cpu")
    with pytest.raises(ConfigurationError, match="without batch_size"):
        embed_data(external, small, batch_size=8, device="cpu")
    assert embed_data(external, small, device="cpu").shape == (61, 8)


def test_labels_of_no_kind_of_graph_reach_the_method(small, tmp_path):
    disk = write_graph(tmp_path / "g", small)
    for data in (small, disk, (disk, disk), stores(small)):
        method = Watcher()
        train(method, data, steps=2, batch_size=16, device="cpu")
        for batch in method.seen:
            assert not {"y", "train_mask", "val_mask"} & set(batch.keys())
    assert "y" in small


def test_every_form_of_a_graph_trains_alike(small, tmp_path):
    disk = write_graph(tmp_path / "g", small, undirected=True)
    losses, embeddings = [], []
    for data in (small, disk, (disk, disk), stores(small)):
        fitted = fit("grace", data, options=SMALL, max_steps=6, batch_size=16, device="cpu")
        losses.append(fitted.history.loss)
        embeddings += [fitted.embed(), fitted.embed(data)]
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=1e-4)
    for other in embeddings[1:]:
        np.testing.assert_allclose(other, embeddings[0], atol=1e-4, rtol=1e-3)


def test_embedder(small, tmp_path):
    disk = write_graph(tmp_path / "g", small, undirected=True)
    given = {"data": small, "disk": disk, "pair": (disk, disk), "stores": stores(small)}
    results = {}
    for kind, graph in given.items():
        embedder = graphssl.Embedder("bgrl", batch_size=16, max_steps=5, device="cpu", **SMALL)
        results[kind] = embedder.fit_transform(graph)
        assert results[kind].shape == (61, 8)
        assert results[kind].dtype == np.float32
        assert np.array_equal(results[kind], graphssl.Embedder.fit_transform(embedder, graph)), kind
        np.testing.assert_allclose(embedder.transform(graph), results[kind], atol=1e-6)
        np.testing.assert_allclose(embedder.transform(small), results[kind], atol=1e-5)
        embedder.save_pretrained(tmp_path / kind)
        loaded = graphssl.Embedder.from_pretrained(tmp_path / kind, device="cpu")
        np.testing.assert_allclose(loaded.transform(graph), results[kind], atol=1e-6)
        assert (embedder.n_features_in_, embedder._n_features_out) == (6, 8)
    for kind, result in results.items():
        np.testing.assert_allclose(result, results["data"], atol=1e-4, err_msg=kind)


@pytest.mark.parametrize("name", METHODS)
def test_embedding_in_blocks_equals_the_whole(name, small):
    fitted = fit(name, small, options=SMALL, max_steps=2, batch_size=16, device="cpu")
    method = fitted.method
    whole = embed_data(method, small, device="cpu")
    for settings in ({"batch_size": 16}, {"memory_bytes": 1}, {"memory_bytes": 3000}):
        torch.testing.assert_close(embed_data(method, small, device="cpu", **settings), whole, atol=1e-5, rtol=1e-4)
    assert not method.training
    with pytest.raises(ConfigurationError, match="memory_bytes"):
        embed_data(method, small, device="cpu", memory_bytes=0)


def test_the_default_stream_is_left_alone_and_seeds_decide(small):
    state = torch.get_rng_state()
    runs = [fit("grace", small, options=SMALL, max_steps=5, batch_size=16, seed=s, device="cpu") for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert runs[0].history.loss == runs[1].history.loss != runs[2].history.loss


class Refusing(graphssl.Method):
    """Its encoder is any; nothing of it may be used."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def loss(self, batch):
        raise AssertionError("training began")


def encoders_of_whole_graphs():
    yield "norm='graph'", graphssl.encoders.build_encoder("gcn", 6, hidden_channels=8, norm="graph")
    yield "GCN cannot be taken apart", graphssl.encoders.as_encoder(GCN(6, 8, num_layers=2))


def test_training_that_could_not_be_embedded_is_refused_before_it_starts(small, tmp_path):
    disk = write_graph(tmp_path / "g", small)
    settings = dict(steps=1, batch_size=16, num_neighbors=[3, 3], device="cpu")
    for reason, encoder in encoders_of_whole_graphs():
        given = "(a graph on disk|a pair of stores)"
        for data in (disk, (disk, disk), stores(small)):
            with pytest.raises(ConfigurationError, match=f"^{given} is embedded in blocks of nodes: {reason}"):
                train(Refusing(encoder), data, **settings)
        with pytest.raises(AssertionError, match="training began"):
            train(Refusing(encoder), small, **settings)  # it can be embedded whole
    with pytest.raises(ConfigurationError, match="norm='graph'"):
        fit("grace", disk, options={**SMALL, "norm": "graph"}, batch_size=16, device="cpu")


def test_a_graph_in_memory_is_embedded_whole_where_the_encoder_needs_it(small, tmp_path):
    training = {"num_neighbors": [3, 3], "steps": 2}
    for encoder, options in ((None, {**SMALL, "norm": "graph"}), (GCN(6, 8, num_layers=2), {})):
        fitted = fit("grace", small, encoder=encoder, options=options, training=training, batch_size=16, device="cpu")
        whole = embed_data(fitted.method, small, device="cpu")
        for result in (fitted.embed(), fitted.embed(small)):
            np.testing.assert_array_equal(result, whole.numpy())
        for blocks in ({"batch_size": 16}, {"memory_bytes": 1000}):
            with pytest.raises(ConfigurationError, match="whole graph"):
                embed_data(fitted.method, small, device="cpu", **blocks)
        with pytest.raises(ConfigurationError, match="whole graph"):
            fitted.embed(write_graph(tmp_path / f"g{len(options)}", small))


def test_refused(small, tmp_path):
    disk = write_graph(tmp_path / "g", small)
    bare = write_graph(tmp_path / "bare", Data(edge_index=small.edge_index, num_nodes=61))
    with pytest.raises(ConfigurationError, match="at least 2, got 1"):
        fit("grace", small, options=SMALL, batch_size=1, device="cpu")
    with pytest.raises(ConfigurationError, match="give batch_size"):
        fit("grace", disk, options=SMALL, device="cpu")
    for kind in ("degree", "row-normalized", "constant"):
        with pytest.raises(InvalidGraphError, match="features it was written with"):
            fit("grace", disk, options=SMALL, batch_size=8, features=kind, device="cpu")
    with pytest.raises(InvalidGraphError, match="0 columns"):
        fit("grace", bare, options=SMALL, batch_size=8, device="cpu")
    with pytest.raises(ConfigurationError, match="list of graphs"):
        fit("graphcl", disk, batch_size=8, device="cpu")
    other = write_graph(tmp_path / "other", planted_communities(20, 2, num_features=5))
    embedder = graphssl.Embedder("grace", batch_size=8, max_steps=1, device="cpu", **SMALL).fit(small)
    with pytest.raises(InvalidGraphError, match="trained on 6 features"):
        embedder.transform(other)
    with pytest.raises(UnknownNameError):
        fit("grace", small, options=SMALL, batch_size=8, features="degrees", device="cpu")
