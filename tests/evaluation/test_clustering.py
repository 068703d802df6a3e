import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from graphssl.evaluation import evaluate_embedding


def blobs_on_a_sphere(n=150, classes=3):
    y = np.arange(n) % classes
    Z = np.eye(classes)[y] + 0.05 * np.random.RandomState(0).randn(n, classes)
    return Z.astype(np.float32), Data(edge_index=torch.zeros(2, 0).long(), y=torch.from_numpy(y), num_nodes=n)


def scores(Z, data, seed=0):
    return {row["metric"]: row["value"] for row in evaluate_embedding(Z, data, "kmeans", seed)}


def test_separable_classes_are_found():
    Z, data = blobs_on_a_sphere()
    assert scores(Z, data) == {"nmi": pytest.approx(1), "ari": pytest.approx(1)}


def test_length_of_rows_does_not_matter():
    Z, data = blobs_on_a_sphere()
    assert scores(Z * np.random.RandomState(1).uniform(0.1, 10, (150, 1)), data)["ari"] == pytest.approx(1)


def test_noise_scores_zero():
    _, data = blobs_on_a_sphere()
    found = scores(np.random.RandomState(0).randn(150, 4), data)
    assert abs(found["ari"]) < 0.05
    assert found["nmi"] < 0.1


def test_a_collapsed_embedding_scores_zero_without_a_warning():
    _, data = blobs_on_a_sphere()
    assert scores(np.ones((150, 4)), data) == {"nmi": pytest.approx(0, abs=1e-9), "ari": pytest.approx(0, abs=1e-9)}


def test_unknown_labels_are_left_out_and_names_of_classes_do_not_matter():
    Z, data = blobs_on_a_sphere()
    known = data.clone()
    data.y[:50] = -1
    Z[:50] = 0
    assert scores(Z, data)["nmi"] == pytest.approx(1)
    known.y = 10 - 3 * known.y
    assert scores(blobs_on_a_sphere()[0], known)["ari"] == pytest.approx(1)


def test_seed_decides():
    _, data = blobs_on_a_sphere()
    Z = np.random.RandomState(0).randn(150, 4)
    assert scores(Z, data, 3) == scores(Z, data, 3)
