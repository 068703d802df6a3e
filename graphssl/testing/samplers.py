"""What every sampler of subgraphs, and every loader of batches, must satisfy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import num_nodes
from graphssl.method import seeded
from graphssl.testing.views import assert_same, check_unchanged, labelled_graph, snapshot

__all__ = ["check_loader", "check_sampler"]

THREADS = ((0, 1), (1, 1), (2, 3))  # prefetch and workers


def example_inputs() -> dict[str, Data]:
    """Graphs of every awkward kind, with ``x``, per-node and per-edge attributes that number nodes and edges."""
    return {
        "a graph with loops, duplicates and isolated nodes": labelled_graph(
            9, [[0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 1], [1, 1, 0, 2, 1, 2, 3, 2, 5, 5, 4, 0]]
        ),
        "a directed graph": labelled_graph(6, [[5, 0, 2, 1, 3, 4, 0], [0, 1, 3, 2, 4, 5, 3]]),
        "a graph without edges": labelled_graph(5, [[], []]),
        "one node": labelled_graph(1, [[], []]),
        "one node with a loop": labelled_graph(1, [[0], [0]]),
    }


def check_sampler(make: Callable[[Data], Any]) -> None:
    """Check a sampler that gives every seed a subgraph, as one batch.

    On graphs with self-loops, duplicate edges, isolated nodes, directed edges, no edges, one node. Each seed has a
    graph, in which it is the first node; a graph's nodes are distinct, and its edges all those of the input between
    them, each once; ``n_id`` and ``e_id`` name them, and attributes are theirs. The same seed gives the same batch,
    what a seed gets does not depend on the other seeds, the default random stream is left alone, inputs stay as they
    are, and ``to_data_list`` takes the batch apart.

    Parameters
    ----------
    make : callable
        ``Data -> sampler``, and the sampler has ``sample(seeds, seed=..., streams=...) -> Batch``.

    Raises
    ------
    AssertionError
        At the first failure, naming the graph and what is wrong.
    """
    for name, data in example_inputs().items():
        sampler = make(data)
        where = f"{type(sampler).__name__} on {name}"
        before, state = snapshot(data), torch.get_rng_state()
        nodes = num_nodes(data)
        seeds = torch.cat([torch.arange(nodes).flip(0), torch.zeros(2, dtype=torch.int64)])  # node 0 three times
        given, version = seeds.clone(), seeds._version
        for seed in range(3):
            batch = sampler.sample(seeds, seed=seed)
            _check_subgraphs(where, batch, data, seeds)
            assert_same(f"{where}: the same seed gives another batch", batch, sampler.sample(seeds, seed=seed))
            _check_each_alone(where, sampler, seeds, seed)
        assert sampler.sample(seeds[:0]).num_graphs == 0, f"{where}: no seeds must give no graphs"
        unchanged = torch.equal(seeds, given) and seeds._version == version
        assert unchanged, f"{where}: the seeds were changed"
        assert torch.equal(torch.get_rng_state(), state), f"{where}: the default random stream was used"
        check_unchanged(where, before, data)


def _check_subgraphs(where: str, batch: Any, data: Data, seeds: Tensor) -> None:
    assert batch.num_graphs == seeds.numel(), f"{where}: {batch.num_graphs} graphs for {seeds.numel()} seeds"
    assert torch.equal(batch.n_id[batch.ptr[:-1]], seeds), f"{where}: a seed is not the first node of its graph"
    parts = batch.to_data_list()
    assert data.edge_index is not None
    ends: list[list[int]] = data.edge_index.t().tolist()
    for index, part in enumerate(parts):
        label = f"{where}: graph {index} of the batch"
        nodes = part.n_id.tolist()
        assert part.num_nodes == len(nodes) == len(set(nodes)), f"{label}: its nodes are not distinct"
        inside = [e for e, (source, target) in enumerate(ends) if source in nodes and target in nodes]
        assert sorted(part.e_id.tolist()) == inside, f"{label}: has edges {part.e_id.tolist()}, expected {inside}"
        _check_named(label, part, data)
    for key, value in {"x": batch.x, "n_id": batch.n_id}.items():
        assert torch.equal(torch.cat([part[key] for part in parts]), value), f"{where}: to_data_list loses {key}"


def _check_named(where: str, out: Any, data: Data) -> None:
    """Nodes and edges of ``out``, and what they carry, are those that ``n_id`` and ``e_id`` name."""
    assert data.edge_index is not None
    assert out.edge_index.dtype == torch.int64, f"{where}: edge_index is {out.edge_index.dtype}"
    same = torch.equal(out.n_id[out.edge_index], data.edge_index[:, out.e_id])
    assert same, f"{where}: n_id, e_id and edge_index do not fit"
    for key in ("x", "node_label", "train_mask"):
        assert torch.equal(out[key], data[key][out.n_id]), f"{where}: {key} is not that of the nodes n_id"
    for key in ("edge_attr", "edge_weight"):
        assert torch.equal(out[key], data[key][out.e_id]), f"{where}: {key} is not that of the edges e_id"


def _check_each_alone(where: str, sampler: Any, seeds: Tensor, seed: int) -> None:
    streams = torch.arange(seeds.numel()) * 7 - 3
    together = sampler.sample(seeds, seed=seed, streams=streams).to_data_list()
    for index, part in enumerate(together):
        one = slice(index, index + 1)
        alone = sampler.sample(seeds[one], seed=seed, streams=streams[one]).to_data_list()[0]
        assert_same(f"{where}: the subgraph of a seed depends on the other seeds", part, alone)
    together = sampler.sample(seeds, seed=seed).to_data_list()
    alone = sampler.sample(seeds[:1], seed=seed).to_data_list()[0]
    assert_same(f"{where}: the default stream of a seed depends on the other seeds", together[0], alone)


def check_loader(make: Callable[..., Any], *, inputs: Callable[[Data], Tensor]) -> None:
    """Check a loader of batches.

    On the graphs of :func:`check_sampler`. An epoch visits every input once, and has as many batches as ``len`` says;
    its batches depend on (seed, epoch) alone: not on epochs before, on where it is started, nor on the number of
    threads. Another epoch or seed has another order. Nodes, edges and attributes are those that ``n_id`` and ``e_id``
    name. Threads end with an epoch, also with one that is left early, and their exceptions reach the caller. Inputs
    and the default random stream stay as they are.

    Parameters
    ----------
    make : callable
        ``make(data, **settings) -> Loader``, with the settings of :class:`graphssl.samplers.Loader`.
    inputs : callable
        ``Data -> Tensor``: which inputs, from 0 on, a batch visits.

    Raises
    ------
    AssertionError
        At the first failure, naming the graph and what is wrong.
    """
    for name, data in example_inputs().items():
        where = f"loader on {name}"
        before, state = snapshot(data), torch.get_rng_state()
        loader = make(data, batch_size=2, shuffle=True, seed=4, prefetch=0)
        epochs = [list(loader.epoch(number)) for number in range(3)]
        for batches in epochs:
            visited = torch.cat([inputs(batch) for batch in batches])
            whole = torch.equal(visited.sort().values, torch.arange(visited.numel()))
            assert whole, f"{where}: an epoch visits {sorted(visited.tolist())}, not each input once"
            assert len(batches) == len(loader), f"{where}: {len(batches)} batches, len says {len(loader)}"
            for batch in batches:
                _check_named(where, batch, data)
        for prefetch, workers in THREADS:
            other = make(data, batch_size=2, shuffle=True, seed=4, prefetch=prefetch, workers=workers)
            label = f"{where}, {prefetch} batches ahead on {workers} threads"
            _same_batches(f"{label}: other batches", list(other.epoch(2)), epochs[2])
            _same_batches(f"{label}: iterating is not epoch 0", list(other), epochs[0])
            _same_batches(f"{label}: iterating again is not epoch 1", list(other), epochs[1])
            _same_batches(f"{label}: an epoch begun later differs", list(other.epoch(1, start=1)), epochs[1][1:])
        if len(loader) > 2:
            _check_order(where, make, data, inputs)
        with seeded(5):  # as a training run does between batches
            _same_batches(f"{where}: depends on the default stream", list(loader.epoch(1)), epochs[1])
        _check_threads(where, make, data)
        assert torch.equal(torch.get_rng_state(), state), f"{where}: the default random stream was used"
        check_unchanged(where, before, data)


def _check_order(where: str, make: Callable[..., Any], data: Data, inputs: Callable[[Data], Tensor]) -> None:
    def orders(**settings: Any) -> list[list[int]]:
        loader = make(data, batch_size=1, prefetch=0, **settings)
        return [torch.cat([inputs(batch) for batch in loader.epoch(number)]).tolist() for number in range(4)]

    first = orders(shuffle=True, seed=0)
    assert len({tuple(order) for order in first}) > 1, f"{where}: epochs have the same order"
    assert orders(shuffle=True, seed=1) != first, f"{where}: another seed has the same order"
    assert len({tuple(order) for order in orders(shuffle=False, seed=0)}) == 1, f"{where}: shuffled without being asked"


def _check_threads(where: str, make: Callable[..., Any], data: Data) -> None:
    def fail(batch: Data) -> Data:
        raise ZeroDivisionError("from the thread")

    running = threading.active_count()
    for prefetch, workers in THREADS:
        settings = dict(batch_size=1, prefetch=prefetch, workers=workers)
        epoch: Iterator[Data] = make(data, **settings).epoch(0)
        next(epoch)
        assert prefetch == 0 or threading.active_count() > running, f"{where}: nothing is made on a thread"
        epoch.close()  # type: ignore[attr-defined]  # what leaving a loop over the batches does
        assert threading.active_count() == running, f"{where}: a thread outlives an epoch that was left early"
        list(make(data, **settings))
        assert threading.active_count() == running, f"{where}: a thread outlives its epoch"
        try:
            next(iter(make(data, transform=fail, **settings)))
        except ZeroDivisionError:
            assert threading.active_count() == running, f"{where}: a thread outlives an exception"
        else:
            raise AssertionError(f"{where}: an exception on the thread does not reach the caller")


def _same_batches(message: str, first: list[Data], second: list[Data]) -> None:
    assert len(first) == len(second), f"{message} ({len(first)} and {len(second)})"
    for a, b in zip(first, second, strict=True):
        assert_same(message, a, b)
