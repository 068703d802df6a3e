"""Messages of a GCN layer of width 512: our product with the normalised adjacency beside PyG's, torch's and scipy's.

Cora and PubMed (GRAPHSSL_MIRROR), a power-law graph of ogbn-arxiv's shape at width 128, and planted communities of
100,000 and a million nodes at width 64, where rows come from farther and farther memory. PyG's form gathers a row
for every edge and adds them up, as ``GCNConv`` does; the floor reads a row for every edge at the bandwidth of a plain
sum, measured in the same run. "build" is the normalised adjacency and its transpose from edges never seen before, as
every view that drops edges needs it; PyG's ``gcn_norm`` beside it only weighs the edges and puts nothing in order.

    python benchmarks/speed/spmm.py [--repeats 7] [--threads 1]
"""

from __future__ import annotations

import argparse

import graphs
import measure
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import scatter

from graphssl import load_dataset
from graphssl.data import planted_communities
from graphssl.ops import normalized_adjacency, spmm


def rows_of(name: str, edge_index: Tensor, nodes: int, width: int, repeats: int) -> list[dict[str, object]]:
    adjacency = normalized_adjacency(edge_index, nodes)
    csr = adjacency.matrix()
    pointers, col, value = csr.crow_indices(), csr.col_indices().long(), csr.values()
    row = torch.repeat_interleave(torch.arange(nodes), pointers.diff().long())
    x = torch.randn(nodes, width, generator=torch.Generator().manual_seed(0))
    matrix, dense = _scipy(csr), x.numpy()
    stream = torch.ones(2**26)

    def by_edge() -> Tensor:
        return scatter(value.unsqueeze(-1) * x[col], row, dim_size=nodes)

    variants = {"PyG, edge by edge": by_edge, "scipy": lambda: matrix @ dense, "read 256 MB": stream.sum}
    for tier in measure.tiers("spmm"):
        variants[f"graphssl, {tier}"] = measure.in_tier(tier, lambda: spmm(adjacency, x))
    torch.testing.assert_close(spmm(adjacency, x), by_edge(), rtol=1e-3, atol=1e-4)
    samples = measure.interleave(variants, repeats=repeats)
    reading = measure.median(samples.pop("read 256 MB")) / (stream.numel() * 4)  # seconds a byte
    rows = measure.compare(samples, baseline="PyG, edge by edge", path="spmm", data=name, n=nodes, width=width)
    floor = reading * 4 * width * col.numel()
    print(f"  {'floor: a row read for every entry':36s} {floor * 1e3:.3f} ms")
    rows = [{**entry, "times_the_floor": round(float(entry["seconds"]) / floor, 2)} for entry in rows]

    def build() -> object:
        return normalized_adjacency(edge_index.clone(), nodes).parts(transposed=True)

    variants = {"graphssl, torch": measure.in_tier("torch", build)}
    if "cpp" in measure.tiers("compress"):
        variants["graphssl, cpp"] = measure.in_tier("cpp", build)
    variants["PyG gcn_norm"] = lambda: gcn_norm(edge_index, num_nodes=nodes)
    samples = measure.interleave(variants, repeats=repeats)
    return rows + measure.compare(samples, baseline="graphssl, torch", path="build", data=name, n=nodes)


def _scipy(csr: Tensor) -> csr_matrix:
    parts = csr.values().numpy(), csr.col_indices().numpy(), csr.crow_indices().numpy()
    return csr_matrix(parts, shape=tuple(csr.shape))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="spmm", help="name of the results file; empty: none is written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    made = {name: (load_dataset(name), 512) for name in ("cora", "pubmed")}
    made["arxiv-shaped"] = graphs.arxiv_shaped(), 128
    for nodes in (100_000, 1_000_000):
        made[f"planted, {nodes:,}"] = planted_communities(nodes, 10, num_features=1), 64
    rows = []
    for name, (data, width) in made.items():
        rows += rows_of(name, data.edge_index, data.num_nodes, width, args.repeats)
    if args.name:
        measure.save(args.name, rows, command=measure.command())


if __name__ == "__main__":
    main()
