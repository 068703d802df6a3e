"""GCN: symmetrically normalised sums over neighbours and the node itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.encoders.base import Layer, adjacency_of, propagate_linear
from graphssl.registry import ENCODERS

__all__ = ["GCNLayer"]


@ENCODERS.register("gcn", paper="arXiv:1609.02907")
class GCNLayer(Layer):
    r"""Graph convolution of Kipf and Welling.

    .. math:: X' = D^{-1/2} (A + I) D^{-1/2} X W + b

    Parameters
    ----------
    in_channels, out_channels : int
    bias : bool
        Added after propagation; starts at 0. Weights start Glorot uniform.

    Notes
    -----
    Respects ``edge_weight``. Equal to PyG's ``GCNConv`` with the same parameters, also for self-loops,
    duplicate edges and directed graphs.

    References
    ----------
    .. [1] Kipf, Welling. Semi-Supervised Classification with Graph Convolutional Networks. 2017.
       arXiv:1609.02907, equation 2.
    """

    takes_sparse = True
    takes_activation = True

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, data: Data, activation: nn.Module | None = None) -> Tensor:
        """Map (N, in_channels) to (N, out_channels)."""
        adjacency = adjacency_of(data, x, norm="sym", self_loops=True)
        return propagate_linear(x, adjacency, self.weight, self.bias, activation)
