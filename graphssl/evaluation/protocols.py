"""Protocols: named rules for splits, probe, selection and metric, so that a figure can be compared with another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch_geometric.data import Data

from graphssl.data import dataset_info
from graphssl.errors import ConfigurationError
from graphssl.evaluation.clustering import KMeansClusters
from graphssl.evaluation.labels import is_graph_level
from graphssl.evaluation.links import LinkProbe, RandomLinks
from graphssl.evaluation.neighbours import NeighbourProbe
from graphssl.evaluation.probes import LinearProbe, Probe, SVMProbe, make_probe
from graphssl.evaluation.splits import AllLabelled, GivenSplit, RandomSplit, StratifiedFolds
from graphssl.registry import PROTOCOLS

__all__ = ["Protocol", "default_protocol", "find_protocol", "list_protocols"]


@dataclass(frozen=True)
class Protocol:
    """How embeddings are judged. ``print(protocol)`` says it in words.

    Parameters
    ----------
    name : str
        Registered name.
    level : str
        ``"node"``, ``"graph"`` or ``"any"``.
    splits : callable
        ``(data, y, seed) -> list of Split``; for links ``(data, seed) -> LinkSplit``. Nothing else decides a split, so
        all methods are compared on the same ones.
    probe : Probe, KMeansClusters or LinkProbe
        What is fitted to the embedding.
    metric : str
        The metric that counts: ``accuracy``, ``nmi`` or ``roc_auc``.
    selection : str
        Which labels choose the probe's hyper-parameters. Test labels never do: a probe does not get them.
    spread : str
        What a seed changes, so what the standard deviation is over.
    source : str
        Where the protocol comes from.
    """

    name: str
    level: str
    splits: Callable[..., Any]
    probe: Probe | KMeansClusters | LinkProbe
    metric: str
    selection: str
    spread: str
    source: str

    @property
    def task(self) -> str:
        """``classes``, ``clusters`` or ``links``."""
        return {KMeansClusters: "clusters", LinkProbe: "links"}.get(type(self.probe), "classes")

    def with_probe(self, name: str) -> Protocol:
        """The same splits and metric with another probe, by name: see :data:`graphssl.evaluation.PROBES`."""
        if name == self.probe.name:
            return self
        if self.task == "links" and name in ("dot", "hadamard"):
            return replace(self, probe=LinkProbe(name))
        if self.task != "classes":
            raise ConfigurationError(f"protocol {self.name!r} has no probe {name!r}: leave probe out")
        return replace(self, probe=make_probe(name))

    def __str__(self) -> str:
        lines = [f"protocol {self.name} ({self.level} level)"]
        facts = {
            "splits": self.splits,
            "probe": self.probe,
            "metric": self.metric,
            "selection": self.selection,
            "spread": self.spread,
            "source": self.source,
        }
        return "\n".join([*lines, *(f"  {key:9} {value}" for key, value in facts.items())])


def list_protocols(level: str | None = None) -> list[str]:
    """Names of the protocols, sorted; only those usable at ``level`` (node or graph) if given."""
    return [entry.name for entry in PROTOCOLS if level is None or entry.obj.level in (level, "any")]


def find_protocol(protocol: str | Protocol | None, data: Any) -> Protocol:
    """The protocol of that name, one given as an object, or for None the data's default.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    ConfigurationError
        If the protocol is for another level.
    """
    if protocol is None:
        protocol = default_protocol(data)
    found: Protocol = PROTOCOLS.get(protocol).obj if isinstance(protocol, str) else protocol
    level = "graph" if is_graph_level(data) else "node"
    if found.level not in (level, "any"):
        what = "several graphs" if level == "graph" else "one graph"
        raise ConfigurationError(
            f"protocol {found.name!r} is for {found.level} level, but the data is {what}: "
            f"use one of {', '.join(list_protocols(level))}"
        )
    return found


def default_protocol(data: Any) -> str:
    """Name of the protocol used when none is asked for.

    Parameters
    ----------
    data : str, Data, or several graphs
        A data set's name is looked up. Otherwise: several graphs ``tu-10fold``; one graph with masks of one column
        ``public``, of several ``canonical``; with labels only ``random-10-10-80``; with no label ``links-85-5-10``.
    """
    if isinstance(data, str):
        return dataset_info(data).protocol
    if is_graph_level(data):
        return "tu-10fold"
    assert isinstance(data, Data)
    masks = [data.get(name) for name in ("train_mask", "val_mask", "test_mask")]
    if all(mask is not None for mask in masks):
        return "canonical" if any(mask.dim() > 1 for mask in masks) else "public"
    return "links-85-5-10" if data.get("y") is None else "random-10-10-80"


_VALIDATION = "validation labels"
_INSIDE = "cross-validation inside the training rows"
_RETRAINED = "retrained encoder"
_RESPLIT = "retrained encoder and split"


def _add(name: str, level: str, splits: Any, probe: Any, metric: str, selection: str, spread: str, source: str) -> None:
    PROTOCOLS.register(name)(Protocol(name, level, splits, probe, metric, selection, spread, source))


_add(
    "public", "node", GivenSplit(), LinearProbe(), "accuracy", _VALIDATION, _RETRAINED,
    "Yang et al. 2016: 20 training nodes a class, 500 validation, 1000 test; multinomial logistic regression",
)  # fmt: skip
_add(
    "canonical", "node", GivenSplit(), LinearProbe(), "accuracy", _VALIDATION, _RESPLIT,
    "the split published with the data set (Geom-GCN's ten for WebKB and Actor)",
)  # fmt: skip
_add(
    "random-10-10-80", "node", RandomSplit(0.1, 0.1), LinearProbe(), "accuracy", _VALIDATION, _RESPLIT,
    "Zhu et al. 2021 (GCA), section 4.1",
)  # fmt: skip
_add(
    "random-10-90", "node", RandomSplit(0.1, 0.0), make_probe("one-vs-rest"), "accuracy", _INSIDE, _RESPLIT,
    "Zhu et al. 2020 (GRACE), section 4.1: unit rows, one-vs-rest, C in 2^-10..2^9",
)  # fmt: skip
_add(
    "node-10fold", "node", StratifiedFolds(10), LinearProbe(), "accuracy", _INSIDE, _RESPLIT,
    "Ribeiro et al. 2017 and Qiu et al. 2020 (GCC) on the airports: stratified 10-fold; their C is fixed",
)  # fmt: skip
_add(
    "tu-10fold", "graph", StratifiedFolds(10), SVMProbe(), "accuracy", _INSIDE, _RESPLIT,
    "Sun et al. 2020 (InfoGraph), section 5.1: SVM, C in 1e-3..1e3",
)  # fmt: skip
_add(
    "knn", "any", RandomSplit(0.1, 0.1), NeighbourProbe(), "accuracy", _VALIDATION, _RESPLIT,
    "k nearest training rows by cosine, no training",
)  # fmt: skip
_add(
    "kmeans", "any", AllLabelled(), KMeansClusters(), "nmi", "none: as many clusters as classes", _RETRAINED,
    "k-means with 10 starts on unit rows, scored by NMI and ARI",
)  # fmt: skip
_add(
    "links-85-5-10", "node", RandomLinks(0.05, 0.1), LinkProbe(), "roc_auc", "validation edges", _RESPLIT,
    "Kipf and Welling 2016 (GAE), section 3: trained without the hidden edges; dot product, AUC and AP",
)  # fmt: skip
