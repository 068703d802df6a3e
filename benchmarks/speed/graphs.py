"""Random graphs of a fixed shape for the speed scripts: the same edges for the same seed, made in seconds.

Other scripts import this one. By itself it prints the size and the degrees of the arxiv-shaped graph:

    python benchmarks/speed/graphs.py [--seed 0]
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from graphssl.data import DiskGraph, GraphWriter, load_dataset, open_graph

__all__ = ["ARXIV", "arxiv_shaped", "named", "planted_on_disk", "power_law_edges"]

#: ogbn-arxiv: nodes, undirected edges, features.
ARXIV = (169_343, 1_157_799, 128)
BLOCK = 2**17  # nodes or edges of a planted graph that are made together


def power_law_edges(
    num_nodes: int,
    num_pairs: int,
    *,
    exponent: float = 2.2,
    largest: float = 0.012,
    communities: int = 1000,
    local: float = 0.5,
    seed: int = 0,
) -> Tensor:
    """Edges, both directions, sorted by source, no loops, no duplicates; every node has at least one.

    Ends are drawn by expected degree (Chung and Lu's model), half of the targets among the node's own community, so
    that there are hubs, leaves and short cycles.

    Parameters
    ----------
    num_nodes, num_pairs : int, at least 2 and N
        N, and the number of undirected edges, exact.
    exponent : float, > 2
        The number of nodes of degree d falls as ``d ** -exponent``.
    largest : float
        Share of all edge ends that the largest hub expects.
    communities : int
        Groups of nodes, drawn uniformly.
    local : float in [0, 1]
        Share of the edges whose target comes from the source's community.
    seed : int

    Returns
    -------
    Tensor of int64, shape (2, 2 * num_pairs)
    """
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(communities, (num_nodes,), generator=generator).sort().values  # (N,) in order of community
    rank = torch.randperm(num_nodes, generator=generator).double()
    weight = _hub_weights(rank, 1 / (exponent - 1), largest)
    upto = torch.cat([weight.new_zeros(1), weight.cumsum(0)])  # (N + 1,)
    first = torch.searchsorted(group, group)
    last = torch.searchsorted(group, group, right=True)

    def drawn(low: Tensor, high: Tensor) -> Tensor:
        """A node for each interval of the summed weights."""
        place = low + (high - low) * torch.rand(low.numel(), generator=generator, dtype=torch.float64)
        return (torch.searchsorted(upto, place, right=True) - 1).clamp_(0, num_nodes - 1)

    key, source = torch.empty(0, dtype=torch.int64), torch.arange(num_nodes)
    while key.numel() < num_pairs:  # the first round starts an edge at every node, the others refill what fell away
        inside = torch.rand(source.numel(), generator=generator) < local
        low = torch.where(inside, upto[first[source]], 0.0)
        target = drawn(low, torch.where(inside, upto[last[source]], upto[-1]))
        target = torch.where(source == target, (source + 1) % num_nodes, target)  # no loops
        key = _distinct(torch.cat([key, torch.minimum(source, target) * num_nodes + torch.maximum(source, target)]))
        missing = max(0, num_pairs - key.numel())
        everywhere = upto[-1:].expand(missing + missing // 4 + 1000)  # some will be found to be there already
        source = drawn(torch.zeros_like(everywhere), everywhere)
    key = key[:num_pairs]
    label = torch.randperm(num_nodes, generator=generator)  # numbers say nothing about community or degree
    one, other = label[key // num_nodes], label[key % num_nodes]
    both = torch.cat([one * num_nodes + other, other * num_nodes + one]).sort().values
    return torch.stack([both // num_nodes, both % num_nodes])


def arxiv_shaped(*, features: int | None = None, seed: int = 0) -> Data:
    """A graph of ogbn-arxiv's size and degrees; with ``features``, normal ones of that width (ogbn-arxiv has 128)."""
    num_nodes, num_pairs, _ = ARXIV
    data = Data(edge_index=power_law_edges(num_nodes, num_pairs, seed=seed), num_nodes=num_nodes)
    if features is not None:
        data.x = torch.randn(num_nodes, features, generator=torch.Generator().manual_seed(seed))
    return data


def planted_on_disk(
    folder: str | os.PathLike[str],
    num_nodes: int,
    num_edges: int,
    *,
    num_classes: int = 10,
    num_features: int = 64,
    homophily: float = 0.5,
    signal: float = 0.8,
    exponent: float | None = None,
    dtype: str = "float16",
    memory_bytes: int = 2**26,
    seed: int = 0,
) -> DiskGraph:
    """Planted communities of any size, written block by block: memory is that of a block and of the writer.

    The class of node v is v modulo the number of classes. A block of rows or of edges is drawn from a generator that is
    seeded by its number, so that the graph is a function of the arguments.

    Parameters
    ----------
    folder : path
        Must not be there yet.
    num_nodes, num_edges : int
        N, and undirected edges drawn; loops and repetitions fall away, so that there are slightly fewer.
    num_classes, num_features : int
    homophily : float in [0, 1]
        Share of edges inside a class; the others end in another one.
    signal : float
        Features are this times a unit vector of the class, plus standard normal noise.
    exponent : float > 2, optional
        The number of nodes of degree d falls as ``d ** -exponent``, with the same degrees at every N: the largest hubs
        have 10^-4 of the nodes before them and some hundred times the mean degree. Default: all nodes are alike.
    dtype : str
        Of the features on disk.
    memory_bytes : int
        Of the writer.
    seed : int
    """
    sizes = np.array([len(range(c, num_nodes, num_classes)) for c in range(num_classes)])
    steps = np.array([_coprime(int(size)) for size in sizes])
    centres = np.random.default_rng((seed, 0)).standard_normal((num_classes, num_features), dtype=np.float32)
    centres *= signal / np.linalg.norm(centres, axis=1, keepdims=True)

    def members(classes: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A node of each of these classes, by expected degree; hubs lie anywhere among the numbers."""
        size = sizes[classes]
        rank = np.minimum((_power_law_place(draw.random(len(size)), exponent) * size).astype(np.int64), size - 1)
        return rank * steps[classes] % size * num_classes + classes

    with GraphWriter(folder, num_nodes=num_nodes, undirected=True, dtype=dtype, memory_bytes=memory_bytes) as writer:
        for draw, start, stop in _blocks(num_nodes, (seed, 1)):
            y = np.arange(start, stop) % num_classes
            writer.add_features(centres[y] + draw.standard_normal((stop - start, num_features), dtype=np.float32))
            writer.add_labels(y)
        for draw, start, stop in _blocks(num_edges, (seed, 2)):
            y = draw.integers(num_nodes, size=stop - start) % num_classes
            other = (y + draw.integers(1, num_classes, size=stop - start)) % num_classes
            ends = np.where(draw.random(stop - start) < homophily, y, other)
            pairs = np.stack([members(y, draw), members(ends, draw)])
            writer.add_edges(pairs[:, pairs[0] != pairs[1]])
    return open_graph(folder)


def _blocks(count: int, seed: tuple[int, int]) -> Iterator[tuple[np.random.Generator, int, int]]:
    for start in range(0, count, BLOCK):
        yield np.random.default_rng((*seed, start // BLOCK)), start, min(start + BLOCK, count)


def _coprime(size: int) -> int:
    """A number near the golden section of ``size`` without a common divisor: its multiples visit every place once."""
    step = max(1, round(0.618 * size))
    while math.gcd(step, size) > 1:
        step += 1
    return step


def _power_law_place(u: np.ndarray, exponent: float | None, shift: float = 1e-4) -> np.ndarray:
    """Places in [0, 1) with a density proportional to ``(place + shift) ** (-1 / (exponent - 1))``, by its inverse."""
    if exponent is None:
        return u
    power = 1 - 1 / (exponent - 1)
    low, high = shift**power, (1 + shift) ** power
    return (low + u * (high - low)) ** (1 / power) - shift


def _hub_weights(rank: Tensor, slope: float, largest: float) -> Tensor:
    """``(rank + shift) ** -slope``, with the shift for which rank 0 has that share of the sum."""
    low, high = 1e-3, float(rank.numel())
    for _ in range(60):
        shift = (low * high) ** 0.5
        weight = (rank + shift).pow(-slope)
        low, high = (shift, high) if float(weight.max() / weight.sum()) > largest else (low, shift)
    return weight


def _distinct(keys: Tensor) -> Tensor:
    """Each key once, in the order of first appearance."""
    order = keys.argsort(stable=True)
    sorted_keys = keys[order]
    is_first = torch.ones_like(keys, dtype=torch.bool)
    is_first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    return keys[order[is_first].sort().values]


def named(name: str) -> Data:
    """A graph to sample from, both directions of every edge: ``arxiv`` (of its shape) or ``wordnet`` (the real one)."""
    if name == "arxiv":
        return arxiv_shaped()
    data = load_dataset("wordnet")
    return Data(edge_index=to_undirected(data.edge_index, num_nodes=data.num_nodes), num_nodes=data.num_nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    data = arxiv_shaped(seed=args.seed)
    seconds = time.perf_counter() - start
    degree = torch.bincount(data.edge_index[0], minlength=data.num_nodes)
    print(f"{data.num_nodes} nodes, {data.edge_index.size(1)} edges in {seconds:.1f} s")
    quantiles = degree.double().quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0], dtype=torch.float64))
    print("degrees at 0, 25, 50, 75, 90, 99, 100 %:", [int(value) for value in quantiles])


if __name__ == "__main__":
    main()
