"""Tables of a report: one for each protocol, probe and metric; methods down, data sets across."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphssl.bench.jobs import CONTROLS, NO_ENCODER

__all__ = ["Table", "failures", "measure_tables", "percent", "row_name", "run_notes"]


@dataclass(frozen=True)
class Table:
    """Cells as text, ready to be written out, and the rows they were made from.

    Attributes
    ----------
    name : str
        File name without ending.
    title, caption : str
        Headline, and the sentence under it.
    header : list of str
        Column names.
    rows : list of list of str
        Cells.
    notes : list of str
        Footnotes; a cell refers to the k-th (from 1) as ``[k]``.
    best : set of (int, int)
        Row and column of the cells to be printed in bold.
    data : list of dict
        The summary rows behind the table.
    """

    name: str
    title: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    best: set[tuple[int, int]] = field(default_factory=set)
    data: list[dict[str, Any]] = field(default_factory=list)

    def to_markdown(self) -> str:
        """A Markdown table with its title, caption and notes."""
        lines = [f"### {self.title}", "", self.caption, ""] if self.caption else [f"### {self.title}", ""]
        lines.append("| " + " | ".join(self.header) + " |")
        lines.append("|" + "---|" * len(self.header))
        for i, row in enumerate(self.rows):
            cells = [f"**{cell}**" if (i, j) in self.best else cell for j, cell in enumerate(row)]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        if self.notes:
            lines.append("")
            lines += [f"[{k}] {note}  " for k, note in enumerate(self.notes, start=1)]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """The summary rows, numbers as fractions."""
        columns = list(dict.fromkeys(key for row in self.data for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.data)
        return text.getvalue()

    def to_json(self) -> str:
        """The summary rows, numbers as fractions."""
        return json.dumps(self.data, indent=1) + "\n"


def percent(mean: float | None, std: float | None = None) -> str:
    """``82.3 ± 0.6`` from fractions 0.823 and 0.006."""
    if mean is None:
        return ""
    return f"{100 * mean:.1f}" if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}"


def row_name(row: dict[str, Any]) -> str:
    """Method and encoder: ``dgi, gcn``."""
    return row["method"] if row["encoder"] == NO_ENCODER else f"{row['method']}, {row['encoder']}"


def measure_tables(summary: Sequence[dict[str, Any]]) -> list[Table]:
    """A table for each (protocol, probe, metric), published figures beside ours where there are any."""
    keys = dict.fromkeys((r["protocol"], r["probe"], r["metric"]) for r in summary if r["metric"] is not None)
    return [_measure_table(key, summary) for key in keys]


def _measure_table(key: tuple[str, str, str], summary: Sequence[dict[str, Any]]) -> Table:
    protocol, probe, metric = key
    lost = [r for r in summary if r["protocol"] == protocol and r["metric"] is None]  # failed before it was measured
    data = [r for r in summary if (r["protocol"], r["probe"], r["metric"]) == key]
    names = list(dict.fromkeys(row_name(r) for r in (*data, *lost)))
    names.sort(key=_is_control, reverse=True)
    datasets = list(dict.fromkeys(r["dataset"] for r in (*data, *lost)))
    most = max((r["n"] for r in data), default=0)
    with_paper = {r["dataset"] for r in data if r["paper_mean"] is not None}
    cells = {(row_name(r), r["dataset"]): r for r in (*lost, *data)}

    header = ["method, encoder"]
    for dataset in datasets:
        header += [dataset, "published"] if dataset in with_paper else [dataset]
    notes: list[str] = []
    rows = []
    for name in names:
        line = [name]
        for dataset in datasets:
            row = cells.get((name, dataset))
            line.append(_cell_text(row, most))
            if dataset in with_paper:
                line.append(_paper_text(row, notes))
        rows.append(line)
    best = set()
    for dataset in datasets:
        means = [cells.get((name, dataset), {}).get("mean") for name in names]
        own = {i: mean for i, mean in enumerate(means) if mean is not None and not _is_control(names[i])}
        column = header.index(dataset)
        best |= {(i, column) for i, mean in own.items() if len(own) > 1 and mean == max(own.values())}
    seeds = "1 seed" if most == 1 else f"{most} seeds"
    caption = (
        f"{metric} in percent, mean ± sample standard deviation over {seeds} (fewer where it says n); "
        f"probe: {probe}. Published figures are of the same protocol."
    )
    return Table(f"{protocol}_{probe}_{metric}", f"{protocol}: {metric}", caption, header, rows, notes, best, data)


def _is_control(name: str) -> bool:
    return name.partition(",")[0] in CONTROLS


def _cell_text(row: dict[str, Any] | None, most: int) -> str:
    if row is None:
        return "not run"
    if row["n"] == 0:
        return f"failed ({row['failed']})"
    remarks = [f"n={row['n']}"] if row["n"] != most else []
    remarks += [f"{row['failed']} failed"] if row["failed"] else []
    text = percent(row["mean"], row["std"])
    return f"{text} ({', '.join(remarks)})" if remarks else text


def _paper_text(row: dict[str, Any] | None, notes: list[str]) -> str:
    if row is None or row["paper_mean"] is None:
        return ""
    if row["paper_source"] not in notes:
        notes.append(row["paper_source"])
    return f"{percent(row['paper_mean'], row['paper_std'])} [{notes.index(row['paper_source']) + 1}]"


def failures(rows: Sequence[dict[str, Any]]) -> Table | None:
    """Every seed that did not succeed, with its reason; None when all did."""
    bad = [row for row in rows if row["status"] != "ok"]
    if not bad:
        return None
    header = ["method, encoder", "data set", "protocol", "seed", "status", "reason"]
    cells = [[row_name(r), r["dataset"], r["protocol"], str(r["seed"]), r["status"], str(r["reason"])] for r in bad]
    data = [dict(zip(header, line, strict=True)) for line in cells]
    return Table("failures", "Runs that gave no result", "", header, cells, data=data)


def run_notes(rows: Sequence[dict[str, Any]], summary: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader must know: what was not run, what was cut short."""
    notes = []
    for protocol in dict.fromkeys(r["protocol"] for r in summary):
        here = [r for r in summary if r["protocol"] == protocol]
        if not any(r["n"] for r in here):
            notes.append(f"Nothing was measured by {protocol}: all of its runs failed.")
        have = {(row_name(r), r["dataset"]) for r in here}
        for dataset in dict.fromkeys(r["dataset"] for r in here):
            missing = [name for name in dict.fromkeys(row_name(r) for r in here) if (name, dataset) not in have]
            if missing:
                notes.append(f"Not run on {dataset} ({protocol}): {'; '.join(missing)}.")
    trained = [row for row in rows if row["method"] not in CONTROLS]
    tables = dict.fromkeys(row["method"] for row in trained if row["encoder"] == NO_ENCODER)
    encoders = dict.fromkeys(row["encoder"] for row in trained if row["encoder"] != NO_ENCODER)
    if tables and len(encoders) > 1:
        notes.append(f"One row for all of {', '.join(encoders)}, as they take no encoder by name: {', '.join(tables)}.")
    bounds: dict[tuple[int, str], list[str]] = {}
    for row in rows:
        steps = row["config"].get("training", {}).get("max_steps")
        if steps and row["status"] == "ok":
            names = bounds.setdefault((steps, row["dataset"]), [])
            names += [row_name(row)] if row_name(row) not in names else []
    for (steps, dataset), names in bounds.items():
        notes.append(f"At most {steps} training steps on {dataset}: {'; '.join(names)}.")
    plain: dict[str, list[str]] = {}
    for row in rows:
        if row["config"].get("recipe") == "default" and row["method"] not in CONTROLS:
            names = plain.setdefault(row["dataset"], [])
            names += [row_name(row)] if row_name(row) not in names else []
    for dataset, names in plain.items():
        notes.append(f"Default settings, no recipe for {dataset}: {'; '.join(names)}.")
    return notes
