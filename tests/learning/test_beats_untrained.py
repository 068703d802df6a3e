"""The null hypothesis of the field: training must beat an untrained encoder, and the raw features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch_geometric.data import Data

import graphssl
from graphssl.data import planted_communities
from graphssl.training import fit

STEPS = {"infograph": 60, "graphcl": 60}


def accuracy(embedding: np.ndarray, labels: np.ndarray) -> float:
    scaled = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
    return float(cross_val_score(LogisticRegression(max_iter=500), scaled, labels, cv=3).mean())


@pytest.fixture(scope="module")
def communities() -> Data:
    return planted_communities(400, 4, seed=0)


@pytest.mark.parametrize("name", graphssl.list_methods(level="node"))
def test_node_methods(name: str, communities: Data) -> None:
    labels = communities.y.numpy()
    trained, untrained = [], []
    for seed in range(2):
        options = dict(options={"hidden_channels": 32}, seed=seed, device="cpu")
        trained.append(accuracy(fit(name, communities, max_steps=100, **options).embed(), labels))
        untrained.append(accuracy(fit(name, communities, max_steps=0, **options).embed(), labels))
    assert np.mean(trained) > np.mean(untrained), (trained, untrained)
    assert np.mean(trained) > accuracy(communities.x.numpy(), labels)
