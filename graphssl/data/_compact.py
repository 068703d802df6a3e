"""What the compact npz forms share: lists of whole numbers, and a binary bag of words by rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphssl.data._text import corrupt

__all__ = ["bag_of_words", "integers"]


def integers(
    file: Mapping[str, np.ndarray],
    key: str,
    path: Path,
    shape: tuple[int | None, ...],
    *,
    low: int | None = 0,
    below: int | None = None,
) -> np.ndarray:
    """One array of a file as int64, checked.

    Parameters
    ----------
    file : mapping
        The arrays read from ``path``.
    key : str
        Name of the array.
    path : Path
        Named in the error.
    shape : tuple
        Expected shape; None where any length will do.
    low, below : int, optional
        All entries must be in ``[low, below)``; None for no limit.

    Raises
    ------
    CorruptFileError
        If the array holds something else.
    """
    array = file[key]
    fits = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in "iu":
        wanted = tuple("any" if size is None else size for size in shape)
        raise corrupt(path, f"{key} must be whole numbers of shape {wanted}, got {array.dtype} {array.shape}")
    if array.size and low is not None and array.min() < low:
        raise corrupt(path, f"{key} has an entry below {low}")
    if array.size and below is not None and array.max() >= below:
        raise corrupt(path, f"{key} has the entry {array.max()}, and must stay below {below}")
    return array.astype(np.int64)


def bag_of_words(file: Mapping[str, np.ndarray], num_nodes: int, path: Path) -> Tensor:
    """Dense features (N, F) float32 from ``feat_indptr``, ``feat_indices`` and ``num_features``: 1 where a word occurs.

    Cost: 4 N F bytes; no sparse copy is made.
    """
    width = int(integers(file, "num_features", path, ()))
    start = integers(file, "feat_indptr", path, (num_nodes + 1,))
    words = integers(file, "feat_indices", path, (None,), below=width)
    counts = np.diff(start)
    if start[0] != 0 or start[-1] != words.size or (counts < 0).any():
        raise corrupt(path, f"feat_indptr does not divide the {words.size} entries of feat_indices among the nodes")
    x = np.zeros((num_nodes, width), dtype=np.float32)
    x[np.repeat(np.arange(num_nodes), counts), words] = 1
    return torch.from_numpy(x)
