"""Rows of single seeds to one row a table cell: mean, spread, number of seeds, and the published figure."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphssl.bench.jobs import CONTROLS
from graphssl.bench.published import published_figure
from graphssl.bench.store import read_results
from graphssl.registry import PROTOCOLS
from graphssl.sources import atomic_write

__all__ = ["current_rows", "summarise", "write_summary"]

Cell = tuple[str, str, str, str]


def current_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that count: of each method, encoder, data set and protocol only the configuration written last.

    Two configurations are never averaged, and where a seed was run again its newest result counts.
    """
    newest: dict[Cell, str] = {}
    for row in rows:
        newest[_cell(row)] = row["config_hash"]
    attempts: dict[tuple[Cell, int], dict[Any, dict[str, Any]]] = {}
    for row in rows:
        if row["config_hash"] != newest[_cell(row)]:
            continue
        attempt = attempts.setdefault((_cell(row), row["seed"]), {})
        if any((row["status"] == "ok") != (earlier["status"] == "ok") for earlier in attempt.values()):
            attempt.clear()  # a failure that was made good, or a result whose repetition failed
        attempt[row["probe"], row["metric"]] = row
    return [row for attempt in attempts.values() for row in attempt.values()]


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summarise the rows of a results file.

    Returns
    -------
    list of dict
        One for each (method, encoder, dataset, protocol, probe, metric), controls first: ``mean`` (absent when no
        seed succeeded), ``std`` (sample standard deviation over seeds; None for one seed), ``n`` seeds that
        succeeded, ``failed`` seeds that did not, and ``paper_mean``, ``paper_std``, ``paper_source`` (None where
        nothing was published for this protocol, or another encoder than the recipe's, or another probe, was used).
        All are fractions.
    """
    cells: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
    for row in current_rows(rows):
        cells[_cell(row)].append(row)
    table = []
    for cell, members in cells.items():
        ok = [row for row in members if row["status"] == "ok"]
        failed = len({row["seed"] for row in members if row["status"] != "ok"})
        measures = dict.fromkeys((row["probe"], row["metric"]) for row in ok) or {(None, None): None}
        for probe, metric in measures:
            values = [row["value"] for row in ok if (row["probe"], row["metric"]) == (probe, metric)]
            table.append(_summary_row(cell, probe, metric, values, failed, members[-1]["config"]))
    order = {name: place for place, name in enumerate(CONTROLS)}
    return sorted(table, key=lambda row: order.get(row["method"], len(order)))


def _summary_row(
    cell: Cell,
    probe: str | None,
    metric: str | None,
    values: list[float],
    failed: int,
    config: dict[str, Any],
) -> dict[str, Any]:
    method, encoder, dataset, protocol = cell
    row: dict[str, Any] = {"method": method, "encoder": encoder, "dataset": dataset, "protocol": protocol}
    row |= {"probe": probe, "metric": metric}
    if values:
        row["mean"] = statistics.fmean(values)
    row["std"] = statistics.stdev(values) if len(values) > 1 else None
    row["n"], row["failed"] = len(values), failed
    comparable = encoder == config.get("recipe_encoder", encoder) and probe == _own_probe(protocol)
    figure = published_figure(method, dataset, protocol, metric) if comparable and metric is not None else None
    row["paper_mean"] = figure.mean if figure else None
    row["paper_std"] = figure.std if figure else None
    row["paper_source"] = f"{figure.source} [{figure.source_kind}]" if figure else None
    return row


def write_summary(folder: str | Path) -> list[dict[str, Any]]:
    """Write ``summary.json`` from ``results.jsonl`` and return what it holds."""
    table = summarise(read_results(folder))
    with atomic_write(Path(folder) / "summary.json") as path:
        Path(path).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return table


def _own_probe(protocol: str) -> str | None:
    return PROTOCOLS.get(protocol).obj.probe.name if protocol in PROTOCOLS else None


def _cell(row: dict[str, Any]) -> Cell:
    return row["method"], row["encoder"], row["dataset"], row["protocol"]
