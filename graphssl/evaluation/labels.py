"""Labels as one integer array, and what must hold before an embedding is scored against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError

__all__ = ["as_embedding", "is_graph_level", "read_labels"]


def is_graph_level(data: Any) -> bool:
    """Are there several graphs (a list, a data set, a batch), so that rows are graphs and not nodes?"""
    return not isinstance(data, Data) or data.get("ptr") is not None


def read_labels(data: Any) -> np.ndarray:
    """Classes as int64, (N,) for one graph and (G,) for several; -1 where unknown (negative or NaN).

    Raises
    ------
    ConfigurationError
        Without ``y``, with several tasks or soft labels, or with fewer than two classes.
    """
    graphs = [data] if isinstance(data, Data) else list(data)
    if any(graph.get("y") is None for graph in graphs):
        raise ConfigurationError("the protocol needs labels, but the data has no y: set data.y, or use 'links-85-5-10'")
    parts = [torch.as_tensor(graph.y) for graph in graphs]
    if any(part.dim() > 1 and part[0].numel() > 1 for part in parts):
        raise ConfigurationError(
            f"expected one class a row, got y of shape {tuple(parts[0].shape)}: evaluate one task at a time"
        )
    y = torch.cat([part.reshape(-1) for part in parts]).cpu().numpy()
    if np.issubdtype(y.dtype, np.floating):
        if np.any(y[np.isfinite(y)] % 1):
            raise ConfigurationError("expected integer classes, got fractional labels: regression has no protocol here")
        y = np.where(np.isfinite(y), y, -1)
    y = np.maximum(y.astype(np.int64), -1)
    if not isinstance(data, Data) and len(y) != len(graphs):
        raise ConfigurationError(f"expected one label for each of {len(graphs)} graphs, got {len(y)}")
    classes = np.unique(y[y >= 0])
    if len(classes) < 2:
        raise ConfigurationError(f"at least two classes are needed to judge an embedding, got {len(classes)}")
    return y


def as_embedding(Z: Any, rows: int | None) -> np.ndarray:
    """A float32 array (rows, D) of finite numbers.

    Parameters
    ----------
    Z : array or Tensor, shape (rows, D)
        Any real dtype; a tensor may be on any device.
    rows : int or None
        Rows that the data asks for; None does not check.

    Raises
    ------
    ConfigurationError
        If the shape is another, or an entry is NaN or infinite; the first such row is named.
    """
    if isinstance(Z, torch.Tensor):
        Z = Z.detach().cpu().float().numpy()
    Z = np.asarray(Z, dtype=np.float32)
    if Z.ndim != 2 or Z.shape[1] == 0:
        raise ConfigurationError(f"expected an embedding of shape (rows, D), got shape {Z.shape}")
    if rows is not None and len(Z) != rows:
        raise ConfigurationError(
            f"the embedding has {len(Z)} rows but the data has {rows} labels: "
            "give one row a node for a single graph, or one row a graph for several, in the order of the data"
        )
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ConfigurationError(
            f"{int(bad.sum())} row(s) of the embedding are NaN or infinite, the first is row {int(bad.argmax())}: "
            "lower the learning rate, or check the features"
        )
    return Z
