"""The WordNet graph: typed, directed relations, words and a split; damage is noticed."""

import os

import numpy as np
import pytest
import torch

from graphssl.data import check_graph, dataset_info, load_dataset
from graphssl.errors import CorruptFileError
from graphssl.evaluation import find_protocol

REAL = os.environ.get("GRAPHSSL_MIRROR", "")
FILE = "wordnet_graph/open_english_wordnet.npz"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of four nodes: two relations between one pair, one edge listed twice, one isolated node."""
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path))
    (tmp_path / "wordnet_graph").mkdir()

    def write(**changes):
        arrays = {
            "edges": np.array([[2, 0], [0, 1], [0, 1], [2, 0], [1, 0]], dtype=np.int32),
            "edge_type": np.array([1, 2, 0, 1, 0], dtype=np.int8),
            "edge_types": np.array(["also", "causes", "hypernym"]),
            "feat_indptr": np.array([0, 1, 1, 3, 4]),
            "feat_indices": np.array([1, 0, 2, 2], dtype=np.int16),
            "num_features": np.array(3),
            "y": np.array([0, 2, 1, 1], dtype=np.int8),
            "split": np.array([0, 1, 2, 0], dtype=np.int8),
        } | changes
        path = tmp_path / FILE
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def test_small_file(write):
    write()
    data = load_dataset("wordnet")
    check_graph(data)
    edges = list(zip(*data.edge_index.tolist(), data.edge_type.tolist(), strict=True))
    assert edges == [(0, 1, 0), (0, 1, 2), (1, 0, 0), (2, 0, 1)]
    assert data.is_edge_attr("edge_type")
    assert data.x.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert data.y.tolist() == [0, 2, 1, 1]
    assert data.train_mask.tolist() == [True, False, False, True]
    assert data.val_mask.tolist() == [False, True, False, False]
    assert data.test_mask.tolist() == [False, False, True, False]


def test_no_edges(write):
    write(edges=np.zeros((0, 2), dtype=np.int32), edge_type=np.zeros(0, dtype=np.int8))
    data = load_dataset("wordnet")
    assert data.edge_index.shape == (2, 0)
    assert data.edge_type.shape == (0,)


@pytest.mark.parametrize(
    "changes",
    [
        {"edge_type": None},
        {"edge_type": np.array([1, 2, 0, 1])},
        {"edge_type": np.array([1, 3, 0, 1, 0])},
        {"edges": np.array([[0, 4]] * 5)},
        {"split": np.array([0, 1, 3, 0])},
        {"split": np.array([0, 1, 2])},
        {"feat_indices": np.array([1, 0, 3, 2])},
        {"y": np.array(["a", "b", "c", "d"])},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit(write, changes):
    write(**changes)
    with pytest.raises(CorruptFileError, match=r"open_english_wordnet\.npz.*delete it"):
        load_dataset("wordnet")


def test_truncated_file(write):
    path = write()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptFileError, match=r"open_english_wordnet\.npz.*delete it"):
        load_dataset("wordnet")


@pytest.mark.skipif(not os.path.isfile(os.path.join(REAL, FILE)) or not REAL, reason="no mirror holds the file")
def test_real_file():
    data, info = load_dataset("wordnet"), dataset_info("wordnet")
    check_graph(data)
    assert data.x.shape == (info.num_nodes, info.num_features) == (107_525, 1000)
    assert data.edge_index.shape == (2, 229_735)
    assert data.edge_type.unique().tolist() == list(range(33))
    assert data.y.unique().tolist() == list(range(info.num_classes))
    masks = torch.stack([data.train_mask, data.val_mask, data.test_mask])
    assert (masks.sum(dim=0) == 1).all()
    assert torch.allclose(masks.float().mean(dim=1), torch.tensor([0.6, 0.2, 0.2]), atol=0.001)
    linked = torch.zeros(info.num_nodes, dtype=torch.bool)
    linked[data.edge_index.view(-1)] = True
    assert int((~linked).sum()) == 1283
    assert int((data.x.sum(dim=1) == 0).sum()) == 4544
    with np.load(os.path.join(REAL, FILE), allow_pickle=False) as file:
        listed = {(int(u), int(v), int(t)) for (u, v), t in zip(file["edges"], file["edge_type"], strict=True)}
    assert set(zip(*data.edge_index.tolist(), data.edge_type.tolist(), strict=True)) == listed
    (split,) = find_protocol(info.protocol, data).splits(data, data.y.numpy(), 0)
    assert np.array_equal(split.test, data.test_mask.nonzero().view(-1).numpy())
