"""k-nearest-neighbour classification by cosine: what an embedding says with no training at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphssl.errors import ConfigurationError
from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.splits import Split
from graphssl.evaluation.types import Prediction

__all__ = ["NeighbourProbe"]

_BLOCK = 2048  # rows of the similarity matrix held at once


@dataclass(frozen=True)
class NeighbourProbe:
    """Majority vote of the k most similar training rows by cosine; equal votes go to the more similar rows.

    Parameters
    ----------
    name : str
        As written in result rows.
    ks : sequence of int
        Candidates; the one of highest validation accuracy is used, the smallest among equals. Without validation
        rows k is chosen by leaving one training row out at a time.
    """

    name: str = "knn"
    ks: Sequence[int] = (1, 3, 5, 10, 20)

    def __call__(self, Z: np.ndarray, y: np.ndarray, split: Split, *, seed: int) -> Prediction:
        """Predict the test rows."""
        if len(split.train) == 0:
            raise ConfigurationError("the split has no training rows: a probe needs labelled rows to learn from")
        Z = scaled(Z, split.train, "l2")
        alone = len(split.val) == 0
        judged = split.train if alone else split.val
        limit = len(split.train) - int(alone)
        ks = sorted({min(k, max(limit, 1)) for k in self.ks})
        if limit < 1:  # a single training row has nobody to ask
            return Prediction(np.full(len(split.test), y[split.train[0]]), float("nan"), {"k": 1.0})
        votes = _vote(Z, y, judged, split.train, ks, leave_out_self=alone)  # (len(ks), n)
        accuracy = (votes == y[judged]).mean(axis=1)
        best = int(np.argmax(accuracy))
        labels = _vote(Z, y, split.test, split.train, [ks[best]], leave_out_self=False)[0]
        return Prediction(labels, float(accuracy[best]), {"k": float(ks[best])})

    def __str__(self) -> str:
        return f"k nearest neighbours by cosine, k in {', '.join(map(str, self.ks))}"


def _vote(
    Z: np.ndarray, y: np.ndarray, rows: np.ndarray, train: np.ndarray, ks: Sequence[int], *, leave_out_self: bool
) -> np.ndarray:
    """Predicted class of each row for each k: (len(ks), len(rows))."""
    classes, encoded = np.unique(y[train], return_inverse=True)
    labels = np.empty((len(ks), len(rows)), dtype=y.dtype)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        similarity = Z[block] @ Z[train].T  # (B, n)
        if leave_out_self:
            similarity[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        nearest = _largest(similarity, max(ks))  # (B, k)
        closest = np.take_along_axis(similarity, nearest, axis=1).astype(np.float64)
        weight = 1.0 + 1e-6 * closest  # decides between equal votes only
        for i, k in enumerate(ks):
            votes = np.zeros((len(block), len(classes)))
            np.add.at(votes, (np.arange(len(block))[:, None], encoded[nearest[:, :k]]), weight[:, :k])
            labels[i, start : start + len(block)] = classes[votes.argmax(axis=1)]
    return labels


def _largest(similarity: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest entries of each row, the largest first: (B, n) -> (B, k)."""
    if k < similarity.shape[1]:
        found = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    else:
        found = np.broadcast_to(np.arange(k), (len(similarity), k))
    order = np.argsort(-np.take_along_axis(similarity, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)
