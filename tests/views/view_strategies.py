"""Graphs for hypothesis: any size, loops, duplicates, isolated nodes; every node and edge carries its own number."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data


def numbered_graph(num_nodes: int, edges: list[tuple[int, int]], *, first_node: int = 0, first_edge: int = 0) -> Data:
    number = torch.arange(first_edge, first_edge + len(edges))
    return Data(
        x=torch.arange(first_node, first_node + num_nodes).float()[:, None] + torch.tensor([[1.0, 1000.0]]),
        edge_index=torch.tensor(edges, dtype=torch.long).reshape(-1, 2).t().contiguous(),
        edge_attr=number[:, None].float(),
        edge_weight=1.0 + number,
        node_number=torch.arange(first_node, first_node + num_nodes),
        y=torch.tensor([first_node]),
    )


@st.composite
def graph_lists(draw, *, min_graphs: int = 1, max_graphs: int = 4, max_nodes: int = 7, max_edges: int = 12):
    graphs, nodes, edges = [], 0, 0
    for _ in range(draw(st.integers(min_graphs, max_graphs))):
        size = draw(st.integers(1, max_nodes))
        node = st.integers(0, size - 1)
        ends = draw(st.lists(st.tuples(node, node), max_size=max_edges))
        graphs.append(numbered_graph(size, ends, first_node=nodes, first_edge=edges))
        nodes, edges = nodes + size, edges + len(ends)
    return graphs


def batches(**options):
    return graph_lists(**options).map(Batch.from_data_list)


few = settings(deadline=None, max_examples=30)  # busy machines are slow, not wrong
seeds = st.integers(0, 2**31)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample_is_plausible(successes: int, trials: int, p: float) -> bool:
    """Within five standard deviations of a binomial distribution."""
    return abs(successes - trials * p) <= 5 * (trials * p * (1 - p)) ** 0.5 + 1e-9
