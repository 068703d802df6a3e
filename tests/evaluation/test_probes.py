from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.evaluation import PROBES, LinearProbe, NeighbourProbe, RandomSplit, Split, SVMProbe, make_probe
from graphssl.evaluation.scaling import scaled
from graphssl.evaluation.splits import stratified_folds

NONE = np.empty(0, dtype=np.int64)


def blobs(n=300, classes=3, spread=3.0, dim=8, seed=0):
    Z, y = make_blobs(n, n_features=dim, centers=classes, cluster_std=spread, center_box=(-3, 3), random_state=seed)
    return Z.astype(np.float32), y.astype(np.int64)


def hidden(y, split):
    y = y.copy()
    y[split.test] = -1
    return y


@pytest.mark.parametrize("name", sorted(PROBES))
@pytest.mark.parametrize("with_val", [True, False])
def test_every_probe_learns_and_ignores_test_labels(name, with_val):
    Z, y = blobs()
    split = RandomSplit(0.3, 0.3 if with_val else 0.0)(None, y, 0)[0]
    probe = make_probe(name)
    honest = probe(Z, hidden(y, split), split, seed=0)
    assert np.mean(honest.labels == y[split.test]) > 0.6  # chance is 1/3
    permuted = y.copy()
    permuted[split.test] = np.random.RandomState(1).permutation(y[split.test])
    seen = probe(Z, permuted, split, seed=0)  # even handed wrong test labels, nothing changes
    assert np.array_equal(seen.labels, honest.labels)
    assert seen.chosen == honest.chosen
    assert seen.valid_value == honest.valid_value
    assert honest.chosen.keys() <= {"C", "k"}
    assert honest.chosen


@pytest.mark.parametrize("name", sorted(PROBES))
def test_validation_value_is_that_of_the_validation_rows(name):
    Z, y = blobs(spread=5.0)
    split = RandomSplit(0.3, 0.3)(None, y, 0)[0]
    swapped = Split(split.train, split.test, split.val)
    assert len(split.val) != len(split.test)
    value = make_probe(name)(Z, hidden(y, split), split, seed=0).valid_value
    chosen = make_probe(name)(Z, hidden(y, split), split, seed=0).chosen
    fixed = {"C": "grid", "k": "ks"}[next(iter(chosen))]
    probe = make_probe(name).__class__(**{**vars(make_probe(name)), fixed: (float(next(iter(chosen.values()))),)})
    if fixed == "ks":
        probe = NeighbourProbe(ks=(int(chosen["k"]),))
    labels = probe(Z, hidden(y, swapped), swapped, seed=0).labels
    assert np.mean(labels == y[split.val]) == pytest.approx(value)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_a_single_class_in_training_predicts_it(name):
    Z, y = blobs(60)
    rows = np.flatnonzero(y == 1)
    split = Split(rows[:5], NONE, np.flatnonzero(y != 1))
    assert (make_probe(name)(Z, hidden(y, split), split, seed=0).labels == 1).all()


@pytest.mark.parametrize("name", sorted(PROBES))
def test_classes_absent_from_training_are_survived(name):
    Z, y = blobs(90)
    split = RandomSplit(0.5, 0.2)(None, y, 0)[0]
    known = Split(split.train[y[split.train] != 0], split.val, split.test)  # validation and test hold class 0
    prediction = make_probe(name)(Z, hidden(y, known), known, seed=0)
    assert set(prediction.labels) <= {1, 2}
    assert prediction.valid_value < 1


def test_svm_chooses_like_a_grid_search():
    Z, y = blobs(160, spread=5.0)
    split = RandomSplit(0.7, 0.0)(None, y, 0)[0]
    for probe in (SVMProbe(), SVMProbe(kernel="linear", grid=(1e-3, 1e-2, 0.1, 1.0), n_jobs=2)):
        prediction = probe(Z, hidden(y, split), split, seed=5)
        folds = PredefinedSplit(stratified_folds(y[split.train], 5, 5))
        gamma = 1 / (Z.shape[1] * Z[split.train].var())  # of the outer training rows, not of each inner fold
        model = SVC(kernel=probe.kernel, gamma=gamma)
        search = GridSearchCV(model, {"C": list(probe.grid)}, cv=folds, scoring="accuracy")
        search.fit(Z[split.train], y[split.train])
        assert prediction.chosen["C"] == pytest.approx(search.best_params_["C"])
        assert np.mean(prediction.labels == search.predict(Z[split.test])) > 0.98


THEIRS = {
    "logistic": lambda C: LogisticRegression(C=C, tol=1e-8, max_iter=5000),
    "one-vs-rest": lambda C: OneVsRestClassifier(LogisticRegression(C=C, solver="liblinear", tol=1e-8)),
    "ridge": lambda C: RidgeClassifier(alpha=1 / C),
    "squared-hinge": lambda C: LinearSVC(C=C, tol=1e-8, dual=False),
}


@pytest.mark.parametrize("with_val", [True, False])
@pytest.mark.parametrize("name", sorted(THEIRS))
def test_linear_probes_choose_like_a_loop_over_scikit_learn(name, with_val):
    Z, y = blobs(260, spread=5.0)
    split = RandomSplit(0.3, 0.3 if with_val else 0.0)(None, y, 0)[0]
    probe = replace(make_probe(name), grid=(1e-2, 1e-1, 1.0, 10.0))
    prediction = probe(Z, hidden(y, split), split, seed=3)
    X = scaled(Z, split.train, "l2").astype(np.float64)
    fold = stratified_folds(y[split.train], 5, 3)
    pairs = [(split.train[fold != k], split.train[fold == k]) for k in range(5)]
    pairs = [(split.train, split.val)] if with_val else pairs
    models = [[THEIRS[name](C).fit(X[train], y[train]) for train, _ in pairs] for C in probe.grid]
    accuracy = [np.mean([m.score(X[val], y[val]) for m, (_, val) in zip(row, pairs, strict=True)]) for row in models]
    assert prediction.valid_value == pytest.approx(max(accuracy), abs=1.5 / len(pairs[0][1]))
    model = THEIRS[name](prediction.chosen["C"]).fit(X[split.train], y[split.train])
    assert accuracy[probe.grid.index(prediction.chosen["C"])] == pytest.approx(prediction.valid_value, abs=0.01)
    assert np.mean(prediction.labels == model.predict(X[split.test])) > 0.98


def test_threads_change_nothing():
    Z, y = blobs(120, spread=5.0)
    split = RandomSplit(0.7, 0.0)(None, y, 0)[0]
    one, three = (SVMProbe(n_jobs=n)(Z, hidden(y, split), split, seed=0) for n in (1, 3))
    assert np.array_equal(one.labels, three.labels)
    assert (one.chosen, one.valid_value) == (three.chosen, three.valid_value)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_agree_with_scikit_learn(k):
    Z, y = blobs(200, classes=2)  # two classes and odd k: no tied votes
    split = RandomSplit(0.5, 0.1)(None, y, 0)[0]
    prediction = NeighbourProbe(ks=(k,))(Z, hidden(y, split), split, seed=0)
    theirs = KNeighborsClassifier(k, metric="cosine").fit(Z[split.train], y[split.train]).predict(Z[split.test])
    assert np.array_equal(prediction.labels, theirs)


def test_equal_votes_go_to_the_more_similar_rows():
    angles = np.array([[0.0], [0.35], [0.45], [3.0]])  # cosines with the first row: 0.94 of class 1, 0.90 of class 0
    Z = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    y = np.array([1, 1, 0, 0])
    split = Split(np.array([1, 2]), np.array([0, 3]), np.array([0, 3]))
    assert NeighbourProbe(ks=(2,))(Z, hidden(y, split), split, seed=0).labels.tolist() == [1, 0]


def test_more_neighbours_than_rows():
    Z, y = blobs(30)
    split = Split(np.array([0, 1]), np.arange(2, 6), np.arange(6, 30))
    assert NeighbourProbe(ks=(50,))(Z, hidden(y, split), split, seed=0).chosen == {"k": 2.0}


@pytest.mark.parametrize("probe", [LinearProbe(), NeighbourProbe(), make_probe("one-vs-rest")])
def test_scale_of_the_embedding_does_not_matter(probe):
    Z, y = blobs()
    split = RandomSplit(0.2, 0.2)(None, y, 0)[0]
    small, large = (probe(factor * Z, hidden(y, split), split, seed=0) for factor in (2.0**-12, 2.0**12))
    assert np.array_equal(small.labels, large.labels)


def test_scaling():
    Z = np.random.RandomState(0).randn(50, 4).astype(np.float32) * [1, 10, 100, 0] + 5
    Z[7] = 0
    Z[:, 3] = 3.3
    train = np.arange(30)
    unit = np.linalg.norm(scaled(np.where(np.arange(50)[:, None] == 7, 0, Z), train, "l2"), axis=1)
    assert np.allclose(np.delete(unit, 7), 1)
    assert unit[7] == 0
    standard = scaled(Z, train, "z-score")
    assert np.allclose(standard[train].mean(0), 0, atol=1e-5)
    assert np.allclose(standard[train].std(0), [1, 1, 1, 0], atol=1e-5)
    overall = scaled(Z, train, "global")
    assert np.isclose((overall[train] ** 2).mean(), 1)
    assert np.isclose(overall[:, 0].std() / overall[:, 1].std(), Z[:, 0].std() / Z[:, 1].std())
    assert scaled(Z, train, "none") is Z
    with pytest.raises(UnknownNameError, match="z-score"):
        scaled(Z, train, "zscore")


def test_an_unknown_probe_names_the_nearest():
    with pytest.raises(UnknownNameError, match="logistic"):
        make_probe("logistics")


@pytest.mark.parametrize("name", sorted(PROBES))
def test_very_few_training_rows(name):
    Z, y = blobs(30)
    both = [int(np.flatnonzero(y == label)[0]) for label in (0, 1)]
    for rows in (both[:1], both):
        split = Split(np.array(rows), NONE, np.setdiff1d(np.arange(30), rows))
        labels = make_probe(name)(Z, hidden(y, split), split, seed=0).labels
        assert set(labels) <= set(range(len(rows)))
    with pytest.raises(ConfigurationError, match="no training rows"):
        make_probe(name)(Z, y, Split(NONE, NONE, np.array([2])), seed=0)
