"""GraphSAGE: the mean of the neighbours beside the node itself."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.encoders.base import Layer, adjacency_of, linear, propagate_linear
from graphssl.registry import ENCODERS

__all__ = ["SAGELayer"]


@ENCODERS.register("sage", paper="arXiv:1706.02216")
class SAGELayer(Layer):
    r"""GraphSAGE with the mean aggregator.

    .. math:: x_i' = W_1 \frac{\sum_j A_{ij} x_j}{\sum_j A_{ij}} + W_2 x_i + b

    Parameters
    ----------
    in_channels, out_channels : int
    root_weight : bool
        Keep the node's own term, :math:`W_2 x_i`.
    bias : bool

    Notes
    -----
    ``edge_weight`` makes the mean a weighted one (PyG's ``SAGEConv``, otherwise equal, takes none).
    A node without neighbours keeps its own term only.

    References
    ----------
    .. [1] Hamilton, Ying, Leskovec. Inductive Representation Learning on Large Graphs. 2017.
       arXiv:1706.02216, algorithm 1.
    """

    takes_sparse = True

    def __init__(self, in_channels: int, out_channels: int, *, root_weight: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.neighbours = nn.Linear(in_channels, out_channels, bias=bias)
        self.root = nn.Linear(in_channels, out_channels, bias=False) if root_weight else None

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Map (N, in_channels) to (N, out_channels)."""
        adjacency = adjacency_of(data, x, norm="row", self_loops=False)
        out = propagate_linear(x, adjacency, self.neighbours.weight, transposed=True)
        if self.neighbours.bias is not None:
            out.add_(self.neighbours.bias)  # out is fresh
        return out if self.root is None else out + linear(x, self.root.weight)
