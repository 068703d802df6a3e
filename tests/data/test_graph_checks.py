"""Bad graphs are refused in one line that says what to do; odd but valid ones pass."""

import re

import pytest
import torch
import torch_geometric.utils
from torch_geometric.data import Batch, Data

from graphssl.data import check_graph, graph_of_node, num_features, num_graphs, num_nodes
from graphssl.errors import GraphSSLError, InvalidGraphError

NAN, INF = float("nan"), float("inf")
EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


def graph(**changes):
    return Data(**({"x": torch.ones(3, 2), "edge_index": EDGES} | changes))


def entry(value):
    x = torch.ones(3, 2)
    x[1, 1] = value
    return x


BAD = {
    "x 1-d": (graph(x=torch.ones(3)), "one row per node"),
    "x 3-d": (graph(x=torch.ones(3, 2, 2)), "one row per node"),
    "x too few rows": (graph(x=torch.ones(2, 2)), "node 2, but the graph has 2 nodes"),
    "x against num_nodes": (graph(num_nodes=4), "num_nodes says 4"),
    "x against batch": (graph(batch=torch.zeros(4, dtype=torch.long)), "batch says 4"),
    "x whole numbers": (graph(x=torch.ones(3, 2, dtype=torch.long)), "floating"),
    "x nan": (graph(x=entry(NAN)), "row 1"),
    "x inf": (graph(x=entry(INF)), "row 1"),
    "x -inf": (graph(x=entry(-INF)), "row 1"),
    "x no array": (graph(x="ones"), "tensor"),
    "edge_index missing": (Data(x=torch.ones(3, 2)), "no edge_index: give one"),
    "edge_index as an array": (graph(edge_index=EDGES.numpy()), "tensor, got ndarray"),
    "edge_index transposed": (graph(edge_index=EDGES.T), "transpose"),
    "edge_index 1-d": (graph(edge_index=EDGES[0]), r"\(2, num_edges\)"),
    "edge_index float": (graph(edge_index=EDGES.float()), "int64"),
    "edge_index bool": (graph(edge_index=EDGES.bool()), "int64"),
    "edge_index int32": (graph(edge_index=EDGES.int()), "int64"),
    "edge_index list": (graph(edge_index=[[0], [1]]), "tensor"),
    "edge_index negative": (graph(edge_index=EDGES - 1), "negative node -1"),
    "edge_index out of range": (graph(edge_index=EDGES + 1), "node 3, but the graph has 3 nodes"),
    "no nodes": (Data(x=torch.ones(0, 2), edge_index=EDGES[:, :0]), "no nodes"),
    "nothing": (Data(edge_index=EDGES[:, :0]), "no nodes"),
    "edge_weight length": (graph(edge_weight=torch.ones(2)), "3 edges"),
    "edge_weight 2-d": (graph(edge_weight=torch.ones(3, 1)), "edge_attr"),
    "edge_weight nan": (graph(edge_weight=torch.tensor([1.0, NAN, 1.0])), "edge 1"),
    "edge_attr length": (graph(edge_attr=torch.ones(4, 2)), "3 edges"),
    "edge_attr inf": (graph(edge_attr=entry(INF)), "edge 1"),
    "no Data": ([1, 2], "Data, got list"),
}
FINE = {
    "plain": graph(),
    "no features": Data(edge_index=EDGES),
    "no features, isolated nodes": Data(edge_index=EDGES, num_nodes=9),
    "no edges": graph(edge_index=EDGES[:, :0]),
    "one node": Data(x=torch.ones(1, 2), edge_index=EDGES[:, :0]),
    "one node without features": Data(edge_index=EDGES[:, :0], num_nodes=1),
    "self-loops": graph(edge_index=torch.tensor([[0, 0, 1], [0, 0, 1]])),
    "duplicates": graph(edge_index=torch.cat([EDGES, EDGES], dim=1)),
    "isolated": graph(x=torch.ones(7, 2)),
    "no columns": graph(x=torch.ones(3, 0)),
    "huge": graph(x=torch.full((3, 2), 3e38)),
    "weights": graph(edge_weight=torch.tensor([0.0, -1.0, 2.0]), edge_attr=torch.ones(3, 5)),
    "whole edge_attr": graph(edge_attr=torch.ones(3, dtype=torch.long)),
    "batch": Batch.from_data_list([graph(), graph()]),
    "batch of one": Batch.from_data_list([graph()]),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name):
    data, message = BAD[name]
    with pytest.raises(InvalidGraphError, match=message) as error:
        check_graph(data)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, GraphSSLError)


def test_a_graph_with_adj_t_alone_is_told_how_to_get_edges():
    adj_t = torch.sparse_coo_tensor(EDGES.flip(0), torch.tensor([1.0, 2.0, 3.0]), (3, 3)).coalesce()
    data = Data(x=torch.ones(3, 2), adj_t=adj_t)
    advice = "data.edge_index = torch_geometric.utils.to_edge_index(data.adj_t)[0].flip(0); [1] are the weights"
    with pytest.raises(InvalidGraphError, match=re.escape(advice)):
        check_graph(data)
    data.edge_index = torch_geometric.utils.to_edge_index(data.adj_t)[0].flip(0)
    weight = torch_geometric.utils.to_edge_index(data.adj_t)[1].tolist()
    pairs = map(tuple, data.edge_index.T.tolist())
    assert dict(zip(pairs, weight, strict=True)) == {(0, 1): 1.0, (1, 2): 2.0, (2, 0): 3.0}


@pytest.mark.parametrize("name", FINE)
def test_accepted(name):
    check_graph(FINE[name])


def test_sizes_of_one_graph():
    assert (num_nodes(graph()), num_graphs(graph()), num_features(graph())) == (3, 1, 2)
    assert graph_of_node(graph()).tolist() == [0, 0, 0]
    assert graph_of_node(graph()).dtype == torch.long
    bare = Data(edge_index=EDGES, num_nodes=5)
    assert (num_nodes(bare), num_features(bare)) == (5, 0)
    assert graph_of_node(bare).shape == (5,)
    assert num_nodes(Data(edge_index=EDGES)) == 3


def test_sizes_of_several_graphs():
    graphs = [graph(), Data(x=torch.ones(1, 2), edge_index=EDGES[:, :0]), graph()]
    batch = Batch.from_data_list(graphs)
    for several in (graphs, batch):
        assert (num_nodes(several), num_graphs(several), num_features(several)) == (7, 3, 2)
    assert graph_of_node(batch).tolist() == [0, 0, 0, 1, 2, 2, 2]
    plain = Data(x=batch.x, edge_index=batch.edge_index, batch=batch.batch)
    assert num_graphs(plain) == 3


def test_trailing_graph_without_nodes_counts():
    batch = Batch.from_data_list([graph(), Data(x=torch.ones(0, 2), edge_index=EDGES[:, :0])])
    assert num_graphs(batch) == 2


def test_graphs_with_different_features():
    with pytest.raises(InvalidGraphError, match=r"\[2, 3\]"):
        num_features([graph(), graph(x=torch.ones(3, 3))])


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_features_are_looked_at_too(layout):
    x = torch.eye(5)
    check_graph(Data(x=getattr(x, layout)(), edge_index=torch.empty(2, 0, dtype=torch.long)))
    x[3, 3] = torch.nan
    with pytest.raises(InvalidGraphError, match="row 3"):
        check_graph(Data(x=getattr(x, layout)(), edge_index=torch.empty(2, 0, dtype=torch.long)))
