"""Segment reductions: each tier, torch's own functions, PyG, numpy and, where installed, torch-scatter.

- large: 2.3 million rows of 64 float32 into 169 thousand segments (the messages of a graph of ogbn-arxiv's size),
  sorted and unsorted index, one thread. ``floor`` is the time to read the rows once (for softmax: to copy them; for the
  gradient of a sum: to write them), measured in turns with the variants; ``times_floor`` how far a variant is above.
- small: the readout of a batch of 128 small graphs, 2,000 rows of 32, where the overhead of a call counts; value alone
  and with the gradient.

    python benchmarks/speed/segment.py [--rows 2300000] [--columns 64] [--segments 169343] [--repeats 5]

``make scatter`` builds torch-scatter and runs this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import measure
import numpy as np
import torch
import torch_geometric.utils as pyg
from torch import Tensor

from graphssl.ops import segment_logsumexp, segment_reduce, segment_softmax

try:
    import torch_scatter
except ImportError:
    torch_scatter = None

REDUCTIONS = ("sum", "mean", "max", "min")
Variants = dict[str, Callable[[], object]]


def ours(op: str, src: Tensor, index: Tensor, segments: int) -> Tensor:
    if op in REDUCTIONS:
        return segment_reduce(src, index, segments, op)
    return (segment_softmax if op == "softmax" else segment_logsumexp)(src, index, segments)


def values(op: str, src: Tensor, index: Tensor, segments: int, *, ordered: bool) -> Variants:
    """All that compute the same, by name; a name has ``torch`` for the plain tier."""
    found: Variants = {
        f"graphssl {tier}": measure.in_tier(tier, lambda: ours(op, src, index, segments)) for tier in measure.tiers()
    }
    wide = index.unsqueeze(-1).expand_as(src)
    count = torch.bincount(index, minlength=segments)
    ptr = torch.nn.functional.pad(count.cumsum(0), (1, 0))
    if op in REDUCTIONS:
        found["pyg scatter"] = lambda: pyg.scatter(src, index, dim_size=segments, reduce=op)
    if op == "softmax":
        found["pyg softmax"] = lambda: pyg.softmax(src, index, num_nodes=segments)
    if op == "sum":
        found["torch index_add"] = lambda: src.new_zeros(segments, src.size(1)).index_add_(0, index, src)
        found["torch scatter_add"] = lambda: src.new_zeros(segments, src.size(1)).scatter_add_(0, wide, src)
    if ordered and op in REDUCTIONS:
        found["torch segment_reduce"] = lambda: torch.segment_reduce(src, op, lengths=count, axis=0, unsafe=True)
        found["pyg segment"] = lambda: pyg.segment(src, ptr, reduce=op)
        if op == "sum":
            starts, array = ptr[:-1][count > 0].numpy(), src.numpy()
            found["numpy reduceat"] = lambda: np.add.reduceat(array, starts, axis=0)
    if torch_scatter is not None:
        if op in REDUCTIONS:
            found["torch-scatter scatter"] = lambda: torch_scatter.scatter(src, index, 0, None, segments, op)
        else:
            composite = getattr(torch_scatter, f"scatter_{op}")
            found["torch-scatter scatter"] = lambda: composite(src, wide, 0, dim_size=segments)
        if ordered and op in REDUCTIONS:
            found["torch-scatter segment_csr"] = lambda: torch_scatter.segment_csr(src, ptr, reduce=op)
    return found


def gradients(variants: Variants, src: Tensor) -> Variants:
    """Value and gradient of each variant; ``src`` requires grad."""

    def run(value: Callable[[], Any]) -> Callable[[], object]:
        grad = torch.ones_like(value())
        return lambda: torch.autograd.grad(value(), src, grad)

    return {name: run(value) for name, value in variants.items()}


def floors(src: Tensor) -> dict[str, Callable[[], object]]:
    other = torch.empty_like(src)
    return {"read": lambda: src.view(-1).sum(), "copy": lambda: other.copy_(src), "write": lambda: other.fill_(1.0)}


def large(rows: int, columns: int, segments: int, repeats: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    src = torch.randn(rows, columns, generator=generator)
    unsorted = torch.randint(segments, (rows,), generator=generator)
    table = []
    for ordered in (True, False):
        index = unsorted.sort()[0] if ordered else unsorted
        for op in (*REDUCTIONS, "softmax", "logsumexp"):
            floor = "copy" if op == "softmax" else "read"
            variants = values(op, src, index, segments, ordered=ordered) | {floor: floors(src)[floor]}
            if floor == "read":  # a fresh result costs page faults on top, whoever computes it
                variants["read, new result"] = lambda: (src.view(-1).sum(), src.new_empty(segments, columns).fill_(1.0))
            table += timed(variants, op, floor, repeats, rows=rows, columns=columns, sorted=ordered)
    leaf = src.requires_grad_()
    grad = torch.randn(segments, columns, generator=generator)
    for ordered in (True, False):
        index = unsorted.sort()[0] if ordered else unsorted
        variants: Variants = {"write": floors(src.detach())["write"]}
        for tier in measure.tiers():
            out = measure.in_tier(tier, lambda index=index: ours("sum", leaf, index, segments))()
            variants[f"graphssl {tier}"] = measure.in_tier(
                tier, lambda out=out: torch.autograd.grad(out, leaf, grad, retain_graph=True)
            )
        table += timed(variants, "gradient of sum", "write", repeats, rows=rows, columns=columns, sorted=ordered)
    return table


def timed(variants: Variants, op: str, floor: str, repeats: int, **labels: Any) -> list[dict[str, Any]]:
    samples = measure.interleave(variants, repeats=repeats, warmup=1)
    rows = measure.compare(samples, baseline="graphssl torch", op=op, **labels)
    least = measure.median(samples[floor])
    return [row | {"floor": least, "times_floor": row["seconds"] / least} for row in rows]


def small(repeats: int) -> list[dict[str, Any]]:
    """Microseconds of one call, from a hundred at a time."""
    rows, columns, segments, times = 2000, 32, 128, 100
    generator = torch.Generator().manual_seed(0)
    src = torch.randn(rows, columns, generator=generator)
    index = torch.randint(segments, (rows,), generator=generator).sort()[0]

    def often(run: Callable[[], object]) -> Callable[[], None]:
        def hundred() -> None:
            for _ in range(times):
                run()

        return hundred

    table = []
    for op in (*REDUCTIONS, "softmax", "logsumexp"):
        leaf = src.clone().requires_grad_()
        value = values(op, src, index, segments, ordered=True)
        both = gradients(values(op, leaf, index, segments, ordered=False), leaf)
        for what, variants in (("value", value), ("value and gradient", both)):
            samples = measure.interleave({name: often(run) for name, run in variants.items()}, repeats=repeats)
            samples = {name: [seconds / times for seconds in taken] for name, taken in samples.items()}
            labels = dict(op=op, what=what, rows=rows, columns=columns, sorted=True)
            table += measure.compare(samples, baseline="graphssl torch", **labels)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_300_000)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--segments", type=int, default=169_343)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = small(2 * args.repeats) + large(args.rows, args.columns, args.segments, args.repeats)
    command = (
        f"python benchmarks/speed/segment.py --rows {args.rows} --columns {args.columns} --segments {args.segments}"
    )
    print(measure.save("segment", rows, command=f"{command} --repeats {args.repeats}"))


if __name__ == "__main__":
    main()
