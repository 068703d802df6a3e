"""Facebook pages and Twitch: compact files against loops, real files against the published counts, damage."""

import os

import numpy as np
import pytest
import torch
from torch_geometric.utils import contains_self_loops, is_undirected

from graphssl.data import check_graph, dataset_info, load_dataset
from graphssl.errors import CorruptFileError

REAL = os.environ.get("GRAPHSSL_MIRROR", "")

# edges listed once; facebook-pages has 179 self-loops, each of which is its own reverse
EDGES = {
    "facebook-pages": 2 * 171_002 - 179,
    "twitch-de": 2 * 153_138,
    "twitch-engb": 2 * 35_324,
    "twitch-es": 2 * 59_382,
    "twitch-fr": 2 * 112_666,
    "twitch-ptbr": 2 * 31_299,
    "twitch-ru": 2 * 37_304,
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write ``musae/twitch_PTBR.npz``: four nodes, one without words, one without edges."""
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path))
    (tmp_path / "musae").mkdir()

    def write(**changes):
        arrays = {
            "edges": np.array([[2, 0], [0, 1], [1, 1]], dtype=np.int32),
            "feat_indptr": np.array([0, 2, 2, 5, 6]),
            "feat_indices": np.array([0, 4, 1, 2, 3, 4], dtype=np.int32),
            "num_features": np.array(5),
            "y": np.array([1, 0, 0, 1], dtype=np.int8),
        } | changes
        path = tmp_path / "musae/twitch_PTBR.npz"
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def test_small_file(write):
    write()
    data = load_dataset("twitch-ptbr")
    check_graph(data)
    assert data.edge_index.tolist() == [[0, 0, 1, 1, 2], [1, 2, 0, 1, 0]]
    assert data.x.tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1]]
    assert data.y.tolist() == [1, 0, 0, 1]
    assert (data.x.dtype, data.edge_index.dtype, data.y.dtype) == (torch.float32, torch.int64, torch.int64)


def test_edges_listed_in_both_directions_or_twice_count_once(write):
    write(edges=np.array([[0, 1], [1, 0], [0, 1], [2, 0], [1, 1], [1, 1]]))
    assert load_dataset("twitch-ptbr").edge_index.tolist() == [[0, 0, 1, 1, 2], [1, 2, 0, 1, 0]]


def test_no_edges(write):
    write(edges=np.zeros((0, 2), dtype=np.int32))
    assert load_dataset("twitch-ptbr").edge_index.shape == (2, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"y": None},
        {"y": np.array([1, 0, 0])},
        {"y": np.array([1, 0, 0, -1])},
        {"y": np.array([1.0, 0.0, 0.0, 1.0])},
        {"edges": np.array([[0, 4]])},
        {"edges": np.array([[-1, 0]])},
        {"edges": np.array([0, 1])},
        {"feat_indices": np.array([0, 4, 1, 2, 3, 5])},
        {"feat_indptr": np.array([0, 2, 2, 5])},
        {"feat_indptr": np.array([0, 2, 1, 5, 6])},
        {"feat_indptr": np.array([0, 2, 2, 5, 5])},
        {"num_features": np.array([5])},
        {"edges": np.array([[0, None]], dtype=object)},  # would need unpickling
    ],
    ids=str,
)
def test_arrays_that_do_not_fit(write, changes):
    write(**changes)
    with pytest.raises(CorruptFileError, match=r"twitch_PTBR\.npz.*delete it"):
        load_dataset("twitch-ptbr")


def test_damaged_file(write):
    path = write()
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:-30], whole[:middle], whole.replace(np.array([0, 2, 2, 5, 6]).tobytes(), bytes(40))):
        assert damaged != whole
        path.write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=r"twitch_PTBR\.npz.*delete it"):
            load_dataset("twitch-ptbr")


@pytest.mark.skipif(not REAL, reason="GRAPHSSL_MIRROR is unset: no raw files to read")
@pytest.mark.parametrize("name", EDGES)
def test_real_files(name):
    info = dataset_info(name)
    path = os.path.join(REAL, f"musae/{info.raw_name}.npz")
    if not os.path.isfile(path):
        pytest.skip("the mirror does not have it")
    data = load_dataset(name)
    check_graph(data)
    assert data.x.shape == (info.num_nodes, info.num_features)
    assert data.y.unique().tolist() == list(range(info.num_classes))
    assert data.edge_index.shape == (2, EDGES[name])
    assert is_undirected(data.edge_index, num_nodes=info.num_nodes)
    assert contains_self_loops(data.edge_index) == (name == "facebook-pages")
    with np.load(path, allow_pickle=False) as file:
        start, words, edges = file["feat_indptr"], file["feat_indices"], file["edges"]
    assert data.x.sum() == words.size
    for node in range(0, info.num_nodes, 97):
        assert data.x[node].nonzero().view(-1).tolist() == sorted(words[start[node] : start[node + 1]].tolist())
    for node in (0, 1, info.num_nodes - 1):
        neighbours = {int(v) for u, v in edges if u == node} | {int(u) for u, v in edges if v == node}
        assert data.edge_index[1, data.edge_index[0] == node].tolist() == sorted(neighbours)
