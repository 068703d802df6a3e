"""Growth with the graph: time and memory of a full-batch training step on planted communities of 10^3 to 10^6 nodes.

Mean degree 10, 64 features, width 64; a step is loss, backward, Adam and what the method does after it. Each (method,
N) has two processes of its own, for time and for memory. Time is CPU time of one thread, the median of a few steps
after three others; all but the first run inside `keep_memory`, as in `train`: freed memory stays for the next step.
Memory is the peak of what was alive at once in the first two steps, above what the process held with the graph and the
method in it; what the timed process held at the end, freed memory included, stands beside it ("held").
Least-squares slopes of log time against log E and of log memory against log N, over all sizes and over the upper
decade, where fixed costs hide nothing. Both are held against the same criterion: at most 1.1 for the time of the linear
methods and for the memory of all; the time of all-pairs methods grows with N^2 by definition.

    python benchmarks/speed/growth.py                                        # everything; --resume goes on after a stop
    python benchmarks/speed/growth.py --methods dgi,ggd --sizes 1000,10000   # replaces these rows, keeps the others
    python benchmarks/speed/growth.py --give-back                            # without keep_memory, into another file
"""

from __future__ import annotations

import argparse
import subprocess
from contextlib import nullcontext
from typing import Any

import measure
import numpy as np
import torch

from graphssl import create_method
from graphssl.data import planted_communities
from graphssl.training import keep_memory

WIDTH = 64
KINDS = {
    "linear": ("dgi", "ggd", "cca-ssg", "bgrl", "graph-barlow-twins"),
    "all pairs": ("grace", "gca"),
}
SIZES = {
    "linear": (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
    "all pairs": (1_000, 3_000, 10_000, 30_000),
}
OPTIONS: dict[str, dict[str, int]] = {
    "bgrl": {"predictor_channels": WIDTH},
    "graph-barlow-twins": {"out_channels": WIDTH},
}
LIMIT = 1.1  # of a slope
PARTS = ("time_full", "time_upper", "memory_full", "memory_upper")


def one(name: str, nodes: int, repeats: int, give_back: bool, memory: bool) -> None:
    """In a process of its own: measure time or memory of one method on one graph and hand the figures back."""
    graph = planted_communities(nodes, 10, num_features=WIDTH)
    for key in ("y", "train_mask", "val_mask", "test_mask"):
        del graph[key]
    method = create_method(name, graph, hidden_channels=WIDTH, **OPTIONS.get(name, {}))
    graph = method.prepare(graph)
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        method.loss(graph).backward()
        optimizer.step()
        method.after_step(0.5)

    if memory:  # never in the process that is timed: watching changes how arrays are mapped
        with measure.watch_memory() as peak:
            step()  # also makes what is kept: the normalised adjacency
            step()
        measure.report(bytes=peak.bytes)
        return
    before = measure.anonymous()
    step()
    with nullcontext() if give_back else keep_memory():
        times = measure.interleave({name: step}, repeats=repeats, warmup=2)[name]
        held = measure.anonymous() - before
    measure.report(
        edges=graph.num_edges, seconds=measure.median(times), min=min(times), max=max(times), repeats=repeats,
        held=held,
    )  # fmt: skip


def slope(x: list[float], y: list[float]) -> float:
    """Least-squares slope of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def slopes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slopes of each method, over all its rows ("full") and over the upper decade, and whether each is at most LIMIT.

    A method with fewer than two sizes in its upper decade has none.
    """
    found = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        mine = sorted((row for row in rows if row["variant"] == name), key=lambda row: row["n"])
        upper = [row for row in mine if row["n"] >= mine[-1]["n"] / 10]
        if len(upper) < 2:
            continue
        values = dict(
            variant=name, kind=mine[0]["kind"], smallest=mine[0]["n"], upper=upper[0]["n"], largest=mine[-1]["n"]
        )
        for part, chosen in (("full", mine), ("upper", upper)):
            nodes, edges = [row["n"] for row in chosen], [row["edges"] for row in chosen]
            values[f"time_{part}"] = slope(edges, [row["seconds"] for row in chosen])
            values[f"memory_{part}"] = slope(nodes, [row["bytes"] for row in chosen])
            values[f"time_{part}_met"] = values[f"time_{part}"] <= LIMIT if mine[0]["kind"] == "linear" else None
            values[f"memory_{part}_met"] = values[f"memory_{part}"] <= LIMIT
        found.append(values)
    return found


def print_slopes(rows: list[dict[str, Any]]) -> None:
    said = {True: "met", False: "NOT met", None: "no criterion"}
    print(f"slopes over all N; over the upper decade; criterion: at most {LIMIT}")
    for s in slopes(rows):
        shown = {key: f"{s[key]:5.2f} {said[s[f'{key}_met']]}" for key in PARTS}
        print(
            f"  {s['variant']:20s} time in E {shown['time_full']}; {shown['time_upper']};"
            f"  memory in N {shown['memory_full']}; {shown['memory_upper']}"
            f"  [from {s['smallest']:,}; {s['upper']:,} to {s['largest']:,}]"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", help="comma-separated; all by default")
    parser.add_argument("--sizes", help="comma-separated numbers of nodes; by default those of the method's kind")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=1200, help="seconds of wall time for one method and size")
    parser.add_argument("--resume", action="store_true", help="keep rows already measured at this commit")
    parser.add_argument("--give-back", action="store_true", help="time without keep_memory")
    parser.add_argument("--name", help="name of the results file; growth, or growth_give_back with --give-back")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.one:
        one(args.one[0], int(args.one[1]), args.repeats, args.give_back, args.memory)
        return

    name_of_file = args.name or ("growth_give_back" if args.give_back else "growth")
    options = ["--give-back"] if args.give_back else []
    every = [name for names in KINDS.values() for name in names]
    chosen = args.methods.split(",") if args.methods else every
    rows = {(row["variant"], row["n"]): row for row in measure.saved(name_of_file)}
    commit, failed = measure.commit(), 0
    for kind, names in KINDS.items():
        sizes = [int(n) for n in args.sizes.split(",")] if args.sizes else SIZES[kind]
        for name, nodes in ((name, n) for name in names if name in chosen for n in sizes):
            if args.resume and rows.get((name, nodes), {}).get("commit") == commit:
                continue
            rows.pop((name, nodes), None)
            try:
                argv = [__file__, "--one", name, str(nodes), "--repeats", str(args.repeats), *options]
                values = measure.child(argv, timeout=args.timeout)
                values |= measure.child([*argv, "--memory"], timeout=args.timeout, memory=True)
            except (subprocess.TimeoutExpired, RuntimeError) as error:
                print(f"{name:20s} {nodes:>9,} nodes: no figure, since {error}", flush=True)
                failed += 1
                continue
            rows[name, nodes] = dict(path="growth", variant=name, kind=kind, n=nodes, **values, commit=commit)
            print(
                f"{name:20s} {nodes:>9,} nodes {values['edges']:>10,} edges {values['seconds'] * 1e3:10.1f} ms"
                f" {values['bytes'] / 1e6:9.1f} MB",
                flush=True,
            )
            ordered = sorted(rows.values(), key=lambda row: (every.index(row["variant"]), row["n"]))
            measure.save(name_of_file, ordered, command=" ".join(["python benchmarks/speed/growth.py", *options]))
    print_slopes(list(rows.values()))
    raise SystemExit(f"{failed} figures are missing, see above" if failed else 0)


if __name__ == "__main__":
    main()
