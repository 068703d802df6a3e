import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.evaluation import logistic_path, ridge_path, squared_hinge_path
from graphssl.evaluation.losses import LOSSES, row_losses
from graphssl.evaluation.solver import logistic_paths

GRID = (1e-3, 1e-1, 10.0, 1e3)
LONG_GRID = tuple(10.0**k for k in range(-3, 5))


def problem(n, dim, classes, seed=0):
    random = np.random.RandomState(seed)
    centres = random.randn(classes, dim)
    y = np.arange(n) % classes
    return centres[y] + 2 * random.randn(n, dim), y


def objective(weights, Z, y, C, loss, penalise_bias=False):
    ridge = (weights[:-1] ** 2).sum() + penalise_bias * (weights[-1] ** 2).sum()
    return 0.5 * ridge + C * row_losses(Z @ weights[:-1] + weights[-1], y, loss).sum()


def gradient(weights, Z, y, C, loss, penalise_bias):
    """Of the objective divided by C n, by automatic differentiation of the equation: (D + 1, K)."""
    W = torch.tensor(weights, requires_grad=True)
    target = torch.nn.functional.one_hot(torch.tensor(y), W.shape[1])
    scores = torch.tensor(Z) @ W[:-1] + W[-1]
    sign = 2 * target - 1
    value = {
        "multinomial": lambda: -(torch.log_softmax(scores, 1) * target).sum(),
        "one-vs-rest": lambda: torch.nn.functional.softplus(-sign * scores).sum(),
    }[loss]()
    ridge = W[:-1].square().sum() + penalise_bias * W[-1].square().sum()
    return torch.autograd.grad(value / len(y) + ridge / (2 * C * len(y)), W)[0].numpy()


@pytest.mark.parametrize(("n", "dim", "classes"), [(200, 6, 3), (40, 90, 4), (60, 5, 2)])
def test_multinomial_agrees_with_scikit_learn(n, dim, classes):
    Z, y = problem(n, dim, classes)
    path = logistic_path(Z, np.eye(classes)[y], GRID, tol=1e-7)
    assert np.abs(path.sum(axis=2)).max() < 1e-9  # of all weights with the same probabilities, the shortest
    for C, weights in zip(GRID, path, strict=True):
        scores = Z @ weights[:-1] + weights[-1]
        ours = np.exp(scores - scores.max(1, keepdims=True))
        ours /= ours.sum(1, keepdims=True)
        # two classes: scikit-learn penalises one w by |w|^2, we penalise w/2 and -w/2 by |w|^2 / 2 together
        model = LogisticRegression(C=C if classes > 2 else 2 * C, tol=1e-9, max_iter=20000).fit(Z, y)
        assert np.abs(ours - model.predict_proba(Z)).max() < 2e-3
        if classes > 2:
            theirs = objective(np.vstack([model.coef_.T, model.intercept_]), Z, y, C, "multinomial")
            assert objective(weights, Z, y, C, "multinomial") <= theirs * (1 + 1e-5)


def test_default_tolerance_predicts_like_the_solution():
    Z, y = problem(1500, 40, 5)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    train, fresh = slice(0, 150), slice(150, None)
    options = {"max_iter": 20000, "tol": 1e-7}
    for C, weights in zip(LONG_GRID[:6], logistic_path(Z[train], np.eye(5)[y[train]], LONG_GRID[:6]), strict=True):
        ours = (Z[fresh] @ weights[:-1] + weights[-1]).argmax(1)
        theirs = LogisticRegression(C=C, **options).fit(Z[train], y[train]).predict(Z[fresh])
        assert np.mean(ours == theirs) >= 0.994


@pytest.mark.parametrize("n", [150, 30])
def test_penalised_intercept_agrees_with_liblinear(n):
    Z, y = problem(n, 40, 3)
    path = logistic_path(Z, np.eye(3)[y], GRID, loss="one-vs-rest", penalise_bias=True, tol=1e-8)
    for C, weights in zip(GRID, path, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = OneVsRestClassifier(LogisticRegression(C=C, solver="liblinear", tol=1e-9, max_iter=5000)).fit(Z, y)
        theirs = np.stack([np.append(one.coef_[0], one.intercept_) for one in model.estimators_], axis=1)
        assert np.abs(weights - theirs).max() < 1e-2 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("penalise_bias", [True, False])
@pytest.mark.parametrize(("n", "dim"), [(60, 4), (25, 60)])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_gradient_of_the_equation_vanishes_at_the_solution(loss, n, dim, penalise_bias):
    Z, y = problem(n, dim, 3)
    path = logistic_path(Z, np.eye(3)[y], LONG_GRID, loss=loss, penalise_bias=penalise_bias, tol=1e-7)
    for C, weights in zip(LONG_GRID, path, strict=True):
        assert np.abs(gradient(weights, Z, y, C, loss, penalise_bias)).max() < 1e-6


@pytest.mark.parametrize("penalise_bias", [True, False])
def test_row_space_and_columns_give_the_same_solution(penalise_bias):
    Z, y = problem(40, 30, 3)  # more rows than columns; columns of zeros turn it round and change nothing
    wide = np.hstack([Z, np.zeros((40, 30))])
    options = {"loss": "multinomial", "penalise_bias": penalise_bias, "tol": 1e-8}
    tall, dual = (logistic_path(X, np.eye(3)[y], GRID, **options) for X in (Z, wide))
    assert np.abs(dual[:, 30:60]).max() < 1e-9
    assert np.allclose(np.delete(dual, range(30, 60), axis=1), tall, atol=1e-4)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_problem_alone_or_among_others_has_one_solution(loss):
    Z, y = problem(90, 120, 4)
    subsets = np.random.RandomState(0).rand(5, 90) < [[0.9], [0.8], [0.5], [0.3], [1.0]]
    together = logistic_paths(Z, np.eye(4)[y], GRID, subsets=subsets, loss=loss, tol=1e-10)
    for rows, paths in zip(subsets, together, strict=True):
        for C, weights in zip(GRID, paths, strict=True):
            alone = logistic_path(Z[rows], np.eye(4)[y[rows]], [C], loss=loss, tol=1e-10)[0]
            scores, expected = Z @ weights[:-1] + weights[-1], Z @ alone[:-1] + alone[-1]
            assert np.abs(scores - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_small_batches_started_from_smaller_C_reach_the_same(monkeypatch):
    Z, y = problem(80, 20, 3)
    options = {"subsets": np.random.RandomState(0).rand(3, 80) < 0.7, "tol": 1e-11}
    whole = logistic_paths(Z, np.eye(3)[y], LONG_GRID[::-1], **options)
    for size in (1, 2 * 3 * 3 * 80):  # one, two values of C a batch
        monkeypatch.setattr("graphssl.evaluation.solver._BATCH", size)
        parts = logistic_paths(Z, np.eye(3)[y], LONG_GRID[::-1], **options)
        assert not np.array_equal(parts, whole)
        assert np.allclose(parts, whole, rtol=1e-3, atol=1e-4)


def test_one_versus_rest_is_independent_binary_problems():
    Z, y = problem(70, 10, 3)
    target = np.eye(3)[y]
    together = logistic_path(Z, target, GRID, loss="one-vs-rest", tol=1e-8)
    alone = [logistic_path(Z, target[:, [k]], GRID, loss="one-vs-rest", tol=1e-8) for k in range(3)]
    assert np.allclose(together, np.concatenate(alone, axis=2), atol=1e-5)


def test_iterations_are_bounded():
    Z, y = problem(60, 5, 3)
    values = [
        objective(logistic_path(Z, np.eye(3)[y], [1e3], max_iter=m)[0], Z, y, 1e3, "multinomial") for m in (0, 1, 3, 50)
    ]
    assert values[0] == pytest.approx(1e3 * 60 * np.log(3))
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_degenerate_rows_have_small_gradients(loss):
    random = np.random.RandomState(0)
    Z, y = problem(40, 8, 3)
    cases = {
        "duplicate rows": (np.repeat(Z[:10], 4, axis=0), np.repeat(y[:10], 4)),
        "duplicate rows of two classes": (np.vstack([Z, Z]), np.concatenate([y, (y + 1) % 3])),
        "constant columns": (np.hstack([Z, np.full((40, 3), 2.5)]), y),
        "zero rows": (Z * (np.arange(40) < 30)[:, None], y),
        "all zero": (np.zeros((40, 8)), y),
        "separable": (Z + 30 * np.eye(3, 8)[y], y),
        "one row a class": (random.randn(3, 8), np.arange(3)),
        "one row": (random.randn(1, 8), np.array([1])),
        "an absent class": (Z[y != 2], y[y != 2]),
    }
    for name, (rows, labels) in cases.items():
        for penalise_bias in (True, False):
            path = logistic_path(rows, np.eye(3)[labels], LONG_GRID, loss=loss, penalise_bias=penalise_bias)
            for C, weights in zip(LONG_GRID, path, strict=True):
                # 1e-4 in the solver's basis; turning it back and moving the centre adds up to so much
                bound = 1e-4 * (np.sqrt(rows.shape[1]) + (0 if penalise_bias else np.abs(rows.mean(0)).max()))
                assert np.abs(gradient(weights, rows, labels, C, loss, penalise_bias)).max() < bound, (name, C)


def test_losses_are_the_textbook_ones():
    scores, y = np.random.RandomState(0).randn(5, 3), np.array([0, 1, 2, 0, 1])
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    sigmoid, target = 1 / (1 + np.exp(-scores)), np.eye(3)[y]
    binary = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).sum(1)
    assert np.allclose(row_losses(scores, y, "multinomial"), -np.log(softmax[np.arange(5), y]))
    assert np.allclose(row_losses(scores, y, "one-vs-rest"), binary)
    margins = (2 * target - 1) * scores
    assert np.allclose(row_losses(scores, y, "squared-hinge"), (np.maximum(1 - margins, 0) ** 2).sum(1))
    assert np.allclose(row_losses(scores, y, "squared"), ((scores - (2 * target - 1)) ** 2).sum(1) / 2)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_derivatives_of_losses(loss):
    random = np.random.RandomState(0)
    scores, y = torch.tensor(random.randn(4, 3) * 0.7), torch.tensor([0, 1, 2, 0])
    T, Q = torch.eye(3, dtype=torch.float64)[y].T[None], torch.tensor(random.randn(1, 3, 4))

    def value(t):
        return torch.tensor(row_losses((scores + t * Q[0].T).numpy(), y.numpy(), loss)).sum().item()

    R = LOSSES[loss].slope(scores.T[None], T)
    step = 1e-4
    assert (R * Q).sum().item() == pytest.approx((value(step) - value(-step)) / (2 * step), rel=1e-5)
    second = (value(step) - 2 * value(0) + value(-step)) / step**2
    assert LOSSES[loss].curvature(R, T, Q).sum().item() == pytest.approx(second, rel=1e-4)
    assert (LOSSES[loss].diagonal(R, T) >= 0).all()


def test_order_of_the_grid_is_kept():
    Z, y = problem(50, 4, 3)
    upwards, downwards = logistic_path(Z, np.eye(3)[y], GRID), logistic_path(Z, np.eye(3)[y], GRID[::-1])
    assert np.allclose(upwards, downwards[::-1], atol=1e-9)
    assert (np.diff(np.linalg.norm(upwards[:, :-1], axis=(1, 2))) > 0).all()  # a larger C is a weaker penalty


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_extreme_values_stay_finite(scale):
    Z, y = problem(30, 4, 3)
    for loss in LOSSES:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(logistic_path(scale * Z, np.eye(3)[y], GRID, loss=loss)).all()


def test_impossible_arguments_are_refused():
    Z, y = problem(6, 4, 3)
    with pytest.raises(UnknownNameError, match="multinomial"):
        logistic_path(Z, np.eye(3)[y], GRID, loss="multinominal")
    with pytest.raises(ConfigurationError, match="subset 1 "):
        logistic_paths(Z, np.eye(3)[y], GRID, subsets=np.array([[True] * 6, [False] * 6]))
    with pytest.raises(ConfigurationError, match=r"\(F, 6\)"):
        logistic_paths(Z, np.eye(3)[y], GRID, subsets=np.array([[0, 1, 2]]))


@pytest.mark.parametrize("path", [logistic_path, ridge_path, squared_hinge_path])
@pytest.mark.parametrize(
    ("Z", "target", "grid", "match"),
    [
        (np.ones((0, 4)), np.ones((0, 3)), GRID, r"not empty, got \(0, 4\)"),
        (np.ones((6, 0)), np.ones((6, 3)), GRID, r"not empty, got \(6, 0\)"),
        (np.ones(6), np.ones((6, 3)), GRID, r"not empty, got \(6,\)"),
        (np.full((6, 4), np.nan), np.ones((6, 3)), GRID, "NaN"),
        (np.ones((6, 4)), np.ones((5, 3)), GRID, r"\(6, K\).*\(5, 3\)"),
        (np.ones((6, 4)), np.ones(6), GRID, r"\(6, K\)"),
        (np.ones((6, 4)), np.ones((6, 0)), GRID, r"\(6, K\)"),
        (np.ones((6, 4)), np.ones((6, 3)), (1.0, 0.0), "C > 0"),
        (np.ones((6, 4)), np.ones((6, 3)), (-1.0,), "C > 0"),
        (np.ones((6, 4)), np.ones((6, 3)), (np.nan,), "C > 0"),
        (np.ones((6, 4)), np.ones((6, 3)), (), "C > 0"),
    ],
)
def test_problems_without_a_solution_are_refused(path, Z, target, grid, match):
    with pytest.raises(ConfigurationError, match=match):
        path(Z, target, grid)
