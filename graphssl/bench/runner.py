"""Run jobs one after the other, write each result at once, go on after a failure, and resume."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import graphssl
from graphssl.bench import environment
from graphssl.bench.execute import Result, execute
from graphssl.bench.jobs import Job, config_hash
from graphssl.bench.store import ResultStore, run_name
from graphssl.data import load_dataset
from graphssl.errors import ConfigurationError
from graphssl.sources import atomic_write
from graphssl.training import resolve_device

__all__ = ["Outcome", "run"]

PLOTTED_ROWS = 800  # rows of an embedding kept for its t-SNE


@dataclass
class Outcome:
    """What became of the jobs: how many of each status, and the reasons of those that failed."""

    ok: int = 0
    skipped: int = 0
    reasons: list[tuple[Job, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Jobs that failed, ran out of time or out of memory."""
        return len(self.reasons)


def run(
    jobs: Sequence[Job],
    out: str | Path,
    *,
    resume: bool = True,
    timeout: float | None = None,
    stop_on: tuple[type[Exception], ...] = (),
    progress: bool = False,
    command: str | None = None,
    report: Callable[[str], None] | None = None,
) -> Outcome:
    """Run jobs and append a row for each of their metrics to ``out/results.jsonl``.

    Parameters
    ----------
    jobs : sequence of Job
        See :func:`graphssl.bench.plan`. Those of one data set should stand together: it is loaded once.
    out : path
        Beside the results it receives ``history/`` (losses and collapse measures), ``embeddings/`` (at most 800
        rows, seed 0) and ``runs.jsonl`` (machine, versions, command).
    resume : bool
        Leave out jobs whose newest row of the same configuration and seed is ``ok``, and go on with a training that
        was killed from its checkpoint.
    timeout : float, optional
        Seconds a job may take; needs the main thread and a POSIX system.
    stop_on : tuple of exception types
        Raised instead of recorded.
    progress : bool
        Show a bar for each training on standard error.
    command : str, optional
        The command line, for the report.
    report : callable, optional
        Called with one line for each job.

    Returns
    -------
    Outcome
    """
    say = report or (lambda line: None)
    store = ResultStore(out)
    folder = Path(out)
    _describe_run(folder, command)
    datasets = _Datasets()
    outcome = Outcome()
    for number, job in enumerate(jobs, start=1):
        title = f"[{number}/{len(jobs)}] {job.method} on {job.dataset}, {job.protocol}, seed {job.seed}"
        started = time.perf_counter()
        row: dict[str, Any] = {}
        try:
            config = job.config()
            key = config_hash(config)
            row = _facts(job, config, key)
            slug = run_name(row)
            if resume and store.done(key, job.seed, expected=_rows_promised(folder, slug)):
                outcome.skipped += 1
                say(f"{title}: done before")
                continue
            checkpoint = folder / "checkpoints" / f"{slug}.safetensors"
            if not resume:
                checkpoint.unlink(missing_ok=True)
            with _time_limit(timeout):
                result = execute(job, datasets.get(job.dataset), checkpoint=checkpoint, progress=progress)
        except stop_on:
            raise
        except Exception as error:
            status, reason = _status(error), _reason(error)
            outcome.reasons.append((job, reason))
            store.append([{**(row or _facts(job, {}, config_hash({}))), **_FAILED, "status": status, "reason": reason}])
            again = any(reason == known for _, known in outcome.reasons[:-1])
            say(f"{title}: {status}: {'for the same reason' if again else reason}")
            continue
        _keep(folder, slug, job, result)
        store.append([{**row, **measured} for measured in result.rows])
        checkpoint.unlink(missing_ok=True)
        outcome.ok += 1
        scores = ", ".join(f"{measured['metric']} {measured['value']:.3f}" for measured in result.rows)
        say(f"{title}: {scores} ({time.perf_counter() - started:.1f} s)")
    with suppress(OSError):  # only when it is empty
        (folder / "checkpoints").rmdir()
    return outcome


_UNMEASURED = (
    "probe", "metric", "value", "valid_value", "steps", "train_seconds", "eval_seconds", "peak_memory_bytes",
)  # fmt: skip
_FAILED: dict[str, Any] = dict.fromkeys(_UNMEASURED)


def _facts(job: Job, config: dict[str, Any], key: str) -> dict[str, Any]:
    """The part of a row that is known before the job runs."""
    return {
        "method": job.method,
        "encoder": job.label() if config else str(job.encoder),
        "dataset": job.dataset,
        "protocol": job.protocol,
        "seed": job.seed,
        "device": environment.device_name(resolve_device(job.device)),
        "version": graphssl.__version__,
        "commit": environment.commit(),
        "torch": torch.__version__,
        "config": config,
        "config_hash": key,
        "status": "ok",
        "reason": None,
    }


def _status(error: Exception) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return "memory"
    return "timeout" if isinstance(error, _JobTimeoutError) else "failed"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"


def _keep(folder: Path, slug: str, job: Job, result: Result) -> None:
    """Write what the plots need: losses and collapse measures; for seed 0 a sample of the embedding."""
    with atomic_write(_made(folder / "history" / f"{slug}.json")) as path:
        Path(path).write_text(json.dumps({"seed": job.seed, "rows": len(result.rows), **result.history}))
    if job.seed != 0 or result.embedding is None:
        return
    Z, labels = result.embedding, result.labels
    rows = np.sort(np.random.RandomState(0).permutation(len(Z))[:PLOTTED_ROWS])
    sample = Z[rows]
    small = np.abs(sample).max(initial=0) < np.finfo(np.float16).max
    arrays: dict[str, Any] = {"embedding": sample.astype(np.float16 if small else np.float32), "ids": rows}
    if labels is not None:
        arrays["y"] = labels[rows]
    with atomic_write(_made(folder / "embeddings" / f"{slug}.npz")) as path, open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def _rows_promised(folder: Path, slug: str) -> int:
    """How many rows a finished run wrote: its history is written first, so a kill between two rows shows."""
    path = folder / "history" / f"{slug}.json"
    return int(json.loads(path.read_text())["rows"]) if path.is_file() else 1


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _describe_run(folder: Path, command: str | None) -> None:
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open(folder / "runs.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"started": started, "command": command, **environment.machine()}) + "\n")


class _Datasets:
    """The data set in use, or the error its loading gave: neither is loaded twice in a row."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.loaded: Any = None

    def get(self, name: str) -> Any:
        if name != self.name:
            self.name, self.loaded = name, None  # free the one before, first
            try:
                self.loaded = load_dataset(name)
            except Exception as error:
                self.loaded = error
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


class _JobTimeoutError(Exception):
    pass


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    if sys.platform == "win32":
        raise ConfigurationError("timeout needs a POSIX system: leave it out")

    def stop(*_: object) -> None:
        raise _JobTimeoutError(f"the job took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
