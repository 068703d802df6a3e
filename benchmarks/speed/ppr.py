"""Diffusion views: personalised PageRank and heat by factorisation, by series and by push, top 64 of every node.

- Cora: the dense solve by LU and by Cholesky, and the whole view;
- PubMed, and a graph of ogbn-arxiv's size and degrees (graphs.py): the whole view, which pushes from 5,000 nodes on, by
  CPU time of one thread and by elapsed time of two; the exact series, several tolerances of the push, and the push
  without the C++ kernels, per node.

Quality is that of 200 random nodes against the exact series: recall of the exact top 64, and the L1 error of the
entries found, missed ones included, over the sum of the exact top 64. Rows of the results say which clock they are by.

    python benchmarks/speed/ppr.py [--graphs cora,pubmed,arxiv] [--repeats 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import measure
import torch
from graphs import arxiv_shaped
from torch import Tensor
from torch_geometric.data import Data

from graphssl import load_dataset
from graphssl.ops import Adjacency, normalized_adjacency
from graphssl.ops.diffusion import heat_coefficients, heat_push, ppr_coefficients, ppr_push, series_blocks
from graphssl.views import HeatDiffusion, PPRDiffusion

ALPHA, T, TOP_K, SAMPLE = 0.2, 5.0, 64, 200
TOLERANCES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
Row = dict[str, Any]


def graph_of(name: str) -> Data:
    data = arxiv_shaped() if name == "arxiv" else load_dataset(name)
    return Data(edge_index=data.edge_index, num_nodes=data.num_nodes)


def variants(data: Data) -> dict[str, Callable[[], Data]]:
    """The views, exact up to 5,000 nodes, by push beyond."""
    return {
        "ppr": lambda: PPRDiffusion(ALPHA, top_k=TOP_K)(data),
        "heat": lambda: HeatDiffusion(T, top_k=TOP_K)(data),
    }


def solves(data: Data) -> dict[str, Callable[[], Tensor]]:
    """The dense system of PageRank, by LU and by Cholesky."""
    identity = torch.eye(data.num_nodes, dtype=torch.float64)
    transition = normalized_adjacency(data.edge_index, data.num_nodes, dtype=torch.float64).to_dense()
    system = identity - (1 - ALPHA) * transition
    return {
        "LU": lambda: torch.linalg.solve(system, ALPHA * identity),
        "Cholesky": lambda: ALPHA * torch.cholesky_inverse(torch.linalg.cholesky(system)),
    }


def quality(exact: Tensor, index: Tensor, value: Tensor) -> Row:
    """Of the found entries (S, K) against exact rows (S, N)."""
    best = exact.topk(TOP_K, dim=1)
    found = torch.zeros_like(exact)
    row = torch.arange(len(exact)).unsqueeze(1).expand_as(index)[index >= 0]
    found[row, index[index >= 0]] = value[index >= 0]
    hits = (found > 0) & (exact >= best.values[:, -1:] * (1 - 1e-9))  # of equal entries any will do
    recall = hits.sum(1).clamp(max=TOP_K) / (best.values > 0).sum(1)  # a small component has fewer than 64
    wanted = torch.zeros_like(exact).scatter_(1, best.indices, best.values)
    error = torch.where(found > 0, exact - found, wanted).abs().sum(1) / best.values.sum(1)
    assert float((found - exact).max()) < 1e-7  # never above
    return {"recall": float(recall.mean()), "least_recall": float(recall.min()), "l1": float(error.mean())}


def per_node(name: str, transition: Adjacency, timed: int = 4000) -> list[Row]:
    """Time and quality of the push for several tolerances, against the series."""
    order = torch.randperm(transition.shape[0], generator=torch.Generator().manual_seed(0))
    rows = []
    for kind in ("ppr", "heat"):
        coefficients = ppr_coefficients(ALPHA) if kind == "ppr" else heat_coefficients(T)
        push = partial(ppr_push, alpha=ALPHA) if kind == "ppr" else partial(heat_push, t=T)
        start = time.process_time()
        exact = torch.cat([part for _, part in series_blocks(transition, order[:SAMPLE], coefficients)])
        series = (time.process_time() - start) / SAMPLE
        labels = {"path": f"{name}, per node", "n": transition.shape[0], "clock": "process", "threads": 1}
        rows.append(labels | {"variant": f"{kind}, series", "seconds": series, "ratio": 1.0})
        print(f"  {kind}, series: {series * 1e6:.0f} us a node")
        for tolerance in TOLERANCES:
            index, value, _ = push(transition, order[:SAMPLE], top_k=TOP_K, tolerance=tolerance)
            start = time.process_time()
            push(transition, order[:timed], top_k=TOP_K, tolerance=tolerance)
            seconds = (time.process_time() - start) / len(order[:timed])
            found = quality(exact, index, value)
            row = {"variant": f"{kind}, push", "tolerance": tolerance, "seconds": seconds, "ratio": series / seconds}
            rows.append(labels | row | found)
            print(
                f"  {kind}, push, tolerance {tolerance:g}: {seconds * 1e6:.0f} us a node, {series / seconds:.0f} x,"
                f" recall {found['recall']:.4f} (least {found['least_recall']:.3f}), L1 error {found['l1']:.4f}",
                flush=True,
            )
        plain = measure.in_tier("torch", lambda push=push: push(transition, order[: timed // 10], top_k=TOP_K))
        start = time.process_time()
        plain()
        seconds = (time.process_time() - start) / len(order[: timed // 10])
        rows.append(labels | {"variant": f"{kind}, push, torch tier", "seconds": seconds, "ratio": series / seconds})
        print(f"  {kind}, push, torch tier: {seconds * 1e6:.0f} us a node, {series / seconds:.0f} x", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", default="cora,pubmed,arxiv")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="ppr", help="name of the results file; empty: none is written")
    parser.add_argument("--peak", nargs=2, metavar=("GRAPH", "VARIANT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:  # in a process of its own
        data = graph_of(args.peak[0])
        measure.report_peak(variants(data)[args.peak[1]])
        return
    rows: list[Row] = []
    for name in args.graphs.split(","):
        data = graph_of(name)
        n, views = data.num_nodes, variants(data)
        if name == "cora":
            samples = measure.interleave(solves(data), repeats=args.repeats, warmup=1)
            rows += measure.compare(samples, baseline="LU", path="cora, solve", n=n, clock="process", threads=1)
        for clock, threads in (("process", 1), ("wall", 2)):
            torch.set_num_threads(threads)
            samples = measure.interleave(views, repeats=args.repeats, warmup=0, clock=clock)
            timed = measure.compare(samples, baseline="ppr", path=name, n=n, clock=clock, threads=threads)
            for row in timed if threads == 1 else ():
                row["bytes"] = measure.peak_memory([__file__, "--peak", name, row["variant"]])
                print(f"  {row['variant']}: peak {row['bytes'] / 1e6:.0f} MB", flush=True)
            rows += timed
        torch.set_num_threads(1)
        rows += per_node(name, normalized_adjacency(data.edge_index, n, dtype=torch.float64))
    if args.name:
        print(measure.save(args.name, rows, command=f"python benchmarks/speed/ppr.py --graphs {args.graphs}"))


if __name__ == "__main__":
    main()
