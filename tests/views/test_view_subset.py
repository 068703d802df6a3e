"""What belongs to nodes, what to edges, and what to the graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch, Data
from view_strategies import generator, numbered_graph

from graphssl.views import DropEdges, DropNodes, PPRDiffusion, RandomWalkSubgraph, replace_edges, take_edges, take_nodes

CYCLE = [(0, 1), (1, 2), (2, 3), (3, 0)]
KEEP = torch.tensor([True, True, False, True])


def test_as_many_edges_as_nodes():
    graph = numbered_graph(4, CYCLE)
    graph.edge_color, graph.color = torch.arange(4), torch.arange(4)
    edges, nodes = take_edges(graph, torch.tensor([2])), take_nodes(graph, KEEP)
    assert (edges.edge_color.tolist(), edges.color.tolist()) == ([2], [0, 1, 2, 3])
    assert (nodes.edge_color.tolist(), nodes.color.tolist()) == ([0, 3], [0, 1, 3])
    assert nodes.edge_index.tolist() == [[0, 2], [1, 0]]


def test_a_batch_knows_more_than_sizes():
    # 2 graphs, 4 edges, 4 nodes: only the slices tell which attribute of 4 rows is whose
    graphs = [numbered_graph(3, [(0, 1)]), numbered_graph(1, [(0, 0)] * 3)]
    for graph in graphs:
        graph.bond = torch.arange(graph.num_edges)
        graph.atom = torch.arange(graph.num_nodes)
        graph.note = torch.arange(2)
    batch = Batch.from_data_list(graphs)
    out = take_nodes(batch, torch.tensor([False, False, True, True]))
    assert out.atom.tolist() == [2, 0]
    assert out.bond.tolist() == [0, 1, 2]
    assert out.note.tolist() == [0, 1, 0, 1]
    assert [part.note.tolist() for part in out.to_data_list()] == [[0, 1]] * 2
    assert [part.bond.tolist() for part in out.to_data_list()] == [[], [0, 1, 2]]


def test_labels_of_the_graph_are_not_edges():
    graph = numbered_graph(4, [(0, 1)])
    assert take_edges(graph, torch.tensor([], dtype=torch.long)).y.shape == (1,)
    batch = Batch.from_data_list([graph, numbered_graph(4, [(1, 2)])])
    assert take_edges(batch, torch.tensor([0])).y.shape == (2,)


def test_lists_and_arrays():
    graph = numbered_graph(4, CYCLE)
    graph.names, graph.weights, graph.edge_names = list("abcd"), np.arange(4.0), tuple("wxyz")
    nodes = take_nodes(graph, KEEP)
    assert (nodes.names, nodes.weights.tolist(), nodes.edge_names) == (list("abd"), [0, 1, 3], ("w", "z"))
    batch = Batch.from_data_list([graph, graph])
    assert take_nodes(batch, torch.cat([KEEP, KEEP])).names == batch.names


@pytest.mark.parametrize("view", [DropEdges(1.0), PPRDiffusion()])
def test_nodes_without_features_are_not_forgotten(view):
    assert view(Data(edge_index=torch.tensor([[0], [4]]))).num_nodes == 5
    out = view(Data(edge_index=torch.tensor([[0], [4]]), num_nodes=9))
    assert out.num_nodes == 9


@pytest.mark.parametrize("view", [DropNodes(0.5), RandomWalkSubgraph(0.5)])
def test_graphs_that_only_count_their_nodes(view):
    graphs = [Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=n) for n in (2, 5, 3)]
    out = view(Batch.from_data_list(graphs), generator=generator())
    assert out.num_nodes == out.n_id.numel() == out.batch.numel()
    assert sum(part.num_nodes for part in out.to_data_list()) == out.num_nodes
    assert [part.num_nodes for part in out.to_data_list()] == torch.bincount(out.batch).tolist()


def test_pointers_made_by_follow_batch():
    graphs = [numbered_graph(4, CYCLE), numbered_graph(3, [(0, 1), (1, 2)])]
    batch = Batch.from_data_list(graphs, follow_batch=["x", "edge_attr"])
    out = take_nodes(batch, torch.cat([KEEP, torch.tensor([True, True, False])]))
    assert out.x_ptr.tolist() == out.ptr.tolist() == [0, 3, 5]
    assert out.x_batch.tolist() == [0, 0, 0, 1, 1]
    assert out.edge_attr_ptr.tolist() == [0, 2, 3]


def test_a_view_of_a_view_of_a_batch_still_splits():
    batch = Batch.from_data_list([numbered_graph(4, CYCLE), numbered_graph(4, CYCLE, first_node=4, first_edge=4)])
    out = DropEdges(0.5)(PPRDiffusion()(DropNodes(0.3)(batch, generator=generator())), generator=generator())
    parts = out.to_data_list()
    assert torch.equal(torch.cat([part.edge_weight for part in parts]), out.edge_weight)
    assert torch.equal(torch.cat([part.n_id for part in parts]), out.n_id)
    again = Batch.from_data_list(parts)
    assert torch.equal(again.edge_index, out.edge_index)


def test_edge_index_subclass():
    graph = Data(x=torch.rand(4, 2), edge_index=None)
    graph.edge_index = EdgeIndex(torch.tensor(CYCLE).t().contiguous(), sparse_size=(4, 4), sort_order="row")
    out = DropNodes(0.5)(graph, generator=generator())
    assert type(out.edge_index) is torch.Tensor
    assert out.num_nodes == out.n_id.numel()


def test_other_edges():
    graph = numbered_graph(4, CYCLE)
    out = replace_edges(graph, torch.tensor([[0], [2]]), edge_weight=torch.ones(1))
    assert out.edge_index.tolist() == [[0], [2]]
    assert "edge_attr" not in out
    assert "edge_attr" in graph
