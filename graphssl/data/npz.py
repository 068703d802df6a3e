"""Amazon, Coauthor and CitationFull graphs: npz files of a sparse adjacency and a sparse bag of words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

from graphssl.data._text import corrupt, read_npz
from graphssl.sources import fetch

__all__ = ["read_npz_graph"]

_KEYS = tuple(f"{matrix}_{part}" for matrix in ("adj", "attr") for part in ("data", "indices", "indptr", "shape"))


def read_npz_graph(relative_path: str, urls: Sequence[str], *, root: str | Path | None = None) -> Data:
    """One graph from one npz file, made undirected.

    Parameters
    ----------
    relative_path : str
        Path in the mirror's layout, for instance ``"coauthor/CS/raw/ms_academic_cs.npz"``.
    urls : sequence of str
        Where the published file lies.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F) float32 with entries above 0 set to 1, ``edge_index`` (2, E) with both directions, sorted, without
        self-loops or duplicates, ``y`` (N,).

    References
    ----------
    .. [1] Shchur, Mumme, Bojchevski, Guennemann. Pitfalls of Graph Neural Network Evaluation. 2018. arXiv:1811.05868.
    .. [2] Bojchevski, Guennemann. Deep Gaussian Embedding of Graphs. ICLR 2018. arXiv:1707.03815.
    """
    path = fetch(relative_path, urls, None, root=root)
    file = read_npz(path, (*_KEYS, "labels"))
    try:
        adjacency, attributes = (
            sp.csr_matrix((file[f"{m}_data"], file[f"{m}_indices"], file[f"{m}_indptr"]), tuple(file[f"{m}_shape"]))
            for m in ("adj", "attr")
        )
        adjacency.check_format()
        attributes.check_format()
    except (ValueError, TypeError) as error:
        raise corrupt(path, error) from error
    count = attributes.shape[0]
    if adjacency.shape != (count, count) or file["labels"].shape != (count,):
        raise corrupt(
            path, f"adjacency {adjacency.shape}, attributes {attributes.shape}, labels {file['labels'].shape}"
        )

    attributes = attributes.astype(np.float32)
    attributes.sum_duplicates()
    attributes.data[attributes.data > 0] = 1
    coo = adjacency.tocoo()
    row, col = coo.row.astype(np.int64), coo.col.astype(np.int64)
    keep = row != col
    row, col = row[keep], col[keep]
    keys = np.unique(np.concatenate([row * count + col, col * count + row]))
    return Data(
        x=torch.from_numpy(attributes.toarray()),
        edge_index=torch.from_numpy(np.stack([keys // count, keys % count])),
        y=torch.from_numpy(file["labels"].astype(np.int64)),
    )
