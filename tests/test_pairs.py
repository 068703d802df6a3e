import pytest
import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, GraphSSLError
from graphssl.pairs import Pairs, queue, real_versus_corrupt, same_graph, same_row, two_views

GRAPH_OF_NODE = torch.tensor([0, 2, 0, 1])


def listed(mask: Tensor) -> set[tuple[int, int]]:
    return {(a, c) for a, c in mask.nonzero().tolist()}


def test_same_row_pairs_equal_indices_and_ignores_nothing() -> None:
    pairs = same_row(3)
    assert listed(pairs.positive) == {(0, 0), (1, 1), (2, 2)}
    assert listed(pairs.negative) == {(a, c) for a in range(3) for c in range(3) if a != c}


@pytest.mark.parametrize("intra", [True, False])
def test_two_views_by_hand(intra: bool) -> None:
    n = 3
    pairs = two_views(n, intra=intra)
    assert pairs.shape == (2 * n, 2 * n)
    for a in range(2 * n):
        for c in range(2 * n):
            same_thing, same_view = a % n == c % n, (a < n) == (c < n)
            assert pairs.positive[a, c] == (same_thing and not same_view)
            assert pairs.negative[a, c] == (not same_thing and (intra or not same_view))


def test_a_row_is_never_its_own_negative() -> None:
    pairs = two_views(4)
    assert not pairs.positive.diagonal().any()
    assert not pairs.negative.diagonal().any()


def test_same_graph_has_one_positive_per_node_and_every_other_graph_as_negative() -> None:
    pairs = same_graph(GRAPH_OF_NODE, 3)
    assert listed(pairs.positive) == {(0, 0), (1, 2), (2, 0), (3, 1)}
    assert torch.equal(pairs.negative, ~pairs.positive)


def test_real_versus_corrupt_ignores_nodes_of_other_graphs() -> None:
    pairs = real_versus_corrupt(GRAPH_OF_NODE, 3)
    assert pairs.shape == (3, 8)
    assert listed(pairs.positive) == {(0, 0), (2, 1), (0, 2), (1, 3)}
    assert listed(pairs.negative) == {(0, 4), (2, 5), (0, 6), (1, 7)}


def test_queue_counts_old_rows_as_negatives_and_other_keys_as_neither() -> None:
    pairs = queue(2, 3)
    assert listed(pairs.positive) == {(0, 0), (1, 1)}
    assert listed(pairs.negative) == {(a, c) for a in range(2) for c in (2, 3, 4)}


MADE = {
    "same_row(1)": same_row(1),
    "same_row(3)": same_row(3),
    "two_views(1)": two_views(1),
    "two_views(2)": two_views(2, intra=False),
    "same_graph, one graph": same_graph(torch.zeros(3, dtype=torch.long), 1),
    "same_graph": same_graph(GRAPH_OF_NODE, 3),
    "real_versus_corrupt, one graph": real_versus_corrupt(torch.zeros(3, dtype=torch.long), 1),
    "real_versus_corrupt, one graph without nodes": real_versus_corrupt(GRAPH_OF_NODE, 4),
    "queue(2, 0)": queue(2, 0),
    "queue(2, 3)": queue(2, 3),
}


@pytest.mark.parametrize("name", MADE)
def test_what_constructors_claim_to_know_is_what_the_masks_say(name: str) -> None:
    made = MADE[name]
    read = Pairs(made.positive, made.negative)  # reads the values: also shows that the masks are disjoint
    for fact in ("every_anchor_has_positive", "every_anchor_has_negative", "has_positive", "has_negative"):
        assert getattr(made, fact) == getattr(read, fact), fact


@pytest.mark.parametrize(
    "make",
    [
        lambda device: same_row(3, device=device),
        lambda device: two_views(3, device=device),
        lambda device: same_graph(GRAPH_OF_NODE, 3, device=device),
        lambda device: real_versus_corrupt(torch.zeros(3, dtype=torch.long), 1, device=device),
        lambda device: queue(3, 2, device=device),
    ],
)
def test_constructors_never_read_the_masks(make) -> None:  # type: ignore[no-untyped-def]
    pairs = make("meta")  # a meta tensor has no values: reading one raises
    assert pairs.positive.device.type == "meta"
    assert pairs.every_anchor_has_positive
    assert pairs.has_negative


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        (torch.eye(2), torch.zeros(2, 2, dtype=torch.bool), "positive must be a bool tensor"),
        (torch.zeros(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool), "shape"),
        ([[True]], torch.zeros(1, 1, dtype=torch.bool), "got list"),
        (torch.zeros(2, 2, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool), "one shape"),
        (torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool), "both positive and negative"),
    ],
)
def test_bad_masks_are_refused(positive, negative, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match=message):
        Pairs(positive, negative)


@pytest.mark.parametrize(
    "make",
    [
        lambda: same_row(0),
        lambda: two_views(0),
        lambda: queue(0, 3),
        lambda: queue(3, -1),
        lambda: same_graph(GRAPH_OF_NODE, 0),
        lambda: same_graph(torch.empty(0, dtype=torch.long), 1),
        lambda: real_versus_corrupt(GRAPH_OF_NODE.float(), 3),
        lambda: real_versus_corrupt(GRAPH_OF_NODE[None], 3),
    ],
)
def test_impossible_sizes_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(GraphSSLError):
        make()
