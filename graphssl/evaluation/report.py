"""The outcome of an evaluation: mean, spread, and the rows they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from graphssl.evaluation.protocols import Protocol

__all__ = ["Report", "sample_std"]


def sample_std(values: list[float]) -> float:
    """Sample standard deviation (divisor n - 1); NaN for a single value."""
    return stdev(values) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Report:
    """What :func:`graphssl.evaluate` returns. ``print(report)`` shows a table.

    Attributes
    ----------
    target : str
        What was evaluated: a method's or a control's name, ``array``, or a factory's name.
    mean, std : float
        Of the protocol's metric over seeds, as fractions; ``std`` is the sample standard deviation, NaN for one seed.
    std_over : str
        ``"training"`` if every seed trained its own encoder, ``"probe"`` if only split and probe were repeated: that
        one leaves out the variance of training and does not belong in a table beside the other.
    metric : str
        ``accuracy``, ``nmi`` or ``roc_auc``.
    protocol : Protocol
    rows : list of dict
        One a seed and metric; see :func:`graphssl.evaluation.evaluate_embedding`.
    """

    target: str
    mean: float
    std: float
    std_over: str
    metric: str
    protocol: Protocol
    rows: list[dict[str, Any]]

    @classmethod
    def from_rows(cls, target: str, rows: list[dict[str, Any]], *, protocol: Protocol, std_over: str) -> Report:
        """Summarise rows by the protocol's own probe and metric."""
        values = [
            row["value"] for row in rows if row["metric"] == protocol.metric and row["probe"] == protocol.probe.name
        ]
        return cls(target, fmean(values), sample_std(values), std_over, protocol.metric, protocol, rows)

    def summary(self) -> list[dict[str, Any]]:
        """One entry for each probe and metric: ``probe metric mean std n``, the protocol's own first."""
        groups: dict[tuple[str, str], list[float]] = {}
        for row in self.rows:
            groups.setdefault((row["probe"], row["metric"]), []).append(row["value"])
        return [
            {"probe": probe, "metric": metric, "mean": fmean(values), "std": sample_std(values), "n": len(values)}
            for (probe, metric), values in groups.items()
        ]

    def __str__(self) -> str:
        lines = [f"{self.target}: protocol {self.protocol.name}, std over {self.std_over}"]
        for entry in self.summary():
            spread = "" if math.isnan(entry["std"]) else f" +- {100 * entry['std']:.2f}"
            seeds = f"{entry['n']} seed{'s' if entry['n'] > 1 else ''}"
            lines.append(f"  {entry['probe']:12} {entry['metric']:18} {100 * entry['mean']:6.2f}{spread}  ({seeds})")
        return "\n".join(lines)
