"""Our layers against PyG's with shared parameters: values and gradients."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from graphssl.encoders import build_encoder

NONE = torch.empty(2, 0, dtype=torch.long)
GRAPHS = {
    "isolated": (torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]), 5),
    "directed": (torch.tensor([[3, 0, 2, 1, 3], [0, 3, 1, 2, 1]]), 5),
    "loops": (torch.tensor([[0, 0, 2, 1, 2], [0, 1, 2, 2, 0]]), 4),
    "duplicates": (torch.tensor([[0, 0, 0, 1, 2], [1, 1, 1, 0, 1]]), 4),
    "no-edges": (NONE, 3),
    "one-node": (NONE, 1),
}
graphs = pytest.mark.parametrize("name", list(GRAPHS))
widths = pytest.mark.parametrize(("narrow", "wide"), [(3, 6), (6, 3)], ids=["wider", "narrower"])


def graph(name, features, *, weighted=False):
    edge_index, n = GRAPHS[name]
    generator = torch.Generator().manual_seed(3)
    data = Data(
        x=torch.randn(n, features, generator=generator, dtype=torch.float64).requires_grad_(), edge_index=edge_index
    )
    if weighted:
        data.edge_weight = torch.rand(edge_index.size(1), generator=generator, dtype=torch.float64) + 0.1
    return data


def layer(name, features, channels):
    return build_encoder(name, features, hidden_channels=channels, num_layers=1, activation="identity", norm="none")


def same(matrix):
    return matrix


def flipped(matrix):
    """PyG's linear maps are stored as (out, in), the GCN layer's weight as (in, out)."""
    return matrix.T if matrix.dim() == 2 else matrix


def assert_equal(ours, theirs, data, pairs, stored=same):
    """Values, and gradients with respect to features and each pair of parameters, of a generic scalar."""
    probe = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    mine = torch.autograd.grad((ours * probe).sum(), [data.x, *(a for a, _ in pairs)], allow_unused=True)
    other = torch.autograd.grad((theirs * probe).sum(), [data.x, *(b for _, b in pairs)], allow_unused=True)
    torch.testing.assert_close(ours, theirs)
    other = [other[0], *(b if b is None else stored(b) for b in other[1:])]
    for a, b in zip(mine, other, strict=True):
        zero = torch.zeros((), dtype=ours.dtype)
        torch.testing.assert_close(zero if a is None else a, zero if b is None else b)


def share(pairs, stored=same):
    with torch.no_grad():
        for mine, other in pairs:
            other.copy_(stored(mine))


@graphs
@widths
@pytest.mark.parametrize("weighted", [False, True])
def test_gcn(name, narrow, wide, weighted):
    data = graph(name, narrow, weighted=weighted)
    ours, theirs = layer("gcn", narrow, wide).double(), GCNConv(narrow, wide).double()
    torch.nn.init.normal_(ours.layers[0].bias)
    pairs = [(ours.layers[0].weight, theirs.lin.weight), (ours.layers[0].bias, theirs.bias)]
    share(pairs, flipped)
    assert_equal(ours(data), theirs(data.x, data.edge_index, data.edge_weight), data, pairs, flipped)


@graphs
def test_gcn_gradient_of_edge_weights(name):
    data = graph(name, 3, weighted=True)
    weight = data.edge_weight.requires_grad_()
    ours, theirs = layer("gcn", 3, 2).double(), GCNConv(3, 2).double()
    share([(ours.layers[0].weight, theirs.lin.weight)], flipped)
    mine = torch.autograd.grad(ours(data).square().sum(), weight)[0]
    other = torch.autograd.grad(theirs(data.x, data.edge_index, weight).square().sum(), weight)[0]
    torch.testing.assert_close(mine, other)


@graphs
@widths
def test_sage(name, narrow, wide):
    data = graph(name, narrow)
    ours, theirs = layer("sage", narrow, wide).double(), SAGEConv(narrow, wide).double()
    mine = ours.layers[0]
    pairs = [(mine.neighbours.weight, theirs.lin_l.weight), (mine.neighbours.bias, theirs.lin_l.bias)]
    pairs.append((mine.root.weight, theirs.lin_r.weight))
    share(pairs)
    assert_equal(ours(data), theirs(data.x, data.edge_index), data, pairs)


def test_sage_mean_is_weighted():
    data = graph("directed", 3, weighted=True)
    ours = layer("sage", 3, 3).double()
    mine = ours.layers[0]
    with torch.no_grad():
        mine.neighbours.weight.copy_(torch.eye(3))
        mine.neighbours.bias.zero_()
        mine.root.weight.zero_()
    out = ours(data)
    for node in range(5):
        incoming = data.edge_index[1] == node
        weight, rows = data.edge_weight[incoming], data.x[data.edge_index[0, incoming]]
        expected = (weight[:, None] * rows).sum(0) / weight.sum() if incoming.any() else torch.zeros(3).double()
        torch.testing.assert_close(out[node], expected)


@graphs
@widths
def test_gin(name, narrow, wide):
    data = graph(name, narrow)
    ours = build_encoder(
        "gin", narrow, hidden_channels=wide, num_layers=1, activation="identity", norm="none",
        options={"eps": 0.3, "train_eps": True},
    ).double()  # fmt: skip
    mine = ours.layers[0]
    perceptron = torch.nn.Sequential(torch.nn.Linear(narrow, wide), torch.nn.ReLU(), torch.nn.Linear(wide, wide))
    theirs = GINConv(perceptron, eps=0.3, train_eps=True).double()
    pairs = [(mine.first.weight, perceptron[0].weight), (mine.first.bias, perceptron[0].bias)]
    pairs += [(mine.second.weight, perceptron[2].weight), (mine.second.bias, perceptron[2].bias)]
    share(pairs)
    assert_equal(ours(data), theirs(data.x, data.edge_index), data, [*pairs, (mine.eps, theirs.eps)])


def test_gin_sum_is_weighted():
    data = graph("directed", 3, weighted=True)
    ours = layer("gin", 3, 3).double()
    heavy = data.clone()
    heavy.edge_weight = torch.full((5,), 2.0, dtype=torch.float64)
    doubled = data.clone()
    doubled.edge_index, doubled.edge_weight = data.edge_index.repeat(1, 2), None
    torch.testing.assert_close(ours(heavy), ours(doubled))


@graphs
def test_gat(name):
    data = graph(name, 3)
    ours, theirs = layer("gat", 3, 8).double(), GATConv(3, 2, heads=4).double()
    theirs.load_state_dict(ours.layers[0].conv.state_dict())
    pairs = list(zip(ours.layers[0].conv.parameters(), theirs.parameters(), strict=True))
    assert_equal(ours(data), theirs(data.x, data.edge_index), data, pairs)


@pytest.mark.parametrize("name", ["gcn", "sage", "gin", "mlp"])
def test_sparse_features_equal_dense_ones(name):
    data = graph("isolated", 6)
    data.x = data.x.detach().relu()
    ours = build_encoder(name, 6, hidden_channels=4, skip=True).double().eval()
    sparse = data.clone()
    for layout in (torch.sparse_coo, torch.sparse_csr):
        sparse.x = data.x.to_sparse(layout=layout)
        torch.testing.assert_close(ours(sparse), ours(data))


def test_bags_of_words_equal_dense_multiplication():
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(1024, 1100, generator=generator) < 0.01).float()
    data = Data(x=x, edge_index=torch.randint(1024, (2, 3000), generator=generator))
    ours, theirs = layer("gcn", 1100, 8), GCNConv(1100, 8)
    pairs = [(ours.layers[0].weight, theirs.lin.weight), (ours.layers[0].bias, theirs.bias)]
    share(pairs, flipped)
    out, expected = ours(data), theirs(x, data.edge_index)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
    mine = torch.autograd.grad(out.square().sum(), ours.layers[0].weight)[0].T
    other = torch.autograd.grad(expected.square().sum(), theirs.lin.weight)[0]
    torch.testing.assert_close(mine, other, atol=1e-3, rtol=1e-3)
    assert torch.equal(ours(data), out)  # the second call, from memory, is bit-equal


def test_gcn_starts_as_pyg_does():
    weight, bias = layer("gcn", 300, 200).layers[0].weight, layer("gcn", 300, 200).layers[0].bias
    bound = (6 / 500) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert not bias.any()
