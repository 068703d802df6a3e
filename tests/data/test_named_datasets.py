"""Named data sets equal what the standard PyG loaders give, and damage is noticed."""

import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_geometric.datasets as pyg
from torch_geometric.utils import contains_self_loops, homophily, is_undirected

from graphssl.data import (
    GraphList,
    check_graph,
    dataset_info,
    digits_knn,
    list_datasets,
    load_dataset,
    num_features,
    num_nodes,
    planted_communities,
)
from graphssl.errors import ConfigurationError, CorruptFileError, DownloadError, UnknownNameError

MIRROR = os.environ.get("GRAPHSSL_MIRROR", "")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="GRAPHSSL_MIRROR is unset: no raw files to read")

LOADERS = {
    "cora": lambda r: pyg.Planetoid(f"{r}/planetoid", "Cora"),
    "citeseer": lambda r: pyg.Planetoid(f"{r}/planetoid", "CiteSeer"),
    "pubmed": lambda r: pyg.Planetoid(f"{r}/planetoid", "PubMed"),
    "amazon-computers": lambda r: pyg.Amazon(f"{r}/amazon", "Computers"),
    "amazon-photo": lambda r: pyg.Amazon(f"{r}/amazon", "Photo"),
    "coauthor-cs": lambda r: pyg.Coauthor(f"{r}/coauthor", "CS"),
    "coauthor-physics": lambda r: pyg.Coauthor(f"{r}/coauthor", "Physics"),
    "cora-full": lambda r: pyg.CitationFull(f"{r}/citationfull", "Cora"),
    "cora-ml": lambda r: pyg.CitationFull(f"{r}/citationfull", "Cora_ML"),
    "citeseer-full": lambda r: pyg.CitationFull(f"{r}/citationfull", "CiteSeer"),
    "pubmed-full": lambda r: pyg.CitationFull(f"{r}/citationfull", "PubMed"),
    "dblp": lambda r: pyg.CitationFull(f"{r}/citationfull", "DBLP"),
    "cornell": lambda r: pyg.WebKB(f"{r}/webkb", "Cornell"),
    "texas": lambda r: pyg.WebKB(f"{r}/webkb", "Texas"),
    "wisconsin": lambda r: pyg.WebKB(f"{r}/webkb", "Wisconsin"),
    "actor": lambda r: pyg.Actor(f"{r}/actor"),
    "usa-airports": lambda r: pyg.Airports(f"{r}/airports", "USA"),
    "brazil-airports": lambda r: pyg.Airports(f"{r}/airports", "Brazil"),
    "europe-airports": lambda r: pyg.Airports(f"{r}/airports", "Europe"),
    "cornell5": lambda r: pyg.LINKXDataset(f"{r}/linkx", "cornell5"),
    "johns-hopkins55": lambda r: pyg.LINKXDataset(f"{r}/linkx", "johnshopkins55"),
    "amherst41": lambda r: pyg.LINKXDataset(f"{r}/linkx", "amherst41"),
    "reed98": lambda r: pyg.LINKXDataset(f"{r}/linkx", "reed98"),
}
#: Compact forms that no standard loader reads and no address holds; their own test files check them.
MIRROR_ONLY = {n for n in list_datasets() if dataset_info(n).family in ("musae", "wordnet")}


def tu_loader(raw):
    return lambda r: pyg.TUDataset(f"{r}/tudataset", raw)


LOADERS |= {n: tu_loader(dataset_info(n).raw_name) for n in list_datasets() if dataset_info(n).family == "tu"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    return tmp_path / "home"


def folder_of(name):
    info = dataset_info(name)
    if info.family == "actor":
        return "actor"
    return f"{ {'tu': 'tudataset', 'wordnet': 'wordnet_graph'}.get(info.family, info.family) }/{info.raw_name}"


def linked(name, tmp_path):
    """A writable copy, in links, of the raw files of one data set."""
    folder = folder_of(name)
    source = Path(MIRROR) / folder / "raw"
    if not source.is_dir():
        pytest.skip(f"the mirror has no {folder}/raw")
    target = tmp_path / "pyg" / folder / "raw"
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).symlink_to(file)
    return tmp_path / "pyg"


def assert_same(ours, theirs):
    assert set(ours.keys()) == set(theirs.keys())
    for key in theirs.keys():  # noqa: SIM118
        if isinstance(theirs[key], torch.Tensor):
            assert ours[key].dtype == theirs[key].dtype, key
            assert torch.equal(ours[key], theirs[key]), key
        else:
            assert ours[key] == theirs[key], key


@needs_mirror
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.filterwarnings("ignore")
def test_equals_the_standard_loader(name, tmp_path):
    theirs = LOADERS[name](linked(name, tmp_path))
    ours = load_dataset(name)
    info = dataset_info(name)
    assert num_features(ours) == info.num_features == theirs.num_features
    assert info.num_classes == theirs.num_classes
    if info.level == "node":
        assert_same(ours, theirs[0])
        assert num_nodes(ours) == info.num_nodes
        check_graph(ours)
        return
    assert isinstance(ours, GraphList)
    assert (ours.name, ours.num_classes) == (name, theirs.num_classes)
    assert len(ours) == info.num_graphs == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other)


@needs_mirror
def test_citation_graphs_load_fast():
    load_dataset("cora")
    start = time.perf_counter()
    load_dataset("cora")
    assert time.perf_counter() - start < 0.3


# --- TU forms: text, archive and compact hold the same graphs


def tu_text(folder, name="IMDB-MULTI", **changes):
    """Two graphs: a path of three nodes and a pair; one edge listed twice, one self-loop, one isolated node."""
    files = {
        "A": "1, 2\n2, 1\n2, 3\n3, 2\n2, 3\n4, 5\n5, 4\n5, 5\n",
        "graph_indicator": "1\n1\n1\n2\n2\n2\n",
        "graph_labels": "-1\n1\n",
    } | changes
    folder.mkdir(parents=True)
    for part, text in files.items():
        (folder / f"{name}_{part}.txt").write_text(text)
    return folder


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def as_lists(graphs):
    return [(g.edge_index.tolist(), g.y.tolist(), g.num_nodes, None if g.x is None else g.x.tolist()) for g in graphs]


EXPECTED = [([[0, 1, 1, 2], [1, 0, 2, 1]], [0], 3, None), ([[0, 1], [1, 0]], [1], 3, None)]


def test_tu_text_archive_and_compact_agree(mirror):
    folder = tu_text(mirror / "tudataset/IMDB-MULTI/raw")
    assert as_lists(load_dataset("imdb-multi")) == EXPECTED
    with zipfile.ZipFile(mirror / "tudataset/IMDB-MULTI/IMDB-MULTI.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"IMDB-MULTI/{file.name}")
    shutil.rmtree(folder)
    assert as_lists(load_dataset("imdb-multi")) == EXPECTED
    shutil.rmtree(mirror / "tudataset")
    (mirror / "tu_compact").mkdir()
    np.savez(
        mirror / "tu_compact/IMDB-MULTI.npz",
        src=np.array([0, 2, 1], dtype=np.uint16),
        dst=np.array([1, 1, 0], dtype=np.uint16),
        num_nodes=[3, 3],
        num_edges=[2, 1],
        y=[-1, 1],
    )
    for _ in range(2):  # from the raw file, then from the processed cache
        assert as_lists(load_dataset("imdb-multi")) == EXPECTED


def test_tu_labels_of_nodes_and_edges(mirror):
    labels = {"node_labels": "3\n4\n3\n5\n5\n3\n", "edge_labels": "0\n0\n1\n1\n1\n0\n0\n1\n"}
    tu_text(mirror / "tudataset/MUTAG/raw", "MUTAG", **labels)
    first, second = load_dataset("mutag")
    assert first.x.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert second.x.tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert first.edge_attr.tolist() == [[1, 0], [1, 0], [0, 2], [0, 1]]  # the repeated edge's labels add up


@pytest.mark.parametrize(
    "changes",
    [
        {"A": "1, 2\n2, one\n"},
        {"A": "1, 2\n2,\n"},
        {"A": "1, 9\n"},
        {"A": "0, 1\n"},
        {"A": "1, 4\n"},
        {"graph_indicator": "1\n2\n1\n2\n2\n2\n"},
        {"graph_indicator": ""},
        {"graph_labels": "1\n"},
        {"node_labels": "1\n2\n"},
    ],
    ids=str,
)
def test_damaged_tu_text(mirror, changes):
    tu_text(mirror / "tudataset/IMDB-MULTI/raw", **changes)
    with pytest.raises(CorruptFileError, match=r"IMDB-MULTI_A\.txt.*delete it"):
        load_dataset("imdb-multi")


def test_damaged_tu_archive(mirror, tmp_path):
    folder = tu_text(tmp_path / "text")
    path = mirror / "tudataset/IMDB-MULTI/IMDB-MULTI.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "IMDB-MULTI_A.txt", "IMDB-MULTI/IMDB-MULTI_A.txt")
    with pytest.raises(CorruptFileError, match="graph_indicator"):
        load_dataset("imdb-multi")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorruptFileError, match=r"IMDB-MULTI\.zip"):
        load_dataset("imdb-multi")


def test_damaged_processed_cache_is_made_again(mirror, cache):
    (mirror / "tu_compact").mkdir()
    np.savez(mirror / "tu_compact/COLLAB.npz", src=[0], dst=[1], num_nodes=[2], num_edges=[1], y=[1])
    expected = as_lists(load_dataset("collab"))
    (path,) = (cache / "processed").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert as_lists(load_dataset("collab")) == expected
    assert path.stat().st_size > 100


# --- damage, absence, names


@needs_mirror
@pytest.mark.parametrize("name", ["cora", "amazon-computers", "cora-ml", "cornell", "usa-airports", "reed98"])
def test_truncated_file(name, tmp_path, monkeypatch):
    root = linked(name, tmp_path)
    victim = max((root / folder_of(name) / "raw").iterdir(), key=lambda p: p.stat().st_size)
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content[: len(content) // 2])
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(root))
    with pytest.raises(CorruptFileError, match="delete it") as error:
        load_dataset(name)
    assert str(victim) in str(error.value)


@needs_mirror
def test_root_is_a_cache_in_the_same_layout(tmp_path, monkeypatch):
    linked("cora", tmp_path).rename(tmp_path / "raw")
    expected = load_dataset("cora")
    monkeypatch.delenv("GRAPHSSL_MIRROR")
    assert_same(load_dataset("cora", root=tmp_path), expected)


def test_offline_names_what_is_missing(mirror):
    for name in list_datasets():
        if dataset_info(name).family != "builtin":
            why = "no public address" if name in MIRROR_ONLY else "GRAPHSSL_OFFLINE"
            with pytest.raises(DownloadError, match=why) as error:
                load_dataset(name)
            assert str(mirror / folder_of(name)) in str(error.value)


def test_names():
    names = list_datasets()
    assert names == sorted(names)
    assert set(LOADERS) | MIRROR_ONLY | {"digits-knn", "digits-graphs", "karate", "sbm"} == set(names)
    for wrong, near in [("corra", "cora"), ("Amazon_Photo", "amazon-photo"), ("imdb", "imdb-multi")]:
        with pytest.raises(UnknownNameError, match=f"did you mean '{near}'|did you mean 'imdb"):
            load_dataset(wrong)
    assert dataset_info("mutag").to_dict()["protocol"] == "tu-10fold"


# --- built in


@pytest.mark.parametrize("name", ["digits-knn", "digits-graphs", "karate", "sbm"])
def test_built_in(name, monkeypatch, cache):
    monkeypatch.setenv("GRAPHSSL_MIRROR", "")  # no mirror, an empty cache, no network
    data, again, info = load_dataset(name), load_dataset(name), dataset_info(name)
    graphs, repeated = ([data], [again]) if info.level == "node" else (data, again)
    assert num_features(data) == info.num_features
    assert (num_nodes(data) if info.level == "node" else len(data)) == (info.num_nodes or info.num_graphs)
    assert torch.cat([g.y for g in graphs]).unique().tolist() == list(range(info.num_classes))
    for graph, other in zip(graphs, repeated, strict=True):
        check_graph(graph)
        assert_same(graph, other)
        assert is_undirected(graph.edge_index, num_nodes=graph.num_nodes)
        assert not contains_self_loops(graph.edge_index)
    assert not cache.exists()


def test_karate_equals_the_standard_loader():
    assert_same(load_dataset("karate"), pyg.KarateClub()[0])


def test_digits_knn_against_a_direct_search():
    data = digits_knn(num_neighbors=3)
    distance = torch.cdist(data.x.double() * 16, data.x.double() * 16).round(decimals=6)
    distance.fill_diagonal_(float("inf"))
    chosen = distance.sort(dim=1, stable=True).indices[:, :3]
    expected = {(i, int(j)) for i, row in enumerate(chosen) for j in row}
    expected |= {(j, i) for i, j in expected}
    assert set(map(tuple, data.edge_index.T.tolist())) == expected


@pytest.mark.parametrize("name", ["digits-knn", "sbm"])
def test_masks_split_every_class_10_10_80(name):
    data = load_dataset(name)
    masks = torch.stack([data.train_mask, data.val_mask, data.test_mask])
    assert (masks.sum(dim=0) == 1).all()
    for label in data.y.unique():
        share = masks[:, data.y == label].float().mean(dim=1)
        assert torch.allclose(share, torch.tensor([0.1, 0.1, 0.8]), atol=0.01)


def test_digits_graphs_are_the_images():
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    for graph, image, digit in list(zip(load_dataset("digits-graphs"), images, digits, strict=True))[::150]:
        ink, row, col = (graph.x * torch.tensor([16.0, 7.0, 7.0])).round().long().T
        drawn = torch.zeros(8, 8, dtype=torch.long)
        drawn[row, col] = ink
        assert drawn.tolist() == image.reshape(8, 8).astype(int).tolist()
        assert graph.y.tolist() == [digit]
        apart = torch.maximum((row[:, None] - row).abs(), (col[:, None] - col).abs())
        assert graph.edge_index.tolist() == (apart == 1).nonzero().T.tolist()


def test_planted_communities_keep_their_promises():
    data = planted_communities(4000, 5, num_features=8, average_degree=12, homophily=0.7, signal=3.0, seed=1)
    check_graph(data)
    assert data.x.shape == (4000, 8)
    assert data.y.bincount().tolist() == [800] * 5
    assert abs(homophily(data.edge_index, data.y, method="edge") - 0.7) < 0.02
    assert abs(data.edge_index.size(1) / 4000 - 12) < 0.2
    centres = torch.stack([data.x[data.y == c].mean(dim=0) for c in range(5)])
    assert torch.allclose(centres.norm(dim=1), torch.full((5,), 3.0), atol=0.2)
    assert not torch.equal(planted_communities(seed=1).edge_index, planted_communities(seed=2).edge_index)


def test_planted_communities_need_propagation():
    from sklearn.linear_model import LogisticRegression

    data = planted_communities(seed=3)
    adjacency = torch.zeros(1000, 1000).index_put_(tuple(data.edge_index), torch.tensor(1.0)) + torch.eye(1000)
    propagated = adjacency / adjacency.sum(dim=1, keepdim=True) @ data.x
    scores = []
    for x in (data.x, propagated):
        probe = LogisticRegression(max_iter=1000).fit(x[data.train_mask], data.y[data.train_mask])
        scores.append(probe.score(x[data.test_mask], data.y[data.test_mask]))
    raw, smooth = scores
    assert 0.4 < raw < 0.75
    assert smooth > raw + 0.2


@pytest.mark.parametrize(
    "arguments", [{"num_classes": 1}, {"num_nodes": 5}, {"homophily": 1.5}, {"average_degree": -1}]
)
def test_planted_communities_refuse(arguments):
    with pytest.raises(ConfigurationError, match="got"):
        planted_communities(**arguments)


def test_planted_communities_grow_linearly():
    start = time.process_time()  # not elapsed time: the machine may be busy
    data = planted_communities(100_000, 10, num_features=4)
    assert data.num_nodes == 100_000
    assert time.process_time() - start < 5  # a quadratic method would need minutes
