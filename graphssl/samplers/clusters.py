"""Cluster batches: the graph cut into parts with few edges between them, some parts at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.checks import whole_number
from graphssl.data import graph_source, topology_of
from graphssl.errors import ConfigurationError, MissingExtraError
from graphssl.ops import induced_subgraphs
from graphssl.ops._rows_torch import pointers
from graphssl.ops.csr import as_ids
from graphssl.samplers.loader import Loader

__all__ = ["ClusterLoader", "partition"]


def partition(data: Any, num_parts: int, *, seed: int = 0) -> Tensor:
    """Cut a graph into parts of about equal size with few edges between them, by METIS.

    Parameters
    ----------
    data : Data, DiskGraph, (FeatureStore, GraphStore), or CSR
        The direction of edges, self-loops, duplicates and weights do not count.
    num_parts : int
    seed : int
        Of METIS, which reads the last 31 bits.

    Returns
    -------
    Tensor of int64, shape (N,)
        The part of each node; a part may be empty.

    Raises
    ------
    MissingExtraError
        Without the package ``pymetis``.
    ConfigurationError
        If ``num_parts`` is not from 1 to N, or the seed no whole number.

    References
    ----------
    .. [1] Karypis, Kumar. A Fast and High Quality Multilevel Scheme for Partitioning Irregular Graphs. 1998.
    """
    csr = topology_of(data)
    num_parts, seed = whole_number("num_parts", num_parts), whole_number("seed", seed)
    if not 1 <= num_parts <= max(1, csr.num_nodes):
        raise ConfigurationError(f"num_parts must be from 1 to the number of nodes, {csr.num_nodes}; got {num_parts}")
    if num_parts == 1:
        return torch.zeros(csr.num_nodes, dtype=torch.int64)
    try:
        import pymetis
    except ImportError as error:
        raise MissingExtraError("pymetis", "partition") from error
    both = csr.undirected.to("cpu")
    row, col = both.rows, both.neighbour.long()
    row, col = row[row != col], col[row != col]
    ptr = pointers(row, csr.num_nodes)
    options = pymetis.Options(seed=seed % 2**31)
    adjacency = pymetis.CSRAdjacency(adj_starts=ptr.numpy(), adjacent=col.numpy())
    _, parts = pymetis.part_graph(num_parts, adjacency=adjacency, options=options)
    return torch.tensor(parts, dtype=torch.int64)


class ClusterLoader(Loader):
    """Batches of some clusters each, with all edges between their nodes: Cluster-GCN's batches.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
    num_parts : int
        Clusters, cut by METIS; see :func:`partition`.
    parts : Tensor, array or list of integers, shape (N,), optional
        The cluster of each node, instead.
    batch_size : int
        Clusters in a batch.
    shuffle, seed, drop_last, transform, prefetch, workers, pin_memory
        See :class:`Loader`.

    Yields
    ------
    Data
        With ``n_id`` and ``e_id``. All nodes count: there are no seeds.

    References
    ----------
    .. [1] Chiang et al. Cluster-GCN. KDD 2019. arXiv:1905.07953, section 3.2.
    """

    def __init__(
        self,
        data: Any,
        num_parts: int | None = None,
        *,
        parts: Tensor | np.ndarray | Sequence[int] | None = None,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        transform: Callable[[Data], Data] | None = None,
        prefetch: int = 2,
        workers: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.source = graph_source(data)
        if (num_parts is None) == (parts is None):
            raise ConfigurationError("give num_parts or parts, one of them")
        if parts is None:
            assert num_parts is not None
            parts = partition(self.source.topology("out"), num_parts, seed=seed)
        parts = as_ids(parts, "parts")
        integers = not (parts.is_floating_point() or parts.is_complex() or parts.dtype == torch.bool)
        if parts.shape != (self.source.num_nodes,) or not integers or bool((parts < 0).any()):
            raise ConfigurationError(
                f"parts must be the number >= 0 of each node's part, integers of shape ({self.source.num_nodes},); "
                f"got {parts.dtype} of {tuple(parts.shape)}"
            )
        parts = parts.long()
        self.parts = parts
        self.members = torch.argsort(parts, stable=True).split(parts.unique(return_counts=True)[1].tolist())
        super().__init__(
            len(self.members), batch_size=batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last,
            transform=transform, prefetch=prefetch, workers=workers, pin_memory=pin_memory,
        )  # fmt: skip

    def make(self, items: Tensor, key: int) -> Data:
        """The batch of these clusters, without the empty ones."""
        nodes = torch.cat([self.members[item] for item in items.tolist()])
        found = induced_subgraphs(self.source.topology("out"), nodes, torch.tensor([0, nodes.numel()]))
        data = Data(**self.source.node_rows(nodes), edge_index=found.edge_index)
        for name, value in self.source.edge_rows(found.edge).items():
            data[name] = value
        data.n_id, data.e_id = nodes, found.edge
        if "x" not in data:
            data.num_nodes = nodes.numel()
        return data
