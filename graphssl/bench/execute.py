"""One job, from its names to its scores: train, embed, evaluate, measure."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphssl.bench import environment
from graphssl.bench.jobs import Job
from graphssl.errors import ConfigurationError
from graphssl.evaluation import CONTROLS, evaluate_embedding, read_labels, training_data
from graphssl.training import History, effective_rank, feature_std, fit, resolve_device

__all__ = ["Result", "execute"]


@dataclass
class Result:
    """What one job gave.

    Attributes
    ----------
    rows : list of dict
        One a metric: ``probe metric value valid_value steps train_seconds eval_seconds peak_memory_bytes``.
    history : dict
        Losses and collapse measures of the training, and ``final``: those of the embedding that was evaluated.
    embedding : ndarray, shape (N, D) or (G, D)
    labels : ndarray of int, shape (N,) or (G,), or None
        For the plots only.
    """

    rows: list[dict[str, Any]]
    history: dict[str, Any]
    embedding: np.ndarray
    labels: np.ndarray | None


def execute(job: Job, data: Any, *, checkpoint: Path | None = None, progress: bool = False) -> Result:
    """Run one job.

    Parameters
    ----------
    job : Job
        See :class:`graphssl.bench.Job`.
    data : Data or sequence of Data
        The job's data set, with labels: the method does not see them.
    checkpoint : path, optional
        The training goes on from it if it exists.
    progress : bool
        Show a bar on standard error.
    """
    device = resolve_device(job.device)
    environment.reset_peak_memory(device)
    visible = training_data(data, job.protocol, job.seed)  # for links: without the hidden edges
    started = time.perf_counter()
    if job.trainable is None:
        Z, history = CONTROLS[job.method](visible), History()
        seconds = 0.0
    else:
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
        fitted = fit(
            job.trainable, visible, dataset=job.dataset, protocol=job.protocol,
            encoder=job.encoder, recipe=job.recipe, options=job.options,
            training=job.training, max_steps=job.steps, seed=job.seed, device=job.device, checkpoint=checkpoint,
            progress=progress,
        )  # fmt: skip
        history, seconds = fitted.history, fitted.history.seconds
        started = time.perf_counter()
        Z = fitted.embed()
    scores = evaluate_embedding(Z, data, job.protocol, job.seed)
    measured = {
        "steps": history.steps,
        "train_seconds": round(seconds, 4),
        "eval_seconds": round(time.perf_counter() - started, 4),  # embedding included
        "peak_memory_bytes": environment.peak_memory(device),
    }
    rows = [{**{key: _plain(score[key]) for key in _SCORE}, **measured} for score in scores]
    tensor = torch.from_numpy(np.ascontiguousarray(Z))
    final = {"effective_rank": effective_rank(tensor), "feature_std": feature_std(tensor), "columns": Z.shape[1]}
    kept = {**history.to_dict(), "loss": [float(f"{value:.6g}") for value in history.loss], "final": final}
    return Result(rows, kept, Z, _labels(data))


_SCORE = ("probe", "metric", "value", "valid_value")


def _plain(value: Any) -> Any:
    """JSON has no NaN: None stands for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _labels(data: Any) -> np.ndarray | None:
    try:
        return read_labels(data)
    except ConfigurationError:  # links need no labels, and nor do the plots
        return None
