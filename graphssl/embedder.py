"""The scikit-learn surface: graphs in, embeddings out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch_geometric.data import Data

from graphssl.data import num_features, num_nodes, to_graphs, with_features
from graphssl.errors import (
    ConfigurationError,
    CorruptFileError,
    InvalidGraphError,
    MissingFileError,
    NotInductiveError,
    StorageError,
    UnknownOptionError,
    nearest,
)
from graphssl.method import create_method, list_methods, method_options
from graphssl.registry import METHODS
from graphssl.sources import atomic_write
from graphssl.training import Fitted, History, Settings, embed_data, fit, resolve_device
from graphssl.training.fit import jsonable

__all__ = ["Embedder"]

FORMAT = 1
SHIPPED = Path(__file__).parent / "pretrained"


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embed the nodes of a graph, or whole graphs, with a self-supervised method.

    Parameters
    ----------
    method : str
        A registered method, see :func:`graphssl.list_methods`.
    encoder : str or Module, optional
        gcn, gin, sage, gat, mlp, or any PyG module; the method's default when left out.
    recipe : str, optional
        Use the numbers published for this data set (``"cora"``) instead of the method's defaults.
    max_steps : int, optional
        An upper bound on the optimiser steps; 0 embeds with an untrained encoder.
    batch_size : int, optional
        Graphs in a batch, for lists of graphs. For one graph: train on batches of so many nodes with sampled
        neighbours, and embed in blocks; without it, the graph is used whole.
    features : str
        How node features are made, see :func:`graphssl.data.with_features`; ``"auto"`` is what the recipe says,
        else the given ones, else degrees.
    device : str
        auto, cpu, cuda, cuda:0, ...
    random_state : int
        Seed of parameters and training. Equal seeds give equal embeddings.
    **options
        Any option of the method's ``from_options``.

    Attributes
    ----------
    method_ : Method
        The trained module.
    history_ : History
        Losses and collapse measures.
    settings_ : Settings
        Every number of the run.
    node_ids_ : ndarray or None
        Identifiers of the rows, for inputs that have them (networkx, edge lists).
    n_features_in_ : int
        Columns of the features the encoder was built for; 0 where the method reads none.

    Notes
    -----
    ``GridSearchCV`` works for lists of graphs. One graph cannot be split into folds: compare settings of a method on it
    with ``graphssl compare`` or :func:`graphssl.evaluate`, which choose nothing on test labels.

    Examples
    --------
    >>> import graphssl
    >>> data = graphssl.load_dataset("karate")
    >>> graphssl.Embedder("dgi", hidden_channels=16, max_steps=20).fit_transform(data).shape
    (34, 16)
    """

    n_features_in_: int

    def __init__(
        self,
        method: str = "dgi",
        *,
        encoder: str | nn.Module | None = None,
        recipe: str | None = None,
        max_steps: int | None = None,
        batch_size: int | None = None,
        features: str = "auto",
        device: str = "auto",
        random_state: int = 0,
        **options: Any,
    ) -> None:
        self.method = method
        self.encoder = encoder
        self.recipe = recipe
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.features = features
        self.device = device
        self.random_state = random_state
        self.options = options

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The named arguments and the method options that were given."""
        return {**super().get_params(deep=deep), **self.options}

    def set_params(self, **params: Any) -> Embedder:
        """Set named arguments and method options; an unknown one is refused with the nearest known name."""
        named = set(super().get_params(deep=False))
        known = method_options(params.get("method", self.method))
        for key, value in params.items():
            if key in named:
                setattr(self, key, value)
            elif key in known:
                self.options = {**self.options, key: value}
            else:
                close = nearest(key, [*named, *known])
                hint = f"; did you mean {close!r}?" if close else ""
                raise UnknownOptionError(f"Embedder({self.method!r}) has no parameter {key!r}{hint}")
        return self

    def fit(self, X: Any, y: Any = None) -> Embedder:
        """Train on a graph or a list of graphs; ``y`` is ignored.

        Parameters
        ----------
        X : graph(s)
            A PyG ``Data``, a list or data set of ``Data``, a networkx graph, a scipy sparse adjacency,
            ``(x, edge_index)``, a DiskGraph or ``(FeatureStore, GraphStore)`` (with ``batch_size``), or the path of an
            edge list (.csv, .tsv, .txt, .npz).

        Raises
        ------
        GraphSSLError
            For input that cannot be used; the message says why.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Train, and embed what was trained on: float32, shape (num_nodes, D), or (num_graphs, D) at graph level."""
        return self._fit(X).embed()

    def transform(self, X: Any) -> np.ndarray:
        """Embed a graph or graphs with the trained encoder.

        Raises
        ------
        NotInductiveError
            If the method can only embed what it was trained on.
        InvalidGraphError
            If the number of features differs from that of the training data.
        """
        check_is_fitted(self)
        if not self.method_.inductive:
            same_level = list_methods(level=METHODS.get(self.method).info["level"])
            others = ", ".join([name for name in same_level if getattr(METHODS.get(name).obj, "inductive", True)][:4])
            raise NotInductiveError(
                f"{self.method!r} learns one vector for each training node and cannot embed new data: "
                f"use fit_transform, or an inductive method such as {others}"
            )
        inputs = to_graphs(X, features=None)
        data = with_features(inputs.data, self.settings_.features) if self.method_.reads_features else inputs.data
        if self.method_.reads_features and num_features(data) != self.n_features_in_:
            raise InvalidGraphError(
                f"the encoder was trained on {self.n_features_in_} features a node, got {num_features(data)}: "
                "embed data with the same feature columns"
            )
        self.node_ids_ = inputs.node_ids
        return Fitted(self.method_, self.history_, self.settings_, data, self.device).embed()

    def _fit(self, X: Any) -> Fitted:
        inputs = to_graphs(X, features=None)
        fitted = fit(
            self.method, inputs.data, encoder=self.encoder, recipe=self.recipe, options=self.options,
            features=None if self.features == "auto" else self.features,
            max_steps=self.max_steps, batch_size=self.batch_size, seed=self.random_state, device=self.device,
        )  # fmt: skip
        self.method_, self.history_, self.settings_ = fitted.method, fitted.history, fitted.settings
        self.node_ids_ = inputs.node_ids
        self.n_features_in_ = num_features(fitted.data) if self.method_.reads_features else 0
        self._num_nodes = 0 if isinstance(inputs.data, list) else num_nodes(fitted.data)
        return fitted

    @property
    def _n_features_out(self) -> int:
        """D, read by scikit-learn's set_output and get_feature_names_out."""
        stub: Any = _stub(self.n_features_in_, self._num_nodes)
        stub = [stub] if METHODS.get(self.method).info["level"] == "graph" else stub
        return embed_data(self.method_, stub, device=self.device).size(1)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``; no pickle is involved.

        Raises
        ------
        ConfigurationError
            If an option is an object that JSON cannot hold, such as an encoder module.
        StorageError
            If the disk is full; what stood there before is kept.
        """
        check_is_fitted(self)
        options = {"encoder": self.encoder, **self.settings_.options}
        for name, value in options.items():
            if isinstance(value, nn.Module) or callable(value):
                raise ConfigurationError(
                    f"option {name!r} is an object ({type(value).__name__}) and cannot be written as JSON: "
                    "save method_.state_dict() instead, or use an encoder by name"
                )
        config = {
            "format": FORMAT,
            "parameters": self.get_params(deep=False),
            "settings": self.settings_.to_dict(),
            "history": self.history_.to_dict(),
            "n_features_in": self.n_features_in_,
            "num_nodes": self._num_nodes,
        }
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {str(folder)!r}: {error.strerror or error}") from error
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in self.method_.state_dict().items()}
        with atomic_write(path / "model.safetensors") as temporary:
            save_file(tensors, str(temporary))
        with atomic_write(path / "config.json") as temporary:
            Path(temporary).write_text(json.dumps(config, indent=2, default=jsonable), encoding="utf-8")

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str = "auto") -> Embedder:
        """Load a saved embedder; it gives bit-equal embeddings on the same device.

        Parameters
        ----------
        name : str or path
            A folder written by :meth:`save_pretrained`, or the name of an encoder that comes with the package:
            ``"gcc-small"``.

        Raises
        ------
        MissingFileError, CorruptFileError

        Examples
        --------
        >>> import graphssl
        >>> gcc = Embedder.from_pretrained("gcc-small", device="cpu")
        >>> gcc.transform(graphssl.load_dataset("karate")).shape
        (34, 64)
        """
        folder, files = Path(name), ("config.json", "model.safetensors")
        if not any((folder / file).exists() for file in files) and (SHIPPED / str(name)).is_dir():
            folder = SHIPPED / str(name)
        for file in files:
            if not (folder / file).is_file():
                shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob("*/config.json")))
                raise MissingFileError(
                    f"no {file} in {str(name)!r}: expected a folder written by Embedder.save_pretrained, or one of the "
                    f"encoders that come with the package: {shipped}"
                )
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            tensors = load_file(str(folder / "model.safetensors"))
            parameters, settings = config["parameters"], Settings(**config["settings"])
            history, columns, nodes = History(**config["history"]), config["n_features_in"], config["num_nodes"]
        except (json.JSONDecodeError, KeyError, TypeError, SafetensorError) as error:
            raise CorruptFileError(
                f"{str(name)!r} is damaged or not a saved embedder ({error}): save it again"
            ) from error
        embedder = cls(**{**parameters, "device": device})
        embedder.method_ = create_method(settings.method, _stub(columns, nodes), **settings.options)
        embedder.method_.load_state_dict(tensors)
        embedder.method_.to(resolve_device(device)).eval()
        embedder.settings_, embedder.history_ = settings, history
        embedder.n_features_in_, embedder._num_nodes, embedder.node_ids_ = columns, nodes, None
        return embedder


def _stub(columns: int, nodes: int) -> Data:
    """A graph of the sizes of the training data: all that a method reads of it when it is built."""
    return Data(x=torch.zeros(max(1, nodes), columns), edge_index=torch.zeros(2, 0, dtype=torch.long))
