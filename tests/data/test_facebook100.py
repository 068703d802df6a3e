"""Facebook-100 graphs from a small file; the real ones are compared with PyG in test_named_datasets.py."""

import hashlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from graphssl.data import check_graph, facebook100, load_dataset
from graphssl.data.checksums import SHA256
from graphssl.errors import CorruptFileError

RELATIVE = "linkx/reed98/raw/data.mat"

# status, gender (0 unknown), and five more columns
INFO = [[1, 2, 0, 7, 300, 2005, 9], [2, 0, 4, 7, 300, 2005, 9], [1, 1, 4, 8, 0, 2005, 9]]
EDGES = [(0, 1), (1, 0), (1, 2), (2, 1)]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A mirror with one small file, whose digest counts as the published one."""
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path))
    path = tmp_path / RELATIVE
    path.parent.mkdir(parents=True)
    row, col = zip(*EDGES, strict=True)
    adjacency = sp.csc_matrix((np.ones(len(EDGES)), (row, col)), shape=(3, 3))
    scipy.io.savemat(path, {"A": adjacency, "local_info": np.array(INFO, dtype=np.uint16)})
    monkeypatch.setitem(SHA256, RELATIVE, hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_against_loops(path):
    data = load_dataset("reed98")
    check_graph(data)
    assert list(map(tuple, data.edge_index.T.tolist())) == EDGES
    assert data.y.tolist() == [1, -1, 0]  # -1: unknown
    expected = [[] for _ in INFO]
    for column in (0, 2, 3, 4, 5, 6):  # all but the gender
        values = sorted({row[column] for row in INFO})
        for node, row in enumerate(INFO):
            expected[node] += [float(row[column] == value) for value in values]
    assert data.x.tolist() == expected


def test_damaged_file(path):
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFileError, match=r"reed98/raw/data\.mat.*delete it"):
        load_dataset("reed98")


def test_every_graph_has_a_digest_and_an_address():
    for name in ("cornell5", "johnshopkins55", "amherst41", "reed98"):
        assert f"linkx/{name}/raw/data.mat" in SHA256
        assert facebook100._FILES[name].replace("%20", "").lower() == f"{name}.mat"
