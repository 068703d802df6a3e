"""The null hypothesis of the field: training must beat an untrained encoder, and the raw features."""

from itertools import product

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


def accuracy_of_few(embedding: np.ndarray, labels: np.ndarray, count: int = 5) -> float:
    """Of all other rows, with ``count`` labelled rows of each class; mean over ten draws of these."""
    scaled = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
    scores = []
    for draw in range(10):
        order = np.random.default_rng(draw).permutation(len(labels))
        train = np.concatenate([order[labels[order] == c][:count] for c in np.unique(labels)])
        test = np.setdiff1d(order, train)
        scores.append(
            LogisticRegression(max_iter=500).fit(scaled[train], labels[train]).score(scaled[test], labels[test])
        )
    return float(np.mean(scores))


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


@pytest.fixture(scope="module")
def motifs_on_a_ring() -> Data:
    """Five motifs, 16 of each, with random edges between all: the label is the motif.

    Within a motif every node has degree four, so that degrees say nothing: what tells is how its edges close.
    """
    kinds = [
        [(i, 4 + j) for i, j in product(range(4), repeat=2)],
        [(i, (i + d) % 8) for i, d in product(range(8), (1, 2))],
        [(i, (i + d) % 9) for i, d in product(range(9), (1, 2))],
        [(i, (i + d) % 9) for i, d in product(range(9), (1, 3))],
        [(i, (i + d) % 5) for i, d in product(range(5), (1, 2))],
    ]
    generator = torch.Generator().manual_seed(0)
    edges, labels, doors = [], [], []
    for kind in torch.arange(5).repeat(16)[torch.randperm(80, generator=generator)].tolist():
        first = len(labels)
        doors.append(first)
        edges += [(first + a, first + b) for a, b in kinds[kind]]
        labels += [kind] * (1 + max(max(edge) for edge in kinds[kind]))
    edges += [(doors[i], doors[i - 1] + 2) for i in range(80)]
    noise = torch.randint(len(labels), (2, 60), generator=generator)
    ends = torch.cat([torch.tensor(edges).t(), noise[:, noise[0] != noise[1]]], dim=1)
    return Data(edge_index=torch.cat([ends, ends.flip(0)], 1), y=torch.tensor(labels), num_nodes=len(labels))


STRUCTURAL = graphssl.list_methods(tag="structural")


@pytest.mark.parametrize("name", [name for name in graphssl.list_methods(level="node") if name not in STRUCTURAL])
def test_node_methods(name: str, communities: Data) -> None:
    labels = communities.y.numpy()
    trained = mean_accuracy(name, communities, labels, max_steps=150)
    assert trained > mean_accuracy(name, communities, labels, max_steps=0) + 0.02
    assert trained > accuracy(communities.x.numpy(), labels)


@pytest.mark.parametrize("name", STRUCTURAL)
def test_structural_methods(name: str, motifs_on_a_ring: Data) -> None:
    """With few labels: given two thirds of them, random layers that see degrees and eigenvectors are enough here."""
    labels = motifs_on_a_ring.y.numpy()

    def score(steps: int, seed: int) -> float:
        options = {"momentum": None, "walk_length": 32}
        run = fit(name, motifs_on_a_ring, options=options, max_steps=steps, batch_size=64, seed=seed, device="cpu")
        return accuracy_of_few(run.embed(), labels)

    assert np.mean([score(60, seed) for seed in SEEDS]) > np.mean([score(0, seed) for seed in SEEDS]) + 0.05


@pytest.mark.parametrize("name", graphssl.list_methods(level="graph"))
def test_graph_methods(name: str, classes_of_graphs: list[Data]) -> None:
    labels = np.array([int(graph.y) for graph in classes_of_graphs])
    settings = dict(batch_size=60, training={"epochs": 20})
    trained = mean_accuracy(name, classes_of_graphs, labels, max_steps=80, **settings)
    assert trained > mean_accuracy(name, classes_of_graphs, labels, max_steps=0, **settings) + 0.02
