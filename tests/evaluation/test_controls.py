import numpy as np
import torch
from torch_geometric.data import Batch, Data

from graphssl.data import with_features
from graphssl.evaluation import propagated_embedding, raw_embedding


def path_graph(n=4):
    a = torch.arange(n - 1)
    edges = torch.stack([torch.cat([a, a + 1]), torch.cat([a + 1, a])])
    return Data(
        x=torch.rand(n, 3, generator=torch.Generator().manual_seed(n)), edge_index=edges, y=torch.tensor([n % 2])
    )


def dense_propagation(data, k):
    """A~^k X from the definition, row-normalised features."""
    A = np.eye(data.num_nodes)
    A[data.edge_index[1], data.edge_index[0]] = 1
    d = A.sum(1)
    A = A / np.sqrt(d[:, None] * d)
    x = data.x.numpy() / data.x.numpy().sum(1, keepdims=True)
    return np.linalg.matrix_power(A, k) @ x


def test_raw_features_of_a_node():
    data = path_graph()
    assert np.array_equal(raw_embedding(data), data.x.numpy())


def test_propagation_is_the_power_of_the_matrix():
    data = path_graph()
    for k in range(4):
        assert np.allclose(propagated_embedding(data, k), dense_propagation(data, k), atol=1e-6)


def test_several_graphs_are_summed():
    graphs = [path_graph(3), path_graph(5)]
    raw, propagated = raw_embedding(graphs), propagated_embedding(graphs)
    assert np.allclose(raw, [graph.x.sum(0).numpy() for graph in graphs])
    wanted = [np.concatenate([dense_propagation(graph, k).sum(0) for k in range(3)]) for graph in graphs]
    assert np.allclose(propagated, wanted, atol=1e-5)
    batch = Batch.from_data_list(graphs)
    assert np.allclose(raw_embedding(batch), raw)
    assert np.allclose(propagated_embedding(batch), propagated, atol=1e-6)


def test_without_features_degrees_stand_in():
    data = path_graph()
    del data.x
    data.num_nodes = 4
    assert np.array_equal(raw_embedding(data), with_features(data, "degree").x.numpy())
    assert "x" not in data
    assert raw_embedding([data, data]).shape == (2, 16)


def test_isolated_nodes_keep_their_features():
    data = Data(x=torch.rand(3, 2), edge_index=torch.zeros(2, 0).long())
    assert np.allclose(propagated_embedding(data), data.x / data.x.sum(1, keepdim=True), atol=1e-6)
