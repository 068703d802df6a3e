"""Write benchmarks/results/peer/README.md from results.json: table.py [results.json]"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import settings

RESULTS = Path(__file__).parent.parent / "results" / "peer" / "results.json"
CLOSE = 0.05  # ratios within 5 % count as level

COUNTERPARTS = {
    "dgi": "DGI",
    "dgi-no-norm": "DGI, no batch norm",
    "graphcl": "GraphCL on nodes",
    "bgrl": "BGRL",
    "barlow-twins": "Barlow Twins",
}
HEAD = (
    "| Data set | Method | Steps x seeds | Accuracy, peer | ours | CPU ms a step, peer | ours | peer / ours "
    "| Peak MiB, peer | ours | peer / ours | Ahead: accuracy, time, memory |\n" + "|---" * 12 + "|"
)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    content = json.loads(path.read_text())
    rows = [row(content["runs"], data, method) for data in settings.DATASETS for method in settings.METHODS]
    versions = {run["side"]: run["versions"] for run in content["runs"] if "versions" in run}
    load = [run["load"][0] for run in content["runs"] if "load" in run]
    notes = path.with_name("notes.md")
    text = "\n".join([
        "# Beside the peer: graphssl-kit and `graphssl` 0.2.0",
        "",
        "Written by `benchmarks/peer/table.py` from `results.json` (and `notes.md`).",
        "",
        HEAD,
        *(line for line in rows if line),
        "",
        f"Machine: {content['machine']['cpu']}, {content['machine']['cores']} cores; one thread a process; "
        f"load average {min(load):.1f} to {max(load):.1f} meanwhile (others worked on it). {content['date']}.",
        "Versions: " + "; ".join(
            f"{side} graphssl {v['graphssl']}, torch {v['torch']}, torch-geometric {v['torch_geometric']}"
            for side, v in sorted(versions.items())
        ) + f"; Python {content['machine']['python']}.",
        "",
        notes.read_text() if notes.exists() else "",
    ])  # fmt: skip
    path.with_name("README.md").write_text(text.rstrip() + "\n")


def row(runs: list[dict], dataset: str, method: str) -> str | None:
    found = {(r["side"], r["seed"]): r for r in runs if (r["dataset"], r["method"]) == (dataset, method)}
    seeds = sorted({seed for _, seed in found if ("peer", seed) in found and ("ours", seed) in found})
    if not seeds:
        return None
    sides = {side: [found[side, seed] for seed in seeds] for side in ("peer", "ours")}
    steps = sides["ours"][0]["steps"]
    failed = {side: [r["error"] for r in found if "error" in r] for side, found in sides.items()}
    name = f"| {dataset} | {COUNTERPARTS[method]} | {steps} x {len(seeds)} "
    if any(failed.values()):
        return name + "".join(f"| {side}: {errors[0]} " for side, errors in failed.items() if errors) + "|"
    tests = {side: [100 * r["test"] for r in found] for side, found in sides.items()}
    cpu = {side: statistics.median(r["cpu_ms"][1] for r in found) for side, found in sides.items()}
    peak = {side: statistics.median(r["added_mib"] for r in found) for side, found in sides.items()}
    whole = {side: statistics.median(r["peak_mib"] for r in found) for side, found in sides.items()}
    verdict = ", ".join([better(tests), faster(cpu), faster(peak)])
    return name + (
        f"| {spread(tests['peer'])} | {spread(tests['ours'])} "
        f"| {cpu['peer']:,.0f} | {cpu['ours']:,.0f} | {cpu['peer'] / cpu['ours']:.2f} "
        f"| {peak['peer']:,.0f} ({whole['peer']:,.0f}) | {peak['ours']:,.0f} ({whole['ours']:,.0f}) "
        f"| {peak['peer'] / peak['ours']:.2f} | {verdict} |"
    )


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def better(tests: dict[str, list[float]]) -> str:
    """Level when the means differ by less than the larger standard deviation, or (one seed) by less than a point."""
    gap = statistics.mean(tests["ours"]) - statistics.mean(tests["peer"])
    noise = max(statistics.stdev(found) if len(found) > 1 else 1.0 for found in tests.values())
    return "level" if abs(gap) <= noise else "ours" if gap > 0 else "**peer**"


def faster(values: dict[str, float]) -> str:
    ratio = values["peer"] / values["ours"]
    return "level" if 1 / (1 + CLOSE) <= ratio <= 1 + CLOSE else "ours" if ratio > 1 else "**peer**"


if __name__ == "__main__":
    main()
