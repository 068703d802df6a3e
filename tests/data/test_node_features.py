import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from graphssl.data import FEATURE_KINDS, GraphList, check_graph, num_features, resolve_features, with_features
from graphssl.errors import InvalidGraphError, UnknownNameError

X = torch.tensor([[1.0, 3.0], [0.0, 0.0], [-2.0, 2.0], [5.0, 0.0]])
STAR = torch.tensor([[1, 2, 3], [0, 0, 0]])  # three messages to node 0


def star(**changes):
    return Data(**({"edge_index": STAR, "num_nodes": 4} | changes))


@pytest.mark.parametrize("kind", [k for k in FEATURE_KINDS if not k.endswith("-M")] + ["degree-one-hot-5"])
def test_every_kind_gives_valid_features_and_leaves_the_input(kind):
    data = Data(x=X.clone(), edge_index=STAR.clone(), y=torch.arange(4))
    new = with_features(data, kind)
    check_graph(new)
    assert new.x.dtype == torch.float32
    assert new.x.shape == (4, num_features(new))
    assert new is not data
    assert new.edge_index is data.edge_index
    assert torch.equal(data.x, X)
    data.z = torch.ones(4)
    assert "z" not in new


def test_auto_uses_what_is_there():
    assert torch.equal(with_features(star(x=X)).x, X)
    assert torch.equal(with_features(star()).x, with_features(star(), "degree").x)
    assert torch.equal(with_features(star(x=torch.ones(4, 0))).x, with_features(star(), "degree").x)
    with pytest.raises(InvalidGraphError, match="1 of 2 graphs"):
        with_features([star(), star(x=X)])


def test_row_normalized():
    rows = with_features(star(x=X), "row-normalized").x
    assert torch.equal(rows, torch.tensor([[0.25, 0.75], [0.0, 0.0], [-0.5, 0.5], [1.0, 0.0]]))


@pytest.mark.parametrize("kind", ["given", "node-labels", "row-normalized"])
def test_kinds_that_need_features_say_so(kind):
    with pytest.raises(InvalidGraphError, match=f"{kind}.*'degree' or 'constant'"):
        with_features(star(), kind)


def test_constant():
    assert torch.equal(with_features(star(), "constant").x, torch.ones(4, 1))


def test_degree_of_known_nodes():
    x = with_features(star(), "degree").x
    assert x.shape == (4, 16)
    assert x[0].nonzero().tolist() == [[2]]  # degree 3 = 2^2 - 1 falls on column 2
    assert torch.equal(x[1:], torch.eye(16)[[0, 0, 0]])


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_degree_is_a_partition_of_unity_and_grows(degrees):
    degrees = sorted(degrees)
    target = torch.repeat_interleave(torch.arange(len(degrees)), torch.tensor(degrees))
    data = Data(edge_index=torch.stack([torch.zeros_like(target), target]), num_nodes=len(degrees))
    x = with_features(data, "degree").x
    assert torch.allclose(x.sum(dim=1), torch.ones(len(degrees)))
    position = x @ torch.arange(16.0)
    assert torch.allclose(position, torch.log2(1 + torch.tensor(degrees).float()).clamp(max=15), atol=1e-4)
    assert ((x > 0).sum(dim=1) <= 2).all()


def test_one_hot_degree_is_consistent_over_a_list_and_for_later_graphs():
    path = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
    graphs = with_features([star(), path], "degree-one-hot")
    assert torch.equal(graphs[0].x, torch.eye(4)[[3, 0, 0, 0]])
    assert torch.equal(graphs[1].x, torch.eye(4)[[1, 1]])
    kind = resolve_features([star(), path], "degree-one-hot")
    assert kind == "degree-one-hot-3"
    later = with_features(path, kind)
    assert torch.equal(later.x, graphs[1].x)
    clipped = with_features(star(), "degree-one-hot-1").x
    assert torch.equal(clipped, torch.eye(2)[[1, 0, 0, 0]])


def test_one_hot_degree_has_a_limit():
    hub = Data(edge_index=torch.stack([torch.arange(1, 1000), torch.zeros(999, dtype=torch.long)]), num_nodes=1000)
    assert with_features(hub, "degree-one-hot").x.shape == (1000, 256)


def test_no_edges_and_one_node():
    lonely = Data(edge_index=STAR[:, :0], num_nodes=1)
    assert with_features(lonely, "degree").x.tolist()[0][:2] == [1.0, 0.0]
    assert with_features(lonely, "degree-one-hot").x.tolist() == [[1.0]]


def test_named_list_stays_named():
    graphs = with_features(GraphList([star()], name="stars", num_classes=1), "constant")
    assert isinstance(graphs, GraphList)
    assert (graphs.name, graphs.num_features) == ("stars", 1)


@pytest.mark.parametrize("kind", ["degre", "degree-one-hot-", "degree-one-hot-M", "one"])
def test_unknown_kind(kind):
    with pytest.raises(UnknownNameError, match="feature kind"):
        with_features(star(), kind)
    with pytest.raises(UnknownNameError, match="did you mean 'degree'"):
        with_features(star(), "degrees")
