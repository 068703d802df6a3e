import pickle

import pytest
import torch
from torch_geometric.data import Batch, Data

from graphssl.encoders import build_encoder
from graphssl.errors import UnknownNameError
from graphssl.readouts import AttentionReadout, PooledEncoder, make_readout
from graphssl.registry import READOUTS

every = pytest.mark.parametrize("name", READOUTS.names())
GRAPH_OF_NODE = torch.tensor([0, 0, 0, 2, 2, 3])  # graph 1 has no nodes


def draw():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


LOOPS = {"sum": lambda rows: rows.sum(0), "mean": lambda rows: rows.mean(0), "max": lambda rows: rows.amax(0)}


@pytest.mark.parametrize(("name", "loop"), LOOPS.items(), ids=list(LOOPS))
def test_readout_equals_loop(name, loop):
    x = draw()
    out = make_readout(name, 4)(x, GRAPH_OF_NODE, 4)
    for graph in (0, 2, 3):
        torch.testing.assert_close(out[graph], loop(x[graph == GRAPH_OF_NODE]))


def test_attention_equals_loop():
    x, readout = draw(), AttentionReadout(4).double()
    out = readout(x, GRAPH_OF_NODE, 4)
    for graph in (0, 2, 3):
        rows = x[graph == GRAPH_OF_NODE]
        weights = torch.softmax(rows @ readout.gate.weight[0] + readout.gate.bias, 0)
        torch.testing.assert_close(out[graph], weights @ rows)


@every
def test_contract(name):
    x, readout = draw().requires_grad_(), make_readout(name, 4).double()
    out = readout(x, GRAPH_OF_NODE, 4)
    assert out.shape == (4, 4)
    assert not out[1].any()
    assert torch.autograd.gradcheck(lambda x: readout(x, GRAPH_OF_NODE, 4), x)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(readout(x[order], GRAPH_OF_NODE[order], 4), out)
    torch.testing.assert_close(readout(x[3:5], torch.zeros(2, dtype=torch.long), 1), out[2:3])
    assert torch.equal(pickle.loads(pickle.dumps(readout))(x, GRAPH_OF_NODE, 4), out)


def test_unknown_readout_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'mean'"):
        make_readout("maen", 4)


@every
def test_pooled_encoder(name):
    def graph(n, seed):
        generator = torch.Generator().manual_seed(seed)
        return Data(x=torch.randn(n, 5, generator=generator), edge_index=torch.randint(n, (2, 7), generator=generator))

    encoder = build_encoder("gin", 5, hidden_channels=8, num_layers=3, jumping="cat")
    pooled = PooledEncoder(encoder, make_readout(name, encoder.out_channels)).eval()
    graphs = [graph(3, 0), graph(6, 1), graph(1, 2)]
    out = pooled(Batch.from_data_list(graphs))
    assert out.shape == (3, pooled.out_channels) == (3, 24)
    torch.testing.assert_close(out, torch.cat([pooled(g) for g in graphs]), atol=1e-5, rtol=1e-4)
