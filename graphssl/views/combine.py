"""Views made of views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError
from graphssl.registry import VIEWS
from graphssl.views.base import View, device_of, random_uniform
from graphssl.views.edges import DropEdges
from graphssl.views.features import MaskFeatureColumns
from graphssl.views.subset import copy_graph

__all__ = ["Compose", "Identity", "RandomChoice"]

_EXAMPLE = (DropEdges(0.3), MaskFeatureColumns(0.3))


@VIEWS.register("identity", example={}, identity={})
@dataclass(frozen=True)
class Identity:
    """The graph as it is, as a new object that shares all tensors."""

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A shallow copy of the graph."""
        return copy_graph(data)


@VIEWS.register("compose", example={"views": _EXAMPLE}, identity={"views": ()})
@dataclass(frozen=True)
class Compose:
    """Several views, one after the other.

    Parameters
    ----------
    views : sequence of View
        Applied first to last, all with the same generator. None at all is the identity.
    """

    views: Sequence[View]

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", _as_views(self.views))

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """The last view of the one before it ... of the first view of the graph."""
        out = copy_graph(data)
        for view in self.views:
            out = view(out, generator=generator)
        return out


@VIEWS.register("random-choice", example={"views": _EXAMPLE}, identity={"views": (Identity(),)})
@dataclass(frozen=True)
class RandomChoice:
    """One of several views, drawn at each call (so one for a whole batch), as GraphCL's "random4".

    Parameters
    ----------
    views : sequence of View
        At least one.
    probabilities : sequence of float, optional
        One per view, not negative, summing to 1. Default: all equal.

    Raises
    ------
    ConfigurationError
        If there is no view, or the probabilities do not fit.
    """

    views: Sequence[View]
    probabilities: Sequence[float] | None = None

    def __post_init__(self) -> None:
        views = _as_views(self.views)
        if not views:
            raise ConfigurationError("RandomChoice needs at least one view, got none")
        p = self.probabilities
        p = tuple(1 / len(views) for _ in views) if p is None else tuple(float(value) for value in p)
        if len(p) != len(views) or not all(value >= 0 for value in p) or not math.isclose(sum(p), 1, abs_tol=1e-6):
            raise ConfigurationError(
                f"probabilities must be {len(views)} numbers (one per view), not negative and of sum 1, got {p}"
            )
        object.__setattr__(self, "views", views)
        object.__setattr__(self, "probabilities", p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """The chosen view of the graph."""
        assert self.probabilities is not None
        left = float(random_uniform(1, device=device_of(data), generator=generator))
        choice = 0
        for position, probability in enumerate(self.probabilities):
            if probability > 0:
                choice = position
                left -= probability
                if left < 0:
                    break
        return self.views[choice](data, generator=generator)


def _as_views(views: Sequence[View]) -> tuple[View, ...]:
    if callable(views) or not all(callable(view) for view in views):
        raise ConfigurationError(f"expected a list of views, got {views!r}")
    return tuple(views)
