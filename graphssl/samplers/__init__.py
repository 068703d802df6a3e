"""Pieces of a graph that is too large to be used whole: neighbourhoods, walks, subgraphs, clusters."""

from graphssl.samplers.clusters import ClusterLoader, partition
from graphssl.samplers.loader import Loader
from graphssl.samplers.negatives import negative_edges
from graphssl.samplers.neighbor_loader import NeighborLoader
from graphssl.samplers.seed_loader import SeedLoader
from graphssl.samplers.subgraphs import EgoNets, RandomWalkSubgraphs
from graphssl.samplers.walk_loader import WalkBatch, WalkLoader
from graphssl.samplers.walks import RandomWalks

__all__ = [
    "ClusterLoader",
    "EgoNets",
    "Loader",
    "NeighborLoader",
    "RandomWalkSubgraphs",
    "RandomWalks",
    "SeedLoader",
    "WalkBatch",
    "WalkLoader",
    "negative_edges",
    "partition",
]
