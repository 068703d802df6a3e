"""Primitives the rest is built on: segment reductions and sparse products, one dispatch point each."""

from graphssl.ops.adjacency import Adjacency, check_edges, gcn_degree, normalized_adjacency, sparse_operator
from graphssl.ops.contrast import cross_logsumexp, self_logsumexp
from graphssl.ops.diffusion import heat_push, ppr_push
from graphssl.ops.features import derive_features, is_constant, project
from graphssl.ops.leaky import PReLU
from graphssl.ops.memory import forget, remember
from graphssl.ops.negatives import negative_edges, negative_targets
from graphssl.ops.neighbours import SampledNeighbours, sample_neighbours
from graphssl.ops.positional import positional_embeddings, top_eigenvectors
from graphssl.ops.segment import segment_logsumexp, segment_reduce, segment_softmax
from graphssl.ops.spmm import propagate, spmm
from graphssl.ops.subgraphs import Subgraphs, ego_nets, induced_subgraphs, trace_subgraphs, walk_subgraphs
from graphssl.ops.walks import default_streams, random_walks

__all__ = [
    "Adjacency",
    "PReLU",
    "SampledNeighbours",
    "Subgraphs",
    "check_edges",
    "cross_logsumexp",
    "default_streams",
    "derive_features",
    "ego_nets",
    "forget",
    "gcn_degree",
    "heat_push",
    "induced_subgraphs",
    "is_constant",
    "negative_edges",
    "negative_targets",
    "normalized_adjacency",
    "positional_embeddings",
    "ppr_push",
    "project",
    "propagate",
    "random_walks",
    "remember",
    "sample_neighbours",
    "segment_logsumexp",
    "segment_reduce",
    "segment_softmax",
    "self_logsumexp",
    "sparse_operator",
    "spmm",
    "top_eigenvectors",
    "trace_subgraphs",
    "walk_subgraphs",
]
