"""Air-traffic networks: which airports are busy, told by structure alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Data

from graphssl.data._text import corrupt, read_bytes, table
from graphssl.data.checksums import SHA256
from graphssl.sources import fetch

__all__ = ["read_airports"]

URL = "https://github.com/leoribeiro/struc2vec/raw/master/graph"


def read_airports(country: str, *, root: str | Path | None = None) -> Data:
    """One airport network.

    Parameters
    ----------
    country : str
        ``"usa"``, ``"brazil"`` or ``"europe"``.
    root : path, optional
        Cache folder.

    Returns
    -------
    Data
        ``x`` (N, N) the identity, ``edge_index`` (2, E) as listed in the file (each flight route in the direction
        given), sorted, without duplicates, ``y`` (N,) the quartile of activity.

    References
    ----------
    .. [1] Ribeiro, Saverese, Figueiredo. struc2vec: Learning Node Representations from Structural Identity. KDD 2017.
    """
    paths = []
    for name in (f"labels-{country}-airports.txt", f"{country}-airports.edgelist"):
        relative = f"airports/{country}/raw/{name}"
        paths.append(fetch(relative, [f"{URL}/{name}"], SHA256.get(relative), root=root))
    labels = table(read_bytes(paths[0]).partition(b"\n")[2], 2, np.int64, paths[0])  # (N, 2): id, class
    edges = table(read_bytes(paths[1]), 2, np.int64, paths[1])  # (E, 2)
    count = len(labels)
    by_id = np.argsort(labels[:, 0], kind="stable")
    position = np.searchsorted(labels[by_id, 0], edges).clip(max=count - 1)
    node = by_id[position]
    if count == 0 or (labels[node, 0] != edges).any():
        raise corrupt(paths[1], "an edge names an airport without a label")
    keys = np.unique(node[:, 0] * count + node[:, 1])
    return Data(
        x=torch.eye(count),
        edge_index=torch.from_numpy(np.stack([keys // count, keys % count])),
        y=torch.from_numpy(labels[:, 1].copy()),
    )
