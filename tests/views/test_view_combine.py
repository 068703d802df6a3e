from __future__ import annotations

import pytest
import torch
from view_strategies import generator, numbered_graph, sample_is_plausible

from graphssl.errors import ConfigurationError
from graphssl.views import Compose, DropEdges, DropNodes, Identity, MaskFeatureColumns, RandomChoice, View

GRAPH = numbered_graph(6, [(0, 1), (1, 2), (2, 3), (3, 0), (4, 4)])


def test_composition_applies_in_order_with_one_stream():
    first, second = DropNodes(0.4), DropEdges(0.4)
    random = generator(3)
    expected = second(first(GRAPH, generator=random), generator=random)
    out = Compose([first, second])(GRAPH, generator=generator(3))
    assert torch.equal(out.edge_index, expected.edge_index)
    assert torch.equal(out.n_id, expected.n_id)


def test_any_callable_is_a_view():
    def add_one(data, *, generator=None):
        out = data.clone()
        out.x = out.x + 1
        return out

    assert isinstance(add_one, View)
    assert torch.equal(Compose([add_one, add_one])(GRAPH).x, GRAPH.x + 2)


def test_choice_follows_the_probabilities():
    choice = RandomChoice([Identity(), MaskFeatureColumns(1.0), DropEdges(1.0)], probabilities=[0.6, 0.4, 0.0])
    random, masked = generator(), 0
    for _ in range(1000):
        out = choice(GRAPH, generator=random)
        assert out.num_edges == GRAPH.num_edges  # never the view of probability 0
        masked += not out.x.any()
    assert sample_is_plausible(masked, 1000, 0.4)


def test_choice_is_uniform_by_default():
    choice, random = RandomChoice([Identity(), MaskFeatureColumns(1.0), DropEdges(1.0)]), generator()
    outs = [choice(GRAPH, generator=random) for _ in range(900)]
    masked, dropped = sum(not out.x.any() for out in outs), sum(out.num_edges == 0 for out in outs)
    assert all(sample_is_plausible(count, 900, 1 / 3) for count in (masked, dropped, 900 - masked - dropped))


@pytest.mark.parametrize("p", [[0.5], [0.5, 0.6], [-0.5, 1.5], [float("nan"), 1.0]])
def test_probabilities_are_checked(p):
    with pytest.raises(ConfigurationError, match="probabilities must be 2 numbers"):
        RandomChoice([Identity(), Identity()], probabilities=p)


def test_views_are_checked():
    with pytest.raises(ConfigurationError, match="at least one view"):
        RandomChoice([])
    for combine in (Compose, RandomChoice):
        with pytest.raises(ConfigurationError, match="list of views"):
            combine(Identity())
        with pytest.raises(ConfigurationError, match="list of views"):
            combine(["drop-edges"])
