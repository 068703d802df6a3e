"""The plots of docs/speed.md: time and memory against N. Drawn by docs/build_speed.py."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from diagrams import INK, LINE, PAPER
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

Row = dict[str, Any]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777", INK)
MARKERS = "osD^vPX*"


def series(rows: Iterable[Row], key: str) -> dict[str, tuple[list[float], list[float]]]:
    """Lines of a plot: N and the values, for every variant and number of threads."""
    rows = [row for row in rows if row.get(key) and row.get("n")]
    several = len({row.get("threads") for row in rows}) > 1
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in sorted(rows, key=lambda row: row["n"]):
        line = found.setdefault(row["variant"] + (f", {row['threads']} threads" if several else ""), ([], []))
        line[0].append(row["n"])
        line[1].append(row[key])
    return found


def plotted(rows: list[Row]) -> bool:
    """At three sizes a plot says more than the table."""
    return any(len(sizes) >= 3 for sizes, _ in series(rows, "seconds").values())


def draw(rows: list[Row]) -> Figure:
    """Time and memory against N, on logarithmic axes; on an opaque card that reads on light and dark pages."""
    panels = [("seconds", "time (s)", 1.0), ("bytes", "peak memory (MB)", 1e6), ("embed_seconds", "embedding (s)", 1.0)]
    panels = [panel for panel in panels if series(rows, panel[0])]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.6), squeeze=False, layout="constrained")
    figure.patch.set_facecolor(PAPER)
    names = list(dict.fromkeys(name for key, *_ in panels for name in series(rows, key)))
    for place, (key, label, unit) in zip(axes[0], panels, strict=True):
        for name, (sizes, values) in series(rows, key).items():
            number = names.index(name)
            place.plot(
                sizes, [value / unit for value in values], label=name, color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)], markersize=4.5, linewidth=1.4,
            )  # fmt: skip
        place.set(xscale="log", yscale="log", xlabel="nodes N", ylabel=label)
        ticks = sorted({row["n"] for row in rows})
        place.set_xticks(ticks, [f"{n:,}" for n in ticks], minor=False, rotation=30, ha="right", fontsize=8)
        place.set_xticks([], minor=True)
        place.grid(color=LINE, alpha=0.25, linewidth=0.6)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    return figure


def fingerprint(rows: list[Row]) -> str:
    """Written into a plot, so that one drawn from other rows is found out."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
