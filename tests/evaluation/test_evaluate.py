import math
from statistics import stdev

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphssl
from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.evaluation import evaluate, evaluate_embedding, find_protocol, read_labels

NODE_PROTOCOLS = ("public", "random-10-10-80", "random-10-90", "node-10fold", "knn")


def node_data(n=240, classes=3):
    random = np.random.RandomState(0)
    y = torch.from_numpy(random.randint(0, classes, n))
    ring = torch.arange(n)
    x = torch.from_numpy(random.rand(n, 5)).float()
    data = Data(x=x, y=y, edge_index=torch.stack([ring, (ring + 1) % n]))
    order = torch.from_numpy(random.permutation(n))
    for name, rows in (("train", order[:60]), ("val", order[60:120]), ("test", order[120:])):
        data[f"{name}_mask"] = torch.zeros(n, dtype=torch.bool)
        data[f"{name}_mask"][rows] = True
    return data


def graph_list(n=60):
    return [Data(x=torch.ones(3 + i % 2, 1), edge_index=torch.tensor([[0, 1], [1, 0]]), y=torch.tensor([i % 2]))
            for i in range(n)]  # fmt: skip


def embedding_of(data, noise=1.0, seed=0):
    random = np.random.RandomState(seed)
    y = read_labels(data)
    return (np.eye(y.max() + 1)[y] + noise * random.randn(len(y), y.max() + 1)).astype(np.float32)


@pytest.mark.parametrize("protocol", NODE_PROTOCOLS)
def test_an_array_repeats_split_and_probe(protocol):
    data = node_data()
    Z = embedding_of(data, 0.5)
    report = evaluate(Z, data, protocol=protocol, seeds=3)
    assert report.std_over == "probe"
    assert report.protocol.name == protocol
    assert [row["seed"] for row in report.rows] == [0, 1, 2]
    values = [row["value"] for row in report.rows]
    assert report.mean == pytest.approx(np.mean(values))
    assert report.std == pytest.approx(stdev(values))
    assert 0.8 < report.mean <= 1
    assert all(0 < row["valid_value"] <= 1 for row in report.rows)
    assert report.rows == evaluate(torch.from_numpy(Z).double(), data, protocol=protocol, seeds=3).rows
    if protocol == "public":
        assert report.std == 0  # one split, one solution
    else:
        assert report.std > 0


def test_an_embedder_is_trained_anew_for_each_seed():
    data = node_data()
    embedder = graphssl.Embedder("dgi", hidden_channels=8, max_steps=2, device="cpu", random_state=7)
    report = evaluate(embedder, data, protocol="public", seeds=2)
    by_hand = [
        evaluate(
            lambda seen, seed: graphssl.Embedder(
                "dgi", hidden_channels=8, max_steps=2, device="cpu", random_state=seed
            ).fit_transform(seen),
            data, protocol="public", seeds=[seed],
        ).mean
        for seed in (0, 1)
    ]  # fmt: skip
    assert report.std_over == "training"
    assert [row["value"] for row in report.rows] == by_hand
    assert not hasattr(embedder, "method_")


def test_ten_folds_over_graphs():
    data = graph_list()
    Z = embedding_of(data, 0.3)
    report = evaluate(Z, data, seeds=2)
    assert report.protocol.name == "tu-10fold"
    for row in report.rows:
        assert len(row["fold_values"]) == len(row["chosen"]["C"]) == 10
        assert row["value"] == pytest.approx(np.mean(row["fold_values"]))
    assert report.mean > 0.9


@pytest.mark.parametrize("protocol", [*NODE_PROTOCOLS, "tu-10fold"])
def test_permuting_test_labels_changes_no_choice(protocol):
    data = graph_list() if protocol == "tu-10fold" else node_data()
    Z = embedding_of(data)
    y = read_labels(data)
    found = find_protocol(protocol, data)
    for split in found.splits(data, y, 1):
        other = y.copy()
        other[split.test] = y.max() - y[split.test]
        assert not np.array_equal(other, y)
        a, b = (found.probe(Z, labels, split, seed=1) for labels in (y, other))
        assert np.array_equal(a.labels, b.labels)
        assert (a.chosen, a.valid_value) == (b.chosen, b.valid_value)


@pytest.mark.parametrize("protocol", ["public", "random-10-10-80", "random-10-90", "knn"])
def test_the_score_alone_depends_on_test_labels(protocol):
    data = node_data()
    Z = embedding_of(data, 0.3)
    split = find_protocol(protocol, data).splits(data, read_labels(data), 2)[0]
    permuted = data.clone()
    permuted.y[split.test] = data.y[np.random.RandomState(0).permutation(split.test)]
    before, after = (evaluate_embedding(Z, which, protocol, 2)[0] for which in (data, permuted))
    assert before.pop("value") > after.pop("value") + 0.2
    assert before == after


def test_one_seed_has_no_spread():
    data = node_data()
    report = evaluate(embedding_of(data), data, seeds=[5])
    assert math.isnan(report.std)
    assert report.rows[0]["seed"] == 5
    assert "+-" not in str(report)


def test_a_report_prints_its_numbers():
    data = node_data()
    report = evaluate(embedding_of(data), data, protocol="kmeans", seeds=2)
    text = str(report)
    for word in ("array", "kmeans", "nmi", "ari", "std over probe", f"{100 * report.mean:.2f}", "2 seeds"):
        assert word in text
    assert report.metric == "nmi"
    assert [entry["metric"] for entry in report.summary()] == ["nmi", "ari"]


def test_a_factory_is_called_for_each_seed():
    data = node_data()
    calls = []

    def noisy(given, seed):
        calls.append(seed)
        return embedding_of(given, 1.0, seed)

    report = evaluate(noisy, data, seeds=[3, 1])
    assert report.std_over == "training"
    assert report.target == "noisy"
    assert calls == [3, 1]
    assert report.std > 0

    class Fitted:
        def embed(self):
            return embedding_of(data, 0.0)

    assert evaluate(lambda given, seed: Fitted(), data, seeds=1).mean == 1


@pytest.mark.parametrize("control", ["raw", "propagated"])
def test_controls_by_name(control):
    for data in (node_data(), graph_list()):
        report = evaluate(control, data, seeds=2)
        assert report.target == control
        assert report.std_over == "probe"
        assert len(report.rows) == 2
    assert report.mean == 1  # the two classes of graphs differ in size


def test_another_probe():
    data = node_data()
    report = evaluate(embedding_of(data), data, protocol="public", seeds=1, probe="knn")
    assert report.rows[0]["probe"] == "knn"
    assert report.rows[0]["protocol"] == "public"
    assert report.rows[0]["chosen"].keys() == {"k"}


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.ones((239, 3)), "239 rows but the data has 240"),
        (np.ones(240), "shape"),
        (np.ones((240, 0)), "shape"),
        (np.where(np.arange(240)[:, None] == 17, np.nan, 1.0), "row 17"),
        (np.where(np.arange(240)[:, None] > 237, np.inf, 1.0), r"2 row\(s\)"),
    ],
)
def test_embeddings_that_cannot_be_judged(Z, message):
    with pytest.raises(ConfigurationError, match=message):
        evaluate(Z, node_data(), seeds=1)


def test_labels_that_cannot_be_used():
    data = node_data()
    for y, message in (
        (None, "no y"),
        (torch.zeros(240), "two classes"),
        (torch.full((240,), -1), "two classes"),
        (torch.rand(240), "fractional"),
        (torch.zeros(240, 4), "one task"),
    ):
        data.y = y
        with pytest.raises(ConfigurationError, match=message):
            evaluate(np.ones((240, 2)), data, protocol="public", seeds=1)


def test_labels_are_read():
    data = Data(y=torch.tensor([[0.0], [2.0], [float("nan")], [-5.0]]), edge_index=torch.zeros(2, 0).long())
    assert read_labels(data).tolist() == [0, 2, -1, -1]
    assert read_labels(graph_list(4)).tolist() == [0, 1, 0, 1]


def test_fewer_rows_than_folds():
    data = graph_list(8)
    with pytest.raises(ConfigurationError, match="10 folds"):
        evaluate(embedding_of(data), data, seeds=1)
    few = graph_list(30)
    for graph in few[:29]:
        graph.y = torch.tensor([0])
    assert evaluate(embedding_of(few, 0.0), few, seeds=1).mean == pytest.approx(29 / 30)  # a class of one is no error


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [-2], [0.5], ["a"]])
def test_seeds_that_make_no_sense(seeds):
    with pytest.raises(ConfigurationError, match="seeds"):
        evaluate("raw", node_data(), seeds=seeds)


def test_unknown_targets():
    with pytest.raises(UnknownNameError, match="did you mean 'propagated'"):
        evaluate("propagate", node_data())
    with pytest.raises(ConfigurationError, match="untrained:dgi"):
        evaluate("untrained", node_data())
    with pytest.raises(UnknownNameError):
        evaluate("untrained:no-such-method", node_data())
    with pytest.raises(ConfigurationError, match="module"):
        evaluate(torch.nn.Linear(2, 2), node_data())


def test_inputs_are_not_changed():
    data = node_data()
    before = data.clone()
    Z = embedding_of(data)
    copy = Z.copy()
    for protocol in (*NODE_PROTOCOLS, "kmeans"):
        evaluate_embedding(Z, data, protocol)
    assert np.array_equal(Z, copy)
    assert data.keys() == before.keys()
    assert all(torch.equal(data[key], before[key]) for key in data.keys())  # noqa: SIM118


def test_a_method_is_retrained_and_the_untrained_control_is_not():
    data = node_data()
    trained = evaluate("dgi", data, seeds=2, max_steps=40, options={"hidden_channels": 8}, device="cpu")
    control = evaluate("untrained:dgi", data, seeds=2, options={"hidden_channels": 8}, device="cpu")
    assert trained.std_over == control.std_over == "training"
    assert trained.rows != control.rows
    assert trained.rows == evaluate(
        "dgi", data, seeds=2, max_steps=40, options={"hidden_channels": 8}, device="cpu"
    ).rows  # fmt: skip
