"""Readouts: the vectors of a graph's nodes become one vector for the graph."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs
from graphssl.encoders.base import Encoder
from graphssl.ops import segment_reduce, segment_softmax
from graphssl.registry import READOUTS

__all__ = ["AttentionReadout", "MaxReadout", "MeanReadout", "PooledEncoder", "Readout", "SumReadout", "make_readout"]


class Readout(nn.Module):
    """Base of all readouts: ``readout(x, graph_of_node, num_graphs)``; a graph without nodes gives zeros.

    Parameters
    ----------
    channels : int, optional
        D; needed by readouts that learn.
    """

    def __init__(self, channels: int | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor, graph_of_node: Tensor, num_graphs: int) -> Tensor:
        """One vector for each graph.

        Parameters
        ----------
        x : Tensor, shape (N, D)
        graph_of_node : Tensor of int64, shape (N,)
            In [0, num_graphs).
        num_graphs : int
            G.

        Returns
        -------
        Tensor, shape (G, D)
        """
        raise NotImplementedError


@READOUTS.register("sum")
class SumReadout(Readout):
    r"""The sum of a graph's nodes, :math:`g = \sum_i x_i`."""

    def forward(self, x: Tensor, graph_of_node: Tensor, num_graphs: int) -> Tensor:
        """Shape (N, D) to (G, D)."""
        return segment_reduce(x, graph_of_node, num_graphs, "sum")


@READOUTS.register("mean")
class MeanReadout(Readout):
    r"""The mean of a graph's nodes, :math:`g = \frac{1}{n} \sum_i x_i`."""

    def forward(self, x: Tensor, graph_of_node: Tensor, num_graphs: int) -> Tensor:
        """Shape (N, D) to (G, D)."""
        return segment_reduce(x, graph_of_node, num_graphs, "mean")


@READOUTS.register("max")
class MaxReadout(Readout):
    """The entrywise maximum of a graph's nodes; equal maxima share the gradient."""

    def forward(self, x: Tensor, graph_of_node: Tensor, num_graphs: int) -> Tensor:
        """Shape (N, D) to (G, D)."""
        return segment_reduce(x, graph_of_node, num_graphs, "max")


@READOUTS.register("attention")
class AttentionReadout(Readout):
    r"""A weighted mean with learnt weights.

    .. math:: g = \sum_i a_i x_i, \quad a = \mathrm{softmax}_{i \in graph}(w^T x_i + b)

    Parameters
    ----------
    channels : int
        D.

    Notes
    -----
    The value map of the paper is the identity here, so that D stays as it is.

    References
    ----------
    .. [1] Li, Tarlow, Brockschmidt, Zemel. Gated Graph Sequence Neural Networks. 2016. arXiv:1511.05493, equation 7.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, 1)

    def reset_parameters(self) -> None:
        """Draw the gate anew."""
        self.gate.reset_parameters()

    def forward(self, x: Tensor, graph_of_node: Tensor, num_graphs: int) -> Tensor:
        """Shape (N, D) to (G, D)."""
        attention = segment_softmax(self.gate(x), graph_of_node, num_graphs)  # (N, 1)
        return segment_reduce(attention * x, graph_of_node, num_graphs, "sum")


def make_readout(name: str, channels: int) -> Readout:
    """A new readout by name.

    Parameters
    ----------
    name : str
        ``sum``, ``mean``, ``max``, ``attention``, or a registered one.
    channels : int
        D, the width of the node vectors.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    """
    return READOUTS.get(name).obj(channels)


class PooledEncoder(nn.Module):
    """An encoder of graphs: an encoder of nodes, then a readout.

    Parameters
    ----------
    encoder : Encoder
        ``Data -> (N, D)``; one with ``jumping="cat"`` pools the layers side by side.
    readout : callable
        ``(x, graph_of_node, num_graphs) -> (G, D)``.

    Attributes
    ----------
    out_channels : int
        D.
    """

    def __init__(self, encoder: Encoder, readout: Callable[[Tensor, Tensor, int], Tensor]) -> None:
        super().__init__()
        self.encoder = encoder
        self.readout = readout
        self.in_channels = encoder.in_channels
        self.out_channels = encoder.out_channels

    def forward(self, data: Data) -> Tensor:
        """One vector for each graph of the batch, shape ``(G, D)``."""
        return self.readout(self.encoder(data), graph_of_node(data), num_graphs(data))
