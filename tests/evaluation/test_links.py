import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from graphssl.errors import ConfigurationError
from graphssl.evaluation import RandomLinks, evaluate, evaluate_embedding, training_data
from graphssl.evaluation.links import LinkProbe

PARTS = ("train", "val", "test")


def communities(n=120, blocks=3, within=0.3, between=0.01, seed=0):
    random = np.random.RandomState(seed)
    block = np.arange(n) % blocks
    p = np.where(block[:, None] == block, within, between)
    upper = np.triu(random.rand(n, n) < p, k=1)
    source, target = np.nonzero(upper | upper.T)
    x = torch.eye(blocks)[block] + 0.1 * torch.from_numpy(random.randn(n, blocks)).float()
    return Data(x=x, edge_index=torch.from_numpy(np.stack([source, target])), y=torch.from_numpy(block))


def undirected(edge_index):
    return {(min(a, b), max(a, b)) for a, b in np.asarray(edge_index).T.tolist() if a != b}


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 60), st.floats(0.05, 0.45), st.integers(0, 1000), st.booleans())
def test_nothing_leaks(n, density, seed, directed):
    random = np.random.RandomState(seed)
    upper = np.triu(random.rand(n, n) < density, k=0)  # with loops
    source, target = np.nonzero(upper if directed else upper | upper.T)
    data = Data(edge_index=torch.from_numpy(np.stack([source, target])), num_nodes=n)
    edges = undirected(data.edge_index)
    if len(edges) < 3 or 2 * len(edges) > n * (n - 1) // 2:
        with pytest.raises(ConfigurationError, match="equal negatives"):
            RandomLinks()(data, seed)
        return
    split = RandomLinks()(data, seed)
    sets = {part: undirected(getattr(split, part)) for part in PARTS}
    assert sets["train"] | sets["val"] | sets["test"] == edges
    assert sum(len(part) for part in sets.values()) == len(edges)
    seen = undirected(split.graph.edge_index)
    assert seen == sets["train"]  # both directions of a hidden edge are gone
    negatives = [undirected(getattr(split, f"{part}_negatives")) for part in PARTS]
    assert [len(part) for part in negatives] == [len(part) for part in sets.values()]
    assert len(set().union(*negatives)) == len(edges)  # distinct
    assert not set().union(*negatives) & edges
    assert split.graph.num_nodes == n


def test_sizes_determinism_and_untouched_input():
    data = communities()
    before = data.clone()
    first, again, other = (RandomLinks()(data, seed) for seed in (0, 0, 1))
    count = len(undirected(data.edge_index))
    assert [getattr(first, part).shape[1] for part in PARTS] == [
        count - int(0.05 * count) - int(0.1 * count), int(0.05 * count), int(0.1 * count)
    ]  # fmt: skip
    for name in (*PARTS, *(f"{part}_negatives" for part in PARTS)):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert undirected(first.test) != undirected(other.test)
    assert data.keys() == before.keys()
    assert torch.equal(data.edge_index, before.edge_index)


def test_edge_tensors_follow_their_edges():
    data = communities(60)
    data.edge_weight = data.edge_index[0].float() * 1000 + data.edge_index[1]
    data.edge_attr = data.edge_weight[:, None].repeat(1, 2)
    graph = RandomLinks()(data, 0).graph
    assert torch.equal(graph.edge_weight, graph.edge_index[0].float() * 1000 + graph.edge_index[1])
    assert torch.equal(graph.edge_attr[:, 1], graph.edge_weight)
    assert torch.equal(graph.x, data.x)


def test_a_node_feature_with_as_many_rows_as_edges_is_kept():
    ring = torch.arange(12)
    data = Data(x=torch.randn(12, 2), edge_index=torch.stack([ring, (ring + 1) % 12]), y=ring % 2)
    graph = RandomLinks()(data, 0).graph
    assert graph.x.shape == (12, 2)
    assert graph.y.shape == (12,)


def test_perfect_and_useless_embeddings():
    data = communities(between=0.0)
    split = RandomLinks()(data, 0)
    perfect = np.eye(3, dtype=np.float32)[data.y.numpy()]
    inside = np.mean(data.y.numpy()[split.test_negatives[0]] == data.y.numpy()[split.test_negatives[1]])
    rows = evaluate_embedding(perfect, data, "links-85-5-10", 0)
    assert [(row["probe"], row["metric"]) for row in rows] == [
        ("dot", "roc_auc"), ("dot", "average_precision"), ("hadamard", "roc_auc"), ("hadamard", "average_precision")
    ]  # fmt: skip
    # all edges score 1; negatives inside a block tie with them, so AUC = 1 - inside / 2
    assert rows[0]["value"] == pytest.approx(1 - inside / 2)
    assert rows[2]["value"] > 0.8
    noise = np.random.RandomState(0).randn(120, 4).astype(np.float32)
    assert abs(evaluate_embedding(noise, data, "links-85-5-10", 0)[0]["value"] - 0.5) < 0.15


def test_the_regression_can_use_a_product_that_the_dot_product_cannot():
    data = communities(between=0.0)
    noise = 10 * np.random.RandomState(0).randn(120, 2)
    Z = np.hstack([np.eye(3)[data.y.numpy()], noise]).astype(np.float32)
    Z[:, 3:] *= np.sign(Z[:, 3:]) * np.where(np.arange(120) % 2, 1, -1)[:, None]  # drowns the blocks in any sum
    dot, _, hadamard, _ = evaluate_embedding(Z, data, "links-85-5-10", 0)
    assert hadamard["value"] > dot["value"] + 0.1


def test_choice_of_c_ignores_test_pairs():
    data = communities()
    Z = np.random.RandomState(0).randn(120, 8).astype(np.float32)
    split = RandomLinks()(data, 0)
    swapped = type(split)(**{**vars(split), "test": split.test_negatives, "test_negatives": split.test})
    before, after = LinkProbe()(Z, split), LinkProbe()(Z, swapped)
    for a, b in zip(before, after, strict=True):
        assert (a["chosen"], a["valid_value"]) == (b["chosen"], b["valid_value"])
    assert before[0]["value"] == pytest.approx(1 - after[0]["value"])


def test_methods_train_on_what_is_left():
    data = communities()
    seen = []

    def factory(visible, seed):
        seen.append(undirected(visible.edge_index))
        return visible.x

    report = evaluate(factory, data, protocol="links-85-5-10", seeds=[4, 7])
    assert report.std_over == "training"
    assert report.metric == "roc_auc"
    for seed, edges in zip([4, 7], seen, strict=True):
        split = RandomLinks()(data, seed)
        assert edges == undirected(split.train)
        assert edges == undirected(training_data(data, "links-85-5-10", seed).edge_index)
    # propagation over hidden edges would show in the score: the control sees the training graph, too
    control = evaluate("propagated", data, protocol="links-85-5-10", seeds=2)
    assert control.mean > 0.7
    assert evaluate(factory, data, protocol="links-85-5-10", seeds=1, probe="hadamard").rows[0]["probe"] == "hadamard"


def test_an_array_is_refused():
    data = communities()
    with pytest.raises(ConfigurationError, match="hidden while training"):
        evaluate(np.ones((120, 3)), data, protocol="links-85-5-10")


def test_many_graphs_are_refused():
    batch = Batch.from_data_list([communities(30), communities(30)])
    with pytest.raises(ConfigurationError, match="one graph"):
        RandomLinks()(batch, 0)
