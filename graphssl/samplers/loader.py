"""What all loaders share: order, random streams, and batches made ahead on threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.checks import whole_number
from graphssl.ops.stream import stream_keys

__all__ = ["Loader"]


class Loader:
    """Batches of an epoch, in order, the next ones made on threads while one is used.

    Each iteration is an epoch with an order and random numbers of its own; they depend on (seed, epoch) alone, so
    that :meth:`epoch` gives the same batches again, whatever the number of threads. An item's random stream is its
    position among the inputs: what is drawn for it does not depend on the batch it falls into.

    Parameters
    ----------
    count : int
        Number of items, from which batches are made.
    batch_size : int
        Items in a batch; the last one of an epoch may be smaller unless ``drop_last``.
    shuffle : bool
        Whether an epoch visits the items in random order.
    seed : int
    drop_last : bool
    transform : callable, optional
        ``Data -> Data``, applied on the thread.
    prefetch : int
        Batches made ahead; 0 makes each when it is asked for.
    workers : int
        Threads that make them; at least as many batches are made ahead.
    pin_memory : bool
        Put batches into page-locked memory, from which they reach a GPU faster and meanwhile.
    """

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        drop_last: bool = False,
        transform: Callable[[Data], Data] | None = None,
        prefetch: int = 2,
        workers: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.count, self.batch_size = count, whole_number("batch_size", batch_size, 1)
        self.shuffle, self.drop_last, self.transform = shuffle, drop_last, transform
        self.seed = whole_number("seed", seed)
        self.prefetch, self.workers = whole_number("prefetch", prefetch, 0), whole_number("workers", workers, 1)
        self.pin_memory = pin_memory
        self.epochs, self._ready = 0, False

    def make(self, items: Tensor, key: int) -> Data:
        """The batch of these items, (B,) int64; ``key`` is the epoch's: the seed of the streams ``items``."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.count // self.batch_size if self.drop_last else -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[Data]:
        self.epochs += 1
        return self.epoch(self.epochs - 1)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Data]:
        """The batches of one epoch, from the batch ``start`` on."""
        key = int(stream_keys(self.seed, torch.tensor([number])))
        if self.shuffle:
            order = torch.randperm(self.count, generator=torch.Generator().manual_seed(key % 2**63))
        else:
            order = torch.arange(self.count)
        blocks = order.split(self.batch_size)[start : len(self)]
        if self.prefetch == 0:
            return (self._finished(items, key) for items in blocks)
        return self._ahead(blocks, key)

    def _ahead(self, blocks: tuple[Tensor, ...], key: int) -> Iterator[Data]:
        waiting: deque[Future[Data]] = deque()
        ahead = max(self.prefetch, self.workers)  # while one is used, each thread makes another
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="graphssl-loader")
        try:
            for items in blocks:
                waiting.append(pool.submit(self._finished, items, key))
                if not self._ready:  # what the first batch builds for all of them is built once
                    self._ready = waiting[0].exception() is None
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also when the loop over the batches is left early
            pool.shutdown(wait=True, cancel_futures=True)

    def _finished(self, items: Tensor, key: int) -> Data:
        batch: Any = self.make(items, key)
        if self.transform is not None:
            batch = self.transform(batch)
        return batch.pin_memory() if self.pin_memory else batch
