"""Cornell, Texas, Wisconsin and Actor with the ten splits of Geom-GCN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data._text import corrupt, numbers, read_bytes, read_npz, table
from graphssl.data.checksums import SHA256
from graphssl.sources import fetch

__all__ = ["read_webkb"]

URL = "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/master"


def read_webkb(name: str, *, root: str | Path | None = None) -> Data:
    """One directed page or actor graph.

    Parameters
    ----------
    name : str
        ``"cornell"``, ``"texas"``, ``"wisconsin"`` or ``"actor"``.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F), ``edge_index`` (2, E) directed as listed, sorted, without duplicates, ``y`` (N,) and three masks
        of shape (N, 10), one column a split (48/32/20 percent).

    References
    ----------
    .. [1] Pei et al. Geom-GCN: Geometric Graph Convolutional Networks. ICLR 2020. arXiv:2002.05287.
    """
    folder, source = ("actor", "film") if name == "actor" else (f"webkb/{name}", name)

    def get(file: str, address: str) -> Path:
        relative = f"{folder}/raw/{file}"
        return fetch(relative, [f"{URL}/{address}/{file}"], SHA256[relative], root=root)

    nodes = get("out1_node_feature_label.txt", f"new_data/{source}")
    x, y = _nodes(nodes, as_indices=name == "actor")
    path = get("out1_graph_edges.txt", f"new_data/{source}")
    edges = table(_body(path), 2, np.int64, path)
    if edges.size and (edges.min() < 0 or edges.max() >= len(y)):
        raise corrupt(path, f"an edge names a node outside 0..{len(y) - 1}")
    keys = np.unique(edges[:, 0] * len(y) + edges[:, 1])
    data = Data(x=x, edge_index=torch.from_numpy(np.stack([keys // len(y), keys % len(y)])), y=y)
    splits = [read_npz(get(f"{source}_split_0.6_0.2_{i}.npz", "splits")) for i in range(10)]
    for mask in ("train_mask", "val_mask", "test_mask"):
        data[mask] = torch.from_numpy(np.stack([split[mask] for split in splits], axis=1).astype(bool))  # (N, 10)
    return data


def _body(path: Path) -> bytes:
    """The file without its header line."""
    return read_bytes(path).partition(b"\n")[2]


def _nodes(path: Path, *, as_indices: bool) -> tuple[Tensor, Tensor]:
    """Features and labels from lines ``id <tab> features <tab> label``; Actor lists the non-zero columns."""
    rows = [line.split(b"\t") for line in _body(path).splitlines() if line.strip()]
    if not rows or any(len(row) != 3 for row in rows):
        raise corrupt(path, "a line without three columns")
    ids, features, labels = zip(*rows, strict=True)
    values = numbers(b" ".join(features), np.int64 if as_indices else np.float32, path)
    y = torch.from_numpy(numbers(b" ".join(labels), np.int64, path))
    if not as_indices:
        if values.size % len(rows):
            raise corrupt(path, "rows of unequal length")
        return torch.from_numpy(values.reshape(len(rows), -1)), y
    node = np.array([int(i) for i in ids])
    x = torch.zeros(len(rows), int(values.max()) + 1)
    x[np.repeat(node, [row.count(b",") + 1 for row in features]), values] = 1.0
    return x, torch.empty_like(y).index_put_((torch.from_numpy(node),), y)
