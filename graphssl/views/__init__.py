"""Views: a graph in, another graph out. Augmentations, corruptions and diffusions."""

from graphssl.views.adaptive import AdaptiveDropEdges, AdaptiveMaskFeatures
from graphssl.views.base import View
from graphssl.views.centrality import (
    degree_centrality,
    eigenvector_centrality,
    node_centrality,
    pagerank_centrality,
)
from graphssl.views.combine import Compose, Identity, RandomChoice
from graphssl.views.diffusion import HeatDiffusion, PPRDiffusion
from graphssl.views.edges import AddEdges, DropEdges, PerturbEdges
from graphssl.views.features import MaskFeatureColumns, MaskFeatureEntries, MaskNodes, ShuffleFeatures
from graphssl.views.nodes import DropNodes
from graphssl.views.subset import copy_graph, replace_edges, take_edges, take_nodes
from graphssl.views.two import align_rows, per_view, two_edge_and_feature_views
from graphssl.views.walks import RandomWalkSubgraph

__all__ = [
    "AdaptiveDropEdges",
    "AdaptiveMaskFeatures",
    "AddEdges",
    "Compose",
    "DropEdges",
    "DropNodes",
    "HeatDiffusion",
    "Identity",
    "MaskFeatureColumns",
    "MaskFeatureEntries",
    "MaskNodes",
    "PPRDiffusion",
    "PerturbEdges",
    "RandomChoice",
    "RandomWalkSubgraph",
    "ShuffleFeatures",
    "View",
    "align_rows",
    "copy_graph",
    "degree_centrality",
    "eigenvector_centrality",
    "node_centrality",
    "pagerank_centrality",
    "per_view",
    "replace_edges",
    "take_edges",
    "take_nodes",
    "two_edge_and_feature_views",
]
