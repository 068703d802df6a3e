"""What a training run leaves behind: its losses, and measures that show a collapse."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["History", "effective_rank", "feature_std"]


@dataclass
class History:
    """The course of one training run.

    Attributes
    ----------
    loss : list of float
        Training loss of each step.
    measured_steps : list of int
        Steps after which the two collapse measures below were taken.
    feature_std, effective_rank : list of float
        See :func:`feature_std` and :func:`effective_rank`.
    best_step : int or None
        With early stopping: the step whose weights were kept.
    seconds : float
        Wall time of the steps, measures and checkpoints left out.
    """

    loss: list[float] = field(default_factory=list)
    measured_steps: list[int] = field(default_factory=list)
    feature_std: list[float] = field(default_factory=list)
    effective_rank: list[float] = field(default_factory=list)
    best_step: int | None = None
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Number of optimiser steps taken."""
        return len(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain Python values."""
        return asdict(self)

    def measure(self, embedding: Tensor) -> None:
        """Append both collapse measures of an embedding, shape ``(N, D)``."""
        self.measured_steps.append(self.steps)
        self.feature_std.append(feature_std(embedding))
        self.effective_rank.append(effective_rank(embedding))


def feature_std(embedding: Tensor) -> float:
    """Spread of L2-normalised rows: mean standard deviation of a column, times sqrt(D).

    About 1 when directions are spread evenly, 0 when all rows point the same way
    (Chen and He, SimSiam, 2021, section 4.1).
    """
    if embedding.size(0) < 2:
        return 0.0
    rows = normalize(embedding.detach().float(), dim=1)
    return float(rows.std(dim=0, correction=0).mean() * rows.size(1) ** 0.5)


def effective_rank(embedding: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values of the centred embedding.

    Between 1 and ``min(N, D)``; near 1 after a dimensional collapse; 0 for a constant embedding, NaN for
    one that is not finite
    (Roy and Vetterli, The effective rank, 2007).
    """
    centred = embedding.detach().double().cpu()
    if not torch.isfinite(centred).all():
        return math.nan
    centred = centred - centred.mean(dim=0)
    gram = centred.T @ centred if centred.size(0) >= centred.size(1) else centred @ centred.T
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    total = singular.sum()
    if total <= 1e-12:
        return 0.0
    share = singular / total
    return float(torch.exp(-torch.special.xlogy(share, share).sum()))
