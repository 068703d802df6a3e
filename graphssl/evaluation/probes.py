"""Simple supervised models on frozen embeddings; what they choose, they choose without the test labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol as Interface

import numpy as np

from graphssl.errors import unknown_name
from graphssl.evaluation.hinge import squared_hinge_path
from graphssl.evaluation.losses import row_losses
from graphssl.evaluation.neighbours import NeighbourProbe
from graphssl.evaluation.ridge import ridge_path
from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.selection import constant_prediction, describe_grid, encode, first_best, fit_and_select
from graphssl.evaluation.solver import logistic_paths
from graphssl.evaluation.splits import Split
from graphssl.evaluation.svm import SVMProbe
from graphssl.evaluation.types import Prediction

__all__ = ["PROBES", "LinearProbe", "Probe", "SVMProbe", "make_probe"]

_EACH = {"squared": ridge_path, "squared-hinge": squared_hinge_path}
_LINEAR = {
    "multinomial": "multinomial logistic regression",
    "one-vs-rest": "one-vs-rest logistic regression",
    "squared-hinge": "one-vs-rest linear support vector machine, squared hinge",
    "squared": "ridge classifier",
}


class Probe(Interface):
    """Anything that predicts the test rows of a split from the labels of the others.

    ``y`` (N,) holds -1 in the test rows and wherever a label is unknown: a probe cannot see a test label.
    """

    @property
    def name(self) -> str:
        """As written in result rows."""

    def __call__(self, Z: np.ndarray, y: np.ndarray, split: Split, *, seed: int) -> Prediction:
        """Fit on ``split.train``, select on ``split.val`` or inside ``split.train``, predict ``split.test``."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear classifier, by default logistic regression, with its L2 penalty chosen by validation accuracy.

    Parameters
    ----------
    name : str
        As written in result rows.
    grid : sequence of float
        Values of C, the weight of the data term against half the squared norm of the weights.
    loss : "multinomial", "one-vs-rest", "squared-hinge" or "squared"
        One softmax, or for each class a logistic regression, a support vector machine (liblinear's default, where it
        takes ``penalise_bias=True``) or least squares (a ridge classifier with :math:`\\alpha = 1/C`).
    penalise_bias : bool
        As liblinear does.
    scale : "l2", "z-score", "global" or "none"
        What is done to the embedding before; see :func:`graphssl.evaluation.scaling.scaled`.
    folds : int
        Inner cross-validation where the split has no validation rows.

    Notes
    -----
    Rows have unit length, as in GRACE's protocol, so that one grid of C means the same for every method:
    embeddings differ in scale by orders of magnitude. Standardising each coordinate is an alternative that lifts
    coordinates of tiny variance to the same footing; on the propagated features of Cora and CiteSeer it costs two
    and nine points (of test accuracy, with C chosen on validation labels). Among equal accuracies the smaller
    validation loss decides, then the smaller C. The chosen model is the one fitted to the training rows; it is not
    refitted with the validation rows.
    """

    name: str = "logistic"
    grid: Sequence[float] = tuple(10.0 ** (k / 2) for k in range(-6, 9))
    loss: str = "multinomial"
    penalise_bias: bool = False
    scale: str = "l2"
    folds: int = 5

    def __call__(self, Z: np.ndarray, y: np.ndarray, split: Split, *, seed: int) -> Prediction:
        """Predict the test rows."""
        Z = scaled(Z, split.train, self.scale)
        classes, encoded = encode(y, split)
        if len(classes) == 1:
            return constant_prediction(classes[0], y, split)
        pairs = fit_and_select(y, split, self.folds, seed)
        subsets = np.stack([np.isin(split.train, train) for train, _ in pairs])  # (F, n)
        paths = self._paths(Z[split.train], encoded[split.train], self.grid, subsets)  # (F, C, D + 1, K)
        accuracy, loss = np.zeros(len(self.grid)), np.zeros(len(self.grid))
        for (_, val), path in zip(pairs, paths, strict=True):
            known = encoded[val] >= 0  # a class absent from the training rows has no score
            for i, scores in enumerate(_scores(Z[val], path)):
                accuracy[i] += np.mean(classes[scores.argmax(axis=1)] == y[val]) / len(pairs)
                loss[i] += row_losses(scores[known], encoded[val][known], self.loss).sum()
        best = first_best(accuracy, loss, self.grid)
        chosen = paths[:, best]
        if len(split.val) == 0:
            everything = np.ones((1, len(split.train)), dtype=bool)
            chosen = self._paths(Z[split.train], encoded[split.train], [self.grid[best]], everything)[:, 0]
        scores = _scores(Z[split.test], chosen)[0]
        return Prediction(classes[scores.argmax(axis=1)], float(accuracy[best]), {"C": float(self.grid[best])})

    def __str__(self) -> str:
        return f"{_LINEAR[self.loss]}, scale {self.scale}, {describe_grid(self.grid)}"

    def _paths(self, Z: np.ndarray, y: np.ndarray, grid: Sequence[float], subsets: np.ndarray) -> np.ndarray:
        target = np.eye(y.max() + 1)[y]
        if self.loss in _EACH:
            path = partial(_EACH[self.loss], grid=grid, penalise_bias=self.penalise_bias)
            return np.stack([path(Z[rows], target[rows]) for rows in subsets])
        return logistic_paths(Z, target, grid, subsets=subsets, loss=self.loss, penalise_bias=self.penalise_bias)


#: Probes by name, for ``evaluate(..., probe=)``.
PROBES: dict[str, Callable[[], Probe]] = {
    "knn": NeighbourProbe,
    "linear-svc": lambda: SVMProbe(
        "linear-svc", kernel="linear", grid=tuple(10.0**k for k in range(-3, 1)), scale="z-score"
    ),
    "logistic": LinearProbe,
    # GCC's probes have a fixed C: appendix of Qiu et al. 2020, gcc/tasks of THUDM/GCC.
    "logistic-c1000": lambda: LinearProbe("logistic-c1000", grid=(1000.0,), scale="none", folds=2),
    # Where the length of a row tells something, as in one column of log degrees.
    "logistic-unscaled": lambda: LinearProbe("logistic-unscaled", scale="none"),
    "one-vs-rest": lambda: LinearProbe(
        "one-vs-rest", grid=tuple(2.0**k for k in range(-10, 10)), loss="one-vs-rest", penalise_bias=True
    ),
    "ridge": lambda: LinearProbe("ridge", loss="squared"),
    "squared-hinge": lambda: LinearProbe("squared-hinge", loss="squared-hinge", penalise_bias=True),
    "svc": SVMProbe,
    "svc-c1e5": lambda: SVMProbe("svc-c1e5", grid=(1e5,), folds=2),
}


def make_probe(name: str) -> Probe:
    """The probe of that name; an unknown one raises an error that suggests the nearest."""
    if name not in PROBES:
        raise unknown_name("probe", name, PROBES)
    return PROBES[name]()


def _scores(Z: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Scores of all solutions at once: (n, D), (C, D + 1, K) -> (C, n, K)."""
    count, width, classes = path.shape
    weights = path[:, :-1].transpose(1, 0, 2).reshape(width - 1, -1).astype(Z.dtype)  # (D, C K)
    scores = (Z @ weights).reshape(len(Z), count, classes) + path[:, -1]
    return scores.transpose(1, 0, 2)
