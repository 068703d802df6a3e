"""Normalisations by name; each takes the features and the graph they belong to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import GraphNorm as PyGGraphNorm

from graphssl.data import graph_of_node, num_graphs
from graphssl.errors import unknown_name

__all__ = ["BatchNorm", "GraphNorm", "LayerNorm", "NoNorm", "make_norm"]


class BatchNorm(nn.Module):
    """Batch normalisation over all nodes of the batch.

    Notes
    -----
    A training batch of a single node has no variance: it is normalised by the running statistics,
    which it does not change.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, momentum=momentum)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Shape (N, D) to (N, D)."""
        if self.training and x.size(0) < 2:
            norm = self.norm
            return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        out: Tensor = self.norm(x)
        if out.requires_grad and not torch.compiler.is_compiling():
            # Of layers that are concatenated the gradient is a slice: torch's kernel takes forty times as long for it.
            out.register_hook(Tensor.contiguous)
        return out


class LayerNorm(nn.Module):
    """Layer normalisation over the features of each node."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Shape (N, D) to (N, D)."""
        return self.norm(x)


class GraphNorm(nn.Module):
    """Normalisation over the nodes of each graph, with a learnt share of the mean (arXiv:2009.03294)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = PyGGraphNorm(channels)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Shape (N, D) to (N, D)."""
        return self.norm(x, graph_of_node(data), num_graphs(data))


class NoNorm(nn.Module):
    """Leaves the features as they are."""

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Shape (N, D) to (N, D)."""
        return x


def make_norm(name: str, channels: int, *, momentum: float = 0.1) -> nn.Module:
    """A new normalisation ``(x, data) -> x``.

    Parameters
    ----------
    name : str
        ``none``, ``batch``, ``layer`` or ``graph``.
    channels : int
        D.
    momentum : float
        Share of the newest batch in batch normalisation's running statistics.
    """
    if name == "none":
        return NoNorm()
    if name == "batch":
        return BatchNorm(channels, momentum=momentum)
    if name == "layer":
        return LayerNorm(channels)
    if name == "graph":
        return GraphNorm(channels)
    raise unknown_name("norm", name, ("none", "batch", "layer", "graph"))
