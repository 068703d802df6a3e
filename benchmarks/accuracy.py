"""The accuracy tables: what is compared, where, and over how many seeds. Results go to benchmarks/results/accuracy/.

    python benchmarks/accuracy.py public                       # one table
    python benchmarks/accuracy.py all --workers 2              # every table; done seeds are not run again

Each worker takes one (data set, method) after the other; a killed run goes on where it stopped.
Every seed retrains the encoder; nothing is selected on test labels; the controls stand in every table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "accuracy"


@dataclass(frozen=True)
class Comparison:
    """Methods x data sets under one protocol."""

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    protocol: str
    seeds: int = 10
    encoders: tuple[str | None, ...] = (None,)
    max_steps: int | None = None


GRID = ("gcn", "gin", "sage", "gat")
TABLES: dict[str, tuple[Comparison, ...]] = {
    "public": (
        Comparison(("dgi", "cca-ssg", "ggd"), ("cora", "citeseer", "pubmed"), "public"),
        Comparison(("grace",), ("cora", "citeseer"), "public"),
        Comparison(("bgrl",), ("cora", "citeseer", "pubmed"), "public", seeds=3),
    ),
    "random-10-90": (Comparison(("grace",), ("cora", "citeseer"), "random-10-90", seeds=5),),
    # 10,000 steps a seed in the paper
    "random-10-10-80": (
        Comparison(("bgrl",), ("amazon-computers", "coauthor-cs"), "random-10-10-80", seeds=2, max_steps=1500),
    ),
    "tu": (Comparison(("infograph", "graphcl"), ("mutag", "proteins", "nci1", "imdb-binary"), "tu-10fold", seeds=5),),
    "encoders": (
        Comparison(("dgi", "grace"), ("cora",), "public", seeds=3, encoders=GRID),
        Comparison(("infograph", "graphcl"), ("mutag",), "tu-10fold", seeds=5, encoders=GRID),
    ),
}


def parts(table: str, seeds: int | None, device: str, out: Path) -> list[list]:
    """The jobs still to do, in portions that workers take: a control, or up to five seeds of a method on a data set."""
    from graphssl.bench import plan
    from graphssl.bench.jobs import config_hash
    from graphssl.bench.store import ResultStore

    store = ResultStore(out)
    portions: dict[tuple, list] = {}
    planned: set[tuple] = set()
    for comparison in TABLES[table]:
        jobs = plan(
            comparison.methods,
            dict.fromkeys(comparison.datasets, comparison.protocol),
            encoders=comparison.encoders,
            seeds=seeds or comparison.seeds,
            max_steps=comparison.max_steps,
        )
        for job in jobs:
            # controls are those of the first comparison that has the data set
            row = (job.method, job.encoder, job.dataset, job.seed)
            if row in planned:
                continue
            planned.add(row)
            if store.done(config_hash(job.config()), job.seed):
                continue
            portions.setdefault((job.dataset, job.method, job.encoder, job.seed // 5), []).append(
                replace(job, device=device)
            )
    return list(portions.values())


def work(arguments: tuple[list, str, str, int]) -> list[str]:
    """Run one portion into a folder of its own; returns the reasons of failures."""
    jobs, folder, command, threads = arguments
    import torch

    torch.set_num_threads(threads)
    from graphssl.bench import run

    outcome = run(jobs, folder, command=command, report=lambda line: print(line, flush=True))
    return [f"{job.method} on {job.dataset}: {reason}" for job, reason in outcome.reasons]


def merge(folders: list[Path], out: Path) -> None:
    """Gather the portions' rows, histories and embeddings in one folder."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("results.jsonl", "runs.jsonl"):
        known = (out / name).read_text().splitlines() if (out / name).is_file() else []
        lines = [
            line for folder in folders if (folder / name).is_file() for line in (folder / name).read_text().splitlines()
        ]
        fresh = [line for line in dict.fromkeys(lines) if line not in set(known)]
        (out / name).write_text("".join(line + "\n" for line in [*known, *fresh]))
    for folder in folders:
        for kind in ("history", "embeddings"):
            if (folder / kind).is_dir():
                shutil.copytree(folder / kind, out / kind, dirs_exist_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=[*TABLES, "all"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1)), help="torch threads of a worker")
    parser.add_argument("--seeds", type=int, help="fewer or more seeds than the table's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--methods", help="only these rows, controls included, separated by commas")
    parser.add_argument("--datasets", help="only these, separated by commas")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--no-report", action="store_true")
    args = parser.parse_args()
    failures: list[str] = []
    for table in TABLES if "all" in args.tables else args.tables:
        out = args.out / table
        portions = parts(table, args.seeds, args.device, out)
        if args.datasets:
            portions = [p for p in portions if p[0].dataset in args.datasets.split(",")]
        if args.methods:
            portions = [p for p in portions if p[0].method in args.methods.split(",")]
        command = "python benchmarks/accuracy.py " + " ".join(sys.argv[1:])
        folders = [out / "parts" / f"{p[0].dataset}-{p[0].method}-{p[0].encoder}-{p[0].seed // 5}" for p in portions]
        tasks = [(p, str(f), command, args.threads) for p, f in zip(portions, folders, strict=True)]
        tasks.sort(key=lambda task: task[0][0].trainable is None)
        with multiprocessing.get_context("spawn").Pool(args.workers, maxtasksperchild=4) as pool:
            for reasons in pool.imap_unordered(work, tasks, chunksize=1):
                failures += reasons
        merge(folders, out)
        shutil.rmtree(out / "parts", ignore_errors=True)
        if not args.no_report:
            from graphssl.bench import write_report

            print(f"report: {write_report(out)}")
    print(json.dumps({"failed": Counter(failures)}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
