"""The scikit-learn contract, and what a user does with it."""

import errno

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch_geometric.nn import GCNConv, GraphSAGE

import graphssl
from graphssl import Embedder
from graphssl.errors import (
    ConfigurationError,
    CorruptFileError,
    InvalidGraphError,
    MissingFileError,
    NotInductiveError,
    StorageError,
    UnknownOptionError,
)
from graphssl.testing.methods import example_graph, example_graphs

SMALL = dict(hidden_channels=8, max_steps=3, device="cpu")


def test_fit_transform_gives_float32_rows_and_transform_agrees() -> None:
    data = example_graph()
    embedder = Embedder("grace", **SMALL)
    embedding = embedder.fit_transform(data)
    assert embedding.dtype == np.float32
    assert embedding.shape == (24, 8)
    assert np.array_equal(embedder.transform(data), embedding)
    assert np.array_equal(Embedder("grace", **SMALL).fit(data).transform(data), embedding)


def test_parameters_are_untouched_and_clone_keeps_them() -> None:
    encoder = GCNConv(8, 4)
    embedder = Embedder("dgi", encoder=encoder, hidden_channels=12, max_steps=2)
    assert embedder.get_params()["encoder"] is encoder
    copied = clone(embedder)
    assert (copied.get_params()["hidden_channels"], copied.get_params()["max_steps"]) == (12, 2)
    assert not hasattr(copied, "method_")
    assert "hidden_channels=12" in repr(embedder)


def test_set_params_takes_options_and_refuses_unknown_ones() -> None:
    embedder = Embedder("grace").set_params(temperature=0.9, max_steps=7)
    assert embedder.get_params()["temperature"] == 0.9
    with pytest.raises(UnknownOptionError, match="did you mean 'temperature'"):
        embedder.set_params(temprature=0.9)
    with pytest.raises(UnknownOptionError, match="did you mean 'temperature'"):
        Embedder("grace", temprature=0.9, max_steps=1).fit(example_graph())


def test_refit_equals_a_fresh_fit() -> None:
    embedder = Embedder("bgrl", **SMALL).fit(example_graph(seed=1))
    assert np.array_equal(
        embedder.fit_transform(example_graph()), Embedder("bgrl", **SMALL).fit_transform(example_graph())
    )


def test_seeds() -> None:
    data = example_graph()
    first, second = (Embedder("dgi", random_state=seed, **SMALL).fit_transform(data) for seed in (0, 1))
    assert not np.allclose(first, second)


def test_untrained() -> None:
    options = dict(hidden_channels=8, device="cpu")
    untrained = Embedder("dgi", max_steps=0, **options).fit(example_graph())
    assert untrained.history_.loss == []


def test_networkx_rows_keep_their_names() -> None:
    graph = nx.les_miserables_graph()
    embedder = Embedder("dgi", **SMALL)
    embedding = embedder.fit_transform(graph)
    assert list(embedder.node_ids_) == list(graph.nodes)
    assert embedding.shape == (graph.number_of_nodes(), 8)
    assert embedder.settings_.features == "degree"  # the graph has none; what stands in is said


def test_graph_level_embeds_graphs_and_works_in_a_pipeline() -> None:
    graphs, labels = example_graphs(12), np.array([0, 1] * 6)
    embedding = Embedder("infograph", **SMALL).fit_transform(graphs)
    assert embedding.shape == (12, 24)
    pipeline = make_pipeline(Embedder("infograph", **SMALL), LogisticRegression())
    assert pipeline.fit(graphs, labels).predict(graphs).shape == (12,)


def test_grid_search_over_a_method_option_for_lists_of_graphs() -> None:
    graphs, labels = example_graphs(12), np.array([0, 1] * 6)
    pipeline = make_pipeline(Embedder("infograph", **SMALL), LogisticRegression())
    search = GridSearchCV(pipeline, {"embedder__hidden_channels": [4, 8]}, cv=2).fit(graphs, labels)
    assert search.best_params_["embedder__hidden_channels"] in (4, 8)


def test_transform_embeds_new_graphs_and_checks_their_features() -> None:
    embedder = Embedder("dgi", **SMALL).fit(example_graph())
    assert embedder.transform(example_graph(30, seed=3)).shape == (30, 8)
    with pytest.raises(InvalidGraphError, match="trained on 8 features a node, got 5"):
        embedder.transform(example_graph(30, 5))


def test_a_transductive_method_says_what_to_use_instead() -> None:
    embedder = Embedder("dgi", **SMALL).fit(example_graph())
    embedder.method_.inductive = False
    with pytest.raises(NotInductiveError, match="fit_transform"):
        embedder.transform(example_graph())
    walks = Embedder("deepwalk", max_steps=1, device="cpu").fit(example_graph())
    with pytest.raises(NotInductiveError, match="such as bgrl, cca-ssg, dgi"):  # not deepwalk
        walks.transform(example_graph())


def test_numbers_of_numpy_are_numbers(tmp_path) -> None:
    data = example_graph()
    options = dict(hidden_channels=np.int64(8), temperature=np.float32(0.5), drop_edges=np.array([0.1, 0.2]))
    embedder = Embedder("grace", max_steps=np.int64(2), device=torch.device("cpu"), **options).fit(data)
    embedder.save_pretrained(tmp_path / "m")
    loaded = Embedder.from_pretrained(tmp_path / "m", device="cpu")
    assert np.array_equal(loaded.transform(data), embedder.transform(data))


def test_columns_have_names() -> None:
    embedder = Embedder("dgi", **SMALL).fit(example_graph())
    assert embedder.get_feature_names_out().tolist() == [f"embedder{i}" for i in range(8)]


@pytest.mark.parametrize("name", ["dgi", "bgrl", "cca-ssg", "graphcl"])
def test_encoder_options_change_any_argument_of_the_encoder(name) -> None:
    data = example_graphs() if name == "graphcl" else example_graph()
    embedder = Embedder(name, encoder_options={"norm": "layer", "activation": "elu"}, **SMALL).fit(data)
    assert any(type(module).__name__ == "LayerNorm" for module in embedder.method_.modules())
    with pytest.raises(UnknownOptionError, match="did you mean 'dropout'"):
        Embedder(name, encoder_options={"dropot": 0.1}, **SMALL).fit(data)


def test_training_leaves_no_gradient_with_the_caller() -> None:
    data = example_graph()
    data.x.requires_grad_()
    graphssl.train(graphssl.create_method("dgi", data, hidden_channels=8), data, steps=1, device="cpu")
    assert data.x.grad is None
    assert data.x.requires_grad


def test_a_module_of_pyg_trains_in_batches_and_embeds_whole() -> None:
    data = example_graph()
    encoder = GraphSAGE(data.num_features, 8, num_layers=2, out_channels=8)
    assert Embedder("dgi", encoder=encoder, batch_size=8, max_steps=2, device="cpu").fit_transform(data).shape == (
        data.num_nodes, 8,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["dgi", "bgrl", "infograph"])
def test_saved_embedders_are_bit_equal(name, tmp_path) -> None:
    data = example_graphs() if name == "infograph" else example_graph()
    embedder = Embedder(name, encoder="gin", random_state=3, **SMALL).fit(data)
    embedder.save_pretrained(tmp_path / "m")
    loaded = Embedder.from_pretrained(tmp_path / "m", device="cpu")
    assert np.array_equal(loaded.transform(data), embedder.transform(data))
    assert loaded.get_params() == embedder.get_params()
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]


def test_saving_what_json_cannot_hold_is_refused(tmp_path) -> None:
    embedder = Embedder("dgi", encoder=GCNConv(8, 4), max_steps=1, device="cpu").fit(example_graph())
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        embedder.save_pretrained(tmp_path)


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path, monkeypatch) -> None:
    embedder = Embedder("dgi", **SMALL).fit(example_graph())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot make the folder"):
        embedder.save_pretrained(tmp_path / "file")
    embedder.save_pretrained(tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("graphssl.embedder.save_file", full)
    with pytest.raises(StorageError, match="space"):
        embedder.save_pretrained(tmp_path / "m")
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]


def test_damaged_and_missing_folders(tmp_path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        Embedder.from_pretrained(tmp_path / "nothing")
    Embedder("dgi", **SMALL).fit(example_graph()).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(CorruptFileError, match="damaged"):
        Embedder.from_pretrained(tmp_path)


def test_the_callers_random_state_is_untouched() -> None:
    state = torch.get_rng_state()
    Embedder("grace", **SMALL).fit(example_graph())
    assert torch.equal(torch.get_rng_state(), state)


def test_readme_imports() -> None:
    assert graphssl.Embedder is Embedder


def test_grid_search_over_one_graph_points_to_compare() -> None:
    # A PyG Data never gets here: scikit-learn counts its attributes as samples and refuses it itself.
    graph = nx.karate_club_graph()
    labels = np.array([0, 1] * 17)
    for one_graph in (graph, nx.to_scipy_sparse_array(graph, format="csr")):
        search = GridSearchCV(
            make_pipeline(Embedder("dgi", **SMALL), LogisticRegression()),
            {"embedder__hidden_channels": [4, 8]},
            cv=2,
            error_score="raise",
        )
        with pytest.raises(InvalidGraphError, match="graphssl compare"):
            search.fit(one_graph, labels)
