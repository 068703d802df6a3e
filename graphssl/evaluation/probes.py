"""Simple supervised models on frozen embeddings; what they choose, they choose without the test labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Protocol as Interface

import numpy as np
import torch
from sklearn.svm import SVC

from graphssl.errors import ConfigurationError, unknown_name
from graphssl.evaluation.neighbours import NeighbourProbe
from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.solver import logistic_losses, logistic_path
from graphssl.evaluation.splits import Split, stratified_folds
from graphssl.evaluation.types import Prediction

__all__ = ["PROBES", "LinearProbe", "Probe", "SVMProbe", "make_probe"]

_MANY_ROWS = 2000


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
    """Logistic regression with its L2 penalty chosen by validation accuracy.

    Parameters
    ----------
    name : str
        As written in result rows.
    grid : sequence of float
        Values of C, the weight of the data term against half the squared norm of the weights.
    loss : "multinomial" or "one-vs-rest"
        One softmax, or a logistic regression for each class.
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
        classes, encoded = _encode(y, split)
        if len(classes) == 1:
            return _constant(classes[0], y, split)
        accuracy, loss = np.zeros(len(self.grid)), np.zeros(len(self.grid))
        for train, val in _selection(y, split, self.folds, seed):
            path = self._path(Z[train], encoded[train], len(classes))
            for i, scores in enumerate(_scores(Z[val], path)):
                accuracy[i] += np.mean(classes[scores.argmax(axis=1)] == y[val])
                known = encoded[val] >= 0  # a class absent from the training rows has no score
                loss[i] += logistic_losses(scores[known], encoded[val][known], self.loss).sum()
        best = _first_best(accuracy, loss, self.grid)
        if len(split.val) == 0:
            accuracy = accuracy / min(self.folds, len(split.train))
            path = self._path(Z[split.train], encoded[split.train], len(classes), upto=best)
        scores = _scores(Z[split.test], path[best][None])[0]
        return Prediction(classes[scores.argmax(axis=1)], float(accuracy[best]), {"C": float(self.grid[best])})

    def __str__(self) -> str:
        name = "multinomial" if self.loss == "multinomial" else "one-vs-rest"
        return f"{name} logistic regression, scale {self.scale}, {_describe(self.grid)}"

    def _path(self, Z: np.ndarray, y: np.ndarray, num_classes: int, upto: int | None = None) -> np.ndarray:
        grid = self.grid if upto is None else [min(C, self.grid[upto]) for C in self.grid]
        return logistic_path(Z, np.eye(num_classes)[y], grid, loss=self.loss, penalise_bias=self.penalise_bias)


@dataclass(frozen=True)
class SVMProbe:
    """Support vector machine with C chosen by cross-validation inside the training rows.

    Parameters
    ----------
    name : str
        As written in result rows.
    kernel : "rbf" or "linear"
        ``rbf`` is :math:`e^{-\\gamma |z - z'|^2}` with :math:`1/\\gamma` = D times the variance of all training entries
        (scikit-learn's ``gamma="scale"``).
    grid : sequence of float
        Values of C.
    scale : str
        See :func:`graphssl.evaluation.scaling.scaled`; statistics are those of the outer training rows.
    folds : int
        Inner folds where the split has no validation rows; at most 3 with more than 2000 training rows, where an
        accuracy is known to a point and fitting takes minutes.
    n_jobs : int, optional
        Threads over the inner folds, by default as many as torch uses. The result does not depend on it.

    Notes
    -----
    Embeddings are not standardised, as in InfoGraph's protocol: with ``gamma="scale"`` the kernel does not depend on
    their overall scale, and on summed features a z-score costs one to six points (MUTAG, PROTEINS). The kernel
    matrix is computed once for a split and its blocks serve every fold and every C: O(N^2) memory.
    """

    name: str = "svc"
    kernel: str = "rbf"
    grid: Sequence[float] = tuple(10.0**k for k in range(-3, 4))
    scale: str = "none"
    folds: int = 5
    n_jobs: int | None = None

    def __call__(self, Z: np.ndarray, y: np.ndarray, split: Split, *, seed: int) -> Prediction:
        """Predict the test rows."""
        classes, _ = _encode(y, split)
        if len(classes) == 1:
            return _constant(classes[0], y, split)
        K = self._gram(scaled(Z, split.train, self.scale).astype(np.float64), split.train)  # (N, N)

        def accuracies(fold: tuple[np.ndarray, np.ndarray]) -> list[float]:
            train, val = fold
            if len(np.unique(y[train])) == 1:
                return [float(np.mean(y[val] == y[train][0]))] * len(self.grid)
            inner, outer = K[np.ix_(train, train)], K[np.ix_(val, train)]
            return [float(np.mean(_svc(C).fit(inner, y[train]).predict(outer) == y[val])) for C in self.grid]

        folds = _selection(y, split, min(self.folds, 3) if len(split.train) > _MANY_ROWS else self.folds, seed)
        threads = min(self.n_jobs or torch.get_num_threads(), len(folds))
        if threads == 1:
            accuracy = np.mean([accuracies(fold) for fold in folds], axis=0)
        else:
            with ThreadPool(threads) as pool:  # libsvm runs without the interpreter's lock
                accuracy = np.mean(pool.map(accuracies, folds), axis=0)
        best = _first_best(accuracy, np.zeros(len(self.grid)), self.grid)
        model = _svc(self.grid[best]).fit(K[np.ix_(split.train, split.train)], y[split.train])
        labels = model.predict(K[np.ix_(split.test, split.train)])
        return Prediction(labels, float(accuracy[best]), {"C": float(self.grid[best])})

    def __str__(self) -> str:
        return f"support vector machine, {self.kernel} kernel, scale {self.scale}, {_describe(self.grid)}"

    def _gram(self, Z: np.ndarray, train: np.ndarray) -> np.ndarray:
        if self.kernel == "linear":
            return Z @ Z.T
        variance = Z[train].var()
        squares = np.einsum("nd,nd->n", Z, Z)
        distances = np.maximum(squares[:, None] + squares - 2 * Z @ Z.T, 0)
        return np.exp(-distances / (Z.shape[1] * (variance if variance > 0 else 1.0)))


#: Probes by name, for ``evaluate(..., probe=)``.
PROBES: dict[str, Callable[[], Probe]] = {
    "knn": NeighbourProbe,
    "linear-svc": lambda: SVMProbe(
        "linear-svc", kernel="linear", grid=tuple(10.0**k for k in range(-3, 1)), scale="z-score"
    ),
    "logistic": LinearProbe,
    "one-vs-rest": lambda: LinearProbe(
        "one-vs-rest", grid=tuple(2.0**k for k in range(-10, 10)), loss="one-vs-rest", penalise_bias=True
    ),
    "svc": SVMProbe,
}


def make_probe(name: str) -> Probe:
    """The probe of that name; an unknown one raises an error that suggests the nearest."""
    if name not in PROBES:
        raise unknown_name("probe", name, PROBES)
    return PROBES[name]()


def _describe(grid: Sequence[float]) -> str:
    return f"{len(grid)} values of C from {min(grid):g} to {max(grid):g}"


def _svc(C: float) -> SVC:
    return SVC(C=C, kernel="precomputed", cache_size=500)


def _encode(y: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Classes seen in training, and for every row the index of its class among them, or -1."""
    classes = np.unique(y[split.train])  # (K,)
    if len(classes) == 0:
        raise ConfigurationError("the split has no training rows: a probe needs labelled rows to learn from")
    position = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    return classes, np.where(classes[position] == y, position, -1)


def _constant(label: int, y: np.ndarray, split: Split) -> Prediction:
    """What any classifier says that has met a single class."""
    seen = y[split.val] if len(split.val) else y[split.train]
    return Prediction(np.full(len(split.test), label), float(np.mean(seen == label)), {})


def _selection(y: np.ndarray, split: Split, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (fit on, select on): the validation rows if there are any, else folds of the training rows."""
    if len(split.val):
        return [(split.train, split.val)]
    folds = min(folds, len(split.train))
    fold = stratified_folds(y[split.train], folds, seed)
    return [(split.train[fold != k], split.train[fold == k]) for k in range(folds)]


def _scores(Z: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Scores of all solutions at once: (n, D), (C, D + 1, K) -> (C, n, K)."""
    count, width, classes = path.shape
    weights = path[:, :-1].transpose(1, 0, 2).reshape(width - 1, -1).astype(Z.dtype)  # (D, C K)
    scores = (Z @ weights).reshape(len(Z), count, classes) + path[:, -1]
    return scores.transpose(1, 0, 2)


def _first_best(accuracy: np.ndarray, loss: np.ndarray, grid: Sequence[float]) -> int:
    """Index of the highest accuracy; equal ones by the smaller loss, then by the smaller C."""
    rounded = np.round(accuracy, 12)  # sums of the same accuracies in another order are the same accuracy
    return min(range(len(grid)), key=lambda i: (-rounded[i], loss[i], grid[i]))
