"""Named data sets: what there is, and how each is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from graphssl.data import airports, builtin, facebook100, musae, npz, planetoid, tu, webkb, wordnet
from graphssl.data.graphs import GraphList
from graphssl.errors import unknown_name

__all__ = ["DatasetInfo", "dataset_info", "list_datasets", "load_dataset"]


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set, known without loading it.

    Parameters
    ----------
    name : str
        Registered name.
    level : str
        ``"node"`` (one graph, labels on nodes) or ``"graph"`` (many graphs, a label each).
    family : str
        Which reader: planetoid, amazon, coauthor, citationfull, webkb, actor, airports, linkx, musae, wordnet, tu,
        builtin.
    protocol : str
        Name of the default evaluation protocol.
    num_nodes, num_graphs : int or None
        Nodes at node level, graphs at graph level.
    num_features : int
        Columns of ``x`` as loaded; 0 when features must be made.
    num_classes : int
        Distinct labels.
    source : str
        Where the files come from.
    licence : str
        As stated there.
    raw_name : str
        The data set's name in the mirror's layout.
    """

    name: str
    level: str
    family: str
    protocol: str
    num_nodes: int | None
    num_graphs: int | None
    num_features: int
    num_classes: int
    source: str
    licence: str
    raw_name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values, for JSON."""
        return asdict(self)


_GNN_BENCHMARK = "https://github.com/shchur/gnn-benchmark/raw/master/data/npz"
_GRAPH2GAUSS = "https://github.com/abojchevski/graph2gauss/raw/master/data"

# family: default protocol, source, licence as stated there
_FAMILIES = {
    "planetoid": ("public", "https://github.com/kimiyoung/planetoid", "MIT"),
    "amazon": ("random-10-10-80", "https://github.com/shchur/gnn-benchmark", "MIT"),
    "coauthor": ("random-10-10-80", "https://github.com/shchur/gnn-benchmark", "MIT"),
    "citationfull": ("random-10-10-80", "https://github.com/abojchevski/graph2gauss", "MIT"),
    "webkb": ("canonical", "https://github.com/graphdml-uiuc-jlu/geom-gcn", "not stated"),
    "actor": ("canonical", "https://github.com/graphdml-uiuc-jlu/geom-gcn", "not stated"),
    "airports": ("node-10fold", "https://github.com/leoribeiro/struc2vec", "MIT"),
    "linkx": ("random-10-10-80", "https://github.com/CUAI/Non-Homophily-Large-Scale", "not stated"),
    "musae": (
        "random-10-10-80",
        "https://github.com/EdisonLeeeee/GraphData, from https://github.com/benedekrozemberczki/MUSAE",
        "MIT (MUSAE: GPL-3.0)",
    ),
    "wordnet": (
        "canonical",
        "https://github.com/globalwordnet/english-wordnet (Princeton WordNet and the Open English Wordnet team)",
        "CC BY 4.0 and the WordNet licence",
    ),
    "tu": ("tu-10fold", "https://chrsmrrs.github.io/datasets", "not stated"),
}

# name: family, raw name, nodes (TU: graphs), features, classes
_TABLE: dict[str, tuple[str, str, int, int, int]] = {
    "cora": ("planetoid", "Cora", 2708, 1433, 7),
    "citeseer": ("planetoid", "CiteSeer", 3327, 3703, 6),
    "pubmed": ("planetoid", "PubMed", 19717, 500, 3),
    "amazon-computers": ("amazon", "Computers", 13752, 767, 10),
    "amazon-photo": ("amazon", "Photo", 7650, 745, 8),
    "coauthor-cs": ("coauthor", "CS", 18333, 6805, 15),
    "coauthor-physics": ("coauthor", "Physics", 34493, 8415, 5),
    "cora-full": ("citationfull", "cora", 19793, 8710, 70),
    "cora-ml": ("citationfull", "cora_ml", 2995, 2879, 7),
    "citeseer-full": ("citationfull", "citeseer", 4230, 602, 6),
    "pubmed-full": ("citationfull", "pubmed", 19717, 500, 3),
    "dblp": ("citationfull", "dblp", 17716, 1639, 4),
    "cornell": ("webkb", "cornell", 183, 1703, 5),
    "texas": ("webkb", "texas", 183, 1703, 5),
    "wisconsin": ("webkb", "wisconsin", 251, 1703, 5),
    "actor": ("actor", "actor", 7600, 932, 5),
    "usa-airports": ("airports", "usa", 1190, 1190, 4),
    "brazil-airports": ("airports", "brazil", 131, 131, 4),
    "europe-airports": ("airports", "europe", 399, 399, 4),
    "cornell5": ("linkx", "cornell5", 18660, 4735, 2),
    "johns-hopkins55": ("linkx", "johnshopkins55", 5180, 2406, 2),
    "amherst41": ("linkx", "amherst41", 2235, 1193, 2),
    "reed98": ("linkx", "reed98", 962, 745, 2),
    "facebook-pages": ("musae", "facebook_pages", 22470, 4714, 4),
    "twitch-de": ("musae", "twitch_DE", 9498, 3170, 2),
    "twitch-engb": ("musae", "twitch_ENGB", 7126, 3170, 2),
    "twitch-es": ("musae", "twitch_ES", 4648, 3170, 2),
    "twitch-fr": ("musae", "twitch_FR", 6549, 3170, 2),
    "twitch-ptbr": ("musae", "twitch_PTBR", 1912, 3170, 2),
    "twitch-ru": ("musae", "twitch_RU", 4385, 3170, 2),
    "wordnet": ("wordnet", "open_english_wordnet", 107525, 1000, 45),
    "mutag": ("tu", "MUTAG", 188, 7, 2),
    "ptc-mr": ("tu", "PTC_MR", 344, 18, 2),
    "proteins": ("tu", "PROTEINS", 1113, 3, 2),
    "enzymes": ("tu", "ENZYMES", 600, 3, 6),
    "dd": ("tu", "DD", 1178, 89, 2),
    "nci1": ("tu", "NCI1", 4110, 37, 2),
    "nci109": ("tu", "NCI109", 4127, 38, 2),
    "imdb-binary": ("tu", "IMDB-BINARY", 1000, 0, 2),
    "imdb-multi": ("tu", "IMDB-MULTI", 1500, 0, 3),
    "reddit-binary": ("tu", "REDDIT-BINARY", 2000, 0, 2),
    "reddit-multi-5k": ("tu", "REDDIT-MULTI-5K", 4999, 0, 5),
    "reddit-multi-12k": ("tu", "REDDIT-MULTI-12K", 11929, 0, 11),
    "collab": ("tu", "COLLAB", 5000, 0, 3),
}


def _downloaded(name: str) -> DatasetInfo:
    family, raw, size, features, classes = _TABLE[name]
    protocol, source, licence = _FAMILIES[family]
    level = "graph" if family == "tu" else "node"
    nodes, graphs = (None, size) if level == "graph" else (size, None)
    return DatasetInfo(name, level, family, protocol, nodes, graphs, features, classes, source, licence, raw)


def _builtin(
    name: str, level: str, protocol: str, size: int, features: int, classes: int, source: str, licence: str
) -> DatasetInfo:
    nodes, graphs = (None, size) if level == "graph" else (size, None)
    return DatasetInfo(name, level, "builtin", protocol, nodes, graphs, features, classes, source, licence, name)


_DIGITS = "scikit-learn, from the UCI digits (E. Alpaydin, C. Kaynak)"
_INFO = {name: _downloaded(name) for name in _TABLE} | {
    info.name: info
    for info in (
        _builtin("digits-knn", "node", "public", 1797, 64, 10, _DIGITS, "CC BY 4.0"),
        _builtin("digits-graphs", "graph", "tu-10fold", 1797, 3, 10, _DIGITS, "CC BY 4.0"),
        _builtin("karate", "node", "kmeans", 34, 34, 4, "Zachary 1977", "public domain"),
        _builtin("sbm", "node", "random-10-10-80", 1000, 32, 4, "generated", "MIT"),
    )
}


def list_datasets() -> list[str]:
    """Names of all data sets, sorted."""
    return sorted(_INFO)


def dataset_info(name: str) -> DatasetInfo:
    """Facts about one data set, without loading it; an unknown name raises an error that suggests the nearest."""
    if name not in _INFO:
        raise unknown_name("data set", name, _INFO)
    return _INFO[name]


def load_dataset(name: str, root: str | Path | None = None) -> Data | GraphList:
    """Load a data set by name: from ``GRAPHSSL_MIRROR``, from the cache, or by a verified download.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`.
    root : path, optional
        Cache folder used instead of ``GRAPHSSL_HOME``. Raw files go to ``raw/`` in it, parsed ones to ``processed/``.

    Returns
    -------
    Data or GraphList
        One graph at node level, with ``name`` and ``num_classes`` kept in :func:`dataset_info`; a list of graphs at
        graph level. Tensors equal those of the standard PyG loader, edges in the same order.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    DownloadError
        If the files are nowhere and cannot, or may not, be downloaded.
    CorruptFileError
        If a file is truncated or altered; names it.

    Examples
    --------
    >>> load_dataset("karate")
    Data(x=[34, 34], edge_index=[2, 156], y=[34], train_mask=[34])
    """
    info = dataset_info(name)
    raw = info.raw_name
    if info.family == "planetoid":
        return planetoid.read_planetoid(raw, root=root)
    if info.family in ("amazon", "coauthor", "citationfull"):
        return npz.read_npz_graph(*_npz_place(info), root=root)
    if info.family in ("webkb", "actor"):
        return webkb.read_webkb(raw, root=root)
    if info.family == "airports":
        return airports.read_airports(raw, root=root)
    if info.family == "linkx":
        return facebook100.read_facebook100(raw, root=root)
    if info.family == "musae":
        return musae.read_musae(raw, root=root)
    if info.family == "wordnet":
        return wordnet.read_wordnet(raw, root=root)
    if info.family == "tu":
        return GraphList(tu.read_tu(raw, root=root), name=name, num_classes=info.num_classes)
    if name == "digits-graphs":
        return GraphList(builtin.digits_graphs(), name=name, num_classes=info.num_classes)
    return {"digits-knn": builtin.digits_knn, "karate": builtin.karate_club, "sbm": builtin.planted_communities}[name]()


def _npz_place(info: DatasetInfo) -> tuple[str, list[str]]:
    """Path in a mirror and address of a one-file data set."""
    raw = info.raw_name
    if info.family == "amazon":
        file, base = f"amazon_electronics_{raw.lower()}.npz", _GNN_BENCHMARK
    elif info.family == "coauthor":
        file, base = f"ms_academic_{raw[:3].lower()}.npz", _GNN_BENCHMARK
    else:
        file, base = f"{raw}.npz", _GRAPH2GAUSS
    return f"{info.family}/{raw}/raw/{file}", [f"{base}/{file}"]
