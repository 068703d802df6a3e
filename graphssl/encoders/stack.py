"""Layers in a row: normalisation, activation, dropout, skip connections, jumping knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from graphssl.data import NodeBlocks
from graphssl.encoders.activations import make_activation
from graphssl.encoders.base import Encoder, Layer, linear, node_features
from graphssl.encoders.norms import GraphNorm, NoNorm, make_norm
from graphssl.encoders.sampled import keep_reachable, num_seeds
from graphssl.errors import ConfigurationError, InvalidGraphError, unknown_name

__all__ = ["Stack"]

JUMPING = ("last", "cat", "max", "sum")


class Stack(Encoder):
    r"""Message passing layers, one after the other.

    .. math:: h_l = \sigma(\mathrm{norm}(\mathrm{layer}_l(h_{l-1}) + S_l h_{l-1})), \quad h_0 = x

    with the skip term :math:`S_l h_{l-1}` only when ``skip``, and norm and activation exchanged for
    layers that say so (GIN). Dropout acts on each layer's input :math:`h_{l-1}`.

    Parameters
    ----------
    layers : sequence of Layer
    widths : sequence of int
        (F, width of layer 1, ..., width of layer L).
    activation : str
        One for each layer; see :func:`graphssl.encoders.activations.make_activation`.
    norm : str, optional
        ``none``, ``batch``, ``layer`` or ``graph``; None: what the layer asks for.
    norm_momentum : float
        Share of the newest batch in batch normalisation's running statistics.
    dropout : float in [0, 1)
        Probability of zeroing an entry.
    skip : bool
        Add each layer's input to its output; :math:`S_l` is the identity where the widths agree, else a
        learnt linear map without bias.
    jumping : str, optional
        What is returned: ``last`` (the same as None), or the layers' outputs concatenated (``cat``), their entrywise
        maximum (``max``) or sum (``sum``).
    final_activation : bool
        False drops normalisation and activation of the last layer.

    Attributes
    ----------
    hops : int
        How far a node's representation reaches.

    Raises
    ------
    ConfigurationError
        If the options do not fit together.

    References
    ----------
    .. [1] Xu et al. Representation Learning on Graphs with Jumping Knowledge Networks. 2018. arXiv:1806.03536.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        widths: Sequence[int],
        *,
        activation: str = "prelu",
        norm: str | None = None,
        norm_momentum: float = 0.1,
        dropout: float = 0.0,
        skip: bool = False,
        jumping: str | None = None,
        final_activation: bool = True,
    ) -> None:
        super().__init__()
        jumping = jumping or "last"
        if jumping not in JUMPING:
            raise unknown_name("jumping mode", jumping, JUMPING)
        if jumping in ("max", "sum") and len(set(widths[1:])) > 1:
            raise ConfigurationError(
                f"jumping={jumping!r} combines layers of one width, got {list(widths[1:])}: "
                "leave out_channels equal to hidden_channels, or use jumping='cat'"
            )
        if not 0 <= dropout < 1:
            raise ConfigurationError(f"dropout is a probability in [0, 1), got {dropout}")
        if len(layers) == 0 or len(widths) != len(layers) + 1:
            raise ConfigurationError(f"expected L + 1 widths for L >= 1 layers, got {len(widths)} for {len(layers)}")
        self.dropout, self.jumping, self.widths = dropout, jumping, tuple(widths)
        self.hops = sum(layer.reads_edges for layer in layers)
        self.in_channels = widths[0]
        self.out_channels = sum(widths[1:]) if jumping == "cat" else widths[-1]
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList()
        self.activations = nn.ModuleList()
        self.skips = nn.ModuleList()
        for position, (layer, width_in, width_out) in enumerate(zip(layers, widths[:-1], widths[1:], strict=True)):
            plain = position == len(layers) - 1 and not final_activation
            name = "none" if plain else norm or layer.default_norm
            self.norms.append(make_norm(name, width_out, momentum=norm_momentum))
            self.activations.append(make_activation("identity" if plain else activation))
            if skip:
                same = width_in == width_out
                self.skips.append(nn.Identity() if same else nn.Linear(width_in, width_out, bias=False))

    @property
    def whole_graph_reason(self) -> str:
        """That a layer normalises over all nodes of the graph, where one does."""
        if any(isinstance(module, GraphNorm) for module in self.modules()):
            return "norm='graph' needs all nodes at once: embed the whole graph, or use norm='batch'"
        return ""

    def reset_parameters(self) -> None:
        """Draw all parameters anew and forget the running statistics."""
        for module in self.modules():
            reset = getattr(module, "reset_parameters", None)
            if module is not self and reset is not None:
                reset()

    def forward(self, data: Data | NodeBlocks) -> Tensor:
        """Representations of all nodes, shape ``(N, out_channels)``; of a sampled batch, of its seeds.

        Parameters
        ----------
        data : Data
            With ``x`` (N, in_channels), ``edge_index`` (2, E) and, if wanted, ``edge_weight`` (E,). Or
            :class:`~graphssl.data.NodeBlocks`: then layer by layer over blocks of nodes, in bounded memory.
        """
        if isinstance(data, NodeBlocks):
            return self._in_blocks(data)
        h = self._input(data)  # (N, F)
        outputs = []
        for position in range(len(self.layers)):
            h = self.layer(position, h, data)
            outputs.append(h)
            h, data = keep_reachable(h, data, layers_left=len(self.layers) - 1 - position)
        seeds = num_seeds(data)
        return self.combine(outputs if seeds is None else [out[:seeds] for out in outputs])

    def _in_blocks(self, graph: NodeBlocks) -> Tensor:
        """Layer by layer over blocks of nodes: exact embeddings of graphs of any size, in bounded memory."""
        if self.training:
            raise ConfigurationError(
                "blocks of nodes are for inference: call eval() first, or train on sampled batches"
            )
        if self.whole_graph_reason:
            raise ConfigurationError(self.whole_graph_reason)
        if graph.source.num_features != self.in_channels:
            raise InvalidGraphError(
                f"expected node features of shape (N, {self.in_channels}), got {graph.source.num_features} columns"
            )
        outputs: list[Tensor] = []
        h = None
        for position, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            width = self.widths[position + 1]
            h = graph.map(
                partial(self.layer, position), h, out_channels=width, width=4 * width, neighbours=layer.reads_edges
            )
            outputs = [h] if self.jumping == "last" else [*outputs, h]
        if len(outputs) == 1:
            return outputs[0]
        result = graph.output(self.out_channels)
        for rows in graph.ranges(4 * (sum(self.widths[1:]) + self.out_channels)):
            result[rows] = self.combine([out[rows] for out in outputs])
        return result

    def layer(self, position: int, h: Tensor, data: Data) -> Tensor:
        """One layer with its dropout, skip connection, normalisation and activation: (N, in) to (N, out)."""
        h = self._drop(h)
        layer, norm, activation = self.layers[position], self.norms[position], self.activations[position]
        if layer.takes_activation and isinstance(norm, NoNorm) and len(self.skips) == 0:
            return layer(h, data, activation)
        out = layer(h, data)
        if len(self.skips) > 0:
            out = out + self._skip(position, h)
        return activation(norm(out, data)) if layer.norm_first else norm(activation(out), data)

    def combine(self, outputs: list[Tensor]) -> Tensor:
        """What is returned of the layers' outputs."""
        if self.jumping == "cat":
            return torch.cat(outputs, dim=1)
        if self.jumping == "max":
            return torch.stack(outputs).amax(dim=0)
        return torch.stack(outputs).sum(dim=0) if self.jumping == "sum" else outputs[-1]

    def _input(self, data: Data) -> Tensor:
        dtype = next((parameter.dtype for parameter in self.parameters()), None)
        x = node_features(data, self.in_channels, dtype)
        if x.layout != torch.strided and not self.layers[0].takes_sparse:
            raise InvalidGraphError(
                f"{type(self.layers[0]).__name__} takes dense features: call data.x.to_dense(), "
                "or choose gcn, gin, sage or mlp"
            )
        return x

    def _drop(self, h: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return h
        if h.layout != torch.strided:
            h = h.to_dense()
        return F.dropout(h, self.dropout)

    def _skip(self, position: int, h: Tensor) -> Tensor:
        skip = self.skips[position]
        if isinstance(skip, nn.Linear):
            return linear(h, skip.weight)
        return h if h.layout == torch.strided else h.to_dense()
