"""Evaluate over seeds: each seed another split, and another training where there is something to train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from graphssl.checks import whole_number
from graphssl.data import dataset_info, load_dataset
from graphssl.errors import ConfigurationError, unknown_name
from graphssl.evaluation.controls import CONTROLS
from graphssl.evaluation.protocols import Protocol, find_protocol
from graphssl.evaluation.report import Report
from graphssl.evaluation.scoring import evaluate_embedding, training_data
from graphssl.method import Method
from graphssl.registry import METHODS

__all__ = ["evaluate"]

UNTRAINED = "untrained"


def evaluate(
    target: Any,
    data: Any,
    *,
    protocol: str | Protocol | None = None,
    seeds: int | Sequence[int] = 10,
    encoder: str | nn.Module | None = None,
    recipe: str | None = "auto",
    options: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    device: str = "auto",
    probe: str | None = None,
) -> Report:
    """Judge an embedding, a method or a control by a protocol, over several seeds.

    Parameters
    ----------
    target : array, Tensor, str, Embedder or callable
        - an embedding (N, D) or (G, D): only split and probe are repeated (``std_over == "probe"``; on a fixed split
          the linear probes have one solution, and the standard deviation is 0);
        - a method's name: each seed trains it anew (``std_over == "training"``);
        - ``"raw"``, ``"propagated"``, or ``"untrained:METHOD"``, the method with no training step;
        - an :class:`graphssl.Embedder`: each seed trains a copy anew, with that ``random_state``;
        - a callable ``(data, seed)`` that returns a :class:`graphssl.Method`, a fitted object with ``embed()``, or an
          embedding: called once a seed.
    data : Data, sequence of Data, or str
        With labels; a string is loaded by :func:`graphssl.load_dataset`, and its recipe is used.
    protocol : str or Protocol, optional
        Default: the data set's own, see :func:`graphssl.evaluation.default_protocol`.
    seeds : int or sequence of int
        How many (0, 1, ...), or which. A seed decides the split, the parameters and the training.
    encoder, recipe, options, max_steps, device
        For methods by name; see :func:`graphssl.training.fit`.
    probe : str, optional
        Another probe than the protocol's: ``logistic``, ``logistic-unscaled`` (rows as they are, not of unit length),
        ``one-vs-rest``, ``squared-hinge``, ``ridge``, ``svc``, ``linear-svc``, ``knn``; ``logistic-c1000`` and
        ``svc-c1e5`` are GCC's, without a choice of C.

    Returns
    -------
    Report

    Raises
    ------
    UnknownNameError
        For a method, protocol or probe that is not registered, with the nearest name.
    ConfigurationError
        If target, data and protocol do not fit together. ``links-85-5-10`` refuses an embedding: it cannot be
        known whether it was trained on the hidden edges.

    Examples
    --------
    >>> report = evaluate("raw", "digits-knn", seeds=1)
    >>> report.metric, report.std_over
    ('accuracy', 'probe')
    """
    name = data if isinstance(data, str) else getattr(data, "name", None)
    if isinstance(data, str):
        protocol = protocol or dataset_info(data).protocol
        data = load_dataset(data)
    found = find_protocol(protocol, data)
    found = found if probe is None else found.with_probe(probe)
    chosen = _seeds(seeds)

    def fitted(method: str, seed: int, steps: int | None) -> Any:
        from graphssl.training import fit  # what needs no training works without it

        visible = training_data(data, found, seed)
        return fit(
            method, visible, dataset=name, protocol=found.name,
            encoder=encoder, recipe=recipe, options=options, max_steps=steps, seed=seed,
            device=device,
        ).embed()  # fmt: skip

    std_over = "training"
    embeddings: Iterator[Any]
    if isinstance(target, str) and target in CONTROLS:
        std_over = "probe"
        embeddings = _control(CONTROLS[target], data, found, chosen)
    elif isinstance(target, str):
        base, steps = _method_and_steps(target, max_steps)
        embeddings = (fitted(base, seed, steps) for seed in chosen)
    elif hasattr(target, "fit_transform"):
        fresh = (clone(target).set_params(random_state=seed) for seed in chosen)
        embeddings = (
            one.fit_transform(training_data(data, found, seed)) for seed, one in zip(chosen, fresh, strict=True)
        )
    elif callable(target) and not isinstance(target, nn.Module):
        embeddings = (_embedded(target(training_data(data, found, seed), seed), data, device) for seed in chosen)
    elif isinstance(target, nn.Module):
        raise ConfigurationError(
            "expected an embedding, a name or a callable (data, seed), got a module: "
            "pass its embedding, or a callable that makes and trains one for a seed"
        )
    else:
        std_over = "probe"
        if found.task == "links":
            raise ConfigurationError(
                f"protocol {found.name!r} needs a method's name or a callable (data, seed), got an embedding: "
                "its edges must be hidden while training, and an array does not tell whether they were"
            )
        embeddings = (target for _ in chosen)
    rows = [row for seed, Z in zip(chosen, embeddings, strict=True) for row in evaluate_embedding(Z, data, found, seed)]
    return Report.from_rows(_title(target), rows, protocol=found, std_over=std_over)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    chosen = list(range(seeds)) if isinstance(seeds, int) else [whole_number("seeds", seed) for seed in seeds]
    if not chosen or len(set(chosen)) != len(chosen) or min(chosen) < 0:
        raise ConfigurationError(f"seeds must be a positive number or distinct non-negative seeds, got {seeds!r}")
    return chosen


def _control(
    control: Callable[[Any], np.ndarray], data: Any, protocol: Protocol, seeds: list[int]
) -> Iterator[np.ndarray]:
    """The control's embedding for each seed, computed once where the graph is the same for all."""
    if protocol.task == "links":
        yield from (control(training_data(data, protocol, seed)) for seed in seeds)
        return
    Z = control(data)
    yield from (Z for _ in seeds)


def _method_and_steps(target: str, max_steps: int | None) -> tuple[str, int | None]:
    """The method that a name stands for and its bound on steps; an unknown name raises with the nearest one."""
    first, _, base = target.partition(":")
    method, steps = (base, 0) if first == UNTRAINED else (target, max_steps)
    if first == UNTRAINED and not base:
        raise ConfigurationError("the untrained control needs a method whose encoder it takes: 'untrained:dgi'")
    if method not in METHODS:
        raise unknown_name("method or control", method, [*METHODS.names(), *CONTROLS])
    return method, steps


def _embedded(made: Any, data: Any, device: str) -> Any:
    """The embedding of what a factory returned."""
    if isinstance(made, Method):
        from graphssl.training import embed_data

        return embed_data(made, data, device=device)
    embed = getattr(made, "embed", None)
    return made if embed is None or isinstance(made, torch.Tensor) else embed()


def _title(target: Any) -> str:
    if isinstance(target, str):
        return target
    return getattr(target, "__name__", type(target).__name__) if callable(target) else "array"
