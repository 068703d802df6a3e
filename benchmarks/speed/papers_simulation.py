"""What ogbn-papers100M would cost: the pipeline of batches measured on a smaller graph of its kind, then arithmetic.

The graph on disk has the mean degree and the width of ogbn-papers100M, and a power law of degrees (exponent 2.2, which
is assumed) that is the same at every N. Measured in one process with two threads, batches of 1,024 seeds with [10, 10]
neighbours: the parts of a batch (neighbours, features, degrees), GRACE's step of width 128, the degrees of all nodes,
which are added up once, and a layer of embedding. Before that the files are dropped from the page cache and the bytes
are counted that the first batch reads. What ``costs`` returns is computed from this and from the two assumptions about
a disk that stand here.

    python benchmarks/speed/papers_simulation.py [--sizes 250000,1000000,4000000]
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import measure
import torch
from graphs import planted_on_disk
from large import watched

from graphssl import create_method
from graphssl.data import NodeBlocks, degrees, open_graph
from graphssl.ops import sample_neighbours
from graphssl.training.batches import node_batches

NODES, EDGES, FEATURES = 111_059_956, 1_615_685_872, 128  # ogbn-papers100M, edges as they are listed: directed
WIDTH, BATCH, FANOUT = 128, 1024, [10, 10]
READ_SECONDS = 80e-6  # assumed: one random read of an NVMe disk, waited for
READS_PER_SECOND = 500_000  # assumed: as many as such a disk answers when many are asked at once
PAGE = 4096


def drop_cache(folder: Path) -> None:
    """Ask the system to forget the pages of these files; nobody may have them mapped."""
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_read() -> int:
    """What this process has had read from the disk."""
    line = next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("read_bytes"))
    return int(line.split()[1])


def first_batch(folder: Path, *, random: bool) -> tuple[int, float]:
    """Bytes read and seconds elapsed for the neighbours and features of a batch, from files that are not cached.

    With ``random`` the system is told that the maps are read at random, so that it reads no more than the pages asked
    for (``MADV_RANDOM``), of features many at once (``open_graph(..., random_reads=True)``); else a read takes along
    what lies around, up to the disk's ``read_ahead_kb``.
    """
    drop_cache(folder)
    graph = open_graph(folder, random_reads=random)
    csr = graph.topology("in")
    if random:
        for tensor in (csr.ptr, csr.neighbour):
            start = tensor.data_ptr() // PAGE * PAGE
            size = tensor.data_ptr() + tensor.numel() * tensor.element_size() - start
            if ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.MADV_RANDOM):
                raise OSError("madvise failed")
    seeds = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(1))[:BATCH]
    read, begun = bytes_read(), time.perf_counter()
    graph.gather(sample_neighbours(csr, seeds, FANOUT).node)
    return bytes_read() - read, time.perf_counter() - begun


def one(folder: Path, batches: int) -> None:
    """In a process of its own: hand back CPU seconds of each part, and what a batch reads."""
    cold = {}
    for name, random in (("cold", False), ("random", True)):
        cold[f"{name}_bytes"], cold[f"{name}_wall"] = first_batch(folder, random=random)
    graph = open_graph(folder)
    method: Any = create_method("grace", graph, hidden_channels=WIDTH)
    csr = graph.topology("in")
    order = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(0))[: batches * BATCH]
    seeds = order.split(BATCH)
    for some in seeds:  # warm
        graph.gather(sample_neighbours(csr, some, FANOUT).node)
    parts: dict[str, list[float]] = {}
    sizes: list[tuple[int, int]] = []

    def timed(part: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        parts.setdefault(part, []).append(time.process_time() - start)
        return result

    loader = node_batches(graph, method=method, batch_size=BATCH, num_neighbors=FANOUT, seed=0)
    with watched() as adding:
        timed("degrees of all nodes", loader.source.norm_degree)
    for some in seeds:
        found = timed("neighbours", partial(sample_neighbours, csr, some, FANOUT))
        timed("features", partial(graph.gather, found.node))
        timed("degrees", partial(degrees, loader.source, found.node))
        sizes.append((sum(found.num_sampled_nodes[:-1]), found.node.numel()))
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()

    loader.prefetch = 0
    peak, made = measure.anonymous(), iter(loader.epoch(0))
    for _ in range(batches):
        batch = next(made)
        timed("step", partial(step, batch))
        peak = max(peak, measure.anonymous())
    method.eval()
    first = method.encoder.layers[0]
    blocks = NodeBlocks(graph, memory_bytes=2**26).blocks(None, width=4 * WIDTH)
    rows, entries, start = 0, 0, time.process_time()
    with torch.no_grad():
        for where, x, data in blocks:
            first(x, data)
            rows, entries = where.stop, entries + data.edge_index.size(1)
            if time.process_time() - start > 15:
                break
    layer = (time.process_time() - start) / entries
    reached, nodes = (measure.median([pair[i] for pair in sizes]) for i in (0, 1))
    measure.report(
        n=graph.num_nodes, edges=graph.num_edges, threads=2, expanded=int(reached), batch_nodes=int(nodes),
        seconds={part: measure.median(values[len(values) // 10 :]) for part, values in parts.items()},
        layer_seconds=layer, layer_share=rows / graph.num_nodes, bytes=peak, degree_bytes=adding.bytes, **cold,
        parameters=sum(p.numel() for p in method.parameters()),
    )  # fmt: skip


def costs(row: dict[str, Any]) -> dict[str, float]:
    """ogbn-papers100M in bytes, reads and CPU seconds, from what was measured on the smaller graph."""
    entries, seconds = 2 * EDGES, row["seconds"]
    batch = seconds["neighbours"] + seconds["features"] + seconds["degrees"]
    steps = -(-NODES // BATCH)
    feature_pages = row["batch_nodes"] * (1 + 2 * FEATURES / PAGE)  # a row crosses a page's end once in 16
    reads = feature_pages + 2 * row["expanded"] + row["batch_nodes"]  # pointers, neighbours; the degrees' pointers
    return dict(
        features_float16=2 * NODES * FEATURES,
        features_float32=4 * NODES * FEATURES,
        topology_undirected=8 * (NODES + 1) + 4 * entries,
        topology_directed=2 * 8 * (NODES + 1) + (4 + 4 + 8) * EDGES,
        embedding=4 * NODES * WIDTH,
        order=2 * 8 * NODES,
        degrees=4 * NODES,
        steps=steps,
        batch_seconds=batch,
        step_seconds=seconds["step"],
        epoch_seconds=steps * (batch + seconds["step"]),
        degree_seconds=seconds["degrees of all nodes"] * entries / row["edges"],
        embed_seconds=2 * row["layer_seconds"] * entries,
        reads=reads,
        one_by_one_seconds=reads * READ_SECONDS,
        at_once_seconds=reads / READS_PER_SECOND,
        feature_bytes=2 * FEATURES * row["batch_nodes"],
        gradient_bytes=4 * row["parameters"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="250000,1000000,4000000", help="comma-separated numbers of nodes")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--folder", help="where the graphs are kept, and found again; default: a temporary folder")
    parser.add_argument("--name", default="papers_simulation", help="name of the results file; empty: none is written")
    parser.add_argument("--one", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.one:
        one(Path(args.one), args.batches)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for nodes in map(int, args.sizes.split(",")):
            folder = Path(args.folder or temporary) / f"papers-{nodes}"
            if not folder.exists():
                start = time.process_time()
                planted_on_disk(
                    folder, nodes, nodes * EDGES // NODES, num_features=FEATURES, exponent=2.2, memory_bytes=2**28
                )
                print(f"{nodes:,} nodes written in {time.process_time() - start:.0f} s of CPU", flush=True)
            argv = [__file__, "--one", str(folder), "--batches", str(args.batches)]
            row = measure.child(argv, timeout=args.timeout, threads=2)
            parts = row.pop("seconds")
            for part, seconds in parts.items():
                print(f"{nodes:>10,} nodes  {part:22s} {seconds * 1e3:10.1f} ms")
                rows.append(dict(path="papers_simulation", variant=part, n=row["n"], threads=2, seconds=seconds))
            facts = dict(path="papers_simulation", variant="facts", commit=measure.commit(), **row)
            rows.append(facts)
            print({key: round(value, 3) for key, value in costs({**row, "seconds": parts}).items()}, flush=True)
    if args.name:
        measure.save(args.name, rows, command="python benchmarks/speed/papers_simulation.py")


if __name__ == "__main__":
    main()
