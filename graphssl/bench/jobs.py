"""What is to be run: one job is one training (or control) and its evaluation, for one seed."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphssl.method import method_options
from graphssl.training import resolve_settings, train

__all__ = ["CONTROLS", "NO_ENCODER", "TRAINING_OPTIONS", "Job", "config_hash", "plan", "takes_encoder"]

#: In every table: features as they are, features averaged over neighbours, and an encoder that was not trained.
CONTROLS = ("raw", "propagated", "untrained")
NO_ENCODER = "none"
#: What may be changed of the training loop: its numbers, and not where it runs or what it writes.
TRAINING_OPTIONS = (
    "steps", "epochs", "lr", "weight_decay", "optimizer", "schedule", "warmup", "clip_norm", "patience", "batch_size",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run.

    Parameters
    ----------
    method : str
        A registered method, or one of ``CONTROLS``.
    dataset, protocol : str
        Registered names.
    encoder : str, optional
        A registered encoder; by default the recipe's.
    seed : int
        Seed of parameters, training, split and probe.
    options, training : mapping
        Override the recipe; see :func:`graphssl.training.resolve_settings`.
    recipe : str or None
        ``"auto"``: the data set's; None: the method's defaults; or the name of a recipe.
    max_steps : int, optional
        Bound on training steps.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:0``.
    base : str, optional
        For ``untrained``: the method whose freshly made encoder is evaluated.
    """

    method: str
    dataset: str
    protocol: str
    encoder: str | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = "auto"
    max_steps: int | None = None
    device: str = "auto"
    base: str | None = None

    @property
    def trainable(self) -> str | None:
        """The registered method behind the job; None for the two controls without parameters."""
        return {"raw": None, "propagated": None, "untrained": self.base}.get(self.method, self.method)

    @property
    def steps(self) -> int | None:
        """Bound on training steps; 0 for the untrained control."""
        return 0 if self.method == "untrained" else self.max_steps

    def config(self) -> dict[str, Any]:
        """Every number of the job but its seed and its device, resolved, as JSON-able values."""
        about: dict[str, Any] = {"control": self.method} if self.method in CONTROLS else {}
        about |= {"dataset": self.dataset, "protocol": self.protocol}
        if self.trainable is None:
            return about
        settings = resolve_settings(
            self.trainable, dataset=self.dataset, protocol=self.protocol,
            encoder=self.encoder, recipe=self.recipe, options=self.options,
            training=self.training, max_steps=self.steps,
        ).to_dict()  # fmt: skip
        plain = resolve_settings(
            self.trainable, dataset=self.dataset, protocol=self.protocol, recipe=self.recipe
        ).to_dict()
        about["recipe_encoder"] = _encoder(self.trainable, plain)
        # defaults too: when one changes with the code, old rows are not taken for new ones
        options = {**_defaults(method_options(self.trainable)), **settings["options"]}
        loop = inspect.signature(train).parameters
        training = {**_defaults({name: loop[name] for name in TRAINING_OPTIONS}), **settings["training"]}
        return {**settings, "options": options, "training": training, **about}

    def label(self) -> str:
        """The encoder's name in tables."""
        return NO_ENCODER if self.trainable is None else _encoder(self.trainable, self.config())


def config_hash(config: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that change when any number of a configuration does."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def _defaults(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Default values as JSON would give them back; an object is named by its repr."""
    known = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    return dict(json.loads(json.dumps(known, default=repr)))


def _encoder(method: str, settings: Mapping[str, Any]) -> str:
    option = method_options(method).get("encoder")
    chosen = settings["options"].get("encoder", option.default if option is not None else NO_ENCODER)
    return str(chosen)


def takes_encoder(method: str) -> bool:
    """Can the method's encoder be chosen by name? That of DeepWalk and node2vec is a table of node vectors."""
    return "encoder" in method_options(method)


def plan(
    methods: Sequence[str],
    datasets: Mapping[str, str],
    *,
    encoders: Sequence[str | None] = (None,),
    seeds: int = 10,
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    recipe: str | None = "auto",
    max_steps: int | None = None,
    device: str = "auto",
) -> list[Job]:
    """All jobs of a comparison: per data set the controls, then the methods, each with every encoder and seed.

    Parameters
    ----------
    methods : sequence of str
        Registered names. The ``untrained`` control has the encoders of the first one that takes any by name, else of
        the first one.
    datasets : mapping of str to str
        Data sets with the protocol of each.
    encoders : sequence of str or None
        None stands for the recipe's encoder. They are left out for methods that take none: these have one row.
    seeds : int
        Seeds 0, 1, ..., each retraining the encoder.
    """
    control = next(filter(takes_encoder, methods), methods[0])
    jobs: list[Job] = []
    for dataset, protocol in datasets.items():
        rows: list[tuple[str, str | None, str | None]] = [("raw", None, None), ("propagated", None, None)]
        for method, base in (("untrained", control), *((name, None) for name in methods)):
            chosen = encoders if takes_encoder(base or method) else (None,)
            rows += [(method, encoder, base) for encoder in chosen]
        for method, encoder, base in rows:
            own = method not in CONTROLS or base is not None
            jobs += [
                Job(
                    method=method, dataset=dataset, protocol=protocol, encoder=encoder, seed=seed, base=base,
                    options=dict(options or {}) if own else {}, training=dict(training or {}) if own else {},
                    recipe=recipe, max_steps=max_steps, device=device,
                )
                for seed in range(seeds)
            ]  # fmt: skip
    return jobs
