"""Primitives the rest is built on: segment reductions and sparse products, one dispatch point each."""

from graphssl.ops.adjacency import Adjacency, check_edges, normalized_adjacency, sparse_operator
from graphssl.ops.features import sparse_if_worthwhile
from graphssl.ops.memory import forget, remember
from graphssl.ops.segment import segment_logsumexp, segment_reduce, segment_softmax
from graphssl.ops.spmm import spmm

__all__ = [
    "Adjacency",
    "check_edges",
    "forget",
    "normalized_adjacency",
    "remember",
    "segment_logsumexp",
    "segment_reduce",
    "segment_softmax",
    "sparse_if_worthwhile",
    "sparse_operator",
    "spmm",
]
