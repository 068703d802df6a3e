"""k-means against the classes: no label is used before the score."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from graphssl.evaluation.scaling import scaled

__all__ = ["KMeansClusters"]


@dataclass(frozen=True)
class KMeansClusters:
    """k-means with as many clusters as classes, on rows of unit length.

    Parameters
    ----------
    name : str
        As written in result rows.
    inits : int
        Starts (k-means++); the one of lowest inertia is kept, which needs no label.
    """

    name: str = "kmeans"
    inits: int = 10

    def __call__(self, Z: np.ndarray, y: np.ndarray, *, seed: int) -> dict[str, float]:
        """Normalised mutual information (arithmetic mean) ``nmi`` and adjusted Rand index ``ari`` with the classes."""
        Z = scaled(Z, np.arange(len(Z)), "l2")
        model = KMeans(n_clusters=len(np.unique(y)), n_init=self.inits, random_state=seed)
        with (
            warnings.catch_warnings()
        ):  # fewer distinct rows than clusters: a collapsed embedding, and its score says so
            warnings.simplefilter("ignore", ConvergenceWarning)
            clusters = model.fit_predict(Z)
        return {
            "nmi": float(normalized_mutual_info_score(y, clusters)),
            "ari": float(adjusted_rand_score(y, clusters)),
        }

    def __str__(self) -> str:
        return f"k-means on unit rows, best inertia of {self.inits} starts"
