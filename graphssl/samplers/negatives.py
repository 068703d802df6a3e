"""Pairs of nodes that no edge joins."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from graphssl import ops
from graphssl.data import topology_of

__all__ = ["negative_edges"]


def negative_edges(data: Any, num: int, *, seed: int = 0, self_loops: bool = False) -> Tensor:
    r"""Ordered pairs of nodes (u, v) without an edge from u to v, each set of ``num`` pairs equally likely.

    Parameters
    ----------
    data : Data, DiskGraph, (FeatureStore, GraphStore), or CSR
        Of a CSR, pairs (u, v) where v is not in row u.
    num : int, >= 0
    seed : int
    self_loops : bool
        Pairs (u, u) may come, too.

    Returns
    -------
    Tensor of int64, shape (2, num)
        Distinct pairs, in random order.

    Raises
    ------
    ConfigurationError
        If ``num`` or the seed is no whole number, or there are fewer than ``num`` such pairs.
    InvalidGraphError
        If ``data`` is none of these.

    Notes
    -----
    Cost: see :func:`graphssl.ops.negative_edges`.

    Examples
    --------
    >>> import graphssl
    >>> graphssl.samplers.negative_edges(graphssl.load_dataset("karate"), 5).shape
    torch.Size([2, 5])
    """
    return ops.negative_edges(topology_of(data), num, seed=seed, self_loops=self_loops)
