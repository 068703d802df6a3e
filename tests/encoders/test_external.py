import pickle

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn
from torch_geometric.data import Batch, Data

from graphssl.encoders import as_encoder, build_encoder
from graphssl.errors import ConfigurationError

EDGES = torch.tensor([[0, 1, 2, 3, 1], [1, 0, 3, 2, 2]])


def graph():
    return Data(x=torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), edge_index=EDGES)


class TakesGraph(nn.Module):
    out_channels = 5

    def forward(self, data):
        return data.x * 2


class ReadsBatch(nn.Module):
    in_channels, out_channels = 5, 1

    def forward(self, x, edge_index, batch):
        return batch[:, None].float()


class TwoOutputs(nn.Module):
    out_channels = 5

    def forward(self, x, edge_index):
        return x, x


class NeedsMore(nn.Module):
    out_channels = 5

    def forward(self, x, edge_index, positions):
        return x


@pytest.mark.parametrize(
    "module",
    [
        pyg.GCNConv(5, 8), pyg.GCN(5, 8, 2), pyg.GraphSAGE(5, 8, 2, out_channels=3), pyg.GIN(5, 8, 2), pyg.GAT(5, 8, 2),
        pyg.GATConv(5, 4, heads=2), pyg.GATConv(5, 4, heads=2, concat=False), pyg.ChebConv(5, 8, K=2), pyg.SGConv(5, 8),
    ],
    ids=lambda module: repr(module)[:24],
)  # fmt: skip
def test_pyg_modules_are_encoders(module):
    data = graph()
    encoder = build_encoder(module, 5).eval()
    out = encoder(data)
    assert out.shape == (4, encoder.out_channels)
    torch.testing.assert_close(out, module(data.x, data.edge_index))
    assert torch.equal(pickle.loads(pickle.dumps(encoder))(data), out)


def test_edge_weights_reach_modules_that_take_them():
    data = graph()
    plain, weighted = pyg.GCNConv(5, 8), graph()
    weighted.edge_weight = torch.rand(5)
    torch.testing.assert_close(as_encoder(plain)(weighted), plain(data.x, EDGES, weighted.edge_weight))
    weighted.edge_weight = None
    gin = pyg.GIN(5, 8, 2).eval()  # has the argument, but says that it does not support it
    weighted.edge_weight = torch.rand(5)
    torch.testing.assert_close(as_encoder(gin)(weighted), gin(data.x, EDGES))


def test_batch_reaches_modules_that_take_it():
    assert as_encoder(ReadsBatch())(graph()).tolist() == [[0.0]] * 4
    batch = Batch.from_data_list([graph(), graph()])
    assert as_encoder(ReadsBatch())(batch).view(-1).tolist() == [0.0] * 4 + [1.0] * 4


def test_modules_of_the_whole_graph_and_of_features_alone():
    data = graph()
    assert torch.equal(as_encoder(TakesGraph())(data), data.x * 2)
    linear = nn.Linear(5, 3)
    assert torch.equal(as_encoder(linear)(data), linear(data.x))


def test_pyg_sequential():
    module = pyg.Sequential("x, edge_index", [(pyg.GCNConv(5, 8), "x, edge_index -> x"), nn.ReLU()])
    data = graph()
    torch.testing.assert_close(as_encoder(module, out_channels=8)(data), module(data.x, EDGES))


def test_an_encoder_is_returned_as_it_is():
    encoder = build_encoder("gcn", 5, hidden_channels=4)
    assert as_encoder(encoder) is encoder
    assert build_encoder(encoder, 5) is encoder


def test_reset_is_passed_on():
    conv = pyg.GCNConv(5, 8)
    before = conv.lin.weight.clone()
    as_encoder(conv).reset_parameters()
    assert not torch.equal(conv.lin.weight, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_encoder(TwoOutputs())(graph()), "returned tuple"),
        (lambda: as_encoder(NeedsMore()), "positions"),
        (lambda: as_encoder(nn.Sequential(nn.Linear(5, 3))), "out_channels"),
        (lambda: as_encoder(pyg.GCNConv(5, 8), out_channels=9)(graph()), r"\(4, 9\).*\(4, 8\)"),
        (lambda: build_encoder(pyg.GCNConv(7, 8), 5), "takes 7 features"),
        (lambda: as_encoder("gcn"), "str"),
        (lambda: as_encoder(TakesGraph()).reset_parameters(), "TakesGraph"),
    ],
)
def test_what_cannot_be_wrapped_says_why(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call()
