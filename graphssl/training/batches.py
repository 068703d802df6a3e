"""The standard batches: one graph whole, or its nodes in mini-batches; many graphs in shuffled mini-batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, FeatureStore
from torch_geometric.nn import MessagePassing

from graphssl.data import graph_source
from graphssl.encoders import Stack
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.samplers import NeighborLoader

__all__ = ["Batches", "GraphBatches", "is_graph_list", "node_batches", "without_labels"]

LABELS = ("y", "train_mask", "val_mask", "test_mask")
DEFAULT_BATCH_SIZE = 128
DEFAULT_NEIGHBOURS = 10


class Batches(Protocol):
    """Epochs of batches, each a function of (seed, epoch), so that a resumed run sees the same ones."""

    batch_size: int

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch, in order, from the batch ``start`` on."""
        ...


def is_graph_list(data: Any) -> bool:
    """Is this many graphs (a list or a PyG dataset) rather than one, in memory or as stores?"""
    if isinstance(data, FeatureStore):  # a Data is one, too
        return False
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], FeatureStore):
        return isinstance(data[0], Data)
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")


def without_labels(data: Any) -> Any:
    """The same graph(s) without labels and split masks: what a label-free method may see. Tensors are shared."""
    if is_graph_list(data):
        return [without_labels(graph) for graph in data]
    if not isinstance(data, Data):
        return data
    hidden = copy.copy(data)
    for key in [key for key in hidden.keys() if key in LABELS or key.endswith("_mask")]:  # noqa: SIM118
        del hidden[key]
    for key, value in list(hidden.items()):
        if isinstance(value, Tensor) and value.requires_grad:  # else training would leave gradients with the caller
            hidden[key] = value.detach()
    return hidden


class GraphBatches:
    """One graph, whole, each epoch one step; or many graphs in shuffled batches.

    Parameters
    ----------
    data : Data or sequence of Data
    batch_size : int, optional
        Graphs in a batch, 128 by default. The last batch of an epoch may be smaller; a single graph left over joins
        the batch before it, since a contrast needs at least two. For one graph: None.
    seed : int
        Seed of the shuffling.
    """

    def __init__(self, data: Any, *, batch_size: int | None, seed: int) -> None:
        self.seed, self.batch_size = seed, batch_size or DEFAULT_BATCH_SIZE
        self.graphs: list[Data] | None = None
        if is_graph_list(data):
            if len(data) == 0:
                raise InvalidGraphError("expected at least one graph, got an empty list")
            _check_size(batch_size)
            self.graphs = [data[i] for i in range(len(data))]
        else:
            self.whole, self.batch_size = copy.copy(data), 1

    def __len__(self) -> int:
        """Batches in an epoch."""
        return 1 if self.graphs is None else len(self._starts())

    def _starts(self) -> list[int]:
        assert self.graphs is not None
        starts = list(range(0, len(self.graphs), self.batch_size))
        alone = len(starts) > 1 and self.batch_size > 1 and len(self.graphs) - starts[-1] == 1
        return starts[:-1] if alone else starts

    def _blocks(self, order: list[int], first: int) -> Iterator[Data]:
        assert self.graphs is not None
        starts = self._starts()
        for start, end in list(zip(starts, [*starts[1:], len(order)], strict=True))[first:]:
            yield Batch.from_data_list([self.graphs[i] for i in order[start:end]])

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Data]:
        """The batches of one epoch, in order, from the batch ``start`` on."""
        if self.graphs is None:
            if start == 0:
                yield self.whole
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        yield from self._blocks(torch.randperm(len(self.graphs), generator=generator).tolist(), start)

    def in_order(self) -> Iterator[Data]:
        """Every graph once, unshuffled: for embedding."""
        if self.graphs is None:
            yield self.whole
        else:
            yield from self._blocks(list(range(len(self.graphs))), 0)


def node_batches(
    graph: Any, *, method: nn.Module, batch_size: int, num_neighbors: Sequence[int] | None, seed: int
) -> NeighborLoader:
    """The nodes of one graph in shuffled batches, each with sampled neighbours.

    Parameters
    ----------
    graph : Data, DiskGraph or (FeatureStore, GraphStore)
    method : Method
        Its deepest encoder tells how many hops there are.
    batch_size : int
        Seeds in a batch, at least 2. A single node left over at the end of an epoch is left out of it.
    num_neighbors : sequence of int, optional
        Neighbours sampled at each hop, default 10.
    seed : int
    """
    if batch_size < 2:
        raise ConfigurationError(f"a batch of nodes needs batch_size of at least 2, got {batch_size}")
    if num_neighbors is None:
        depths = [module.hops for module in method.modules() if isinstance(module, Stack)]
        if not depths:  # a module of PyG's: as many hops as it has layers that pass messages
            depths = [sum(isinstance(module, MessagePassing) for module in method.modules())]
        num_neighbors = [DEFAULT_NEIGHBOURS] * max(depths) or [0]
    source = graph_source(graph)
    alone = source.num_nodes % batch_size == 1
    return NeighborLoader(
        source, num_neighbors, batch_size=batch_size, shuffle=True, seed=seed,
        drop_last=alone and source.num_nodes > batch_size, transform=without_labels,
    )  # fmt: skip


def _check_size(batch_size: int | None) -> None:
    if batch_size is not None and batch_size < 1:
        raise ConfigurationError(f"batch_size must be at least 1, got {batch_size}")
