"""GAT: neighbours weighted by attention."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import GATConv

from graphssl.data.check import edges_of
from graphssl.encoders.base import Layer
from graphssl.errors import ConfigurationError
from graphssl.ops import check_edges
from graphssl.registry import ENCODERS

__all__ = ["GATLayer"]


@ENCODERS.register("gat", paper="arXiv:1710.10903")
class GATLayer(Layer):
    """Graph attention (PyG's ``GATConv``), heads concatenated to the width asked for.

    Parameters
    ----------
    in_channels, out_channels : int
        ``out_channels`` must be a multiple of ``heads``.
    heads : int
    attention_dropout : float
        Probability of dropping a neighbour's attention in training.
    negative_slope : float
        Of the leaky ReLU on attention scores.

    Raises
    ------
    ConfigurationError
        If the heads do not divide the width.

    Notes
    -----
    Differs from the paper: the heads of the last layer are concatenated too, not averaged.
    ``edge_weight`` is ignored: attention takes its place. Sparse features are not taken.

    References
    ----------
    .. [1] Velickovic et al. Graph Attention Networks. 2018. arXiv:1710.10903, equations 1-5.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        heads: int = 4,
        attention_dropout: float = 0.0,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        if heads < 1 or out_channels % heads:
            raise ConfigurationError(
                f"gat splits each width among its heads: {out_channels} is not a multiple of heads={heads}; "
                "choose another width or options={'heads': ...}"
            )
        self.conv = GATConv(
            in_channels, out_channels // heads, heads=heads, dropout=attention_dropout, negative_slope=negative_slope
        )

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Map (N, in_channels) to (N, out_channels)."""
        edge_index = edges_of(data)
        check_edges(edge_index, x.size(0))
        return self.conv(x, edge_index)
