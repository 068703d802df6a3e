"""What probes share: which rows choose a hyper-parameter, and how the best one is picked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphssl.errors import ConfigurationError
from graphssl.evaluation.splits import Split, stratified_folds
from graphssl.evaluation.types import Prediction

__all__ = ["constant_prediction", "describe_grid", "encode", "first_best", "fit_and_select"]


def encode(y: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Classes seen in training, and for every row the index of its class among them, or -1."""
    classes = np.unique(y[split.train])  # (K,)
    if len(classes) == 0:
        raise ConfigurationError("the split has no training rows: a probe needs labelled rows to learn from")
    position = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    return classes, np.where(classes[position] == y, position, -1)


def constant_prediction(label: int, y: np.ndarray, split: Split) -> Prediction:
    """What any classifier says that has met a single class."""
    seen = y[split.val] if len(split.val) else y[split.train]
    return Prediction(np.full(len(split.test), label), float(np.mean(seen == label)), {})


def fit_and_select(y: np.ndarray, split: Split, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (fit on, select on): the validation rows if there are any, else folds of the training rows."""
    if len(split.val):
        return [(split.train, split.val)]
    folds = min(folds, len(split.train))
    fold = stratified_folds(y[split.train], folds, seed)
    return [(split.train[fold != k], split.train[fold == k]) for k in range(folds)]


def first_best(accuracy: np.ndarray, loss: np.ndarray, grid: Sequence[float]) -> int:
    """Index of the highest accuracy; equal ones by the smaller loss, then by the smaller C."""
    rounded = np.round(accuracy, 12)  # sums of the same accuracies in another order are the same accuracy
    return min(range(len(grid)), key=lambda i: (-rounded[i], loss[i], grid[i]))


def describe_grid(grid: Sequence[float]) -> str:
    """How many values of C, from where to where."""
    return f"{len(grid)} values of C from {min(grid):g} to {max(grid):g}"
