"""Primitives the rest is built on: segment reductions and sparse products, one dispatch point each."""

from graphssl.ops.adjacency import Adjacency, check_edges, normalized_adjacency, sparse_operator
from graphssl.ops.contrast import cross_logsumexp, self_logsumexp
from graphssl.ops.features import derive_features, is_constant, project
from graphssl.ops.leaky import PReLU
from graphssl.ops.memory import forget, remember
from graphssl.ops.segment import segment_logsumexp, segment_reduce, segment_softmax
from graphssl.ops.spmm import propagate, spmm
from graphssl.ops.subgraphs import Subgraphs, ego_nets, induced_subgraphs, trace_subgraphs, walk_subgraphs
from graphssl.ops.walks import default_streams, random_walks

__all__ = [
    "Adjacency",
    "PReLU",
    "Subgraphs",
    "check_edges",
    "cross_logsumexp",
    "default_streams",
    "derive_features",
    "ego_nets",
    "forget",
    "induced_subgraphs",
    "is_constant",
    "normalized_adjacency",
    "project",
    "propagate",
    "random_walks",
    "remember",
    "segment_logsumexp",
    "segment_reduce",
    "segment_softmax",
    "self_logsumexp",
    "sparse_operator",
    "spmm",
    "trace_subgraphs",
    "walk_subgraphs",
]
