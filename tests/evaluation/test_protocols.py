import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.evaluation import default_protocol, evaluate_embedding, find_protocol, list_protocols
from graphssl.registry import PROTOCOLS

EXPECTED = [
    "canonical", "kmeans", "knn", "links-85-5-10", "node-10fold", "public", "random-10-10-80", "random-10-90",
    "tu-10fold",
]  # fmt: skip


def graph(**more):
    return Data(x=torch.rand(6, 2), edge_index=torch.tensor([[0, 1], [1, 0]]), **more)


def test_names():
    assert set(EXPECTED) <= set(list_protocols())
    assert "tu-10fold" in list_protocols("graph")
    assert "public" not in list_protocols("graph")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_protocol_says_what_it_is(name):
    protocol = PROTOCOLS.get(name).obj
    text = str(protocol)
    assert protocol.name == name
    for fact in (
        name,
        str(protocol.splits),
        str(protocol.probe),
        protocol.metric,
        protocol.selection,
        protocol.spread,
        protocol.source,
    ):
        assert fact in text
    assert "object at 0x" not in text


def test_defaults():
    mask = torch.ones(6).bool()
    masks = {"train_mask": mask, "val_mask": mask, "test_mask": mask}
    y = torch.arange(6) % 2
    assert default_protocol("cora") == "public"
    assert default_protocol("mutag") == "tu-10fold"
    assert default_protocol(graph(y=y, **masks)) == "public"
    assert default_protocol(graph(y=y, **{**masks, "train_mask": mask[:, None].repeat(1, 3)})) == "canonical"
    assert default_protocol(graph(y=y)) == "random-10-10-80"
    assert default_protocol(graph()) == "links-85-5-10"
    assert default_protocol([graph(y=y[:1])]) == "tu-10fold"


def test_errors():
    with pytest.raises(UnknownNameError, match=r"did you mean 'public'"):
        find_protocol("publik", graph())
    with pytest.raises(ConfigurationError, match=r"graph level.*random-10-10-80"):
        find_protocol("tu-10fold", graph())
    with pytest.raises(ConfigurationError, match=r"several graphs.*tu-10fold"):
        find_protocol("public", [graph()])
    with pytest.raises(UnknownNameError, match="logistic"):
        find_protocol("public", graph()).with_probe("logistc")
    with pytest.raises(ConfigurationError, match="no probe"):
        find_protocol("kmeans", graph()).with_probe("logistic")


def test_all_methods_meet_the_same_splits():
    y = np.random.RandomState(0).randint(0, 3, 200)
    data = Data(edge_index=torch.zeros(2, 0).long(), y=torch.from_numpy(y), num_nodes=200)
    for name in ("random-10-10-80", "random-10-90", "node-10fold"):
        rule = find_protocol(name, data).splits
        before = [split.test.copy() for split in rule(data, y, 5)]
        evaluate_embedding(np.random.randn(200, 4), data, name, 5)
        np.random.seed(1)
        for a, b in zip(before, rule(data, y, 5), strict=True):
            assert np.array_equal(a, b.test)
