"""The training loop: the same for every method, at every level."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch_geometric.data import Data

from graphssl.checks import whole_number
from graphssl.data import NodeBlocks, check_graph
from graphssl.data.blocks import DEFAULT_MEMORY
from graphssl.data.source import describe_graph
from graphssl.encoders.base import whole_graph_reason
from graphssl.errors import ConfigurationError, InvalidGraphError, NonFiniteLossError
from graphssl.method import Method, seeded
from graphssl.training.allocator import keep_memory
from graphssl.training.batches import Batches, GraphBatches, is_graph_list, node_batches, without_labels
from graphssl.training.checkpoint import load_checkpoint, save_checkpoint
from graphssl.training.history import History
from graphssl.training.optim import build_optimizer, learning_rate
from graphssl.training.progress import progress_bar

__all__ = ["embed_data", "resolve_device", "train"]

MEASURED = 10  # collapse measures taken over a run
MEASURED_ROWS = 1024  # rows of the embedding they are taken on
CHECKED_ROWS = 2**16  # rows looked at together: of a mapped file no more than these need to be in memory


def train(
    method: Method,
    data: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    optimizer: str = "adam",
    schedule: str = "constant",
    warmup: float = 0.0,
    clip_norm: float | None = None,
    patience: int | None = None,
    batch_size: int | None = None,
    num_neighbors: Sequence[int] | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    options: Mapping[str, Any] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> History:
    """Train a method in place, without labels.

    Labels and split masks are taken off the data before the method sees it. All randomness comes from
    ``seed``; the caller's random state is neither used nor changed, and ``data`` is not modified.
    Freed memory stays with the process from the second step to the end (:func:`keep_memory`).

    Parameters
    ----------
    method : Method
        Moved to ``device``, left in ``eval`` mode.
    data : Data or list of Data
        One graph, trained on whole, or in shuffled batches of nodes with sampled neighbours when ``batch_size`` is
        given; or many, in shuffled batches. One graph may also be a DiskGraph or (FeatureStore, GraphStore): such a
        graph is read in batches only, and its features are not checked beforehand.
    steps, epochs : int, optional
        Optimiser steps, or passes over the data; 200 steps when neither is given. With one graph they are the same.
    max_steps : int, optional
        An upper bound on the steps; 0 leaves the method untrained. Schedules span the bounded run.
    lr, weight_decay, optimizer
        ``optimizer`` is adam, adamw or sgd.
    schedule, warmup
        See :func:`graphssl.training.optim.learning_rate`.
    clip_norm : float, optional
        Bound on the gradient's norm.
    patience : int, optional
        Stop after this many epochs without a lower mean training loss, and keep the weights of the best one.
    batch_size : int, optional
        Graphs in a batch (default 128), or nodes of one graph (default: all, whole).
    num_neighbors : sequence of int, optional
        With batches of nodes, how many neighbours of a node are sampled at each hop; default 10 for each layer.
    checkpoint : path, optional
        Written every ``checkpoint_every`` steps and at the end. If it exists, training goes on from there, and the
        result equals that of an uninterrupted run bit for bit (on CPU).
    options : mapping, optional
        What the method was made with; kept in the checkpoint, as JSON. Training does not go on from one that was made
        with others. :func:`graphssl.training.fit` gives them.
    on_step : callable, optional
        Called after each step with the step's number and loss.

    Returns
    -------
    History

    Raises
    ------
    InvalidGraphError
        If a graph cannot be used: NaN features, edges out of range, no nodes.
    NonFiniteLossError
        At the first NaN or infinite loss; names the step and the last good checkpoint.
    ConfigurationError
        Settings out of range, a checkpoint made with other settings or options, or a graph that is read in batches and
        an encoder that :func:`embed_data` could not take through blocks of it (``norm="graph"``, a PyG module).
    """
    seed, checkpoint_every = whole_number("seed", seed), whole_number("checkpoint_every", checkpoint_every, 1)
    steps, epochs, max_steps = (
        number if number is None else whole_number(name, number)
        for name, number in (("steps", steps), ("epochs", epochs), ("max_steps", max_steps))
    )
    if steps is not None and epochs is not None:
        raise ConfigurationError("give steps or epochs, not both")
    target = resolve_device(device)
    for graph in data if is_graph_list(data) else [data]:
        if isinstance(graph, Data):
            check_graph(graph)
    with seeded(seed):
        data = method.prepare(without_labels(data))
        loader = _batches(method, data, batch_size=batch_size, num_neighbors=num_neighbors, seed=seed)
        total = epochs * len(loader) if epochs is not None else (200 if steps is None else steps)
        total = total if max_steps is None else min(total, max_steps)
        if total < 0:
            raise ConfigurationError(f"the number of steps must be at least 0, got {total}")
        method.to(target)
        history = History()
        if total == 0:
            method.eval()
            return history
        update = build_optimizer(method.parameters(), name=optimizer, lr=lr, weight_decay=weight_decay)
        settings = dict(
            total=total, lr=lr, weight_decay=weight_decay, optimizer=optimizer, schedule=schedule, warmup=warmup,
            clip_norm=clip_norm, patience=patience, batch_size=loader.batch_size, seed=seed,
        )  # fmt: skip
        if num_neighbors is not None:
            settings["num_neighbors"] = [whole_number("num_neighbors", hop, -1) for hop in num_neighbors]
        if options is not None:
            options = json.loads(json.dumps(dict(options), default=repr))
        fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        best: dict[str, Tensor] | None = None
        best_loss, stale, stopped = math.inf, 0, False
        if checkpoint is not None and Path(checkpoint).is_file():
            check = functools.partial(_check_same, checkpoint, fingerprint, options)
            facts, best = load_checkpoint(checkpoint, method=method, optimizer=update, device=target, check=check)
            options = facts.get("options") if options is None else options
            history = History(**facts["history"])
            best_loss, stale, stopped = facts["best_loss"], facts["stale"], facts["stopped"]

        def save() -> None:
            if checkpoint is not None:
                facts = dict(
                    fingerprint=fingerprint, options=options, history=asdict(history), best_loss=best_loss, stale=stale,
                    stopped=stopped,
                )  # fmt: skip
                save_checkpoint(checkpoint, method=method, optimizer=update, best=best, facts=facts, device=target)

        measure_every, kept = max(1, total // MEASURED), False
        with progress_bar(total, initial=history.steps, enabled=progress) as report, ExitStack() as memory:
            while history.steps < total and not stopped:
                epoch, done = divmod(history.steps, len(loader))
                # A resumed run begins after the batches that have been used.
                for number, batch in enumerate(loader.epoch(epoch, start=done), done):
                    started = time.perf_counter()
                    batch = batch.to(target)
                    method.train()
                    for group in update.param_groups:
                        group["lr"] = learning_rate(history.steps, total, lr=lr, schedule=schedule, warmup=warmup)
                    update.zero_grad(set_to_none=True)
                    loss = method.loss(batch)
                    value = float(loss.detach())
                    if not math.isfinite(value):
                        raise NonFiniteLossError(_non_finite(value, history, epoch, number, checkpoint))
                    loss.backward()
                    if clip_norm is not None:
                        clip_grad_norm_(method.parameters(), clip_norm)
                    update.step()
                    history.loss.append(value)
                    method.after_step(history.steps / total)
                    history.seconds += time.perf_counter() - started
                    if history.steps % measure_every == 0 or history.steps == total:
                        history.measure(_embed(method, batch)[:MEASURED_ROWS])
                    report(history)
                    if not kept:  # not before: what the first step needs to prepare the graph is needed once
                        memory.enter_context(keep_memory())
                        kept = True
                    if on_step is not None:
                        on_step(history.steps, value)
                    if history.steps == total:
                        break
                    if history.steps % checkpoint_every == 0 and history.steps % len(loader) != 0:
                        save()
                if patience is not None and history.steps % len(loader) == 0:
                    mean = sum(history.loss[-len(loader) :]) / len(loader)
                    if mean < best_loss:
                        best_loss, stale, history.best_step = mean, 0, history.steps
                        best = {name: value.detach().clone() for name, value in method.state_dict().items()}
                    else:
                        stale += 1
                        stopped = stale >= patience
                if history.steps % checkpoint_every == 0 and history.steps < total and not stopped:
                    save()
        save()
        if best is not None:
            method.load_state_dict(best)
        method.eval()
        return history


def _batches(
    method: Method, data: Any, *, batch_size: int | None, num_neighbors: Sequence[int] | None, seed: int
) -> Batches:
    """The method's own batches, else the standard ones."""
    own = method.batches(data, batch_size=batch_size, seed=seed)
    if own is not None:
        return own
    if is_graph_list(data) or (batch_size is None and isinstance(data, Data)):
        return GraphBatches(data, batch_size=batch_size, seed=seed)
    if batch_size is None:
        raise ConfigurationError(f"{describe_graph(data)} is read in batches: give batch_size, such as 1024")
    if not isinstance(data, Data) and whole_graph_reason(method):  # what is trained could not be embedded
        raise ConfigurationError(f"{describe_graph(data)} is embedded in blocks of nodes: {whole_graph_reason(method)}")
    return node_batches(data, method=method, batch_size=batch_size, num_neighbors=num_neighbors, seed=seed)


def _check_same(
    checkpoint: str | Path, fingerprint: str, options: Mapping[str, Any] | None, facts: Mapping[str, Any]
) -> None:
    """Raise unless the checkpoint of these facts was made with the same: options are compared where both know them."""
    other = ""
    if facts["fingerprint"] != fingerprint:
        other = "other settings"
    elif options is not None and (kept := facts.get("options")) is not None:
        differ = [name for name in sorted(kept.keys() | options.keys()) if kept.get(name) != options.get(name)]
        if differ:
            other = ", ".join(f"{name}={kept.get(name)!r}, not {options.get(name)!r}" for name in differ)
    if other:
        raise ConfigurationError(f"{checkpoint} was made with {other}: delete it, or train with the same ones")


def _non_finite(value: float, history: History, epoch: int, batch: int, checkpoint: str | Path | None) -> str:
    last = f"the last finite loss was {history.loss[-1]:.4g}" if history.loss else "no step had succeeded"
    kept = (
        f"the last good checkpoint is {checkpoint}"
        if checkpoint and Path(checkpoint).is_file()
        else "no checkpoint was kept"
    )
    return (
        f"the loss became {value} at step {history.steps + 1} (epoch {epoch + 1}, batch {batch + 1}); {last}; {kept}. "
        "Try a lower lr, a higher temperature, or clip_norm=1.0"
    )


def _embed(method: Method, batch: Any) -> Tensor:
    """Embeddings of one batch in eval mode, without touching the random stream."""
    training = method.training
    method.eval()
    with torch.no_grad():
        embedding = method.embed(batch)
    method.train(training)
    return embedding


def embed_data(
    method: Method,
    data: Any,
    *,
    batch_size: int | None = None,
    memory_bytes: int | None = None,
    device: str | torch.device = "auto",
) -> Tensor:
    """Embed a graph, or a list of graphs in blocks, in eval mode and without gradients.

    Parameters
    ----------
    method : Method
    data : Data, list of Data, DiskGraph or (FeatureStore, GraphStore)
    batch_size : int, optional
        Graphs in a block. For one graph: that it is not embedded whole, but in blocks of nodes, each with all its
        neighbours, layer by layer; how large they are is ``memory_bytes``'s affair.
    memory_bytes : int, optional
        What a block of nodes may take, about, default 256 MiB; implies blocks. A result larger than this is a file
        without a name, mapped into memory, gone with the tensor.

    Returns
    -------
    Tensor on CPU, shape (N, D), or (G, D) for methods at graph level
        For a list of graphs and a method at node level, the nodes of all graphs in order.

    Raises
    ------
    InvalidGraphError
        If the embedding is not finite.
    ConfigurationError
        If blocks are asked for, and the encoder needs the whole graph (``norm="graph"``, a PyG module).
    """
    target = resolve_device(device)
    method.to(target)
    data = method.prepare(without_labels(data))
    if not is_graph_list(data) and (batch_size or memory_bytes is not None or not isinstance(data, Data)):
        memory = DEFAULT_MEMORY if memory_bytes is None else memory_bytes
        graph = NodeBlocks(data, memory_bytes=memory, device=target)
        embedding = _embed(method, graph)
    else:
        loader = GraphBatches(data, batch_size=batch_size, seed=0)
        embedding = torch.cat([_embed(method, batch.to(target)).cpu() for batch in loader.in_order()])
    if not all(bool(torch.isfinite(rows).all()) for rows in embedding.split(CHECKED_ROWS)):
        raise InvalidGraphError("the embedding has NaN or infinite entries: check the features for extreme values")
    return embedding


def resolve_device(device: str | torch.device) -> torch.device:
    """``auto`` is CUDA when there is one, else the CPU; anything else must exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ConfigurationError(f"unknown device {device!r}: expected auto, cpu, cuda or cuda:0") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            f"device {str(device)!r} was asked for, but torch sees no CUDA device: use cpu or auto"
        )
    return resolved
