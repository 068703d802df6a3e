"""What a probe hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Prediction"]


@dataclass(frozen=True)
class Prediction:
    """The outcome of a probe on one split.

    Parameters
    ----------
    labels : (n_test,) int
        Predicted classes of ``split.test``.
    valid_value : float
        Accuracy that decided the choice: on validation rows, or the mean over inner folds.
    chosen : dict of str to float
        What was chosen by it: ``{"C": 1.0}``, ``{"k": 5}``.
    """

    labels: np.ndarray
    valid_value: float
    chosen: dict[str, float] = field(default_factory=dict)
