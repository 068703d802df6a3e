"""Everything a user calls a graph becomes the same checked ``Data``."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data, InMemoryDataset

from graphssl.data import GraphList, save_graph, to_graphs
from graphssl.errors import CorruptFileError, InvalidGraphError, MissingFileError
from graphssl.ops import normalized_adjacency
from graphssl.samplers import NeighborLoader

EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])
X = torch.arange(6.0).reshape(3, 2)


def pairs(data):
    return sorted(map(tuple, data.edge_index.T.tolist()))


def dense(data):
    """Adjacency with weights and multiplicities summed."""
    out = np.zeros((data.num_nodes, data.num_nodes))
    weight = data.edge_weight.numpy() if "edge_weight" in data else np.ones(data.edge_index.size(1))
    np.add.at(out, tuple(data.edge_index.numpy()), weight)
    return out


# --- PyG


def test_data_is_shared_not_copied_and_not_changed():
    data = Data(x=X, edge_index=EDGES, y=torch.arange(3))
    inputs = to_graphs(data)
    assert not inputs.is_list
    assert inputs.node_ids is None
    assert inputs.data is not data
    assert inputs.data.y is data.y
    assert torch.equal(inputs.data.x, X)


def test_an_edge_index_of_pyg_is_a_tensor_everywhere():
    data = Data(x=torch.randn(20, 3), edge_index=torch.randint(20, (2, 80)))
    wrapped = Data(x=data.x, edge_index=EdgeIndex(data.edge_index, sparse_size=(20, 20)))
    assert type(to_graphs(wrapped).data.edge_index) is torch.Tensor
    assert isinstance(wrapped.edge_index, EdgeIndex)
    assert torch.equal(
        normalized_adjacency(wrapped.edge_index, 20).to_dense(), normalized_adjacency(data.edge_index, 20).to_dense()
    )
    theirs, ours = (next(iter(NeighborLoader(graph, [3, 2], batch_size=4))) for graph in (wrapped, data))
    assert torch.equal(theirs.edge_index, ours.edge_index)
    assert torch.equal(theirs.n_id, ours.n_id)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.bool])
def test_features_become_float32(dtype):
    data = Data(x=X.to(dtype), edge_index=EDGES)
    assert torch.equal(to_graphs(data).data.x, X.to(dtype).float())
    assert data.x.dtype == dtype


def test_weights_become_float32_and_edge_types_stay():
    data = Data(x=X, edge_index=EDGES, edge_weight=torch.tensor([1, 2, 3]), edge_attr=torch.tensor([0, 1, 0]))
    assert to_graphs(data).data.edge_weight.dtype == torch.float32
    assert to_graphs(data).data.edge_attr.dtype == torch.int64
    assert data.edge_weight.dtype == torch.int64


def test_sparse_features_become_dense():
    assert torch.equal(to_graphs(Data(x=X.to_sparse(), edge_index=EDGES)).data.x, X)


def test_missing_features_are_degrees():
    data = Data(edge_index=EDGES)
    assert to_graphs(data).data.x.shape == (3, 16)
    assert to_graphs(data, features="constant").data.x.tolist() == [[1.0]] * 3
    assert data.x is None


class Stored(InMemoryDataset):
    def __init__(self, graphs):
        super().__init__(None)
        self.data, self.slices = self.collate(graphs)


@pytest.mark.parametrize(
    "wrap",
    [list, tuple, Stored, Batch.from_data_list, lambda g: GraphList(g, name="n", num_classes=2)],
    ids=["list", "tuple", "Dataset", "Batch", "GraphList"],
)
@pytest.mark.filterwarnings("ignore:.*internal storage format.*")
def test_several_graphs(wrap):
    graphs = [Data(x=X, edge_index=EDGES), Data(x=X[:1], edge_index=EDGES[:, :0])]
    inputs = to_graphs(wrap(graphs))
    assert inputs.is_list
    assert [g.x.tolist() for g in inputs.data] == [g.x.tolist() for g in graphs]
    assert [pairs(g) for g in inputs.data] == [pairs(g) for g in graphs]


def test_two_graphs_in_a_tuple_are_not_arrays():
    assert len(to_graphs((Data(x=X, edge_index=EDGES), Data(x=X, edge_index=EDGES))).data) == 2


def test_a_list_of_one_graph_is_a_list():
    assert to_graphs([Data(x=X, edge_index=EDGES)]).is_list


def test_bad_graph_in_a_list_is_named():
    graphs = [Data(x=X, edge_index=EDGES), Data(x=X, edge_index=EDGES + 1)]
    with pytest.raises(InvalidGraphError, match="graph 1 of 2"):
        to_graphs(graphs)
    with pytest.raises(InvalidGraphError, match="graph 1 of 2"):
        to_graphs([graphs[0], "cora"])
    with pytest.raises(InvalidGraphError, match="empty"):
        to_graphs([])
    with pytest.raises(InvalidGraphError, match="number of features"):
        to_graphs([graphs[0], Data(x=X[:, :1], edge_index=EDGES)])


# --- networkx

KINDS = {"Graph": nx.Graph, "DiGraph": nx.DiGraph, "MultiGraph": nx.MultiGraph, "MultiDiGraph": nx.MultiDiGraph}


@st.composite
def networks(draw):
    graph = KINDS[draw(st.sampled_from(sorted(KINDS)))]()
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True))
    graph.add_nodes_from(names)
    ends = st.tuples(st.sampled_from(names), st.sampled_from(names))
    weight = st.one_of(st.none(), st.integers(-3, 3))
    for (u, v), w in draw(st.lists(st.tuples(ends, weight), max_size=12)):
        graph.add_edge(u, v, **({} if w is None else {"weight": w}))
    return graph


@given(networks())
@settings(max_examples=60, deadline=None)
def test_networkx_round_trip(graph):
    inputs = to_graphs(graph)
    names = list(graph)
    assert inputs.node_ids.tolist() == names
    assert inputs.data.x.shape == (len(names), 16)
    assert inputs.data.edge_index.shape[1] == (
        graph.number_of_edges() if graph.is_directed() else 2 * graph.number_of_edges() - nx.number_of_selfloops(graph)
    )
    # networkx sums parallel edges; absent weights count 1.
    assert np.array_equal(dense(inputs.data), nx.to_numpy_array(graph, nodelist=names))


@pytest.mark.parametrize("key", ["x", "features"])
def test_networkx_features(key):
    graph = nx.path_graph(["c", "a", "b"])
    nx.set_node_attributes(graph, {"a": [1, 2], "b": [3, 4], "c": [5, 6]}, key)
    assert to_graphs(graph).data.x.tolist() == [[5, 6], [1, 2], [3, 4]]
    del graph.nodes["a"][key]
    with pytest.raises(InvalidGraphError, match=f"2 of 3 nodes have the attribute '{key}'"):
        to_graphs(graph)
    graph.nodes["a"][key] = [1]
    with pytest.raises(InvalidGraphError, match=key):
        to_graphs(graph)


def test_networkx_identifiers_of_any_kind():
    graph = nx.Graph([((0, 1), "a"), ("a", 7)])
    assert to_graphs(graph).node_ids.tolist() == [(0, 1), "a", 7]
    assert to_graphs(nx.Graph([(10, 5)])).node_ids.tolist() == [10, 5]
    assert to_graphs(nx.Graph([(10, True)])).node_ids.tolist() == [10, True]


def test_networkx_without_nodes_or_with_odd_weights():
    with pytest.raises(InvalidGraphError, match="no nodes"):
        to_graphs(nx.Graph())
    with pytest.raises(InvalidGraphError, match="weight"):
        to_graphs(nx.Graph([(0, 1, {"weight": "heavy"})]))
    with pytest.raises(InvalidGraphError, match="edge_weight has NaN"):
        to_graphs(nx.Graph([(0, 1, {"weight": float("nan")})]))


# --- scipy and arrays


@pytest.mark.parametrize(
    "layout", [sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.lil_matrix, sp.csr_array, sp.coo_array]
)
def test_scipy_adjacency(layout):
    matrix = np.array([[0, 2.5, 0], [0, 1, 0], [-1, 0, 0]])
    data = to_graphs(layout(matrix)).data
    assert np.array_equal(dense(data), matrix)
    assert pairs(data) == [(0, 1), (1, 1), (2, 0)]


def test_scipy_binary_adjacency_has_no_weights():
    data = to_graphs(sp.csr_matrix(np.array([[0, 1], [1, 0]], dtype=bool))).data
    assert "edge_weight" not in data
    assert pairs(data) == [(0, 1), (1, 0)]


def test_scipy_stored_zeros_are_no_edges_and_the_matrix_is_not_changed():
    matrix = sp.csr_matrix(([0.0, 1.0], ([0, 1], [1, 0])), shape=(3, 3))
    assert pairs(to_graphs(matrix).data) == [(1, 0)]
    assert matrix.nnz == 2


def test_scipy_not_square():
    with pytest.raises(InvalidGraphError, match="square"):
        to_graphs(sp.csr_matrix(np.ones((2, 3))))


@pytest.mark.parametrize("convert", [lambda v: v, np.asarray, lambda v: v.tolist()], ids=["torch", "numpy", "lists"])
def test_x_and_edge_index(convert):
    data = to_graphs((convert(X), convert(EDGES))).data
    assert torch.equal(data.x, X)
    assert torch.equal(data.edge_index, EDGES)


def test_x_and_edge_index_variants():
    assert to_graphs((X.double().numpy(), EDGES.int().numpy())).data.edge_index.dtype == torch.int64
    assert to_graphs((sp.csr_matrix(X.numpy()), EDGES)).data.x.tolist() == X.tolist()
    assert to_graphs((None, EDGES)).data.x.shape == (3, 16)
    assert to_graphs((X, [[], []])).data.edge_index.shape == (2, 0)
    assert to_graphs((X, [])).data.edge_index.shape == (2, 0)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((X, EDGES.float()), "int64"),
        ((X, EDGES + 1), "node 3"),
        ((X, EDGES.T), "transpose"),
        ((X[0], EDGES), "one row per node"),
        ((X * float("nan"), EDGES), "NaN"),
        ((np.array([["a"]]), EDGES), "x must be an array of numbers"),
        (([[1, 2], [3]], EDGES), "x must be an array of numbers"),
    ],
)
def test_bad_arrays(pair, message):
    with pytest.raises(InvalidGraphError, match=message):
        to_graphs(pair)


@pytest.mark.parametrize("X", [np.ones((3, 3)), 3, None, {"a": 1}, (1, 2, 3), object()], ids=lambda X: type(X).__name__)
def test_not_a_graph(X):
    with pytest.raises(InvalidGraphError, match=r"expected a PyG Data.*got"):
        to_graphs(X)


# --- files


def write(path, text, **options):
    path.write_text(text, **options)
    return path


def test_csv_with_text_identifiers(tmp_path):
    path = write(tmp_path / "g.csv", 'who,whom\nzoe,"smith, j"\nadam,zoe\nadam,adam\n')
    inputs = to_graphs(path)
    assert inputs.node_ids.tolist() == ["zoe", "smith, j", "adam"]
    assert pairs(inputs.data) == [(0, 1), (0, 2), (1, 0), (2, 0), (2, 2)]
    assert "edge_weight" not in inputs.data
    assert to_graphs(str(path)).node_ids.tolist() == inputs.node_ids.tolist()


def test_tsv_with_weights_and_more_columns(tmp_path):
    path = write(
        tmp_path / "g.tsv", "source\ttarget\tyear\tWeight\n7\t3\t1999\t0.5\n3\t12\t2000\t2\n\n", newline="\r\n"
    )
    inputs = to_graphs(path)
    assert inputs.node_ids.tolist() == [7, 3, 12]
    assert inputs.node_ids.dtype == np.int64
    assert np.array_equal(dense(inputs.data), [[0, 0.5, 0], [0.5, 0, 2], [0, 2, 0]])


def test_txt_with_comments(tmp_path):
    inputs = to_graphs(write(tmp_path / "g.txt", "# a comment\n01 2\n\n  2\t3 # another\n3 2\n"))
    assert inputs.node_ids.tolist() == ["01", "2", "3"]  # 01 is no usual number: text is kept as written
    assert pairs(inputs.data) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_pairs_listed_again_are_one_edge(tmp_path):
    inputs = to_graphs(write(tmp_path / "g.txt", "a b 1\nb a 3\na b 2\n"))
    assert np.array_equal(dense(inputs.data), [[0, 3], [3, 0]])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_edge_list_equals_networkx(tmp_path_factory, edges):
    path = tmp_path_factory.mktemp("edges") / "g.txt"
    inputs = to_graphs(write(path, "".join(f"{u} {v}\n" for u, v in edges)))
    graph = nx.Graph(edges)
    assert sorted(inputs.node_ids.tolist()) == sorted(graph)
    assert inputs.node_ids.tolist() == list(dict.fromkeys(np.ravel(edges).tolist()))
    assert np.array_equal(dense(inputs.data), nx.to_numpy_array(graph, nodelist=inputs.node_ids.tolist()))


def test_npz_round_trip(tmp_path):
    data = Data(x=X, edge_index=EDGES, y=torch.tensor([0, 1, 0]), edge_weight=torch.tensor([1.0, 2.0, 3.0]))
    save_graph(data, tmp_path / "g.npz", node_ids=np.array(["a", "b", "c"], dtype=object))
    inputs = to_graphs(tmp_path / "g.npz")
    assert inputs.node_ids.tolist() == ["a", "b", "c"]
    for key in data.keys():  # noqa: SIM118
        assert torch.equal(inputs.data[key], data[key])
    save_graph(Data(edge_index=EDGES, num_nodes=9), tmp_path / "bare.npz")
    assert to_graphs(tmp_path / "bare.npz").data.num_nodes == 9


def test_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist") as error:
        to_graphs(tmp_path / "nowhere.csv")
    assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(MissingFileError, match="is a folder"):
        to_graphs(tmp_path)
    with pytest.raises(InvalidGraphError, match="format"):
        to_graphs(write(tmp_path / "g.graphml", "<graph/>"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.csv", "a,b\n1,2\n3\n", "line 3"),
        ("g.csv", "a,b\n1,\n", "line 2"),
        ("g.csv", "a,b,weight\n1,2,heavy\n", "line 2.*'heavy'"),
        ("g.csv", "a,b,weight\n1,2,1\n1,3\n", "line 3.*nothing"),
        ("g.csv", "", "header"),
        ("g.csv", "a b\n1 2\n", "header"),
        ("g.csv", "1,2\n2,3\n", "line 1: expected a header.*numbers"),
        ("g.tsv", "-1\t2.5\t1\n", "line 1: expected a header.*numbers"),
        ("g.txt", "1 2\n3\n", "line 2"),
        ("g.txt", "1 2 0.5\n3 4\n", "1 of 2 rows have a weight"),
        ("g.txt", "1 2 x\n", "line 1"),
    ],
)
def test_damaged_text(tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    with pytest.raises(CorruptFileError, match=message) as error:
        to_graphs(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(("name", "text"), [("g.csv", "a,b\n"), ("g.txt", "# nothing\n")])
def test_file_without_edges(tmp_path, name, text):
    with pytest.raises(InvalidGraphError, match="no edges"):
        to_graphs(write(tmp_path / name, text))


def test_binary_rubbish(tmp_path):
    for name in ("g.csv", "g.txt", "g.npz"):
        (tmp_path / name).write_bytes(bytes(range(128, 256)))
        with pytest.raises(CorruptFileError, match=name):
            to_graphs(tmp_path / name)


def test_damaged_npz(tmp_path):
    save_graph(Data(x=torch.rand(50, 20), edge_index=EDGES), tmp_path / "g.npz")
    whole = (tmp_path / "g.npz").read_bytes()
    for size in range(0, len(whole), 400):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(CorruptFileError, match=r"cut\.npz"):
            to_graphs(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(CorruptFileError, match="no array 'edge_index': found a"):
        to_graphs(tmp_path / "other.npz")
    np.savez(tmp_path / "objects.npz", edge_index=np.array([[{}], [{}]]))
    with pytest.raises(CorruptFileError, match="allow_pickle"):
        to_graphs(tmp_path / "objects.npz")
    np.savez(tmp_path / "ids.npz", edge_index=EDGES.numpy(), node_ids=np.arange(2))
    with pytest.raises(InvalidGraphError, match="node_ids"):
        to_graphs(tmp_path / "ids.npz")
    np.savez(tmp_path / "text.npz", edge_index=EDGES.numpy(), x=np.array([["a"], ["b"], ["c"]]))
    with pytest.raises(InvalidGraphError, match="'x'"):
        to_graphs(tmp_path / "text.npz")


@pytest.mark.parametrize("dtype", [">i8", "<i4", "u2"])
def test_npz_with_edges_of_any_integers(tmp_path, dtype):
    np.savez(tmp_path / "g.npz", edge_index=EDGES.numpy().astype(dtype), x=np.ones((3, 2), dtype=">f4"))
    assert torch.equal(to_graphs(tmp_path / "g.npz").data.edge_index, EDGES)
    np.savez(tmp_path / "count.npz", edge_index=EDGES.numpy(), num_nodes=np.array([7]))
    assert to_graphs(tmp_path / "count.npz").data.num_nodes == 7
    np.savez(tmp_path / "bad.npz", edge_index=EDGES.numpy(), num_nodes=np.array([7.5]))
    with pytest.raises(InvalidGraphError, match="num_nodes as one integer"):
        to_graphs(tmp_path / "bad.npz")
