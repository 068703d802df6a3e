"""The null hypothesis of the field: training must beat an untrained encoder, and the raw features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch_geometric.data import Data

import graphssl
from graphssl.data import planted_communities
from graphssl.method import method_options
from graphssl.training import fit

ENCODER, TABLE = {"hidden_channels": 16}, {"out_channels": 16, "walk_length": 20, "window": 5}
SEEDS = range(3)


def accuracy(embedding: np.ndarray, labels: np.ndarray) -> float:
    scaled = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
    return float(cross_val_score(LogisticRegression(max_iter=500), scaled, labels, cv=3).mean())


def mean_accuracy(name: str, data, labels: np.ndarray, max_steps: int, **settings) -> float:
    options = ENCODER if "hidden_channels" in method_options(name) else TABLE
    runs = (fit(name, data, options=options, max_steps=max_steps, seed=s, device="cpu", **settings) for s in SEEDS)
    return float(np.mean([accuracy(run.embed(), labels) for run in runs]))


@pytest.fixture(scope="module")
def communities() -> Data:
    """Four communities; features are so noisy and many that a random projection loses most of them."""
    return planted_communities(500, 4, num_features=300, signal=0.7, average_degree=8, seed=0)


@pytest.fixture(scope="module")
def classes_of_graphs() -> list[Data]:
    """Small random graphs of three classes; the class shifts the noisy features of all nodes of a graph."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 200, generator=generator) * 0.25
    graphs = []
    for i in range(240):
        ends = torch.randint(12, (2, 20), generator=generator)
        x = centres[i % 3] + torch.randn(12, 200, generator=generator)
        graphs.append(Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1), y=torch.tensor([i % 3])))
    return graphs


@pytest.mark.parametrize("name", graphssl.list_methods(level="node"))
def test_node_methods(name: str, communities: Data) -> None:
    labels = communities.y.numpy()
    trained = mean_accuracy(name, communities, labels, max_steps=150)
    assert trained > mean_accuracy(name, communities, labels, max_steps=0) + 0.02
    assert trained > accuracy(communities.x.numpy(), labels)


@pytest.mark.parametrize("name", graphssl.list_methods(level="graph"))
def test_graph_methods(name: str, classes_of_graphs: list[Data]) -> None:
    labels = np.array([int(graph.y) for graph in classes_of_graphs])
    settings = dict(batch_size=60, training={"epochs": 20})
    trained = mean_accuracy(name, classes_of_graphs, labels, max_steps=80, **settings)
    assert trained > mean_accuracy(name, classes_of_graphs, labels, max_steps=0, **settings) + 0.02
