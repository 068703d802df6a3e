"""What the Triton kernels change on a GPU: contrastive loss, segments, sparse products, samplers, training steps.

Each part compares the plain torch tier with Triton's on the same inputs: a two-view InfoNCE forward and backward
(products as exact as float32, with 16 bits, and in bfloat16; gradients against float64's), segment reductions against
scatter operations, sparse products against cuSPARSE's, batches of samplers, and a training step of three methods. Times
are those between CUDA events, variants take turns; memory is what torch allocated at most, above the inputs.
``--parts tiles`` times other tiles of the contrastive kernels than those in use. Results go to
benchmarks/results/speed/gpu-<device>.json.

    python benchmarks/speed/gpu.py [--parts contrast,segment,spmm,samplers,steps] [--nodes 2708,19717] [--repeats 5]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import gpu_tiles
import graphs
import measure
import torch
from contrast import DENSE, dense_loss
from torch import Tensor
from torch_geometric.data import Data

from graphssl import create_method
from graphssl.functional import two_view_info_nce_loss
from graphssl.ops import random_walks, sample_neighbours, segment_reduce, walk_subgraphs
from graphssl.ops.csr import CSR
from graphssl.ops.triton.spmm import spmm

#: Triton's interpreter runs the same script on a CPU, on graphs of tens of nodes: a rehearsal, not a measurement.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WIDTH, TEMPERATURE = 128, 0.5
DENSE_MATRICES = 8.5  # N x N float32 matrices alive at once in the dense form

Rows = list[dict[str, Any]]


def seconds(variants: Mapping[str, Callable[[], object]], repeats: int, warmup: int = 2) -> dict[str, list[float]]:
    """Time on the device of every call, in turns; the first calls compile and do not count."""
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(warmup + repeats):
        for name, work in variants.items():
            passed = _one(work)
            if turn >= warmup:
                samples[name].append(passed)
    return samples


def _one(work: Callable[[], object]) -> float:
    if DEVICE == "cpu":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def peak_bytes(work: Callable[[], object]) -> int:
    if DEVICE == "cpu":
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def compared(variants: Mapping[str, Callable[[], object]], *, baseline: str, repeats: int, **labels: Any) -> Rows:
    rows = measure.compare(seconds(variants, repeats), baseline=baseline, **labels)
    for row in rows:
        row["bytes"] = peak_bytes(variants[row["variant"]])
    return rows


def contrast_part(count: int, repeats: int) -> Rows:
    """Two-view InfoNCE, forward and backward; ``error`` is the gradient's, of its largest entry."""
    z1, z2 = (torch.randn(count, WIDTH, device=DEVICE) for _ in range(2))

    def run(loss: Callable[..., Tensor], dtype: torch.dtype = torch.float32, **options: Any) -> tuple[Tensor, ...]:
        leaves = [z.to(dtype).requires_grad_() for z in (z1, z2)]
        return torch.autograd.grad(loss(*leaves, temperature=TEMPERATURE, **options), leaves)

    def float32() -> tuple[Tensor, ...]:
        return run(two_view_info_nce_loss)

    def high() -> tuple[Tensor, ...]:
        return run(two_view_info_nce_loss, precision="high")

    def bfloat16() -> tuple[Tensor, ...]:
        return run(two_view_info_nce_loss, precision="bfloat16")

    variants = {
        "torch": measure.in_tier("torch", float32),
        "triton": measure.in_tier("triton", float32),
        "triton, high": measure.in_tier("triton", high),
        "triton, bf16": measure.in_tier("triton", bfloat16),
    }
    if DEVICE == "cpu" or DENSE_MATRICES * 4 * count**2 < torch.cuda.mem_get_info()[0]:
        variants[DENSE] = lambda: run(dense_loss)
    rows = compared(variants, baseline="torch", repeats=repeats, path="gpu contrast", n=count)
    exact = torch.cat(run(two_view_info_nce_loss, torch.float64))
    for row in rows:
        difference = torch.cat(variants[row["variant"]]()) - exact
        row["error"] = float(difference.abs().max() / exact.abs().max())
        print(f"  {row['variant']:32s} gradient off by {row['error']:.1e}")
    return rows


def segment_part(edges: Tensor, repeats: int) -> Rows:
    """Sums and maxima over the edges of a graph, of an index seen before and of a new one."""
    rows = []
    shuffled = edges[0][torch.randperm(edges.size(1), device=DEVICE)]
    nodes = int(edges.max()) + 1
    for width in (1, 64, 256):
        src = torch.randn(edges.size(1), width, device=DEVICE)
        for order, index in (("sorted", edges[0].clone()), ("shuffled", shuffled)):
            for reduce in ("sum", "max"):

                def work(index: Tensor = index, src: Tensor = src, reduce: str = reduce) -> Tensor:
                    return segment_reduce(src, index, nodes, reduce)

                variants = {
                    "torch": measure.in_tier("torch", work),
                    "triton": measure.in_tier("triton", work),
                    "triton, new index": measure.in_tier("triton", lambda work=work, index=index: work(index.clone())),
                }
                labels = dict(path="gpu segment", n=edges.size(1), width=width, order=order, reduce=reduce)
                rows += compared(variants, baseline="torch", repeats=repeats, **labels)
    return rows


def spmm_part(edges: Tensor, repeats: int) -> Rows:
    """A product with the graph's matrix; ``torch.mm`` on a new matrix pays for its analysis each time."""
    rows = []
    nodes = int(edges.max()) + 1
    ptr = torch.searchsorted(edges[0], torch.arange(nodes + 1, device=DEVICE)).int()
    col, value = edges[1].int(), torch.rand(edges.size(1), device=DEVICE)

    def matrix() -> Tensor:
        return torch.sparse_csr_tensor(ptr, col, value, size=(nodes, nodes), check_invariants=False)

    remembered = matrix()
    for width in (64, 128, 512):
        x = torch.randn(nodes, width, device=DEVICE)
        variants = {
            "torch.mm": lambda x=x: torch.mm(remembered, x),
            "torch.mm, new matrix": lambda x=x: torch.mm(matrix(), x),
            "triton": lambda x=x: spmm(ptr, col, value, None, None, x, nodes),
        }
        results = [work() for work in variants.values()]
        torch.testing.assert_close(results[0], results[2], rtol=1e-4, atol=1e-4)
        rows += compared(variants, baseline="torch.mm", repeats=repeats, path="gpu spmm", n=edges.size(1), width=width)
    return rows


def samplers_part(edges: Tensor, repeats: int) -> Rows:
    """A batch of 1,024 seeds."""
    nodes = int(edges.max()) + 1
    csr = CSR.from_edges(edges, nodes, direction="in")
    seeds = torch.randperm(nodes, device=DEVICE)[:1024]
    works: dict[str, Callable[[], object]] = {
        "walks of 64 moves": lambda: random_walks(csr, seeds, 64, restart=0.8),
        "neighbours [10, 10]": lambda: sample_neighbours(csr, seeds, [10, 10]),
        "neighbours [15, 10, 5]": lambda: sample_neighbours(csr, seeds, [15, 10, 5]),
        "neighbours [10, 10], replace": lambda: sample_neighbours(csr, seeds, [10, 10], replace=True),
        "subgraphs of 64 moves": lambda: walk_subgraphs(csr, seeds, 64, restart=0.8),
    }
    rows = []
    for name, work in works.items():
        variants = {tier: measure.in_tier(tier, work) for tier in ("torch", "triton")}
        rows += compared(variants, baseline="torch", repeats=repeats, path=f"gpu {name}", n=nodes)
    return rows


def steps_part(edges: Tensor, repeats: int, methods: tuple[str, ...] = ("dgi", "grace", "bgrl")) -> Rows:
    """Forward, backward and Adam of whole methods on a graph with random features."""
    rows = []
    nodes = int(edges.max()) + 1
    data = Data(x=torch.randn(nodes, WIDTH, device=DEVICE), edge_index=edges)
    for name in methods:
        variants = {}
        for tier in ("torch", "triton"):
            method = create_method(name, data).to(DEVICE)
            optimizer = torch.optim.Adam((p for p in method.parameters() if p.requires_grad), lr=1e-3)

            def step(method: Any = method, optimizer: torch.optim.Optimizer = optimizer) -> None:
                optimizer.zero_grad()
                method.loss(data).backward()
                optimizer.step()

            variants[tier] = measure.in_tier(tier, step)
        rows += compared(variants, baseline="torch", repeats=repeats, path=f"gpu {name} step", n=nodes)
    return rows


def edges_of(count: int) -> Tensor:
    """A graph of that many nodes, with ogbn-arxiv's share of edges, by source."""
    nodes, pairs, _ = graphs.ARXIV
    return graphs.power_law_edges(count, max(count, pairs * count // nodes)).to(DEVICE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="contrast,segment,spmm,samplers,steps")
    parser.add_argument("--nodes", default="2708,19717,169343", help="rows of a view, nodes of the graphs")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--name", help="of the results file, by default gpu-<device>; empty: none is written")
    args = parser.parse_args()
    torch.manual_seed(0)
    parts: dict[str, Callable[[int], Rows]] = {
        "contrast": lambda count: contrast_part(count, args.repeats),
        "segment": lambda count: segment_part(edges_of(count), args.repeats),
        "spmm": lambda count: spmm_part(edges_of(count), args.repeats),
        "samplers": lambda count: samplers_part(edges_of(count), args.repeats),
        "steps": lambda count: steps_part(edges_of(count), args.repeats),
        "tiles": lambda count: gpu_tiles.tiles_part(count, DEVICE, lambda works: seconds(works, args.repeats)),
    }
    rows = [row for part in args.parts.split(",") for count in args.nodes.split(",") for row in parts[part](int(count))]
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU, interpreted"
    for row in rows:
        row |= dict(device=device, triton=importlib.metadata.version("triton"))
    name = "gpu-" + re.sub(r"[^a-z0-9]+", "-", device.lower()) if args.name is None else args.name
    if name:
        command = f"python benchmarks/speed/gpu.py --parts {args.parts} --nodes {args.nodes} --repeats {args.repeats}"
        print("wrote", measure.save(name, rows, command=command).relative_to(measure.ROOT))


if __name__ == "__main__":
    main()
