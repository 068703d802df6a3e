"""Batches of seed nodes drawn by degree, over one graph or several."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import FeatureStore

from graphssl.data import graph_source
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops.csr import CSR
from graphssl.ops.stream import stream_keys, uniform
from graphssl.samplers.loader import Loader

__all__ = ["SeedLoader"]


class SeedLoader(Loader):
    r"""Nodes drawn with odds :math:`d^{power}` of their degree d, with replacement, and what is made of them.

    An epoch draws as many as there are nodes. Several graphs are one without edges between them; edges lose their
    direction.

    Parameters
    ----------
    graphs : Data, DiskGraph, (FeatureStore, GraphStore), or a list of Data
    make : callable
        ``(csr, seeds, streams, key)`` to a batch: the topology, the seeds (B,), a stream of random numbers
        for each (B,), and the seed of the streams.
    batch_size : int
        A last batch of a single seed is left out.
    power : float
        0 draws uniformly among nodes with an edge.
    seed, prefetch, workers
        See :class:`Loader`.

    Raises
    ------
    InvalidGraphError
        If there is no graph, or no edge.
    ConfigurationError
        If a number is out of its range.
    """

    def __init__(
        self,
        graphs: Any,
        make: Callable[[CSR, Tensor, Tensor, int], Any],
        *,
        batch_size: int,
        power: float = 0.0,
        seed: int = 0,
        prefetch: int = 2,
        workers: int = 1,
    ) -> None:
        several = not isinstance(graphs, (FeatureStore, tuple)) and hasattr(graphs, "__getitem__")  # Data is a store
        parts = [graphs[i] for i in range(len(graphs))] if several else [graphs]
        if not parts:
            raise InvalidGraphError("expected at least one graph, got an empty list")
        self.csr = union([graph_source(part).topology("out").undirected for part in parts])
        degree = self.csr.ptr.cpu().diff().double()
        odds = torch.where(degree > 0, degree.pow(power), 0.0)
        self.odds = odds.cumsum(0).to(self.csr.device)  # added in the same order everywhere
        if not self.csr.num_edges:
            raise InvalidGraphError("expected a graph with edges: none has a neighbourhood to sample")
        if not (math.isfinite(power) and 0 < float(self.odds[-1]) < math.inf):
            raise ConfigurationError(f"expected a power that gives finite odds degree^power, such as 0.75; got {power}")
        self.make_batch = make
        count = self.csr.num_nodes
        super().__init__(count, batch_size=batch_size, shuffle=False, seed=seed, prefetch=prefetch, workers=workers)
        self.drop_last = count % self.batch_size == 1 and count > self.batch_size

    def make(self, items: Tensor, key: int) -> Any:
        """The batch of these draws."""
        items = items.to(self.csr.device)
        drawn = uniform(stream_keys(key, items), 0) * self.odds[-1]
        seeds = torch.searchsorted(self.odds, drawn, right=True).clamp(max=self.odds.numel() - 1)
        return self.make_batch(self.csr, seeds, items, int(stream_keys(key, torch.tensor([-1]))))


def union(parts: list[CSR]) -> CSR:
    """The graphs side by side, as one."""
    if len(parts) == 1:
        return parts[0]
    ptr, neighbour, nodes, edges = [parts[0].ptr.new_zeros(1)], [], 0, 0
    for part in parts:
        ptr.append(part.ptr[1:] + edges)
        neighbour.append(part.neighbour + nodes)
        nodes, edges = nodes + part.num_nodes, edges + part.num_edges
    return CSR(torch.cat(ptr), torch.cat(neighbour).to(torch.int32))
