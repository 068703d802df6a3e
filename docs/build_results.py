"""Fill the tables of docs/results.md and of the README from the committed results: python docs/build_results.py

Nothing is typed by hand: a figure is in ``benchmarks/results/accuracy/*/summary.json`` or it is not shown.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import DOCS, replace_part, table, write

from graphssl.data import dataset_info
from graphssl.registry import METHODS

ROOT = DOCS.parent
RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
TITLES = {
    "public": "Planetoid, public split; GRACE on PubMed at 200 of its 1,500 steps",
    "random-10-90": "Planetoid, random 10 % / 90 % (GRACE's protocol); PubMed at 200 of 1,500 steps",
    "grace-pubmed-256-anchors/public": "GRACE on PubMed, its 1,500 steps over 256 anchors each, public split",
    "grace-pubmed-256-anchors/random-10-90": "the same, random 10 % / 90 %",
    "random-10-10-80": "Amazon Computers, Coauthor CS, random 10 / 10 / 80 %; BGRL at 1,500 of its 10,000 steps",
    "tu": "TU graphs, 10-fold",
    "encoders": "The same objective on other encoders",
}
README = ("public", "tu")


def cell(row: dict[str, Any]) -> str:
    """``82.0 ± 0.6 (82.3)``: ours, and the published figure in brackets."""
    if "mean" not in row:
        return "failed"
    spread = "" if row["std"] is None else f" ± {100 * row['std']:.1f}"
    published = f" ({100 * row['paper_mean']:.1f})" if row["paper_mean"] is not None else ""
    return f"{100 * row['mean']:.1f}{spread}{published}"


def _absent(method: str, dataset: str) -> str:
    fits = method not in METHODS or METHODS.get(method).info["level"] == dataset_info(dataset).level
    return "not run" if fits else "-"


def results_table(name: str) -> str:
    """One Markdown table: rows are methods with their encoders, columns data sets."""
    rows = json.loads((RESULTS / name / "summary.json").read_text(encoding="utf-8"))
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    seeds: dict[str, set[int]] = {}
    for row in rows:
        key = (row["method"], "" if row["encoder"] == "none" else row["encoder"])
        lines.setdefault(key, {})[row["dataset"]] = cell(row)
        seeds.setdefault(row["method"], set()).add(row["n"])
    body = [
        [
            method,
            encoder,
            "/".join(str(n) for n in sorted(seeds[method])),
            *(found.get(d, _absent(method, d)) for d in datasets),
        ]
        for (method, encoder), found in lines.items()
    ]
    return table(["method", "encoder", "seeds", *datasets], body)


def build(page: str, path: Path) -> str:
    """The README, or the page of results, with its tables made anew."""
    names, root = (README, "") if path.name == "README.md" else (TITLES, "../")
    parts = []
    for name in names:
        if (RESULTS / name / "summary.json").is_file():
            report = f"{root}benchmarks/results/accuracy/{name}/report.md"
            parts.append(f"**{TITLES[name]}** ([report]({report}))\n\n{results_table(name)}")
    return replace_part(page, "results", "\n\n".join(parts) or "No results are committed yet.")


#: Pages with tables.
PAGES = (ROOT / "README.md", DOCS / "results.md")

if __name__ == "__main__":
    for path in PAGES:
        write(path, build(path.read_text(encoding="utf-8"), path))
