"""Bag-of-words features are nearly all zeros: found out once, they are multiplied as a sparse matrix."""

from __future__ import annotations

from torch import Tensor

from graphssl.ops.memory import remember

__all__ = ["sparse_if_worthwhile"]

# Measured on one core: below about 3 % the sparse product wins even when the matrix is new in every step.
MAX_DENSITY = 0.02
MIN_ENTRIES = 2**20
SAMPLED_ROWS = 256


def sparse_if_worthwhile(x: Tensor) -> Tensor:
    """The same matrix in sparse layout when that makes products with it faster, else ``x`` itself.

    The choice depends on the values alone, so that equal inputs give bit-equal results.

    Parameters
    ----------
    x : Tensor, shape (N, F)

    Returns
    -------
    Tensor, shape (N, F)
        Sparse when ``x`` is a constant on the CPU of at least 2**20 entries, at most 2 % of them not zero.
    """
    if x.requires_grad or x.device.type != "cpu" or x.numel() < MIN_ENTRIES:
        return x
    found = remember(_compress, x, key="features")
    return x if found is None else found


def _compress(x: Tensor) -> Tensor | None:
    sample = x[:: max(1, x.size(0) // SAMPLED_ROWS)]
    for rows in (sample, x):  # most dense matrices are told by a few rows
        if int(rows.count_nonzero()) > MAX_DENSITY * rows.numel():
            return None
    return x.to_sparse_coo()
