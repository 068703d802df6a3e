"""Primitives the rest is built on: segment reductions and sparse products, one dispatch point each."""

from graphssl.ops.adjacency import Adjacency, check_edges, normalized_adjacency, sparse_operator
from graphssl.ops.contrast import cross_logsumexp, self_logsumexp
from graphssl.ops.features import derive_features, is_constant, project
from graphssl.ops.leaky import PReLU
from graphssl.ops.memory import forget, remember
from graphssl.ops.negatives import negative_edges, negative_targets
from graphssl.ops.neighbours import SampledNeighbours, sample_neighbours
from graphssl.ops.segment import segment_logsumexp, segment_reduce, segment_softmax
from graphssl.ops.spmm import propagate, spmm

__all__ = [
    "Adjacency",
    "PReLU",
    "SampledNeighbours",
    "check_edges",
    "cross_logsumexp",
    "derive_features",
    "forget",
    "is_constant",
    "negative_edges",
    "negative_targets",
    "normalized_adjacency",
    "project",
    "propagate",
    "remember",
    "sample_neighbours",
    "segment_logsumexp",
    "segment_reduce",
    "segment_softmax",
    "self_logsumexp",
    "sparse_operator",
    "spmm",
]
