"""Link prediction: hide some edges, train without them, and rank them against pairs that are no edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import num_nodes
from graphssl.errors import ConfigurationError
from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.solver import logistic_path

__all__ = ["LinkProbe", "LinkSplit", "RandomLinks"]


@dataclass(frozen=True)
class LinkSplit:
    """Edges of a graph divided in three, each part with as many pairs that are no edge.

    Attributes
    ----------
    graph : Data
        The graph with training edges only; labels, features and node order as before.
    train, val, test : (2, n) int64
        Undirected edges, each once, smaller node first.
    train_negatives, val_negatives, test_negatives : (2, n) int64
        Pairs of distinct nodes that are no edge of the whole graph; no pair occurs twice in the three parts.
    """

    graph: Data
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    train_negatives: np.ndarray
    val_negatives: np.ndarray
    test_negatives: np.ndarray


@dataclass(frozen=True)
class RandomLinks:
    """Uniform over undirected edges; loops are left out.

    Parameters
    ----------
    val, test : float
        Fractions, rounded down, at least one edge each; the rest is for training.
    """

    val: float = 0.05
    test: float = 0.1

    def __call__(self, data: Data, seed: int) -> LinkSplit:
        """The split of a seed: a function of the seed and the edges."""
        if not isinstance(data, Data) or data.get("batch") is not None:
            raise ConfigurationError("links are predicted inside one graph, got several: pass a single Data")
        nodes = num_nodes(data)
        source, target = data.edge_index.cpu().numpy()
        key = np.minimum(source, target) * nodes + np.maximum(source, target)  # (E,)
        edges = np.unique(key[source != target])
        n_val, n_test = max(1, int(self.val * len(edges))), max(1, int(self.test * len(edges)))
        pairs = nodes * (nodes - 1) // 2
        if len(edges) < n_val + n_test + 1 or pairs < 2 * len(edges):
            raise ConfigurationError(
                f"{len(edges)} undirected edges among {nodes} nodes cannot be split with equal negatives: "
                "at least 3 edges and as many pairs that are no edge are needed"
            )
        random = np.random.RandomState(seed)
        order = edges[random.permutation(len(edges))]
        negatives = _non_edges(edges, nodes, random)
        kept = np.isin(key, order[n_val + n_test :]) & (source != target)
        cuts = [n_val, n_val + n_test]
        val, test, train = (np.stack(np.divmod(part, nodes)) for part in np.split(order, cuts))
        no_val, no_test, no_train = (np.stack(np.divmod(part, nodes)) for part in np.split(negatives, cuts))
        return LinkSplit(_with_edges(data, torch.from_numpy(kept)), train, val, test, no_train, no_val, no_test)

    def __str__(self) -> str:
        train = 1 - self.val - self.test
        return f"{train:.0%} / {self.val:.0%} / {self.test:.0%} of the undirected edges, with equal negatives"


@dataclass(frozen=True)
class LinkProbe:
    """Two ways to score a pair of embeddings: their dot product, and a logistic regression on their product.

    Parameters
    ----------
    name : str
        The one that counts: ``dot`` as published for GAE, or ``hadamard``.
    grid : sequence of float
        Values of C of the logistic regression; chosen by AUC on the validation pairs.
    max_edges : int
        Training edges that the regression is fitted to, with as many negatives; the split's order is random.
    """

    name: str = "dot"
    grid: Sequence[float] = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    max_edges: int = 10_000

    def __call__(self, Z: np.ndarray, split: LinkSplit) -> list[dict[str, Any]]:
        """Rows of both, each by ``roc_auc`` and ``average_precision``; the one that counts comes first."""
        dot = {part: _dot(Z, *_pairs(split, part)) for part in ("val", "test")}
        rows = _rows("dot", dot["val"], dot["test"], split, {})
        unit = scaled(Z, np.arange(len(Z)), "l2")
        parts = {"train": self.max_edges, "val": None, "test": None}
        train, val, test = (_hadamard(unit, *_pairs(split, part, limit)) for part, limit in parts.items())
        rows_of_train = np.arange(len(train))
        stacked = scaled(np.concatenate([train, val, test]), rows_of_train, "global")  # statistics of training pairs
        train, val, test = np.split(stacked, np.cumsum([len(train), len(val)]))
        # one score says both: a second class would double the work
        path = logistic_path(train, _truth(train)[:, None], self.grid, loss="one-vs-rest", tol=1e-3)
        weight = path[:, :, 0]  # (C, D + 1)
        scores = [val @ w[:-1] for w in weight]
        best = int(np.argmax([roc_auc_score(_truth(val), s) for s in scores]))
        chosen = {"C": float(self.grid[best])}
        rows += _rows("hadamard", scores[best], test @ weight[best, :-1], split, chosen)
        return sorted(rows, key=lambda row: row["probe"] != self.name)

    def __str__(self) -> str:
        return f"{self.name} (reported: dot product, and logistic regression on the product of both rows)"


def _non_edges(edges: np.ndarray, nodes: int, random: np.random.RandomState) -> np.ndarray:
    """As many distinct keys ``smaller * nodes + larger`` as there are edges, none of them an edge."""
    count = len(edges)
    if nodes * (nodes - 1) // 2 < 4 * count:  # dense: rejection would be slow, and listing all pairs is cheap
        low, high = np.triu_indices(nodes, k=1)
        free = np.setdiff1d(low * nodes + high, edges)
        return free[random.permutation(len(free))[:count]]
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        a, b = random.randint(0, nodes, size=(2, 2 * count))
        key = np.minimum(a, b) * nodes + np.maximum(a, b)
        key = np.concatenate([found, key[(a != b) & ~np.isin(key, edges)]])
        _, first = np.unique(key, return_index=True)
        found = key[np.sort(first)]
    return found[:count]


def _with_edges(data: Data, kept: Tensor) -> Data:
    """A copy of the graph with the edges of a mask; every other edge-level tensor follows."""
    new = copy.copy(data)
    edges = data.num_edges
    kept = kept.to(data.edge_index.device)
    for key, value in data.to_dict().items():
        if key == "edge_index":
            new[key] = value[:, kept]
        elif isinstance(value, Tensor) and value.dim() and value.size(0) == edges and data.is_edge_attr(key):
            new[key] = value[kept]
    if data.get("x") is None:
        new.num_nodes = num_nodes(data)  # a node may have lost its last edge
    return new


def _pairs(split: LinkSplit, part: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the first ``limit`` positives, then of as many negatives: (2 n,), (2 n,)."""
    both = np.concatenate([getattr(split, name)[:, :limit] for name in (part, f"{part}_negatives")], axis=1)
    return both[0], both[1]


def _truth(rows: np.ndarray) -> np.ndarray:
    """First half edges, second half none."""
    return np.arange(len(rows)) < len(rows) // 2


def _dot(Z: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", Z[a].astype(np.float64), Z[b])


def _hadamard(Z: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return Z[a] * Z[b]


def _rows(
    probe: str, val: np.ndarray, test: np.ndarray, split: LinkSplit, chosen: dict[str, float]
) -> list[dict[str, Any]]:
    return [
        {
            "probe": probe,
            "metric": metric,
            "value": float(score(_truth(test), test)),
            "valid_value": float(score(_truth(val), val)),
            "chosen": chosen,
        }
        for metric, score in (("roc_auc", roc_auc_score), ("average_precision", average_precision_score))
    ]
