"""``graphssl run`` and ``graphssl compare``: check what was typed, run it, print the table."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from graphssl.bench import Job, Outcome, plan, read_results, run, write_report, write_summary
from graphssl.bench.jobs import takes_encoder
from graphssl.bench.tables import percent, row_name
from graphssl.cli.checks import check_device, check_encoders, check_method, choose_protocol, fits, resolve_recipe
from graphssl.cli.errors import FAILED, USAGE_ERRORS, InterruptedRunError
from graphssl.cli.options import parse_settings
from graphssl.cli.output import print_json, print_table, progress_line
from graphssl.data import dataset_info, load_dataset
from graphssl.errors import ConfigurationError
from graphssl.registry import METHODS

__all__ = ["run_comparison", "run_one"]


def run_one(
    method: str,
    dataset: str,
    *,
    protocol: str | None,
    encoder: str | None,
    seeds: int,
    assignments: Sequence[str],
    recipe: str,
    max_steps: int | None,
    device: str,
    out: Path | None,
    resume: bool,
    as_json: bool,
    command: str | None,
) -> None:
    """Train one method on one data set, beside the controls. A usage mistake found on the way stops everything."""
    if resume and out is None:
        raise ConfigurationError("--resume needs --out: the folder that holds the results so far")
    check_method(method)
    protocols = {dataset: choose_protocol(dataset, protocol)}
    check_encoders([encoder] if encoder else [])
    if encoder and not takes_encoder(method):
        raise ConfigurationError(f"{method!r} takes no encoder by name: leave out --encoder")
    check_device(device)
    if not fits(method, dataset):
        raise ConfigurationError(_misfit(method, dataset))
    options, training = parse_settings(method, assignments)
    jobs = plan(
        [method], protocols, encoders=[encoder], seeds=seeds, options=options, training=training,
        recipe=resolve_recipe(recipe, [method]), max_steps=max_steps, device=device,
    )  # fmt: skip
    # the method first: a mistake in its options shows before the controls have taken their time
    jobs = [job for job in jobs if job.method == method] + [job for job in jobs if job.method != method]
    load_dataset(dataset)  # a file that is missing shows once, and not in every job
    with tempfile.TemporaryDirectory() if out is None else nullcontext(str(out)) as folder:
        outcome = _run(jobs, folder, resume=resume, command=command, kept=out is not None, stop_on=USAGE_ERRORS)
        summary = write_summary(folder)
        if as_json:
            print_json(summary)
        else:
            _print_run(summary, read_results(folder), method)
    _finish(outcome)


def run_comparison(
    methods: Sequence[str],
    datasets: Sequence[str],
    *,
    encoders: Sequence[str],
    protocol: str | None,
    seeds: int,
    assignments: Sequence[str],
    recipe: str,
    max_steps: int | None,
    device: str,
    out: Path,
    resume: bool,
    as_json: bool,
    command: str | None,
) -> None:
    """Train methods on data sets and write results and report; a method that embeds nodes is left out for graphs."""
    if not methods or not datasets:
        raise ConfigurationError("--methods and --datasets each need at least one name")
    for method in methods:
        check_method(method)
    protocols = {dataset: choose_protocol(dataset, protocol) for dataset in datasets}
    check_encoders(encoders)
    check_device(device)
    for method in methods:
        if encoders and not takes_encoder(method):
            progress_line(f"left out: the encoders of {method!r}, which takes none by name; it has one row")
    chosen = resolve_recipe(recipe, methods)
    parsed = {method: parse_settings(method, assignments) for method in methods}
    jobs: list[Job] = []
    for dataset in datasets:
        usable = [method for method in methods if fits(method, dataset)]
        for method in methods:
            if method not in usable:
                progress_line(f"left out: {_misfit(method, dataset).partition(': use')[0]}")
        if not usable:
            continue
        jobs += plan(
            usable, {dataset: protocols[dataset]}, encoders=encoders or [None], seeds=seeds, recipe=chosen,
            max_steps=max_steps, device=device,
        )  # fmt: skip
    jobs = [job if job.trainable is None else _with(job, *parsed[job.trainable]) for job in jobs]
    if not jobs:
        raise ConfigurationError(
            "none of the methods embeds what the data sets label: see the levels in graphssl methods"
        )
    outcome = _run(jobs, str(out), resume=resume, command=command, kept=True, stop_on=())
    summary = write_summary(out)
    if as_json:
        print_json(summary)
    else:
        _print_comparison(summary)
    progress_line(f"report: {write_report(out)}")
    _finish(outcome)


def _with(job: Job, options: dict[str, Any], training: dict[str, Any]) -> Job:
    return replace(job, options=options, training=training)


def _misfit(method: str, dataset: str) -> str:
    level = METHODS.get(method).info["level"]
    wanted = dataset_info(dataset).level
    others = [entry.name for entry in METHODS if entry.info["level"] == wanted]
    return f"{method!r} works at {level} level and {dataset!r} is at {wanted} level: use one of {', '.join(others)}"


def _run(
    jobs: Sequence[Job],
    folder: str,
    *,
    resume: bool,
    command: str | None,
    kept: bool,
    stop_on: tuple[type[Exception], ...],
) -> Outcome:
    try:
        return run(
            jobs, folder, resume=resume, stop_on=stop_on, command=command, report=progress_line,
            progress=sys.stderr.isatty(),
        )  # fmt: skip
    except KeyboardInterrupt:
        if not kept:
            raise InterruptedRunError("interrupted: nothing is kept without --out") from None
        rows = len(read_results(folder)) if (Path(folder) / "results.jsonl").is_file() else 0
        raise InterruptedRunError(
            f"interrupted: {rows} result rows are kept in {folder}; the same command with --resume goes on from there"
        ) from None


def _finish(outcome: Outcome) -> None:
    if outcome.failed:
        reasons = dict.fromkeys(reason for _, reason in outcome.reasons)
        progress_line(f"error: {outcome.failed} of the runs failed: {'; '.join(reasons)}")
        raise typer.Exit(FAILED)


def _print_run(summary: list[dict[str, Any]], rows: list[dict[str, Any]], method: str) -> None:
    own = [row for row in rows if row["method"] == method and row["status"] == "ok"]
    if own:
        print_table(
            ["method, encoder", "data set", "protocol", "probe", "seed", "metric", "value", "steps", "seconds"],
            [
                [row_name(r), r["dataset"], r["protocol"], r["probe"], str(r["seed"]), r["metric"], percent(r["value"]),
                 str(r["steps"]), f"{r['train_seconds']:.1f}"]
                for r in own
            ],
        )  # fmt: skip
    _print_comparison(summary)


def _print_comparison(summary: list[dict[str, Any]]) -> None:
    header = ["method, encoder", "data set", "protocol", "probe", "metric", "mean ± std (%)", "seeds", "failed"]
    lines = []
    for r in summary:
        what = [row_name(r), r["dataset"], r["protocol"], r["probe"] or "", r["metric"] or ""]
        ours = [percent(r.get("mean"), r["std"]) or "failed", str(r["n"]), str(r["failed"])]
        lines.append([*what, *ours, percent(r["paper_mean"], r["paper_std"]), r["paper_source"] or ""])
    if any(line[-1] for line in lines):
        print_table([*header, "published (%)", "source"], lines)
    else:
        print_table(header, [line[:-2] for line in lines])
