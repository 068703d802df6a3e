"""Friendships at four universities of the Facebook-100 collection: predict the gender, at low homophily."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data

from graphssl.data.checksums import SHA256
from graphssl.sources import fetch

__all__ = ["read_facebook100"]

URL = "https://github.com/CUAI/Non-Homophily-Large-Scale/raw/master/data/facebook100"
_FILES = {
    "cornell5": "Cornell5.mat",
    "johnshopkins55": "Johns%20Hopkins55.mat",
    "amherst41": "Amherst41.mat",
    "reed98": "Reed98.mat",
}


def read_facebook100(name: str, *, root: str | Path | None = None) -> Data:
    """One undirected friendship graph.

    Parameters
    ----------
    name : str
        ``"cornell5"``, ``"johnshopkins55"``, ``"amherst41"`` or ``"reed98"``.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, F) float32, one-hot student or faculty status, major, second major, dormitory, year and high school
        (0, not stated, is a value of its own); ``edge_index`` (2, E) with both directions, as the file lists them;
        ``y`` (N,) the stated gender, -1 where it is unknown.

    Raises
    ------
    DownloadError
        If the file is nowhere and cannot, or may not, be downloaded.
    CorruptFileError
        If the file does not have the expected digest; so what follows reads a known file.

    Notes
    -----
    ``x`` is dense, as in all data sets here: 353 MB for ``cornell5`` (18,660 x 4,735).

    References
    ----------
    .. [1] Lim et al. Large Scale Learning on Non-Homophilous Graphs. NeurIPS 2021. arXiv:2110.14446.
    .. [2] Traud, Mucha, Porter. Social Structure of Facebook Networks. Physica A 2012. arXiv:1102.2166.
    """
    from scipy.io import loadmat  # a tenth of a second, for these four sets only

    relative = f"linkx/{name}/raw/data.mat"
    path = fetch(relative, [f"{URL}/{_FILES[name]}"], SHA256[relative], root=root)
    file = loadmat(str(path), variable_names=["A", "local_info"])
    adjacency = file["A"].tocsr().tocoo()
    info = file["local_info"].astype(np.int64)  # (N, 7): status, gender, and five more
    columns = [np.unique(column, return_inverse=True) for column in np.delete(info, 1, axis=1).T]
    x = np.zeros((len(info), sum(values.size for values, _ in columns)), dtype=np.float32)
    first = 0
    for values, position in columns:
        x[np.arange(len(info)), first + position.reshape(-1)] = 1
        first += values.size
    return Data(
        x=torch.from_numpy(x),
        edge_index=torch.from_numpy(np.stack([adjacency.row, adjacency.col]).astype(np.int64)),
        y=torch.from_numpy(info[:, 1] - 1),
    )
