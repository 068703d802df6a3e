"""Support vector machines on a kernel matrix that is computed once for a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool

import numpy as np
import torch
from sklearn.svm import SVC

from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.selection import constant_prediction, describe_grid, encode, first_best, fit_and_select
from graphssl.evaluation.splits import Split
from graphssl.evaluation.types import Prediction

__all__ = ["SVMProbe"]

_MANY_ROWS = 2000


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
        classes, _ = encode(y, split)
        if len(classes) == 1:
            return constant_prediction(classes[0], y, split)
        K = self._gram(scaled(Z, split.train, self.scale).astype(np.float64), split.train)  # (N, N)

        def accuracies(fold: tuple[np.ndarray, np.ndarray]) -> list[float]:
            train, val = fold
            if len(np.unique(y[train])) == 1:
                return [float(np.mean(y[val] == y[train][0]))] * len(self.grid)
            inner, outer = K[np.ix_(train, train)], K[np.ix_(val, train)]
            return [float(np.mean(_svc(C).fit(inner, y[train]).predict(outer) == y[val])) for C in self.grid]

        folds = fit_and_select(y, split, min(self.folds, 3) if len(split.train) > _MANY_ROWS else self.folds, seed)
        threads = min(self.n_jobs or torch.get_num_threads(), len(folds))
        if threads == 1:
            accuracy = np.mean([accuracies(fold) for fold in folds], axis=0)
        else:
            with ThreadPool(threads) as pool:  # libsvm runs without the interpreter's lock
                accuracy = np.mean(pool.map(accuracies, folds), axis=0)
        best = first_best(accuracy, np.zeros(len(self.grid)), self.grid)
        model = _svc(self.grid[best]).fit(K[np.ix_(split.train, split.train)], y[split.train])
        labels = model.predict(K[np.ix_(split.test, split.train)])
        return Prediction(labels, float(accuracy[best]), {"C": float(self.grid[best])})

    def __str__(self) -> str:
        return f"support vector machine, {self.kernel} kernel, scale {self.scale}, {describe_grid(self.grid)}"

    def _gram(self, Z: np.ndarray, train: np.ndarray) -> np.ndarray:
        if self.kernel == "linear":
            return Z @ Z.T
        variance = Z[train].var()
        squares = np.einsum("nd,nd->n", Z, Z)
        distances = np.maximum(squares[:, None] + squares - 2 * Z @ Z.T, 0)
        return np.exp(-distances / (Z.shape[1] * (variance if variance > 0 else 1.0)))


def _svc(C: float) -> SVC:
    return SVC(C=C, kernel="precomputed", cache_size=500)
