"""Facebook pages and Twitch users: social graphs with a bag of words for each node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data

from graphssl.data._compact import bag_of_words, integers
from graphssl.data._text import read_npz
from graphssl.sources import fetch

__all__ = ["read_musae"]

_KEYS = ("edges", "feat_indptr", "feat_indices", "num_features", "y")


def read_musae(name: str, *, root: str | Path | None = None) -> Data:
    """One undirected graph from ``musae/NAME.npz``.

    Parameters
    ----------
    name : str
        ``"facebook_pages"``, or ``"twitch_XX"`` with XX one of DE, ENGB, ES, FR, PTBR, RU.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F) float32 of 0 and 1, ``edge_index`` (2, E) with both directions, sorted, without duplicates, a
        self-loop once, ``y`` (N,): company, government, politician, television for the pages; 1 for mature language
        on Twitch, whose six graphs share one space of 3,170 features.

    Raises
    ------
    DownloadError
        If the file is nowhere: no address of this form is known.
    CorruptFileError
        If the file is damaged or its arrays do not fit together.

    Notes
    -----
    ``x`` is dense, as in all data sets here: 424 MB for the Facebook pages (22,470 x 4,714), 120 MB for the largest
    Twitch graph. The original feature lists are read, not the 128 reduced features of PyG's loaders.

    References
    ----------
    .. [1] Rozemberczki, Allen, Sarkar. Multi-Scale Attributed Node Embedding. Journal of Complex Networks 2021.
       arXiv:1909.13021.
    """
    path = fetch(f"musae/{name}.npz", [], None, root=root)
    file = read_npz(path, _KEYS)
    y = integers(file, "y", path, (None,))
    count = y.size
    edges = integers(file, "edges", path, (None, 2), below=count)  # (E, 2), each once
    keys = np.unique(np.concatenate([edges @ [count, 1], edges @ [1, count]]))
    return Data(
        x=bag_of_words(file, count, path),
        edge_index=torch.from_numpy(np.stack([keys // count, keys % count])),
        y=torch.from_numpy(y),
    )
