"""Figures others published, each with its source and its protocol. None is from memory."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PREFERENCE", "Published", "published_figure", "published_figures"]

#: When a figure stands in several places, the first of these is quoted.
PREFERENCE = ("paper", "repo", "secondary", "rerun")
_FILE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes
    ----------
    method, dataset, protocol, metric : str
        Registered names. A figure of another protocol is never put beside a result.
    mean, std : float, float or None
        Fractions, as in our results (the file holds percent, as printed by its source).
    source, source_kind : str
        ``paper``: read in a paper on this method; ``repo``: in the authors' repository; ``secondary``: quoted by
        another paper or repository; ``rerun``: measured by a third party, with the authors' code or another.
    """

    method: str
    dataset: str
    protocol: str
    metric: str
    mean: float
    std: float | None
    source: str
    source_kind: str


@cache
def published_figures() -> tuple[Published, ...]:
    """All figures, in the order of the file."""
    with open(_FILE, newline="", encoding="utf-8") as file:
        return tuple(
            Published(
                row["method"],
                row["dataset"],
                row["protocol"],
                row["metric"],
                float(row["mean"]) / 100,
                float(row["std"]) / 100 if row["std"] else None,
                row["source"],
                row["source_kind"],
            )
            for row in csv.DictReader(file)
        )


def published_figure(method: str, dataset: str, protocol: str, metric: str) -> Published | None:
    """The figure to print beside a result, or None; of several kinds the first in ``PREFERENCE``."""
    key = (method, dataset, protocol, metric)
    found = [f for f in published_figures() if (f.method, f.dataset, f.protocol, f.metric) == key]
    return min(found, key=lambda figure: PREFERENCE.index(figure.source_kind), default=None)
