"""GIN: a two-layer perceptron on the sum over the neighbours and the node itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from graphssl.encoders.base import Layer, adjacency_of, linear
from graphssl.encoders.norms import BatchNorm
from graphssl.ops import is_constant, spmm
from graphssl.registry import ENCODERS

__all__ = ["GINLayer"]


@ENCODERS.register("gin", paper="arXiv:1810.00826")
class GINLayer(Layer):
    r"""Graph isomorphism layer: Linear, ReLU, Linear on :math:`(1 + \epsilon) x_i + \sum_j A_{ij} x_j`.

    Parameters
    ----------
    in_channels, out_channels : int
        The hidden width of the perceptron is ``out_channels``.
    eps : float
        The paper's :math:`\epsilon`.
    train_eps : bool
        Learn it.
    inner_norm : bool
        Batch normalisation before the perceptron's ReLU, as in the GIN paper's code. Off by default.
    norm_first : bool
        The norm after the layer stands before the activation, as in the GIN paper's code. Off by default.

    Notes
    -----
    As InfoGraph and GraphCL run it, a stack of these puts the activation and then batch
    normalisation after every layer: ``norm=None`` means ``"batch"`` here, standing after the
    activation, as any other norm does, unless ``norm_first``; ``norm="none"`` turns it off. Respects ``edge_weight``.

    References
    ----------
    .. [1] Xu, Hu, Leskovec, Jegelka. How Powerful are Graph Neural Networks? 2019. arXiv:1810.00826, equation 4.1.
    """

    default_norm = "batch"
    takes_sparse = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        eps: float = 0.0,
        train_eps: bool = False,
        inner_norm: bool = False,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.initial_eps = float(eps)
        self.first = nn.Linear(in_channels, out_channels)
        self.norm = BatchNorm(out_channels) if inner_norm else None
        self.second = nn.Linear(out_channels, out_channels)
        self.eps: Tensor
        if train_eps:
            self.eps = nn.Parameter(torch.empty(1))
        else:
            self.register_buffer("eps", torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put eps back to where it began (the linear maps reset themselves)."""
        with torch.no_grad():
            self.eps.fill_(self.initial_eps)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Map (N, in_channels) to (N, out_channels)."""
        adjacency = adjacency_of(data, x, norm="none", self_loops=False)
        if self.first.out_features < self.first.in_features or is_constant(x):
            # Sum and linear map commute: carry the narrower of the two.
            x = linear(x, self.first.weight)
            hidden = (1 + self.eps) * x + spmm(adjacency, x) + self.first.bias
        else:
            hidden = self.first((1 + self.eps) * x + spmm(adjacency, x))
        if self.norm is not None:
            hidden = self.norm(hidden, data)
        return self.second(F.relu(hidden))
