"""Benchmarks: a resumable runner, its results file, and what is made of it: summary, tables, plots, report."""

from graphssl.bench.jobs import CONTROLS, TRAINING_OPTIONS, Job, plan
from graphssl.bench.published import Published, published_figure
from graphssl.bench.report import write_report
from graphssl.bench.runner import Outcome, run
from graphssl.bench.store import ResultStore, read_results
from graphssl.bench.summary import summarise, write_summary

__all__ = [
    "CONTROLS",
    "TRAINING_OPTIONS",
    "Job",
    "Outcome",
    "Published",
    "ResultStore",
    "plan",
    "published_figure",
    "read_results",
    "run",
    "summarise",
    "write_report",
    "write_summary",
]
