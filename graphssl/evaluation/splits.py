"""Which rows a probe learns from, selects on and is judged on: a function of the rule, the seed and the labels only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphssl.errors import ConfigurationError

__all__ = ["AllLabelled", "GivenSplit", "RandomSplit", "Split", "StratifiedFolds", "stratified_folds"]


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of row numbers, int64: ``train`` (n_train,), ``val`` (n_val,) and ``test`` (n_test,).

    ``val`` is empty where a protocol selects by cross-validation inside ``train``.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class GivenSplit:
    """The masks stored with the data; with several columns, seed ``s`` takes column ``s`` modulo their number."""

    def __call__(self, data: Any, y: np.ndarray, seed: int) -> list[Split]:
        """One split. ``data`` holds ``train_mask``, ``val_mask`` and ``test_mask``, (N,) or (N, K) bool."""
        rows = []
        for name in ("train_mask", "val_mask", "test_mask"):
            mask = getattr(data, name, None)
            if mask is None:
                raise ConfigurationError(
                    f"this protocol reads the split from the data, which has no {name}: "
                    "use protocol='random-10-10-80', or set train_mask, val_mask and test_mask"
                )
            mask = np.asarray(mask)
            if mask.ndim == 2:
                mask = mask[:, seed % mask.shape[1]]
            if mask.dtype != bool or mask.shape != y.shape:
                raise ConfigurationError(
                    f"{name} must be a bool mask of shape ({len(y)},), got {mask.dtype} of shape {mask.shape}"
                )
            rows.append(np.flatnonzero(mask & (y >= 0)))
        train, val, test = rows
        if np.intersect1d(train, val).size or np.intersect1d(train, test).size or np.intersect1d(val, test).size:
            raise ConfigurationError("train_mask, val_mask and test_mask overlap: give each row to one of them")
        if not (len(train) and len(val) and len(test)):
            raise ConfigurationError(
                f"every mask must select a labelled row, got {len(train)} train, {len(val)} val, {len(test)} test"
            )
        return [Split(train, val, test)]

    def __str__(self) -> str:
        return "the masks given with the data (seed s takes column s where there are several)"


@dataclass(frozen=True)
class RandomSplit:
    """Uniform over the labelled rows, not stratified by class, as GCA and GRACE draw theirs.

    Parameters
    ----------
    train, val : float
        Fractions; the sizes are rounded down (train at least one row) and the rest is the test set.
    """

    train: float = 0.1
    val: float = 0.1

    def __call__(self, data: Any, y: np.ndarray, seed: int) -> list[Split]:
        """One split of the rows with a label."""
        known = np.flatnonzero(y >= 0)
        n_train = max(1, int(self.train * len(known)))
        n_val = max(1, int(self.val * len(known))) if self.val else 0
        if n_train + n_val >= len(known):
            raise ConfigurationError(f"{len(known)} labelled rows are too few for a {self} split")
        order = known[np.random.RandomState(seed).permutation(len(known))]
        train, val, test = np.split(order, [n_train, n_train + n_val])
        return [Split(train, val, test)]

    def __str__(self) -> str:
        test = 1 - self.train - self.val
        val = f" / {self.val:.0%} val" if self.val else ""
        return f"random {self.train:.0%} train{val} / {test:.0%} test, uniform over labelled rows"


@dataclass(frozen=True)
class StratifiedFolds:
    """Every labelled row is tested once; each fold holds every class in (nearly) its overall share."""

    folds: int = 10

    def __call__(self, data: Any, y: np.ndarray, seed: int) -> list[Split]:
        """``folds`` splits with an empty ``val``; another seed is another partition."""
        known = np.flatnonzero(y >= 0)
        if len(known) < self.folds:
            raise ConfigurationError(
                f"{len(known)} labelled rows cannot make {self.folds} folds: use a protocol with a random split"
            )
        fold = stratified_folds(y[known], self.folds, seed)
        none = np.empty(0, dtype=np.int64)
        return [Split(known[fold != k], none, known[fold == k]) for k in range(self.folds)]

    def __str__(self) -> str:
        return f"stratified {self.folds}-fold cross-validation"


@dataclass(frozen=True)
class AllLabelled:
    """Every row with a label is scored and none is trained on: for clustering."""

    def __call__(self, data: Any, y: np.ndarray, seed: int) -> list[Split]:
        """One split that is all test."""
        none = np.empty(0, dtype=np.int64)
        return [Split(none, none, np.flatnonzero(y >= 0))]

    def __str__(self) -> str:
        return "all labelled rows; labels are used for the score only"


def stratified_folds(y: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Assign rows to folds whose sizes differ by at most one, in total and within each class.

    Parameters
    ----------
    y : (N,) int
        Classes. A class with fewer members than folds is simply missing from some folds.
    folds : int
        Number of folds.
    seed : int
        Seed of the shuffle.

    Returns
    -------
    (N,) int64
        Fold of each row, in [0, folds).
    """
    order = np.random.RandomState(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # shuffled within each class, classes one after the other
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % folds
    return fold
