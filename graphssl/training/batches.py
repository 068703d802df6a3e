"""The standard loader: one graph is one batch; many graphs come in shuffled mini-batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch_geometric.data import Batch, Data

from graphssl.errors import ConfigurationError, InvalidGraphError

__all__ = ["GraphBatches", "is_graph_list", "without_labels"]

LABELS = ("y", "train_mask", "val_mask", "test_mask")
DEFAULT_BATCH_SIZE = 128


def is_graph_list(data: Any) -> bool:
    """Is this many graphs (a list or a PyG dataset) rather than one?"""
    return not isinstance(data, Data) and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def without_labels(data: Any) -> Any:
    """The same graph(s) without labels and split masks: what a label-free method may see. Tensors are shared."""
    if is_graph_list(data):
        return [without_labels(graph) for graph in data]
    if not isinstance(data, Data):
        return data
    hidden = copy.copy(data)
    for key in [key for key in hidden.keys() if key in LABELS or key.endswith("_mask")]:  # noqa: SIM118
        del hidden[key]
    return hidden


class GraphBatches:
    """Batches of an epoch as a function of (seed, epoch), so that a resumed run sees the same ones.

    Parameters
    ----------
    data : Data or sequence of Data
        One graph (each epoch is that graph, one step) or many.
    batch_size : int, optional
        Graphs in a batch, 128 by default. The last batch of an epoch may be smaller; a single graph left over joins
        the batch before it, since a contrast needs at least two.
    seed : int
        Seed of the shuffling.
    device : torch.device
        Where batches are put.
    """

    def __init__(self, data: Any, *, batch_size: int | None, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        if is_graph_list(data):
            if len(data) == 0:
                raise InvalidGraphError("expected at least one graph, got an empty list")
            if batch_size is not None and batch_size < 1:
                raise ConfigurationError(f"batch_size must be at least 1, got {batch_size}")
            self.graphs: list[Data] | None = [data[i] for i in range(len(data))]
            self.batch_size = batch_size or DEFAULT_BATCH_SIZE
        else:
            if batch_size is not None:
                raise ConfigurationError(
                    "batch_size is the number of graphs in a batch and needs a list of graphs; "
                    "a single graph is trained on whole: leave batch_size out"
                )
            self.graphs, self.batch_size = None, 1
            self.whole = copy.copy(data).to(device)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return 1 if self.graphs is None else len(self._starts())

    def _starts(self) -> list[int]:
        assert self.graphs is not None
        starts = list(range(0, len(self.graphs), self.batch_size))
        alone = len(starts) > 1 and self.batch_size > 1 and len(self.graphs) - starts[-1] == 1
        return starts[:-1] if alone else starts

    def _blocks(self, order: list[int]) -> Iterator[Data]:
        assert self.graphs is not None
        starts = self._starts()
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            yield Batch.from_data_list([self.graphs[i] for i in order[start:end]]).to(self.device)

    def epoch(self, number: int) -> Iterator[Data]:
        """The batches of one epoch, in order."""
        if self.graphs is None:
            yield self.whole
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        yield from self._blocks(torch.randperm(len(self.graphs), generator=generator).tolist())

    def in_order(self) -> Iterator[Data]:
        """Every graph once, unshuffled: for embedding."""
        if self.graphs is None:
            yield self.whole
        else:
            yield from self._blocks(list(range(len(self.graphs))))
