"""COLLAB from its compact form is what the text reader would give."""

import os

import numpy as np
import pytest
import torch

from graphssl.data import load_dataset
from graphssl.errors import CorruptFileError

REAL = os.environ.get("GRAPHSSL_MIRROR", "")
FILE = "tu_compact/COLLAB.npz"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/tu_compact").mkdir(parents=True)
    return tmp_path / "mirror"


def random_arrays(seed):
    """Edges once, in any direction and order, with repeats and self-loops; graphs without edges among them."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 30)
    counts = rng.integers(0, 25, 30)
    counts[[0, 7, 29]] = 0
    ends = [rng.integers(0, size, (2, count)) for size, count in zip(sizes, counts, strict=True)]
    source, target = np.concatenate(ends, axis=1).astype(np.uint16)
    return {"src": source, "dst": target, "num_nodes": sizes, "num_edges": counts, "y": rng.integers(-1, 3, 30)}


def write_text(folder, arrays):
    """The same graphs in TU's text form: nodes numbered from 1 through all graphs, both directions."""
    folder.mkdir(parents=True)
    first = np.cumsum(arrays["num_nodes"]) - arrays["num_nodes"]
    graph = np.repeat(np.arange(30), arrays["num_edges"])
    source, target = arrays["src"] + first[graph] + 1, arrays["dst"] + first[graph] + 1
    lines = [f"{u}, {v}\n{v}, {u}\n" for u, v in zip(source, target, strict=True)]
    of_node = np.repeat(np.arange(30), arrays["num_nodes"]) + 1
    texts = {"A": "".join(lines), "graph_indicator": of_node, "graph_labels": arrays["y"]}
    for part, text in texts.items():
        text = text if isinstance(text, str) else "".join(f"{value}\n" for value in text)
        (folder / f"COLLAB_{part}.txt").write_text(text)


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_text_form(mirror, seed):
    arrays = random_arrays(seed)
    np.savez(mirror / FILE, **arrays)
    compact = load_dataset("collab")
    write_text(mirror / "tudataset/COLLAB/raw", arrays)  # looked for first
    text = load_dataset("collab")
    assert len(compact) == len(text) == 30
    for ours, theirs in zip(compact, text, strict=True):
        assert set(ours.keys()) == set(theirs.keys()) == {"edge_index", "y", "num_nodes"}
        assert ours.num_nodes == theirs.num_nodes
        assert torch.equal(ours.y, theirs.y)
        assert torch.equal(ours.edge_index, theirs.edge_index)


@pytest.mark.parametrize(
    "changes",
    [
        {"src": [0, 2]},  # node 2 of a graph of two
        {"dst": [1]},
        {"num_edges": [1, 2]},
        {"num_edges": [3, -1]},
        {"num_nodes": [2]},
        {"src": [0.0, 0.0]},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit(mirror, changes):
    np.savez(
        mirror / FILE,
        **({"src": [0, 0], "dst": [1, 1], "num_nodes": [2, 2], "num_edges": [1, 1], "y": [0, 1]} | changes),
    )
    with pytest.raises(CorruptFileError, match=r"COLLAB\.npz.*delete it"):
        load_dataset("collab")


@pytest.mark.skipif(not REAL or not os.path.isfile(os.path.join(REAL, FILE)), reason="no mirror holds the file")
@pytest.mark.skipif(bool(REAL) and os.path.isdir(os.path.join(REAL, "tudataset/COLLAB")), reason="the text is read")
def test_real_file():
    graphs = load_dataset("collab")
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (5000, 3, 0)
    assert torch.cat([graph.y for graph in graphs]).bincount().tolist() == [2600, 775, 1625]
    assert sum(graph.num_nodes for graph in graphs) / 5000 == pytest.approx(74.49, abs=0.01)
    assert sum(graph.num_edges for graph in graphs) == 24_572_158
    with np.load(os.path.join(REAL, FILE), allow_pickle=False) as file:
        source, target, counts = file["src"], file["dst"], file["num_edges"].astype(np.int64)
    end = np.cumsum(counts)
    for i in range(0, 5000, 250):
        rows = slice(end[i] - counts[i], end[i])
        adjacency = np.zeros((graphs[i].num_nodes, graphs[i].num_nodes), dtype=bool)
        adjacency[source[rows], target[rows]] = adjacency[target[rows], source[rows]] = True
        np.fill_diagonal(adjacency, False)
        assert np.array_equal(graphs[i].edge_index.numpy(), np.stack(adjacency.nonzero()))
