"""Primitives the rest is built on: segment reductions and sparse products, one dispatch point each."""

from graphssl.ops.adjacency import Adjacency, check_edges, gcn_degree, normalized_adjacency, sparse_operator
from graphssl.ops.contrast import cross_logsumexp, self_logsumexp
from graphssl.ops.features import derive_features, is_constant, project
from graphssl.ops.leaky import PReLU
from graphssl.ops.memory import forget, remember
from graphssl.ops.positional import positional_embeddings, top_eigenvectors
from graphssl.ops.segment import segment_logsumexp, segment_reduce, segment_softmax
from graphssl.ops.spmm import propagate, spmm

__all__ = [
    "Adjacency",
    "PReLU",
    "check_edges",
    "cross_logsumexp",
    "derive_features",
    "forget",
    "gcn_degree",
    "is_constant",
    "normalized_adjacency",
    "positional_embeddings",
    "project",
    "propagate",
    "remember",
    "segment_logsumexp",
    "segment_reduce",
    "segment_softmax",
    "self_logsumexp",
    "sparse_operator",
    "spmm",
    "top_eigenvectors",
]
