"""Positional embeddings of GCC: eigenvectors of the normalised adjacency of many small subgraphs at once.

The subgraphs are those that 1,024 random walks of 64 steps visit on a graph of ogbn-arxiv's size and degrees
(graphs.py); before each step but the first a walk returns to its seed with probability 0.8. Both tiers, one thread,
beside scipy's sparse solver one by one, which computes n - 2 eigenvectors at most, as the authors of GCC call it.

    python benchmarks/speed/positional.py [--seeds 1024] [--k 32] [--repeats 7]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import measure
import numpy as np
import scipy.sparse.linalg
import torch
from graphs import arxiv_shaped
from torch import Tensor

from graphssl.ops.positional import positional_embeddings

STEPS, RESTART, ONE_BY_ONE = 64, 0.8, 64


def visited(neighbour: Tensor, ptr: Tensor, seeds: Tensor, generator: torch.Generator) -> Tensor:
    """The nodes of walks that return to their seeds, shape (S, STEPS + 1)."""
    at, nodes = seeds, [seeds]
    for step in range(STEPS):
        if step:
            at = torch.where(torch.rand(at.shape, generator=generator) < RESTART, seeds, at)
        degree = ptr[at + 1] - ptr[at]
        drawn = (torch.rand(at.shape, generator=generator, dtype=torch.float64) * degree).long()
        at = neighbour[ptr[at] + drawn]
        nodes.append(at)
    return torch.stack(nodes, dim=1)


def subgraphs(count: int) -> tuple[Tensor, Tensor]:
    """Induced subgraphs in one batch: ``edge_index`` and ``ptr``."""
    data = arxiv_shaped()  # edges are sorted by source
    ptr = torch.bincount(data.edge_index[0], minlength=data.num_nodes).cumsum(0)
    ptr = torch.cat([ptr.new_zeros(1), ptr])
    generator = torch.Generator().manual_seed(0)
    seeds = torch.randperm(data.num_nodes, generator=generator)[:count]
    offsets, edges = [0], []
    for walk in visited(data.edge_index[1], ptr, seeds, generator):
        nodes = walk.unique()
        targets = [data.edge_index[1, ptr[u] : ptr[u + 1]] for u in nodes.tolist()]
        source = torch.repeat_interleave(torch.tensor([len(t) for t in targets]))
        target = torch.cat(targets)
        at = torch.searchsorted(nodes, target).clamp_(max=nodes.numel() - 1)
        inside = nodes[at] == target
        edges.append(torch.stack([source[inside], at[inside]]) + offsets[-1])
        offsets.append(offsets[-1] + nodes.numel())
    return torch.cat(edges, dim=1), torch.tensor(offsets)


def one_by_one(edge_index: Tensor, ptr: Tensor, k: int) -> None:
    """scipy's Lanczos solver for each graph."""
    bounds = torch.searchsorted(edge_index[0].contiguous(), ptr)
    for graph in range(ptr.numel() - 1):
        n = int(ptr[graph + 1] - ptr[graph])
        u, v = (edge_index[:, bounds[graph] : bounds[graph + 1]] - ptr[graph]).numpy()
        root = np.bincount(u, minlength=n).clip(1) ** -0.5
        matrix = scipy.sparse.csr_matrix((root[u] * root[v], (u, v)), shape=(n, n))
        if n > 2:
            scipy.sparse.linalg.eigsh(matrix, k=min(n - 2, k), which="LA", v0=np.ones(n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1024)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--name", default="positional", help="name of the results file; empty: none is written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    edge_index, ptr = subgraphs(args.seeds)
    size = ptr.diff()
    sizes = {"mean_nodes": float(size.double().mean()), "max_nodes": int(size.max()), "edges": edge_index.size(1)}
    print(f"{args.seeds} subgraphs of {sizes['mean_nodes']:.1f} nodes on average, {sizes['max_nodes']} at most")
    few = ptr[: min(ONE_BY_ONE, args.seeds) + 1]
    few_edges = edge_index[:, edge_index[0] < few[-1]]
    work = partial(positional_embeddings, edge_index, ptr, args.k)
    variants: dict[str, Callable[[], object]] = {
        tier: measure.in_tier(tier, work) for tier in measure.tiers("top_eigenvectors")
    }
    labels: dict[str, Any] = {"path": "positional", "n": args.seeds, "k": args.k, "clock": "process", "threads": 1}
    rows = measure.compare(measure.interleave(variants, repeats=args.repeats), baseline="torch", **labels, **sizes)
    labels["n"] = few.numel() - 1
    small = {
        "scipy": lambda: one_by_one(few_edges, few, args.k),
        **{
            tier: measure.in_tier(tier, partial(positional_embeddings, few_edges, few, args.k))
            for tier in measure.tiers("top_eigenvectors")
        },
    }
    rows += measure.compare(measure.interleave(small, repeats=3, warmup=1), baseline="scipy", **labels)
    for row in rows:
        row["graphs_per_second"] = row["n"] / row["seconds"]
        print(f"  {row['n']} graphs, {row['variant']}: {row['graphs_per_second']:,.0f} a second")
    if args.name:
        print(measure.save(args.name, rows, command=measure.command()))


if __name__ == "__main__":
    main()
