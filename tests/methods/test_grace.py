"""GRACE over sampled anchors: the loss of all nodes on average, and as good an embedding."""

from __future__ import annotations

import pytest
import torch

import graphssl
from graphssl.errors import ConfigurationError

STILL = dict(hidden_channels=8, drop_edges=0.0, mask_features=0.0)  # views without randomness: only anchors are drawn


@pytest.mark.parametrize("name", ["grace", "gca"])
def test_anchors_are_drawn_anew_and_right_on_average(name):
    data = graphssl.load_dataset("karate")
    options = {**STILL, "max_probability": 0.0} if name == "gca" else STILL
    whole, few = (graphssl.create_method(name, data, num_anchors=n, **options) for n in (None, 3))
    few.load_state_dict(whole.state_dict())
    with torch.no_grad():
        losses = torch.stack([few.loss(data) for _ in range(400)])
    assert losses.unique().numel() > 300
    assert abs(losses.mean() - whole.loss(data)) < 4 * losses.std() / 20


def test_as_many_anchors_as_nodes_are_all_of_them():
    data = graphssl.load_dataset("karate")
    methods = [graphssl.create_method("grace", data, num_anchors=n, **STILL) for n in (None, 34, 1000)]
    losses = [graphssl.train(method, data, steps=3, seed=0).loss for method in methods]
    assert losses[0] == losses[1] == losses[2]


def test_anchors_among_the_nodes_that_both_views_kept():
    from graphssl.methods.grace import GRACE
    from graphssl.views import DropNodes

    data = graphssl.load_dataset("karate")
    built = graphssl.create_method("grace", data, hidden_channels=8)
    method = GRACE(built.encoder, built.projector, DropNodes(0.4), DropNodes(0.4), num_anchors=5)
    assert torch.isfinite(method.loss(data))


@pytest.mark.parametrize("number", [0, -1, 2.5, "8"])
def test_a_number_of_anchors_that_cannot_be(number):
    with pytest.raises(ConfigurationError, match="num_anchors"):
        graphssl.create_method("grace", graphssl.load_dataset("karate"), num_anchors=number)
