"""Graph collections in the TU Dortmund text format."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, remove_self_loops

from graphssl.data._compact import integers
from graphssl.data._processed import processed
from graphssl.data._text import NPZ_ERRORS, corrupt, numbers, read_bytes, read_npz, table
from graphssl.sources import fetch, find

__all__ = ["read_tu"]

URL = "https://www.chrsmrrs.com/graphkerneldatasets"
_REQUIRED = ("A", "graph_indicator", "graph_labels")
_OPTIONAL = ("node_labels", "edge_labels")
_LARGE = 20_000_000  # bytes of text from which on parsing takes longer than half a second

Arrays = Mapping[str, np.ndarray]


def read_tu(folder: str, *, root: str | Path | None = None) -> list[Data]:
    """All graphs of a TU data set.

    Looked for in this order: text files ``tudataset/NAME/raw/NAME_*.txt``, the archive ``tudataset/NAME/NAME.zip``
    (read without unpacking), the compact form ``tu_compact/NAME.npz``, a download of the archive.

    Parameters
    ----------
    folder : str
        TU's own name, for instance ``"IMDB-BINARY"``.
    root : path, optional
        Cache folder.

    Returns
    -------
    list of Data
        ``edge_index`` sorted, without self-loops or duplicates; ``y`` (1,) numbered from 0; ``x`` one-hot node labels
        and ``edge_attr`` one-hot edge labels where the set has them, else ``num_nodes``. Continuous attributes are left
        out, as the standard loader does by default.

    References
    ----------
    .. [1] Morris et al. TUDataset: A collection of benchmark datasets for learning with graphs. 2020. arXiv:2007.08663.
    """
    text = find(f"tudataset/{folder}/raw/{folder}_A.txt", root=root)
    archive = f"tudataset/{folder}/{folder}.zip"
    compact = None if text or find(archive, root=root) else find(f"tu_compact/{folder}.npz", root=root)
    if text is not None:
        names = [name for name in _REQUIRED + _OPTIONAL if _part(text, folder, name).is_file()]
        raw = [_part(text, folder, name) for name in names]
        build: Callable[[], Arrays] = lambda: _parse({n: read_bytes(p) for n, p in zip(names, raw, strict=True)}, text)  # noqa: E731
    elif compact is not None:
        raw, build = [compact], lambda: _from_compact(compact)
    else:
        path = fetch(archive, [f"{URL}/{folder}.zip"], None, root=root)
        raw, build = [path], lambda: _parse(_unzip(path, folder), path)
    large = compact is not None or sum(path.stat().st_size for path in raw) > _LARGE
    return _split(processed(folder, raw, build, root=root) if large else build())


def _part(text: Path, folder: str, name: str) -> Path:
    return text.with_name(f"{folder}_{name}.txt")


def _unzip(path: Path, folder: str) -> dict[str, bytes]:
    """The text files of an archive; every member carries a checksum, which reading verifies."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(member).name: member for member in archive.namelist()}
            wanted = {name: members.get(f"{folder}_{name}.txt") for name in _REQUIRED + _OPTIONAL}
            return {name: archive.read(member) for name, member in wanted.items() if member is not None}
    except NPZ_ERRORS as error:
        raise corrupt(path, error) from error


def _parse(files: Mapping[str, bytes], path: Path) -> Arrays:
    """Text to arrays: edges with nodes numbered inside their graph, sizes, labels."""
    for name in _REQUIRED:
        if name not in files:
            raise corrupt(path, f"no file {name} beside it")
    edges = torch.from_numpy(table(files["A"], 2, np.int64, path).T - 1).contiguous()  # (2, E)
    graph = numbers(files["graph_indicator"], np.int64, path) - 1  # (N,)
    labels = numbers(files["graph_labels"], np.int64, path)
    if graph.size == 0 or graph[0] != 0 or (np.diff(graph) < 0).any() or labels.size != graph[-1] + 1:
        raise corrupt(path, "graph_indicator does not list the graphs in order, or graph_labels has another length")
    if edges.numel() and (int(edges.min()) < 0 or int(edges.max()) >= graph.size):
        raise corrupt(path, f"an edge names a node outside 1..{graph.size}")

    arrays = {"num_nodes": np.bincount(graph), "y": np.unique(labels, return_inverse=True)[1].reshape(-1)}
    if "node_labels" in files:
        arrays["node_labels"] = _labels(files["node_labels"], graph.size, path)
    edge_attr = None
    if "edge_labels" in files:
        edge_attr = _one_hot(_labels(files["edge_labels"], edges.size(1), path))
    edges, edge_attr = remove_self_loops(edges, edge_attr)
    edges, edge_attr = coalesce(edges, edge_attr, num_nodes=graph.size)
    if edge_attr is not None:
        arrays["edge_attr"] = edge_attr.numpy()
    source = graph[edges[0].numpy()]
    if (source != graph[edges[1].numpy()]).any():
        raise corrupt(path, "an edge joins two graphs")
    start = np.cumsum(arrays["num_nodes"]) - arrays["num_nodes"]
    arrays["edge_index"] = (edges.numpy() - start[source]).astype(np.int32)
    arrays["num_edges"] = np.bincount(source, minlength=labels.size)
    return arrays


def _labels(text: bytes, rows: int, path: Path) -> np.ndarray:
    values = numbers(text, np.int64, path)
    if rows == 0 or values.size == 0 or values.size % rows:
        raise corrupt(path, f"{values.size} labels for {rows} rows")
    values = values.reshape(rows, -1)
    return values - values.min(axis=0)


def _one_hot(labels: np.ndarray) -> Tensor:
    columns = [torch.nn.functional.one_hot(column).float() for column in torch.from_numpy(labels).unbind(dim=1)]
    return torch.cat(columns, dim=1)


def _from_compact(path: Path) -> Arrays:
    """The compact form lists each edge once, with nodes numbered inside their graph."""
    file = read_npz(path, ("src", "dst", "num_nodes", "num_edges", "y"))
    y = integers(file, "y", path, (None,), low=None)
    sizes = integers(file, "num_nodes", path, y.shape)
    num_edges = integers(file, "num_edges", path, y.shape)
    first = np.cumsum(sizes) - sizes  # a graph's first node, nodes numbered through the whole set
    graph = np.repeat(np.arange(y.size), num_edges)
    source, target = (integers(file, key, path, graph.shape) for key in ("src", "dst"))
    if (np.maximum(source, target) >= sizes[graph]).any():
        raise corrupt(path, "an edge names a node outside its graph")
    keep = source != target
    start = first[graph[keep]]
    source, target = source[keep] + start, target[keep] + start
    total = int(sizes.sum())
    keys = np.concatenate([source * total + target, target * total + source])
    keys.sort()
    keys = keys[np.append(True, keys[1:] != keys[:-1])] if keys.size else keys
    source, target = np.divmod(keys, total)
    graph = np.repeat(np.arange(y.size), sizes)[source]
    return {
        "edge_index": (np.stack([source, target]) - first[graph]).astype(np.int32),
        "num_edges": np.bincount(graph, minlength=y.size),
        "num_nodes": sizes,
        "y": np.unique(y, return_inverse=True)[1].reshape(-1),
    }


def _split(arrays: Arrays) -> list[Data]:
    """One ``Data`` a graph; all of them share the storage of the whole set."""
    sizes, counts = arrays["num_nodes"].tolist(), arrays["num_edges"].tolist()
    edges = torch.from_numpy(arrays["edge_index"]).long().split(counts, dim=1)
    labels = torch.from_numpy(arrays["y"]).long().split(1)
    x = _one_hot(arrays["node_labels"]).split(sizes) if "node_labels" in arrays else None
    edge_attr = torch.from_numpy(arrays["edge_attr"]).split(counts) if "edge_attr" in arrays else None
    graphs = []
    for i, size in enumerate(sizes):
        graph = Data(edge_index=edges[i], y=labels[i])
        if x is not None:
            graph.x = x[i]
        else:
            graph.num_nodes = size
        if edge_attr is not None:
            graph.edge_attr = edge_attr[i]
        graphs.append(graph)
    return graphs
