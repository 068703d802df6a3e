"""Random-walk subgraphs, ego nets and node2vec walks on a graph of ogbn-arxiv's size and degrees, or on WordNet's.

Rates by CPU time of one thread (by the clock with several), both tiers, batches of 1,024 random seeds; subgraphs with
all tensors of torch_geometric's layout (node, ptr, batch, edge_index, edge). Walks restart with probability 0.8.

    python benchmarks/speed/walks.py [--graph arxiv] [--threads 1] [--batches 10] [--repeats 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import measure
import torch
from graphs import named
from torch import Tensor

from graphssl.ops import Subgraphs, ego_nets, native, random_walks, walk_subgraphs
from graphssl.ops.csr import CSR

BATCH, RESTART, LENGTH = 1024, 0.8, 80


def works(csr: CSR) -> dict[str, tuple[int, Callable[[Tensor], object]]]:
    """For each name what one seed counts (1 subgraph, or so many steps) and what is done with a batch."""

    def whole(found: Subgraphs) -> Tensor:
        return found.batch

    return {
        "subgraphs, 64 steps": (1, lambda seeds: whole(walk_subgraphs(csr, seeds, 64, restart=RESTART))),
        "subgraphs, 256 steps": (1, lambda seeds: whole(walk_subgraphs(csr, seeds, 256, restart=RESTART))),
        "ego nets, 2 hops, 128 nodes": (1, lambda seeds: whole(ego_nets(csr, seeds, 2, max_nodes=128))),
        "node2vec steps": (LENGTH, lambda seeds: random_walks(csr, seeds, LENGTH, p=0.25, q=4.0)),
        "uniform steps": (LENGTH, lambda seeds: random_walks(csr, seeds, LENGTH)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=10, help="of the C++ tier; torch computes one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--name", default="walks", help="name of the results file; empty: none is written")
    parser.add_argument("--graph", default="arxiv", choices=("arxiv", "wordnet"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = "process" if args.threads == 1 else "wall"
    data = named(args.graph)
    csr = CSR.from_edges(data.edge_index, data.num_nodes)
    order = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(0))
    rows: list[dict[str, Any]] = []
    for name, (count, work) in works(csr).items():
        for tier in ("torch",) if native.why_missing() else ("torch", "cpp"):
            batches = order[: BATCH * (args.batches if tier == "cpp" else 1)].split(BATCH)
            run = measure.in_tier(tier, lambda work=work, batches=batches: [work(seeds) for seeds in batches])
            repeats = args.repeats if tier == "cpp" else min(3, args.repeats)
            times = measure.interleave({tier: run}, repeats=repeats, warmup=1, clock=clock)[tier]
            seconds = measure.median(times) / len(batches)
            rate = BATCH * count / seconds
            print(f"{name:30s} {tier:6s} {rate:12,.0f} a second", flush=True)
            facts = dict(path=name, graph=args.graph, variant=tier, threads=args.threads, clock=clock)
            rows.append({**facts, "seconds": seconds, "rate": rate})
    if args.name:
        print(measure.save(args.name, rows, command=measure.command()))


if __name__ == "__main__":
    main()
