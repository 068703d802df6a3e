"""What an encoder and its layers are, and how they read a graph."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from graphssl.data.check import edges_of
from graphssl.errors import InvalidGraphError
from graphssl.ops import Adjacency, PReLU, is_constant, normalized_adjacency, project, propagate, spmm
from graphssl.ops.checks import check_tensor

__all__ = [
    "Encoder", "Layer", "adjacency_of", "linear", "node_features", "propagate_linear", "whole_graph_reason",
]  # fmt: skip


class Encoder(nn.Module):
    """Base of all encoders: ``forward(data) -> (N, out_channels)``.

    Of a sampled batch, which has ``batch_size`` and its seeds first, only the seeds' rows are returned.

    Attributes
    ----------
    in_channels : int
        F, the number of input features; -1 when any number is taken.
    out_channels : int
        D, the width of the representations.
    """

    in_channels: int
    out_channels: int

    @property
    def whole_graph_reason(self) -> str:
        """Why the encoder cannot go through the graph in blocks of nodes, with what to do instead; empty if it can."""
        return ""

    def forward(self, data: Data) -> Tensor:
        """Representations of all nodes, shape ``(N, D)``."""
        raise NotImplementedError


def whole_graph_reason(method: nn.Module) -> str:
    """Why a method cannot embed a graph in blocks of nodes: the first of its encoders' reasons; empty if it can."""
    encoders = (module for module in method.modules() if isinstance(module, Encoder))
    return next(filter(None, (encoder.whole_graph_reason for encoder in encoders)), "")


class Layer(nn.Module):
    """Base of the layers a :class:`~graphssl.encoders.Stack` is made of.

    A subclass takes ``(in_channels, out_channels)`` and keyword-only options, and is registered with
    ``@ENCODERS.register(name)``: the options of its constructor are the encoder's ``options``.

    Attributes
    ----------
    default_norm : str
        The normalisation used between layers when the user names none.
    norm_first : bool
        Whether the normalisation stands before the activation (as in BGRL) or after it (as in InfoGraph).
    takes_sparse : bool
        Whether ``x`` may be a sparse tensor.
    takes_activation : bool
        Whether ``forward`` takes the activation that follows as a third argument, to apply it at lower cost.
    reads_edges : bool
        Whether a node's output depends on its neighbours.
    """

    default_norm: ClassVar[str] = "none"
    norm_first: bool = True
    takes_sparse: ClassVar[bool] = False
    takes_activation: ClassVar[bool] = False
    reads_edges: ClassVar[bool] = True

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Map features, shape (N, in_channels), over the edges of ``data`` to (N, out_channels)."""
        raise NotImplementedError


def node_features(data: Data, in_channels: int, dtype: torch.dtype | None = None) -> Tensor:
    """The feature matrix of a graph, checked: (N, in_channels), floating point (``dtype``), dense or sparse.

    Raises
    ------
    InvalidGraphError
        If it is missing, or has another shape or dtype.
    """
    x = data.x
    if x is None:
        raise InvalidGraphError('the graph has no node features: graphssl.data.with_features(data, "degree") adds some')
    check_tensor("x", x)
    if x.dim() != 2 or in_channels not in (-1, x.size(1)):
        wanted = "F" if in_channels == -1 else in_channels
        raise InvalidGraphError(f"expected node features of shape (N, {wanted}), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise InvalidGraphError(f"expected floating point node features, got {x.dtype}: call data.x.float()")
    if dtype is not None and x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise InvalidGraphError(
            f"expected node features of {dtype}, as the encoder's weights, got {x.dtype}: call data.x.to({dtype})"
        )
    return x


def adjacency_of(data: Data, x: Tensor, *, norm: str, self_loops: bool) -> Adjacency:
    """The (remembered) propagation matrix of ``data``, weighted by ``data.edge_weight`` where it is there.

    Raises
    ------
    InvalidGraphError
        If the graph has no ``edge_index``, or one that does not fit its nodes.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)  # half precision features are summed in float32
    return normalized_adjacency(
        edges_of(data), x.size(0), data.get("edge_weight"), norm=norm, self_loops=self_loops, dtype=dtype,
        in_degree=data.get("whole_in_degree"), norm_degree=data.get("whole_norm_degree"),
    )  # fmt: skip


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` for dense or sparse ``x`` (N, in) and ``weight`` (out, in); x is constant when sparse."""
    if not is_constant(x):
        return F.linear(x, weight, bias)
    product, rows = project(x, weight, transposed=True)
    if rows is not None:
        product = product[rows]
    return product if bias is None else product + bias


def propagate_linear(
    x: Tensor,
    adjacency: Adjacency,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: nn.Module | None = None,
    *,
    transposed: bool = False,
) -> Tensor:
    """``activation(A x weight + bias)`` in the cheaper order: messages travel at the smaller width.

    Constant features go through the weight first, unless they are much narrower than the result: a graph and its
    corruption then share the product. ReLU and PReLU are applied while a row is still in the cache.

    Parameters
    ----------
    x : Tensor, shape (N, in)
    adjacency : Adjacency, shape (N, N)
    weight : Tensor, shape (in, out)
        Or (out, in), when ``transposed``.
    bias : Tensor, shape (out,), optional
    activation : Module, optional
        The identity when None.

    Returns
    -------
    Tensor, shape (N, out)
    """
    fused = isinstance(activation, nn.ReLU | PReLU)
    slope = activation.weight if isinstance(activation, PReLU) else 0.0 if fused else None
    width_in, width_out = weight.shape[::-1] if transposed else weight.shape
    constant = is_constant(x) and (x.layout != torch.strided or 2 * width_in > width_out)
    if constant or width_out < width_in:
        product, rows = project(x, weight, transposed=transposed)
        out = propagate(adjacency, product, rows=rows, bias=bias, slope=slope)
        out.product = product  # type: ignore[attr-defined]  # kept for a corruption of the same features
    else:
        fused = False
        out = F.linear(spmm(adjacency, x), weight if transposed else weight.t(), bias)
    return out if fused or activation is None else activation(out)
