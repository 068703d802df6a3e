"""Neighbour sampling beside PyG's, which needs a wheel of pyg-lib or torch-sparse: both in one run, on one thread.

Seeds a second by process CPU time, batches of 1,024, on a graph of ogbn-arxiv's size and degrees with 128 features:
the sampling functions alone, and whole loaders (without worker processes) that yield ``Data`` with its features.

    pip install --no-build-isolation torch-scatter torch-sparse    # compiles: 15 minutes of one core
    python benchmarks/speed/neighbours_peer.py [--repeats 5] [--batches 16]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

import measure
import torch
from graphs import named
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.index import index2ptr
from torch_geometric.loader import NeighborLoader as PyGNeighborLoader
from torch_geometric.utils import sort_edge_index

from graphssl.ops import sample_neighbours
from graphssl.ops.csr import CSR
from graphssl.samplers import NeighborLoader

try:
    import torch_sparse
except ImportError as error:
    raise SystemExit(f"torch-sparse is wanted, which PyG's NeighborLoader samples with: {error}") from error

BATCH = 1024
FANOUTS = ([10, 10], [15, 10, 5])


def used(loader: Iterable[Data]) -> int:
    """All batches of a loader; how many edges they have."""
    return sum(batch.edge_index.size(1) for batch in loader)


def functions(data: Data, seeds: Tensor, fanouts: list[int]) -> dict[str, Callable[[], int]]:
    """Sampling without features, by PyG's backend and by each of our tiers."""
    csr = CSR.from_edges(data.edge_index, data.num_nodes, direction="in")
    row, col = sort_edge_index(data.edge_index, sort_by_row=False)
    colptr, sample = index2ptr(col, data.num_nodes), torch.ops.torch_sparse.neighbor_sample
    batches = seeds.split(BATCH)

    def own() -> int:
        return sum(sample_neighbours(csr, part, fanouts, seed=0).row.numel() for part in batches)

    works = {"torch-sparse": lambda: sum(sample(colptr, row, b, fanouts, False, True)[1].numel() for b in batches)}
    return works | {tier: measure.in_tier(tier, own) for tier in measure.tiers()}


def loaders(data: Data, seeds: Tensor, fanouts: list[int]) -> dict[str, Callable[[], int]]:
    """The same with features, as loaders."""
    peer = PyGNeighborLoader(data, num_neighbors=fanouts, input_nodes=seeds, batch_size=BATCH)
    own = NeighborLoader(data, num_neighbors=fanouts, input_nodes=seeds, batch_size=BATCH, prefetch=0)
    works: dict[str, Callable[[], int]] = {"torch-sparse": lambda: used(peer)}
    return works | {tier: measure.in_tier(tier, lambda: used(own)) for tier in measure.tiers()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--name", default="neighbours_peer", help="name of the results file; empty: none is written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = named("arxiv")
    generator = torch.Generator().manual_seed(0)
    data.edge_index = data.edge_index[:, torch.randperm(data.edge_index.size(1), generator=generator)]
    data.x = torch.randn(data.num_nodes, 128, generator=generator)
    seeds = torch.randperm(data.num_nodes, generator=generator)[: args.batches * BATCH]
    rows = []
    for kind, make in {"sampling": functions, "loader": loaders}.items():
        for fanouts in FANOUTS:
            works = make(data, seeds, fanouts)
            edges = {name: work() for name, work in works.items()}
            samples = measure.interleave(works, repeats=args.repeats, warmup=1)
            labels = dict(path=f"{kind} {fanouts}", n=data.num_nodes, clock="process", threads=1)
            for row in measure.compare(samples, baseline="torch-sparse", **labels):
                row["seeds_per_second"] = seeds.numel() / row["seconds"]
                row["edges"] = edges[row["variant"]]
                print(f"  {row['variant']}: {row['seeds_per_second']:,.0f} seeds/s, {row['edges']:,} edges", flush=True)
                rows.append({**row, "peer": f"torch-sparse {torch_sparse.__version__}"})
    if args.name:
        print(measure.save(args.name, rows, command=measure.command()))


if __name__ == "__main__":
    main()
