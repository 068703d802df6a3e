"""Judge one embedding by one protocol for one seed: the step that everything else repeats."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphssl.data import num_nodes
from graphssl.errors import ConfigurationError
from graphssl.evaluation.clustering import KMeansClusters
from graphssl.evaluation.labels import as_embedding, read_labels
from graphssl.evaluation.links import LinkProbe
from graphssl.evaluation.probes import Probe
from graphssl.evaluation.protocols import Protocol, find_protocol
from graphssl.evaluation.splits import Split

__all__ = ["evaluate_embedding", "training_data"]


def training_data(data: Any, protocol: str | Protocol | None = None, seed: int = 0) -> Any:
    """What a method may be trained on for a seed: the data itself, or for links the graph without the hidden edges."""
    found = find_protocol(protocol, data)
    return found.splits(data, seed).graph if found.task == "links" else data


def evaluate_embedding(
    Z: Any, data: Any, protocol: str | Protocol | None = None, seed: int = 0, *, probe: str | None = None
) -> list[dict[str, Any]]:
    """Score an embedding.

    Parameters
    ----------
    Z : array or Tensor, shape (N, D), or (G, D) for several graphs
        Rows in the order of the data. For ``links-85-5-10`` it must come from :func:`training_data` of the same seed.
    data : Data or sequence of Data
        Labels and masks are read from it.
    protocol : str or Protocol, optional
        See :func:`graphssl.evaluation.default_protocol`.
    seed : int
        Decides the split; with the labels, nothing else does.
    probe : str, optional
        Another probe than the protocol's.

    Returns
    -------
    list of dict
        One row a metric, the protocol's own first: ``protocol``, ``probe``, ``metric``, ``seed``, ``value`` and
        ``valid_value`` (fractions; the latter None where nothing is selected), ``chosen`` (hyper-parameters), and for
        protocols with folds ``fold_values`` and one entry a fold in ``chosen``.

    Raises
    ------
    ConfigurationError
        If rows, labels or masks do not fit together, or an entry is not finite.
    """
    found = find_protocol(protocol, data)
    if probe is not None:
        found = found.with_probe(probe)
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed must be in [0, 2**32), got {seed}")
    if isinstance(found.probe, LinkProbe):
        rows = found.probe(as_embedding(Z, num_nodes(data)), found.splits(data, seed))
    else:
        y = read_labels(data)
        Z, splits = as_embedding(Z, len(y)), found.splits(data, y, seed)
        if isinstance(found.probe, KMeansClusters):
            rows = _clusters(Z, y, splits[0].test, found.probe, seed)
        else:
            rows = [_classes(Z, y, splits, found.probe, seed)]
    return [{"protocol": found.name, "seed": seed, **row} for row in rows]


def _clusters(Z: np.ndarray, y: np.ndarray, rows: np.ndarray, probe: KMeansClusters, seed: int) -> list[dict[str, Any]]:
    scores = probe(Z[rows], y[rows], seed=seed)
    return [
        {"probe": probe.name, "metric": metric, "value": value, "valid_value": None, "chosen": {}}
        for metric, value in scores.items()
    ]


def _classes(Z: np.ndarray, y: np.ndarray, splits: list[Split], probe: Probe, seed: int) -> dict[str, Any]:
    values, valid, chosen = [], [], []
    for split in splits:
        visible = y.copy()
        visible[split.test] = -1  # a probe that does not get the test labels cannot choose by them
        prediction = probe(Z, visible, split, seed=seed)
        values.append(float(np.mean(prediction.labels == y[split.test])))
        valid.append(prediction.valid_value)
        chosen.append(prediction.chosen)
    row: dict[str, Any] = {
        "probe": probe.name,
        "metric": "accuracy",
        "value": float(np.mean(values)),
        "valid_value": float(np.mean(valid)),
    }
    if len(splits) == 1:
        return {**row, "chosen": chosen[0]}
    return {**row, "chosen": _by_fold(chosen), "fold_values": values}


def _by_fold(chosen: list[dict[str, float]]) -> dict[str, list[float]]:
    keys = {key: None for entry in chosen for key in entry}
    return {key: [entry.get(key, float("nan")) for entry in chosen] for key in keys}
