"""Representations and their propagated copy, whatever form the graph comes in."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.data import NodeBlocks
from graphssl.encoders.base import adjacency_of
from graphssl.encoders.sampled import num_seeds
from graphssl.ops import spmm

__all__ = ["encode_and_smooth"]


def encode_and_smooth(encoder: nn.Module, graph: Data | NodeBlocks, hops: int) -> Tensor:
    r""":math:`h + \tilde A^n h`, with the encoder's output h (N, D), the matrix of the GCN and n ``hops``; h for n = 0.

    Of a sampled batch the seeds' rows, propagated over the edges that were sampled. Without gradient.
    """
    if hops == 0:
        return encoder(graph)
    if isinstance(graph, NodeBlocks):
        h = encoder(graph)
        smooth = h
        for _ in range(hops):
            smooth = graph.map(_propagate, smooth, out_channels=h.size(1), width=h.size(1))
        return smooth.add_(h)
    whole = copy.copy(graph)
    for name in ("batch_size", "num_sampled_nodes"):
        if name in whole:
            del whole[name]
    h = encoder(whole)
    smooth = h
    for _ in range(hops):
        smooth = _propagate(smooth, whole)
    return (h + smooth)[: num_seeds(graph)]


def _propagate(h: Tensor, graph: Data) -> Tensor:
    return spmm(adjacency_of(graph, h, norm="sym", self_loops=True), h)
