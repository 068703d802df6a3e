"""Graphs in, PyG ``Data`` out: inputs of every kind, checks, features, named data sets."""

from graphssl.data.attributes import Kind, attribute_kinds, take_rows
from graphssl.data.blocks import NodeBlocks
from graphssl.data.builtin import digits_graphs, digits_knn, karate_club, planted_communities
from graphssl.data.check import check_graph
from graphssl.data.datasets import DatasetInfo, dataset_info, list_datasets, load_dataset
from graphssl.data.disk import DiskGraph, open_graph
from graphssl.data.disk_convert import convert_edge_list
from graphssl.data.disk_writer import GraphWriter, write_graph
from graphssl.data.edge_lists import read_graph_file, save_graph
from graphssl.data.features import FEATURE_KINDS, resolve_features, with_features
from graphssl.data.graphs import GraphList, graph_of_node, num_features, num_graphs, num_nodes
from graphssl.data.inputs import Inputs, to_graphs
from graphssl.data.source import GraphSource, degrees, graph_source, topology_of

__all__ = [
    "FEATURE_KINDS",
    "DatasetInfo",
    "DiskGraph",
    "GraphList",
    "GraphSource",
    "GraphWriter",
    "Inputs",
    "Kind",
    "NodeBlocks",
    "attribute_kinds",
    "check_graph",
    "convert_edge_list",
    "dataset_info",
    "degrees",
    "digits_graphs",
    "digits_knn",
    "graph_of_node",
    "graph_source",
    "karate_club",
    "list_datasets",
    "load_dataset",
    "num_features",
    "num_graphs",
    "num_nodes",
    "open_graph",
    "planted_communities",
    "read_graph_file",
    "resolve_features",
    "save_graph",
    "take_rows",
    "to_graphs",
    "topology_of",
    "with_features",
    "write_graph",
]
