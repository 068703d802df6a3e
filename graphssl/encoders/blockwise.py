"""Layer by layer over blocks of nodes: exact embeddings of graphs of any size, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphssl.data import NodeBlocks
from graphssl.encoders.base import Encoder, Layer
from graphssl.errors import ConfigurationError, InvalidGraphError

if TYPE_CHECKING:
    from graphssl.encoders.stack import Stack

__all__ = ["encode_in_blocks", "whole_graph_reason"]


def whole_graph_reason(method: nn.Module) -> str:
    """Why a method cannot embed a graph in blocks of nodes: the first of its encoders' reasons; empty if it can."""
    encoders = (module for module in method.modules() if isinstance(module, Encoder))
    return next(filter(None, (encoder.needs_whole_graph for encoder in encoders)), "")


@torch.no_grad()
def encode_in_blocks(stack: Stack, graph: NodeBlocks) -> Tensor:
    """The representations of all nodes that a stack gives of the whole graph, (N, out_channels).

    Raises
    ------
    ConfigurationError
        If the stack is training, or normalises over all nodes of the graph.
    InvalidGraphError
        If the graph has not as many features as the stack takes.
    """
    if stack.training:
        raise ConfigurationError("blocks of nodes are for inference: call eval() first, or train on sampled batches")
    if stack.needs_whole_graph:
        raise ConfigurationError(stack.needs_whole_graph)
    if graph.source.num_features != stack.in_channels:
        raise InvalidGraphError(
            f"expected node features of shape (N, {stack.in_channels}), got {graph.source.num_features} columns"
        )
    outputs: list[Tensor] = []
    h = None
    for position, layer in enumerate(stack.layers):
        assert isinstance(layer, Layer)
        out = graph.output(stack.widths[position + 1])
        for rows, x, data in graph.blocks(h, width=4 * out.size(1), neighbours=layer.reads_edges):
            out[rows] = stack.layer(position, x, data)[: rows.stop - rows.start].cpu()
        h = out
        outputs = [out] if stack.jumping == "last" else [*outputs, out]
    if len(outputs) == 1:
        return outputs[0]
    result = graph.output(stack.out_channels)
    for rows in graph.ranges(4 * (sum(stack.widths[1:]) + stack.out_channels)):
        result[rows] = stack.combine([out[rows] for out in outputs])
    return result
