"""From a method's name to a trained method: recipe, features, options, seed, all written down."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch_geometric.data import Data

from graphssl.data import check_graph, graph_source, resolve_features, with_features
from graphssl.encoders.base import whole_graph_reason
from graphssl.errors import ConfigurationError, unknown_name
from graphssl.method import Method, Recipe, create_method, method_options, method_recipes
from graphssl.registry import METHODS
from graphssl.training.batches import is_graph_list, without_labels
from graphssl.training.history import History
from graphssl.training.loop import embed_data, train

__all__ = ["Fitted", "Settings", "fit", "resolve_settings"]


@dataclass(frozen=True)
class Settings:
    """Every number of a run, resolved: what the recipe says, what the caller changed.

    Attributes
    ----------
    method, recipe : str
        ``recipe`` is the name of the recipe used; ``default`` when there is none for the data set.
    options, training : dict
        Arguments of ``create_method`` and of :func:`graphssl.train`.
    features : str
        Kind of node features, see :func:`graphssl.data.with_features`.
    source : str
        Where the recipe's numbers come from.
    """

    method: str
    recipe: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    features: str = "auto"
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; a module given as an option is named by its class."""
        return json.loads(json.dumps(asdict_shallow(self), default=jsonable))

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change when any number does."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def asdict_shallow(settings: Settings) -> dict[str, Any]:
    """Fields as a dictionary, without copying modules."""
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def jsonable(value: Any) -> Any:
    """What JSON has no form for: numpy's numbers as Python's, anything else as the same text in every process."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value) if isinstance(value, nn.Module) else str(value), flags=re.I)


def resolve_settings(
    name: str,
    *,
    dataset: str | None = None,
    protocol: str | None = None,
    encoder: str | nn.Module | None = None,
    recipe: str | None = "auto",
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    features: str | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
) -> Settings:
    """Resolve a recipe and the caller's changes into :class:`Settings`.

    Parameters
    ----------
    dataset : str, optional
        Its recipe is used when ``recipe`` is ``"auto"``.
    protocol : str, optional
        A recipe named ``dataset:protocol`` goes before the data set's.
    recipe : str or None
        ``"auto"``, the name of one of the method's recipes, or None (or ``"none"``) for its defaults.
    options, training : mapping, optional
        Override the recipe's entries.
    """
    recipes = method_recipes(name)
    if recipe == "auto":
        chosen = next((key for key in (f"{dataset}:{protocol}", dataset) if key in recipes), "default")
    elif recipe in (None, "none"):
        chosen = "default"
    elif recipe in recipes:
        chosen = recipe
    else:
        raise unknown_name(f"recipe of {name!r}", str(recipe), [*recipes, "none"])
    base = recipes.get(str(chosen), Recipe())
    default = recipes.get("default", Recipe())
    merged = {**base.options, **(options or {})}
    if encoder is not None and encoder != merged.get("encoder", _default_encoder(name)):
        merged["encoder"] = encoder
        if "encoder_options" not in (options or {}):  # the recipe's belong to the recipe's encoder
            merged.pop("encoder_options", None)
    numbers = {**default.training, **base.training, **(training or {})}
    if "steps" in (training or base.training):
        numbers.pop("epochs", None)
    elif "epochs" in (training or base.training):
        numbers.pop("steps", None)
    if max_steps is not None:
        numbers["max_steps"] = max_steps
    if batch_size is not None:
        numbers["batch_size"] = batch_size
    return Settings(name, str(chosen), merged, numbers, features or base.features, base.source)


def _default_encoder(name: str) -> Any:
    option = method_options(name).get("encoder")
    return None if option is None else option.default


@dataclass
class Fitted:
    """A trained method with how it came to be."""

    method: Method
    history: History
    settings: Settings
    data: Any
    device: str | torch.device

    def embed(self, data: Any = None) -> np.ndarray:
        """Embeddings as float32, shape (N, D) or (G, D): of the training data, or of other data.

        With ``batch_size``, in blocks of nodes. A graph in memory is embedded whole where the encoder needs it
        (``norm="graph"``, a PyG module).
        """
        if data is None:
            data = self.data
        elif self.method.reads_features:
            data = with_features(_readable(data), self.settings.features)
        batch_size = self.settings.training.get("batch_size")
        if isinstance(data, Data) and whole_graph_reason(self.method):
            batch_size = None
        return embed_data(self.method, data, batch_size=batch_size, device=self.device).float().numpy()


def _made_with(settings: Settings) -> dict[str, Any]:
    """All options of the method, defaults included, and what else its parameters were made from."""
    defaults = {name: option.default for name, option in method_options(settings.method).items()}
    made = replace(settings, options={**defaults, **settings.options}).to_dict()
    return {**made["options"], "method": made["method"], "features": made["features"]}


def _readable(data: Any) -> Any:
    """Graphs in memory as they are; what reads a graph that comes as stores."""
    return data if isinstance(data, Data) or is_graph_list(data) else graph_source(data)


def fit(
    name: str,
    data: Any,
    *,
    dataset: str | None = None,
    protocol: str | None = None,
    encoder: str | nn.Module | None = None,
    recipe: str | None = "auto",
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    features: str | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Fitted:
    """Create a method by name and train it on one graph or a list of graphs.

    ``seed`` seeds both the parameters and the training. Arguments before it are those of
    :func:`resolve_settings`; the rest are passed to :func:`graphssl.train`.

    Returns
    -------
    Fitted
    """
    settings = resolve_settings(
        name, dataset=dataset, protocol=protocol, encoder=encoder, recipe=recipe, options=options, training=training,
        features=features, max_steps=max_steps, batch_size=batch_size,
    )  # fmt: skip
    level = METHODS.get(name).info["level"]
    if level == "graph" and not is_graph_list(data):
        raise ConfigurationError(
            f"{name!r} embeds whole graphs and needs a list of graphs, got one graph; "
            "for the nodes of one graph use a method of level 'node', such as dgi"
        )
    data = _readable(data)
    if isinstance(data, Data) or is_graph_list(data):
        for graph in [data] if isinstance(data, Data) else data:
            check_graph(graph)
    data = without_labels(data)
    if getattr(METHODS.get(name).obj, "reads_features", True):
        settings = replace(settings, features=resolve_features(data, settings.features))
        data = with_features(data, settings.features)
    method = create_method(name, data, seed=seed, **settings.options)
    history = train(
        method, data, seed=seed, device=device, checkpoint=checkpoint, options=_made_with(settings), progress=progress,
        **settings.training,
    )  # fmt: skip
    return Fitted(method, history, settings, data, device)
