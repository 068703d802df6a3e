"""From a folder of results to a report: Markdown, one HTML file, summary, tables, plots."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphssl.bench import plots
from graphssl.bench.html import Section, render
from graphssl.bench.jobs import CONTROLS
from graphssl.bench.store import read_results, run_name
from graphssl.bench.summary import current_rows, write_summary
from graphssl.bench.tables import Table, failures, measure_tables, row_name, run_notes
from graphssl.errors import MissingExtraError
from graphssl.sources import atomic_write

__all__ = ["write_report"]

Kept = dict[tuple[str, str], list[tuple[dict[str, Any], Path]]]


def write_report(folder: str | Path) -> Path:
    """Write everything that can be made from ``folder/results.jsonl``, beside it.

    ``report.md``, ``report.html`` (self-contained), ``summary.json``, ``tables/`` (Markdown, CSV, JSON) and
    ``plots/`` (PNG). Without matplotlib the plots are left out, and the report names the missing extra.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    MissingFileError, CorruptFileError, StorageError
    """
    folder = Path(folder)
    every = read_results(folder)
    rows = current_rows(every)
    summary = write_summary(folder)
    tables = measure_tables(summary)
    drawn, missing = _draw(folder, rows, tables)
    bad = failures(rows)

    sections = [
        Section("Results", text=run_notes(rows, summary) + missing, tables=tables, figures=drawn["comparison"]),
        Section("Loss curves", text=["One panel a method, one line a seed."], figures=drawn["loss"]),
        Section("Embeddings", text=[_MAPS], figures=drawn["tsne"]),
    ]
    sections = [s for s in sections if s.tables or s.figures or s.title == "Results"]
    collapse = _collapse_table(folder, rows)
    if collapse is not None:
        sections.append(Section("Collapse measures", text=[_COLLAPSE], tables=[collapse]))
    if bad is not None:
        sections.append(Section("Failures", tables=[bad]))
    sections.append(_provenance(folder, every, rows))

    for table in filter(None, (*tables, collapse, bad)):
        for ending, text in (("md", table.to_markdown()), ("csv", table.to_csv()), ("json", table.to_json())):
            _write(folder / "tables" / f"{_slug(table.name)}.{ending}", text)
    title = "Benchmark report"
    lead = _lead(rows)
    _write(folder / "report.md", _markdown(title, lead, sections))
    _write(folder / "report.html", render(title, lead, sections))
    return folder / "report.html"


_MAPS = (
    "t-SNE of a sample of rows of the seed 0 embedding, coloured by label. Labels colour the points only; "
    "distances between clusters mean little."
)
_COLLAPSE = (
    "Effective rank: exponential of the entropy of the singular values, between 1 (collapsed to a line) and the number "
    "of columns. Spread: standard deviation of the normalised rows times the root of the number of columns, 0 when "
    "all rows point the same way, about 1 when they spread evenly. Means over seeds, of the final embedding."
)


def _lead(rows: Sequence[dict[str, Any]]) -> str:
    methods = [m for m in dict.fromkeys(r["method"] for r in rows) if m not in CONTROLS]
    datasets = dict.fromkeys(r["dataset"] for r in rows)
    seeds = len({r["seed"] for r in rows})
    return (
        f"{', '.join(methods) or 'Controls'} on {', '.join(datasets)}; up to {seeds} seed{'s' * (seeds != 1)}, "
        "each retraining the encoder. No labels were used in training."
    )


def _draw(
    folder: Path, rows: Sequence[dict[str, Any]], tables: Sequence[Table]
) -> tuple[dict[str, list[tuple[str, str, bytes]]], list[str]]:
    """All plots, also written to ``plots/``; and a sentence about what keeps them from being drawn."""
    drawn: dict[str, list[tuple[str, str, bytes]]] = {"comparison": [], "loss": [], "tsne": []}

    def add(kind: str, name: str, caption: str, png: bytes) -> None:
        _write(folder / "plots" / f"{kind}_{name}.png", png)
        drawn[kind].append((f"{kind}_{name}", caption, png))

    order = list(dict.fromkeys(row["method"] for row in rows))
    rows = sorted(rows, key=lambda row: order.index(row["method"]))
    try:
        for table in tables:
            if any(row["n"] for row in table.data):
                caption = f"{table.title}: mean and standard deviation"
                add("comparison", _slug(table.name), caption, plots.comparison_plot(table.data))
        for (dataset, protocol), kept in _kept(folder / "history", rows).items():
            curves, methods = _curves(kept)
            if curves:
                caption = f"Training loss on {dataset} ({protocol})"
                add("loss", f"{dataset}_{protocol}", caption, plots.loss_plot(curves, methods, order))
        for (dataset, protocol), kept in _kept(folder / "embeddings", rows).items():
            caption = f"t-SNE of the embeddings of {dataset} ({protocol})"
            add("tsne", f"{dataset}_{protocol}", caption, plots.tsne_plot(_maps(kept)))
    except MissingExtraError as error:
        return drawn, [f"Plots were left out: {error}."]
    return drawn, []


def _kept(folder: Path, rows: Sequence[dict[str, Any]]) -> Kept:
    """Files that successful runs left in a folder, by data set and protocol, in the order of the rows."""
    found: Kept = defaultdict(list)
    files = {path.stem: path for path in sorted(folder.glob("*"))} if folder.is_dir() else {}
    seen = set()
    for row in rows:
        name = run_name(row)
        if row["status"] == "ok" and name in files and name not in seen:
            seen.add(name)
            found[row["dataset"], row["protocol"]].append((row, files[name]))
    return found


def _curves(kept: list[tuple[dict[str, Any], Path]]) -> tuple[dict[str, list[list[float]]], dict[str, str]]:
    curves: dict[str, list[list[float]]] = defaultdict(list)
    methods = {}
    for row, path in kept:
        losses = json.loads(path.read_text())["loss"]
        if losses:
            curves[row_name(row)].append(losses)
            methods[row_name(row)] = row["method"]
    return curves, methods


def _maps(kept: list[tuple[dict[str, Any], Path]]) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    maps = {}
    for row, path in kept:
        with np.load(path, allow_pickle=False) as file:
            maps[row_name(row)] = (plots.tsne(file["embedding"]), file.get("y"))
    return maps


def _collapse_table(folder: Path, rows: Sequence[dict[str, Any]]) -> Table | None:
    values: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for (dataset, protocol), kept in _kept(folder / "history", rows).items():
        for row, path in kept:
            final = json.loads(path.read_text()).get("final")
            if final:
                values[row_name(row), dataset, protocol].append(final)
    if not values:
        return None
    header = ["method, encoder", "data set", "protocol", "effective rank", "columns", "spread"]
    cells, data = [], []
    for (name, dataset, protocol), finals in values.items():
        means = {key: float(np.mean([final[key] for final in finals])) for key in finals[0]}
        line = [f"{means['effective_rank']:.1f}", f"{means['columns']:.0f}", f"{means['feature_std']:.2f}"]
        cells.append([name, dataset, protocol, *line])
        data.append({"name": name, "dataset": dataset, "protocol": protocol, "n": len(finals), **means})
    return Table("collapse", "Final embeddings", "", header, cells, data=data)


def _provenance(folder: Path, every: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> Section:
    path = folder / "runs.jsonl"
    runs = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    text = []
    for key, what in (("device", "Device"), ("version", "graphssl"), ("torch", "torch"), ("commit", "Commit")):
        names = [str(name) for name in dict.fromkeys(row[key] for row in rows) if name is not None]
        text.append(f"{what}: {', '.join(names) or 'unknown'}.")
    if runs:
        last = runs[-1]
        text.append(
            f"Python {last['python']}, torch-geometric {last['torch_geometric']}, {last['platform']}, "
            f"{last['cpus']} processors, {last['threads']} threads."
        )
    spent = sum(r["train_seconds"] or 0 for r in {run_name(row): row for row in rows}.values())
    text.append(f"Training took {spent:.0f} s in total.")
    if len(every) != len(rows):
        text.append(
            f"{len(every) - len(rows)} older rows of results.jsonl were replaced by later runs and do not count."
        )
    commands = list(dict.fromkeys(run["command"] for run in runs if run.get("command")))
    return Section("How it was run", text=text, code=commands)


def _markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    parts = [f"# {title}", lead]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += section.text
        if section.code:
            parts.append("```\n" + "\n".join(section.code) + "\n```")
        parts += [table.to_markdown().rstrip("\n") for table in section.tables]
        parts += [f"![{caption}](plots/{name}.png)" for name, caption, _ in section.figures]
    return "\n\n".join(parts) + "\n"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9@-]+", "_", name.lower()).strip("_")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(content if isinstance(content, bytes) else content.encode())
