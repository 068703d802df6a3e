"""Views that change node features and leave the edges alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs
from graphssl.errors import ConfigurationError
from graphssl.ops import derive_features
from graphssl.registry import VIEWS
from graphssl.views.base import (
    check_generator,
    check_probability,
    features_of,
    order_by_group,
    random_uniform,
    zero_where,
)
from graphssl.views.subset import copy_graph

__all__ = ["MaskFeatureColumns", "MaskFeatureEntries", "MaskNodes", "ShuffleFeatures"]


@VIEWS.register("mask-feature-columns", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class MaskFeatureColumns:
    """Set whole feature columns to zero, the same columns for all nodes of the graph or batch.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that a column is masked.

    Raises
    ------
    InvalidGraphError
        When called on a graph without dense features ``x`` (N, F).

    References
    ----------
    .. [1] Zhu et al. Deep Graph Contrastive Representation Learning (GRACE). 2020. arXiv:2006.04131, section 3.2.2.
    """

    p: float

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with ``x`` (N, F) masked."""
        x = features_of(data)
        if self.p == 0:
            return copy_graph(data)
        kept = random_uniform(x.size(1), device=x.device, generator=generator) >= self.p  # (F,)
        return copy_graph(data, x=derive_features(x, columns=kept.to(x.dtype)))


@VIEWS.register("mask-feature-entries", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class MaskFeatureEntries:
    """Set single entries of the feature matrix to zero, each independently with probability ``p``.

    Unlike dropout, what remains is not scaled up.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that an entry is masked.

    Raises
    ------
    InvalidGraphError
        When called on a graph without dense features ``x`` (N, F).
    """

    p: float

    def __post_init__(self) -> None:
        check_probability("p", self.p)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with ``x`` (N, F) masked."""
        x = features_of(data)
        if self.p == 0:
            return copy_graph(data)
        masked = random_uniform(*x.shape, device=x.device, generator=generator) < self.p  # (N, F)
        return copy_graph(data, x=torch.where(masked, 0, x))


@VIEWS.register("mask-nodes", example={"p": 0.3}, identity={"p": 0.0})
@dataclass(frozen=True)
class MaskNodes:
    """Replace all features of some nodes; the nodes and their edges stay.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that a node is masked.
    fill : "zero" or "noise"
        What stands in a masked row: zeros, or Gaussian noise of mean 0.5 and standard deviation 0.5,
        as in GraphCL's code.

    Raises
    ------
    InvalidGraphError
        When called on a graph without dense features ``x`` (N, F).

    Notes
    -----
    GraphCL's code masks exactly ``p * n`` nodes of a graph; here nodes are masked independently.

    References
    ----------
    .. [1] You et al. Graph Contrastive Learning with Augmentations. NeurIPS 2020. arXiv:2010.13902, section 3.2.
    """

    p: float
    fill: Literal["zero", "noise"] = field(default="zero", kw_only=True)

    def __post_init__(self) -> None:
        check_probability("p", self.p)
        if self.fill not in ("zero", "noise"):
            raise ConfigurationError(f'fill must be "zero" or "noise", got {self.fill!r}')

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with ``x`` (N, F) masked."""
        x = features_of(data)
        if self.p == 0:
            return copy_graph(data)
        masked = random_uniform(x.size(0), 1, device=x.device, generator=generator) < self.p  # (N, 1)
        if self.fill == "zero":
            return copy_graph(data, x=zero_where(x, masked))
        if not x.is_floating_point():
            raise ConfigurationError(f'fill="noise" needs floating point features, got {x.dtype}: use fill="zero"')
        noise = 0.5 + 0.5 * torch.randn(x.shape, device=x.device, dtype=x.dtype, generator=generator)  # (N, F)
        return copy_graph(data, x=torch.where(masked, noise, x))


@VIEWS.register("shuffle-features", example={}, corruption=True)
@dataclass(frozen=True)
class ShuffleFeatures:
    """Permute the rows of ``x`` and leave the edges: the corruption of Deep Graph Infomax.

    Parameters
    ----------
    across_graphs : bool
        In a batch, permute within each graph (False, the default: no graph sees another's features),
        or over all nodes of the batch (True).

    Raises
    ------
    InvalidGraphError
        When called on a graph without dense features ``x`` (N, F).

    References
    ----------
    .. [1] Velickovic et al. Deep Graph Infomax. ICLR 2019. arXiv:1809.10341, section 4.2.
    """

    across_graphs: bool = field(default=False, kw_only=True)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph whose ``x`` (N, F) has its rows permuted."""
        x = features_of(data)
        check_generator(generator, x.device)
        permutation = torch.randperm(x.size(0), device=x.device, generator=generator)  # (N,)
        if self.across_graphs or num_graphs(data) == 1:
            return copy_graph(data, x=derive_features(x, rows=permutation))
        # Two orders that both run graph by graph: the nodes as they are, and the nodes shuffled.
        graph = graph_of_node(data)
        places = order_by_group(graph)
        origin = torch.empty_like(places)
        origin[places] = permutation[torch.argsort(graph[permutation], stable=True)]
        return copy_graph(data, x=derive_features(x, rows=origin))
