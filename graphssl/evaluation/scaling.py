"""Bring embeddings of any scale to the one a probe's grid was made for, without looking at labels."""

from __future__ import annotations

import numpy as np

from graphssl.errors import unknown_name

__all__ = ["SCALES", "scaled"]

SCALES = ("l2", "z-score", "global", "none")


def scaled(Z: np.ndarray, train: np.ndarray, scale: str) -> np.ndarray:
    """A scaled copy of an embedding.

    Parameters
    ----------
    Z : (N, D) float
        Embedding.
    train : (n,) int
        Rows whose statistics are used by ``z-score`` and ``global``.
    scale : str
        ``l2``: rows of unit length (a zero row stays zero). ``z-score``: each column with mean 0 and standard
        deviation 1 over the training rows; a constant column becomes zero. ``global``: columns centred, then one
        factor for all. ``none``: unchanged.

    Returns
    -------
    (N, D) float
        Of the dtype of ``Z``.
    """
    if scale == "l2":
        norm = np.linalg.norm(Z, axis=1, keepdims=True)  # (N, 1)
        return Z / np.where(norm > 0, norm, 1)
    if scale == "none":
        return Z
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    mean = Z[train].mean(axis=0)
    spread = Z[train].std(axis=0)  # (D,)
    if scale == "global":
        total = float(np.sqrt((spread**2).mean()))
        return (Z - mean) / (total if total > 0 else 1)
    # float32 rounding leaves a constant column with a spread of about 1e-7 of its size
    alive = spread > 1e-6 * np.abs(Z[train]).max(axis=0)
    return np.where(alive, (Z - mean) / np.where(alive, spread, 1), 0).astype(Z.dtype)
