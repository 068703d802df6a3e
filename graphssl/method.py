"""What a method is: parts in, ``loss`` and ``embed`` out; a recipe is the numbers it was run with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from graphssl.checks import whole_number
from graphssl.errors import ConfigurationError, GraphSSLError, UnknownOptionError, nearest, unknown_name
from graphssl.registry import METHODS

__all__ = [
    "Method",
    "Recipe",
    "create_method",
    "list_methods",
    "method_options",
    "method_recipes",
    "register",
    "seeded",
]

LEVELS = ("node", "graph", "edge", "image", "text", "image-text", "any")
T = TypeVar("T")


class Method(nn.Module):
    """Base of all methods. A subclass is final and gives ``loss`` and ``embed``.

    ``batch`` is what the encoder takes: a :class:`torch_geometric.data.Data` holding one graph or
    several (a ``Batch``) for graph methods.
    """

    #: Can data be embedded that the method was not trained on?
    inductive: bool = True
    #: Does it read node features? If not, graphs of any features can be embedded.
    reads_features: bool = True
    #: Do embeddings follow a relabelling of the nodes? Not where a node's number names a row or a random stream.
    equivariant: bool = True

    def loss(self, batch: Any) -> Tensor:
        """The training objective on one batch, shape ``()``."""
        raise NotImplementedError

    def embed(self, batch: Any) -> Tensor:
        """Embeddings, shape ``(N, D)``, or ``(G, D)`` at graph level. Deterministic in ``eval`` mode."""
        raise NotImplementedError

    def prepare(self, data: T) -> T:
        """Work done once before training (a diffusion, a partition). The default changes nothing."""
        return data

    def batches(self, data: Any, *, batch_size: int | None, seed: int) -> Any:
        """Epochs of batches by the method's own sampler (see ``graphssl.training.batches.Batches``), or None.

        None: the standard ones. A :class:`graphssl.samplers.Loader` is what is wanted here.
        """
        return None

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step with the fraction of training done, in [0, 1]."""


@dataclass(frozen=True)
class Recipe:
    """The numbers for one method on one data set, with where they come from.

    Parameters
    ----------
    options : mapping
        Arguments of the method's ``from_options``.
    training : mapping
        Arguments of :func:`graphssl.train`: ``steps`` or ``epochs``, ``lr``, ``weight_decay``, ...
    features : str
        How node features are made: a kind known to :func:`graphssl.data.with_features`.
    source : str
        Where each number comes from: table, section, or file.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    features: str = "auto"
    source: str = ""


def register(name: str, *, level: str, paper: str = "", tags: Iterable[str] = ()) -> Callable[[T], T]:
    """Register a method: a :class:`Method` class with a ``from_options`` classmethod, or a function that builds one.

    The signature of ``from_options`` (or of the function) after ``data`` is the list of the method's
    options. A module-level ``RECIPES`` dictionary beside it holds its recipes by data set name;
    ``RECIPES["default"]`` is used for every other data set.
    """
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    return METHODS.register(name, level=level, paper=paper, tags=tuple(tags))


def list_methods(level: str | None = None, tag: str | None = None) -> list[str]:
    """Names of the registered methods, sorted.

    Parameters
    ----------
    level : str, optional
        Only methods of this level: node, graph, edge, image, text, image-text or any.
    tag : str, optional
        Only methods with this tag: contrastive, generative, predictive, ...
    """
    if level is not None and level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    tags = {known for entry in METHODS for known in entry.info["tags"]}
    if tag is not None and tag not in tags:
        raise unknown_name("tag", tag, tags)
    return [e.name for e in METHODS if level in (None, e.info["level"]) and (tag is None or tag in e.info["tags"])]


def _factory(name: str) -> Callable[..., Method]:
    obj: Any = METHODS.get(name).obj
    return getattr(obj, "from_options", obj)


def method_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a method: the parameters of its factory after ``data``, by name."""
    parameters = list(inspect.signature(_factory(name)).parameters.values())[1:]
    return {parameter.name: parameter for parameter in parameters}


def method_recipes(name: str) -> dict[str, Recipe]:
    """The recipes of a method by data set name."""
    return dict(getattr(METHODS.get(name).module, "RECIPES", {}))


def create_method(name: str, data: Any, *, seed: int = 0, **options: Any) -> Method:
    """Build a method for a data set.

    Parameters
    ----------
    name : str
        A registered name; see :func:`list_methods`.
    data : Data or list of Data
        Sizes (number of features, of nodes) are read from it; it is not kept or changed.
    seed : int
        Seed of the parameters. The caller's random state is neither used nor changed.
    **options
        Options of the method; see :func:`method_options`.

    Returns
    -------
    Method
        A module with ``loss(batch)`` and ``embed(batch)``.

    Raises
    ------
    UnknownNameError, UnknownOptionError
        With the nearest known name.
    """
    factory = _factory(name)
    known = method_options(name)
    for option in options:
        if option not in known:
            close = nearest(option, known)
            hint = f"did you mean {close!r}? " if close else ""
            raise UnknownOptionError(f"method {name!r} has no option {option!r}: {hint}its options: {', '.join(known)}")
    missing = [p.name for p in known.values() if p.default is p.empty and p.name not in options]
    if missing:
        level = METHODS.get(name).info["level"]
        hint = "; methods of level 'any' take their parts in Python" if level == "any" else ""
        raise GraphSSLError(f"method {name!r} needs the option(s) {', '.join(missing)}{hint}")
    with seeded(seed):
        return factory(data, **options)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block on its own torch random stream; the caller's stream is restored afterwards.

    Raises
    ------
    ConfigurationError
        If ``seed`` is no whole number, or one beyond 64 bits.
    """
    seed = whole_number("seed", seed)
    if not -(2**63) <= seed < 2**64:
        raise ConfigurationError(f"expected a seed of 64 bits, got {seed}")
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
