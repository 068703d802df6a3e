"""Fine-tuning: all weights of a pre-trained encoder and a linear classifier on top, trained on labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphssl.errors import ConfigurationError
from graphssl.evaluation.selection import encode
from graphssl.evaluation.splits import Split
from graphssl.method import Method, seeded
from graphssl.training.optim import learning_rate

__all__ = ["fine_tune"]


def fine_tune(
    method: Method,
    batch_of: Callable[[Tensor, int], Any],
    y: np.ndarray,
    split: Split,
    *,
    epochs: int = 30,
    batch_size: int = 32,
    lr: float = 5e-3,
    weight_decay: float = 1e-5,
    clip_norm: float = 1.0,
    views: int = 8,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Train a copy of a method's encoder with a new linear head on the training rows, and predict the test rows.

    Parameters
    ----------
    method : Method
        Pre-trained; it is not changed. ``method.embed(batch)`` must be differentiable.
    batch_of : callable
        ``(rows, seed)`` to a batch whose embeddings are those of these rows (B,), in order.
    y : array of integers, shape (N,)
        Labels; only those of the training rows are read.
    split : Split
        Validation rows are not used: the last epoch counts.
    epochs, batch_size, lr, weight_decay, clip_norm
        Of Adam, with a linear rise over a tenth of the steps and a linear fall.
    views : int, >= 1
        Draws of ``batch_of`` over which the predicted probabilities of the test rows are averaged.
    seed : int
        Of the head, the order and the batches.

    Returns
    -------
    array, shape (len(split.test),)
        Predicted labels.

    Raises
    ------
    ConfigurationError
        If there are fewer than two training rows, or rows in a batch, or no view. A single row left over in an epoch
        is left out.

    References
    ----------
    .. [1] Qiu et al. GCC. KDD 2020. Section 4.2, full fine-tuning: 30 epochs of batches of 32.
    """
    if min(batch_size, len(split.train)) < 2:
        raise ConfigurationError(
            f"fine-tuning needs batches of at least two rows, got batch_size={batch_size} and {len(split.train)} "
            "training rows"
        )
    if views < 1:
        raise ConfigurationError(f"fine-tuning needs views >= 1 to predict from, got {views!r}")
    classes, encoded = encode(y, split)
    target, train = torch.from_numpy(encoded), torch.from_numpy(split.train)
    tuned = copy.deepcopy(method).to(device)
    with seeded(seed):
        with torch.no_grad():
            width = tuned.eval().embed(batch_of(train[:2], seed).to(device)).size(1)
        head = nn.Linear(width, len(classes)).to(device)
        parameters = [p for p in [*tuned.parameters(), *head.parameters()] if p.requires_grad]
        update = torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay)
        orders = [train[torch.randperm(train.numel())].split(batch_size) for _ in range(epochs)]
        blocks = [rows for order in orders for rows in order if rows.numel() > 1]
        tuned.train()
        for step, rows in enumerate(blocks):
            for group in update.param_groups:
                group["lr"] = learning_rate(step, len(blocks), lr=lr, schedule="linear", warmup=0.1)
            update.zero_grad(set_to_none=True)
            scores = head(tuned.embed(batch_of(rows, seed * 1_000_003 + step).to(device)))
            F.cross_entropy(scores, target[rows].to(device)).backward()
            nn.utils.clip_grad_norm_(parameters, clip_norm)
            update.step()
        tuned.eval()
        with torch.no_grad():
            odds = [
                sum(head(tuned.embed(batch_of(rows, seed + view).to(device))).softmax(dim=1) for view in range(views))
                for rows in torch.from_numpy(split.test).split(1024)
            ]
    return classes[torch.cat(odds).argmax(dim=1).cpu().numpy()]
