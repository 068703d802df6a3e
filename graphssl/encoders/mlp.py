"""MLP: features alone, the control for what the edges add."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.encoders.base import Layer, linear
from graphssl.registry import ENCODERS

__all__ = ["MLPLayer"]


@ENCODERS.register("mlp")
class MLPLayer(Layer):
    """A linear map of each node's own features; edges are not read.

    Parameters
    ----------
    in_channels, out_channels : int
    bias : bool
    """

    takes_sparse = True
    reads_edges = False

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.map = nn.Linear(in_channels, out_channels, bias=bias)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Map (N, in_channels) to (N, out_channels)."""
        return linear(x, self.map.weight, self.map.bias)
