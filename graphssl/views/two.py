"""The pair of views most node-level methods use: edges dropped and feature columns masked, at two strengths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.views.combine import Compose
from graphssl.views.edges import DropEdges
from graphssl.views.features import MaskFeatureColumns

__all__ = ["align_rows", "per_view", "two_edge_and_feature_views"]


def per_view(value: float | Sequence[float], name: str) -> tuple[float, float]:
    """One number for both views, or one for each.

    Raises
    ------
    ConfigurationError
        If a sequence does not have two entries.
    """
    if isinstance(value, (int, float)):
        return float(value), float(value)
    if len(value) != 2:
        raise ConfigurationError(f"{name} is one number, or two (one for each view); got {value!r}")
    return float(value[0]), float(value[1])


def two_edge_and_feature_views(
    *, drop_edges: float | Sequence[float], mask_features: float | Sequence[float]
) -> tuple[Compose, Compose]:
    """Two views that drop edges, then zero whole feature columns (GRACE, BGRL, CCA-SSG, Graph Barlow Twins)."""
    edges, columns = per_view(drop_edges, "drop_edges"), per_view(mask_features, "mask_features")
    first, second = (Compose([DropEdges(e), MaskFeatureColumns(f)]) for e, f in zip(edges, columns, strict=True))
    return first, second


def align_rows(z1: Tensor, graph1: Data, z2: Tensor, graph2: Data) -> tuple[Tensor, Tensor]:
    """The rows of nodes present in both views, in the same order.

    Parameters
    ----------
    z1, z2 : Tensor, shapes (N1, D) and (N2, D)
        One row for each node of ``graph1`` and ``graph2``; of sampled batches, for each seed.
    graph1, graph2 : Data
        Two views of one graph. A view that removed nodes names those it kept in ``n_id``.

    Returns
    -------
    tuple of two tensors, shape (M, D)
        The inputs themselves when no view removed a node.

    Raises
    ------
    InvalidGraphError
        If the views have no node in common.
    """
    id1, id2 = graph1.get("n_id"), graph2.get("n_id")
    if id1 is id2 or (id1 is not None and id2 is not None and id1.shape == id2.shape and torch.equal(id1, id2)):
        return z1, z2
    id1 = torch.arange(z1.size(0), device=z1.device) if id1 is None else id1[: z1.size(0)]
    id2 = torch.arange(z2.size(0), device=z2.device) if id2 is None else id2[: z2.size(0)]
    z1, z2 = z1[torch.isin(id1, id2)], z2[torch.isin(id2, id1)]
    if z1.size(0) == 0:
        raise InvalidGraphError("expected two views with nodes in common, got none: drop fewer nodes, or use one view")
    return z1, z2
