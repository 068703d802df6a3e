"""Features of a batch from files that are not in memory: with the disk's read-ahead, and page by page on many threads.

float16 rows of 128 numbers, as of ogbn-papers100M, and the rows that a batch of 1,024 seeds with [10, 10] neighbours
needs there, at random. Before each measurement the files are dropped from the page cache; elapsed seconds, and the
bytes that the process had read.

    python benchmarks/speed/cold_reads.py [--sizes 1000000,4000000,16000000,64000000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import measure
import torch
from papers_simulation import bytes_read, drop_cache

from graphssl.data import GraphWriter, open_graph

COLUMNS, ROWS, BLOCK = 128, 77_865, 2**18


def write(folder: Path, nodes: int) -> None:
    block = torch.randn(BLOCK, COLUMNS, generator=torch.Generator().manual_seed(0)).half()
    with GraphWriter(folder, num_nodes=nodes, dtype="float16", shard_rows=2**24) as writer:
        for start in range(0, nodes, BLOCK):
            writer.add_features(block[: nodes - start])


def cold(folder: Path, seed: int, *, random_reads: bool) -> tuple[float, int]:
    """Elapsed seconds of one gather, and bytes read."""
    drop_cache(folder)
    graph = open_graph(folder, random_reads=random_reads)
    rows = torch.randint(graph.num_nodes, (ROWS,), generator=torch.Generator().manual_seed(seed))
    read, begun = bytes_read(), time.perf_counter()
    graph.gather(rows)
    return time.perf_counter() - begun, bytes_read() - read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000000,4000000,16000000,64000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="cold_reads", help="name of the results file; empty: none is written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for nodes in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as parent:
            folder = Path(parent) / "g"
            write(folder, nodes)
            found: dict[str, list[tuple[float, int]]] = {"read-ahead": [], "random reads": []}
            for seed in range(args.repeats):
                for name, runs in found.items():
                    runs.append(cold(folder, seed, random_reads=name == "random reads"))
        base = median(seconds for seconds, _ in found["read-ahead"])
        for name, runs in found.items():
            times = [seconds for seconds, _ in runs]
            row = dict(path="cold reads", n=nodes, variant=name, clock="wall", threads=1,
                       file_gb=2e-9 * COLUMNS * nodes, read_gb=1e-9 * median(read for _, read in runs),
                       seconds=median(times), min=min(times), max=max(times), repeats=len(times),
                       ratio=base / median(times))  # fmt: skip
            print(f"{nodes:>11,} {name:12s} {row['seconds']:7.2f} s {row['read_gb']:7.2f} GB", flush=True)
            rows.append(row)
    if args.name:
        print(measure.save(args.name, rows, command=measure.command()))


if __name__ == "__main__":
    main()
