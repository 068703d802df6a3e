"""Training and embedding graphs on disk: time, anonymous memory and what is learned, from 10^4 to 10^6 nodes.

Planted communities with 10 undirected edges a node (20 entries, both directions being stored), 64 features as float16,
10 classes; encoders as the methods have them (two layers for GRACE and BGRL, one for DGI and GGD), all of width 128;
batches of 1,024 seeds with at most 10 neighbours a hop. Each (method, N) has a process of its own with two threads:

- sampling: a batch made alone (neighbours, features, degrees), without prefetching; step: the rest, likewise alone;
- training: ``train`` as a user calls it, with the next batches sampled on a thread meanwhile;
- embedding: ``embed_data`` of all nodes, layer by layer with all neighbours, in blocks of 64 MiB;
- accuracy: logistic regression and 10,000 nodes, 2,000 for training, 1,000 for validation, beside raw features and the
  same encoder before training.

Memory is RssAnon of the whole process, sampled every 5 ms: Python and torch included, mapped files not. The degrees of
all nodes are added up before, once; what that takes is measured by papers_simulation.py.

    python benchmarks/speed/large.py                                      # everything; one process at a time
    python benchmarks/speed/large.py --methods bgrl --sizes 10000,100000  # replaces these rows, keeps the others
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from graphs import planted_on_disk
from growth import slope
from torch import Tensor

from graphssl import create_method
from graphssl.data import DiskGraph, open_graph
from graphssl.evaluation import LinearProbe, Split
from graphssl.method import Method
from graphssl.training import embed_data, train
from graphssl.training.batches import node_batches

WIDTH, BATCH, SEED = 128, 1024, 0
METHODS: dict[str, dict[str, int]] = {"grace": {}, "bgrl": {"predictor_channels": WIDTH}, "ggd": {}, "dgi": {}}
SIZES = (10_000, 100_000, 1_000_000)
EDGES = 10  # undirected, a node
EMBED_BYTES = 2**26
LIMIT = 4e9  # bytes of anonymous memory that no process may exceed
JUDGED = (2_000, 1_000, 7_000)  # nodes to train the probe, to choose its penalty, to test


class Work:
    """What :func:`watched` saw of its block: seconds and bytes."""

    wall = cpu = 0.0
    bytes = 0


@contextmanager
def watched(every: float = 0.005) -> Iterator[Work]:
    """Elapsed and CPU seconds of a block, and the peak of this process's anonymous memory in it."""
    work, done = Work(), threading.Event()

    def watch() -> None:
        while not done.wait(every):
            work.bytes = max(work.bytes, measure.anonymous())

    thread = threading.Thread(target=watch)
    work.bytes = measure.anonymous()
    thread.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield work
    finally:
        work.wall, work.cpu = time.perf_counter() - wall, time.process_time() - cpu
        done.set()
        thread.join()


def apart(method: Method, graph: DiskGraph, count: int) -> dict[str, float]:
    """CPU seconds of making a batch and of a step on it: medians, one after the other on the same batches."""
    loader = node_batches(graph, method=method, batch_size=BATCH, num_neighbors=None, seed=SEED)
    loader.prefetch = 0
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    batches, steps, nodes = [], [], []
    made = iter(loader.epoch(0))
    method.train()
    for _ in range(min(count, len(loader))):
        start = time.process_time()
        batch = next(made)
        middle = time.process_time()
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
        method.after_step(0.5)
        batches.append(middle - start)
        steps.append(time.process_time() - middle)
        nodes.append(batch.num_nodes)
    used = slice(1, None) if len(batches) > 1 else slice(None)  # the first also reads degrees and wakes threads
    sampling, step, rows = (measure.median(values[used]) for values in (batches, steps, nodes))
    return dict(sampling_seconds=sampling, step_seconds=step, batch_nodes=int(rows))


def accuracy(rows: Tensor, nodes: Tensor, graph: DiskGraph) -> float:
    """Share of the test nodes whose class logistic regression tells."""
    assert graph.y is not None
    scale = min(1.0, nodes.numel() / sum(JUDGED))
    train_rows, val_rows, _ = (int(scale * part) for part in JUDGED)
    split = Split(*np.split(np.arange(nodes.numel()), [train_rows, train_rows + val_rows]))
    y = graph.y[nodes].numpy()
    return float((LinearProbe()(rows.numpy(), y, split, seed=SEED).labels == y[split.test]).mean())


def fresh(name: str, graph: DiskGraph) -> Method:
    """The method with its weights as they are drawn."""
    return create_method(name, graph, hidden_channels=WIDTH, seed=SEED, **METHODS[name])


def judged(graph: DiskGraph) -> Tensor:
    """The nodes that tell the accuracy."""
    return torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(SEED))[: sum(JUDGED)]


def control(name: str, folder: str) -> None:
    """In a process of its own: what raw features and the untrained method say."""
    graph = open_graph(folder)
    nodes = judged(graph)
    rows = embed_data(fresh(name, graph), graph, memory_bytes=EMBED_BYTES, device="cpu")[nodes]
    measure.report(raw=accuracy(graph.gather(nodes), nodes, graph), untrained=accuracy(rows, nodes, graph))


def one(name: str, folder: str, steps: int) -> None:
    """In a process of its own: everything about one trained method on one graph."""
    graph = open_graph(folder)
    held, nodes = measure.anonymous(), judged(graph)
    found: dict[str, Any] = apart(fresh(name, graph), graph, 20)
    method = fresh(name, graph)
    with watched() as training:
        train(method, graph, steps=steps, batch_size=BATCH, seed=SEED, device="cpu")
    with watched() as embedding:
        result = embed_data(method, graph, memory_bytes=EMBED_BYTES, device="cpu")
    peak = max(training.bytes, embedding.bytes)
    if peak > LIMIT:
        raise SystemExit(f"{name}: {peak:,} bytes of anonymous memory, more than {LIMIT:,.0f}")
    measure.report(
        n=graph.num_nodes, edges=graph.num_edges, threads=2, steps=steps, seconds=training.cpu / steps,
        wall=training.wall / steps, **found, bytes=training.bytes, embed_seconds=embedding.cpu,
        embed_wall=embedding.wall, embed_bytes=embedding.bytes, held_bytes=held, dimensions=result.size(1),
        trained=accuracy(result[nodes], nodes, graph),
    )  # fmt: skip


def slopes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Exponents of growth in N of each method over all its sizes; a method with one size has none."""
    keys = ("seconds", "embed_seconds", "bytes", "embed_bytes")
    found = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        mine = [row for row in rows if row["variant"] == name]
        if len(mine) > 1:
            sizes = [float(row["n"]) for row in mine]
            found.append(dict(variant=name, **{key: slope(sizes, [row[key] for row in mine]) for key in keys}))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", help="comma-separated; all by default")
    parser.add_argument("--sizes", help="comma-separated numbers of nodes", default=",".join(map(str, SIZES)))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--timeout", type=float, default=600, help="seconds of wall time for one method and size")
    parser.add_argument("--folder", help="where the graphs are kept, and found again; default: a temporary folder")
    parser.add_argument("--name", default="large", help="name of the results file; empty: none is written")
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--control", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.one:
        name, place = args.one
        control(name, place) if args.control else one(name, place, args.steps)
        return
    rows = {(row["variant"], row["n"]): row for row in (measure.saved(args.name) if args.name else [])}
    chosen = args.methods.split(",") if args.methods else list(METHODS)
    with tempfile.TemporaryDirectory() as temporary:
        for nodes in map(int, args.sizes.split(",")):
            folder = Path(args.folder or temporary) / f"planted-{nodes}"
            if not folder.exists():
                with watched() as work:
                    graph = planted_on_disk(folder, nodes, EDGES * nodes)
                print(f"{graph}: written in {work.wall:.1f} s ({work.cpu:.1f} s of CPU), {work.bytes / 1e6:.0f} MB")
            for name in chosen:
                argv = [__file__, "--one", name, str(folder), "--steps", str(args.steps)]
                row = dict(path="large", variant=name, **measure.child(argv, timeout=args.timeout, threads=2))
                row |= measure.child([*argv, "--control"], timeout=args.timeout, threads=2)
                row["commit"] = measure.commit()
                rows[name, nodes] = row
                ordered = sorted(rows.values(), key=lambda row: (list(METHODS).index(row["variant"]), row["n"]))
                if args.name:
                    measure.save(args.name, ordered, command="python benchmarks/speed/large.py")
                print(
                    f"{name:6s} {nodes:>9,} nodes: batch {row['sampling_seconds'] * 1e3:.0f} ms, step "
                    f"{row['step_seconds'] * 1e3:.0f} ms; training {row['seconds'] * 1e3:.0f} ms CPU, "
                    f"{1 / row['wall']:.2f} steps/s, {row['bytes'] / 1e6:.0f} MB; embedding {row['embed_seconds']:.1f} "
                    f"s CPU, {row['embed_wall']:.1f} s, {row['embed_bytes'] / 1e6:.0f} MB; accuracy raw "
                    f"{row['raw']:.3f}, untrained {row['untrained']:.3f}, trained {row['trained']:.3f}",
                    flush=True,
                )
    for row in slopes(ordered):
        print(f"slopes in N, {row.pop('variant'):6s}", {key: round(value, 2) for key, value in row.items()})


if __name__ == "__main__":
    main()
