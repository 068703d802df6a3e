import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError
from graphssl.evaluation import AllLabelled, GivenSplit, RandomSplit, StratifiedFolds, find_protocol
from graphssl.evaluation.splits import stratified_folds


def labels(n: int = 2708, classes: int = 7) -> np.ndarray:
    return np.random.RandomState(0).randint(0, classes, n)


def parts(split):
    return {"train": split.train, "val": split.val, "test": split.test}


@pytest.mark.parametrize(
    ("protocol", "sizes"), [("random-10-10-80", (270, 270, 2168)), ("random-10-90", (270, 0, 2438))]
)
def test_sizes_of_random_protocols(protocol, sizes):
    split = find_protocol(protocol, Data(edge_index=torch.zeros(2, 0).long())).splits(None, labels(), 0)[0]
    assert tuple(len(part) for part in parts(split).values()) == sizes
    assert np.array_equal(np.sort(np.concatenate([*parts(split).values()])), np.arange(2708))


def test_a_seed_always_draws_the_same_rows():
    y = labels(100)
    first = RandomSplit()(None, y, 3)[0]
    # pinned: published numbers must be reproducible with later versions of numpy and of this package
    assert first.train.tolist() == [93, 67, 6, 64, 96, 83, 98, 42, 25, 15]
    assert np.array_equal(first.test, RandomSplit()(None, (y + 1) % 7, 3)[0].test)  # classes do not matter
    assert not np.array_equal(first.train, RandomSplit()(None, y, 4)[0].train)


def test_random_splits_are_uniform_over_rows():
    y = np.zeros(50, dtype=int)
    counts = np.zeros(50)
    for seed in range(2000):
        counts[RandomSplit(0.1, 0.1)(None, y, seed)[0].train] += 1
    # each row is drawn with probability 0.1: mean 200, standard deviation 13.4
    assert counts.sum() == 2000 * 5
    assert np.abs(counts - 200).max() < 5 * 13.4


def test_unknown_labels_are_in_no_split():
    y = labels(300)
    y[::3] = -1
    for rule in (RandomSplit(), StratifiedFolds(), AllLabelled()):
        for split in rule(None, y, 0):
            rows = np.concatenate([*parts(split).values()])
            assert (y[rows] >= 0).all()
            assert len(np.unique(rows)) == len(rows) == 200


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=10, max_size=80), st.integers(0, 2**32 - 1))
def test_folds_partition_the_rows_and_are_balanced(values, seed):
    y = np.array(values)
    fold = stratified_folds(y, 10, seed)
    assert np.ptp(np.bincount(fold, minlength=10)) <= 1
    for label in np.unique(y):
        assert np.ptp(np.bincount(fold[y == label], minlength=10)) <= 1
    splits = StratifiedFolds(10)(None, y, seed)
    assert np.array_equal(np.sort(np.concatenate([split.test for split in splits])), np.arange(len(y)))
    for split in splits:
        assert np.array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(len(y)))


def test_another_seed_is_another_partition():
    y = labels(100)
    first, second = (StratifiedFolds()(None, y, seed)[0].test for seed in (0, 1))
    assert not np.array_equal(np.sort(first), np.sort(second))


def masked(train, val, test, n=9):
    data = Data(edge_index=torch.zeros(2, 0).long(), y=torch.arange(n) % 3)
    for name, rows in (("train", train), ("val", val), ("test", test)):
        mask = torch.zeros(n, dtype=torch.bool)
        mask[rows] = True
        data[f"{name}_mask"] = mask
    return data


def test_given_masks_are_used_as_they_are():
    data = masked([0, 1, 2], [3, 4], [5, 8])
    split = GivenSplit()(data, data.y.numpy(), 7)[0]
    assert [part.tolist() for part in parts(split).values()] == [[0, 1, 2], [3, 4], [5, 8]]


def test_a_seed_takes_a_column_of_the_masks():
    columns = [masked([k], [k + 1], [k + 2]) for k in range(3)]
    data = columns[0].clone()
    data.train_mask = torch.stack([c.train_mask for c in columns], dim=1)
    data.val_mask = torch.stack([c.val_mask for c in columns], dim=1)
    data.test_mask = torch.zeros(9, dtype=torch.bool)
    data.test_mask[6:] = True  # one test set for all columns, as in WikiCS
    for seed in range(5):
        split = GivenSplit()(data, data.y.numpy(), seed)[0]
        assert split.train.tolist() == [seed % 3]
        assert split.val.tolist() == [seed % 3 + 1]
        assert split.test.tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(edge_index=torch.zeros(2, 0).long(), y=torch.arange(9) % 3), "no train_mask"),
        (masked([0, 1], [1, 2], [3]), "overlap"),
        (masked([0], [], [3]), "0 val"),
        (Data(y=torch.arange(9), train_mask=torch.ones(4).bool()), "shape"),
    ],
)
def test_masks_that_cannot_be_used(data, message):
    with pytest.raises(ConfigurationError, match=message):
        GivenSplit()(data, data.y.numpy(), 0)


def test_too_few_rows():
    with pytest.raises(ConfigurationError, match="10 folds"):
        StratifiedFolds(10)(None, labels(9), 0)
    with pytest.raises(ConfigurationError, match="too few"):
        RandomSplit()(None, labels(2), 0)
