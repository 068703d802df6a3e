"""Mini-batches of nodes with sampled neighbourhoods, in the layout of PyG's loader of the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.checks import whole_number
from graphssl.data import degrees, graph_source
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import induced_subgraphs, sample_neighbours
from graphssl.ops.csr import as_ids, check_nodes
from graphssl.samplers.loader import Loader

__all__ = ["NeighborLoader", "input_nodes_of"]

SUBGRAPH_TYPES = ("directional", "induced")


class NeighborLoader(Loader):
    """Seeds and a sample of their neighbours, of their neighbours' neighbours, ...: GraphSAGE's batches.

    Messages travel along edges, so the neighbours of a node are the sources of the edges that end in it.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
        One graph. It is never copied.
    num_neighbors : sequence, array or tensor of int
        For each hop how many edges of a node are sampled at most; -1 takes all of them.
    input_nodes : Tensor, array or list, optional
        The seeds: ids (S,), or a mask (N,) of bool; default all nodes.
    input_time : Tensor, array or list of integers, shape (S,), optional
        Time of each seed: only edges that are not later are sampled. With ``time_attr`` and ``disjoint``.
    replace : bool
        Sample with replacement.
    disjoint : bool
        A tree of its own for each seed, named in ``batch``; else seeds share what they have in common.
    subgraph_type : str
        ``directional``: the sampled edges. ``induced``: all edges between the sampled nodes.
    weight_attr, time_attr : str, optional
        Per-edge attributes with the odds of being sampled, and the time stamps, which ``input_time`` bounds; of a
        DiskGraph ``edge_weight`` and ``time``.
    batch_size, shuffle, seed, drop_last, transform, prefetch, workers, pin_memory
        See :class:`Loader`.
    num_workers, persistent_workers
        Names of PyG's loader: the first is ``workers``, the second changes nothing, since workers are threads.

    Yields
    ------
    Data
        ``batch_size`` seeds stand first. ``n_id`` (N',) and ``e_id`` (E',): which nodes and edges of the graph these
        are; ``input_id`` (B,): which of ``input_nodes`` the seeds are. ``num_sampled_nodes`` and (of sampled edges)
        ``num_sampled_edges``: how many are new at each hop. What nodes and edges carry is there under its name.
        ``whole_in_degree`` and ``whole_norm_degree`` (N',): of the nodes in the whole graph, unless sampled by weight
        or time; encoders scale with them what a sample stands for.

    Raises
    ------
    InvalidGraphError, ConfigurationError
        If the graph, the seeds or the settings cannot be used.

    Notes
    -----
    The same seed gives the same batches on every machine, with any number of threads. Seeds may repeat.

    References
    ----------
    .. [1] Hamilton, Ying, Leskovec. Inductive Representation Learning on Large Graphs. 2017. arXiv:1706.02216.

    Examples
    --------
    >>> import graphssl
    >>> data = graphssl.load_dataset("karate")
    >>> batch = next(iter(graphssl.samplers.NeighborLoader(data, num_neighbors=[3], batch_size=8)))
    >>> batch.batch_size, batch.n_id[:8].tolist()
    (8, [0, 1, 2, 3, 4, 5, 6, 7])
    """

    def __init__(
        self,
        data: Any,
        num_neighbors: Sequence[int] | np.ndarray | Tensor,
        input_nodes: Tensor | np.ndarray | Sequence[int] | None = None,
        input_time: Tensor | np.ndarray | Sequence[int] | None = None,
        *,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        replace: bool = False,
        disjoint: bool = False,
        subgraph_type: str = "directional",
        weight_attr: str | None = None,
        time_attr: str | None = None,
        drop_last: bool = False,
        transform: Callable[[Data], Data] | None = None,
        prefetch: int = 2,
        workers: int = 1,
        pin_memory: bool = False,
        num_workers: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if subgraph_type not in SUBGRAPH_TYPES:
            raise ConfigurationError(f"subgraph_type is one of {', '.join(SUBGRAPH_TYPES)}, got {subgraph_type!r}")
        if input_time is not None and (time_attr is None or not disjoint):
            raise ConfigurationError("input_time needs time_attr, and disjoint=True: seeds of different times")
        if weight_attr is not None and time_attr is not None:
            raise ConfigurationError("neighbours are sampled by weight_attr or by time_attr, not by both: give one")
        self.source = graph_source(data, weight_attr=weight_attr, time_attr=time_attr)
        if time_attr is not None and input_time is None:
            raise ConfigurationError(
                f"time_attr={time_attr!r} needs input_time, the time of each seed: give both or none"
            )
        self.num_neighbors, self.replace, self.disjoint = _fanouts(num_neighbors), replace, disjoint
        self.subgraph_type = subgraph_type
        self.input_nodes = input_nodes_of(input_nodes, self.source.num_nodes)
        self.input_time = time = None if input_time is None else as_ids(input_time, "input_time")
        if time is not None and (time.shape != self.input_nodes.shape or time.is_floating_point()):
            raise ConfigurationError(
                f"expected one input_time for each of {self.input_nodes.numel()} seeds, as integers; "
                f"got {tuple(time.shape)} of {time.dtype}"
            )
        if subgraph_type == "induced" and (disjoint or self.input_nodes.unique().numel() < self.input_nodes.numel()):
            raise ConfigurationError(
                "subgraph_type='induced' joins the neighbourhoods of seeds: it needs disjoint=False and distinct seeds"
            )
        self.csr = self.source.topology("in")
        if weight_attr is not None and self.csr.weight is None:
            raise ConfigurationError(f"the graph has no attribute {weight_attr!r} to read the odds of its edges from")
        if num_workers is not None:
            workers = max(workers, whole_number("num_workers", num_workers, 0))
        super().__init__(
            self.input_nodes.numel(), batch_size=batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last,
            transform=transform, prefetch=prefetch, workers=workers, pin_memory=pin_memory,
        )  # fmt: skip

    def make(self, items: Tensor, key: int) -> Data:
        """The batch of the seeds at these positions of ``input_nodes``."""
        seeds = self.input_nodes[items]
        found = sample_neighbours(
            self.csr, seeds, self.num_neighbors, seed=key, streams=items, replace=self.replace, disjoint=self.disjoint,
            seed_time=None if self.input_time is None else self.input_time[items],
        )  # fmt: skip
        data = Data(**self.source.node_rows(found.node))
        data.edge_index, edges = torch.stack([found.row, found.col]), found.edge
        if self.subgraph_type == "induced":
            ptr = torch.tensor([0, found.node.numel()])
            whole = induced_subgraphs(self.source.topology("out"), found.node, ptr)
            data.edge_index, edges = whole.edge_index, whole.edge
        else:
            data.num_sampled_edges = found.num_sampled_edges
        for name, value in self.source.edge_rows(edges).items():
            data[name] = value
        data.n_id, data.e_id, data.input_id, data.batch_size = found.node, edges, items, seeds.numel()
        data.num_sampled_nodes = found.num_sampled_nodes
        if found.batch is not None:
            data.batch = found.batch
        if "x" not in data:
            data.num_nodes = found.node.numel()
        if self.csr.weight is None and self.input_time is None:
            data.whole_in_degree, data.whole_norm_degree = degrees(self.source, found.node)
        return data


def _fanouts(num_neighbors: Any) -> list[int]:
    hops = num_neighbors.tolist() if isinstance(num_neighbors, (Tensor, np.ndarray)) else num_neighbors
    if not isinstance(hops, Sequence) or not hops:
        raise ConfigurationError(
            f"num_neighbors is a list of numbers >= -1, one a hop, such as [10, 10]; got {num_neighbors!r}"
        )
    fanouts = [whole_number("num_neighbors", hop, -1) for hop in hops]
    if max(fanouts) >= 2**31:
        raise ConfigurationError(f"num_neighbors are numbers below 2^31, or -1 for all neighbours, got {fanouts}")
    return fanouts


def input_nodes_of(input_nodes: Any, num_nodes: int) -> Tensor:
    """Ids of the seeds, (S,) int64, from ids, a mask or None for all."""
    if input_nodes is None:
        return torch.arange(num_nodes)
    nodes = as_ids(input_nodes)
    if nodes.dtype == torch.uint8:
        raise InvalidGraphError("seeds of uint8 may be a mask or ids: use .bool() for a mask or .long() for ids")
    if nodes.dtype == torch.bool:
        if nodes.shape != (num_nodes,):
            raise InvalidGraphError(f"a mask of seeds has shape ({num_nodes},), got {tuple(nodes.shape)}")
        return nodes.nonzero().view(-1)
    return check_nodes(nodes, num_nodes)
