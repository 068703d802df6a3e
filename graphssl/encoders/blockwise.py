"""Layer by layer over blocks of nodes: exact embeddings of graphs of any size, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphssl.data import NodeBlocks
from graphssl.encoders.base import Layer
from graphssl.encoders.norms import GraphNorm
from graphssl.errors import ConfigurationError

if TYPE_CHECKING:
    from graphssl.encoders.stack import Stack

__all__ = ["outputs_in_blocks"]


@torch.no_grad()
def outputs_in_blocks(stack: Stack, graph: NodeBlocks) -> list[Tensor]:
    """The outputs of a stack's layers, each (N, width); without jumping knowledge only the last is kept.

    Raises
    ------
    ConfigurationError
        If the stack is training, or normalises over all nodes of the graph.
    """
    if stack.training:
        raise ConfigurationError("blocks of nodes are for inference: call eval() first, or train on sampled batches")
    if any(isinstance(module, GraphNorm) for module in stack.modules()):
        raise ConfigurationError("norm='graph' needs all nodes at once: embed the whole graph, or use norm='batch'")
    outputs: list[Tensor] = []
    h = None
    for position, layer in enumerate(stack.layers):
        assert isinstance(layer, Layer)
        out: Tensor | None = None
        for rows, x, data in graph.blocks(h, width=4 * stack.widths[position + 1], neighbours=layer.reads_edges):
            block = stack.layer(position, x, data)[: rows.stop - rows.start]
            out = graph.output(block.size(1)) if out is None else out
            out[rows] = block.cpu()
        assert out is not None
        h = out
        outputs = [out] if stack.jumping == "last" else [*outputs, out]
    return outputs
