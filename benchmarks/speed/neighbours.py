"""Neighbour sampling: seeds a second, PyG tensors included, on a graph of ogbn-arxiv's size and degrees, or WordNet's.

Batches of 1,024 seeds, one thread, process CPU time; ``ratio`` is the speed over the torch tier's. ``edges_per_second``
counts the sampled edges.

    python benchmarks/speed/neighbours.py [--graph arxiv] [--repeats 5] [--batches 16]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import measure
import torch
from graphs import named
from torch import Tensor

from graphssl.ops import sample_neighbours
from graphssl.ops.csr import CSR

BATCH = 1024
FANOUTS = ([10, 10], [15, 10, 5], [25, 10])


def graph(name: str, *, weighted: bool = False) -> CSR:
    """Its edges in random order, as a data set's may be: the ids of sampled edges have to be looked up."""
    data = named(name)
    generator = torch.Generator().manual_seed(0)
    edge_index = data.edge_index[:, torch.randperm(data.edge_index.size(1), generator=generator)]
    weight = torch.rand(edge_index.size(1), generator=generator) if weighted else None
    return CSR.from_edges(edge_index, data.num_nodes, direction="in", weight=weight)


def epoch(csr: CSR, batches: Tensor, fanouts: list[int], **options: Any) -> int:
    """Edges sampled for all batches."""
    return sum(sample_neighbours(csr, seeds, fanouts, **options).row.numel() for seeds in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--name", default="neighbours", help="name of the results file; empty: none is written")
    parser.add_argument("--graph", default="arxiv", choices=("arxiv", "wordnet"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    plain, weighted = graph(args.graph), graph(args.graph, weighted=True)
    order = torch.randperm(plain.num_nodes, generator=torch.Generator().manual_seed(0))
    batches = order[: args.batches * BATCH].view(-1, BATCH)
    works: dict[str, Callable[[], int]] = {}
    for fanouts in FANOUTS:
        works[str(fanouts)] = partial(epoch, plain, batches, fanouts)
        works[f"{fanouts}, disjoint"] = partial(epoch, plain, batches, fanouts, disjoint=True)
    works["[10, 10], replace"] = partial(epoch, plain, batches, [10, 10], replace=True)
    works["[10, 10], weighted"] = partial(epoch, weighted, batches, [10, 10])
    works["[10, 10], weighted, replace"] = partial(epoch, weighted, batches, [10, 10], replace=True)
    rows = []
    for path, work in works.items():
        edges = work()
        variants = {tier: measure.in_tier(tier, work) for tier in measure.tiers()}
        samples = measure.interleave(variants, repeats=args.repeats, warmup=1)
        labels = dict(path=path, graph=args.graph, n=plain.num_nodes, clock="process", threads=1)
        for row in measure.compare(samples, baseline="torch", **labels):
            row["seeds_per_second"] = batches.numel() / row["seconds"]
            row["edges_per_second"] = edges / row["seconds"]
            print(f"  {row['variant']}: {row['seeds_per_second']:.0f} seeds/s, {row['edges_per_second']:.3g} edges/s")
            rows.append(row)
    if args.name:
        print(measure.save(args.name, rows, command=measure.command()))


if __name__ == "__main__":
    main()
