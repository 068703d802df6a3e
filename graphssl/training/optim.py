"""Optimisers by name, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from graphssl.errors import ConfigurationError, unknown_name

__all__ = ["OPTIMIZERS", "SCHEDULES", "build_optimizer", "learning_rate"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("constant", "cosine", "linear")


def build_optimizer(
    parameters: Iterable[nn.Parameter], *, name: str, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser by name. ``weight_decay`` is an L2 term for adam and sgd, decoupled for adamw."""
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    if not 0 < lr <= 1e30:
        raise ConfigurationError(f"lr must be a positive number (at most 1e30), got {lr}")
    if weight_decay < 0:
        raise ConfigurationError(f"weight_decay must be at least 0, got {weight_decay}")
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    if name == "sgd":
        options["momentum"] = 0.9
    elif all(parameter.is_contiguous() for parameter in trainable):
        options["fused"] = True  # one pass, two to three times as fast; wrong on the CPU when layouts differ
    return OPTIMIZERS[name](trainable, **options)


def learning_rate(step: int, total: int, *, lr: float, schedule: str = "constant", warmup: float = 0.0) -> float:
    """The learning rate of step ``step`` of ``total``.

    It rises linearly over the first ``warmup`` (a fraction in [0, 1)) of the steps, then stays
    (``constant``) or falls to zero along a half cosine (``cosine``) or a line (``linear``). A function of the
    step alone, so a resumed run needs no scheduler state.
    """
    if schedule not in SCHEDULES:
        raise unknown_name("schedule", schedule, SCHEDULES)
    if not 0 <= warmup < 1:
        raise ConfigurationError(f"warmup is the fraction of steps spent warming up, in [0, 1); got {warmup}")
    rising = round(warmup * total)
    if step < rising:
        return lr * (step + 1) / rising
    falling = (step - rising) / max(1, total - rising)
    if schedule == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * falling))
    return lr * (1 - falling) if schedule == "linear" else lr
