import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from graphssl.evaluation import logistic_path
from graphssl.evaluation.solver import logistic_losses

GRID = (1e-3, 1e-1, 10.0, 1e3)


def problem(n, dim, classes, seed=0):
    random = np.random.RandomState(seed)
    centres = random.randn(classes, dim)
    y = np.arange(n) % classes
    return centres[y] + 2 * random.randn(n, dim), y


@pytest.mark.parametrize(("n", "dim", "classes"), [(200, 6, 3), (40, 90, 4), (60, 5, 2)])
def test_multinomial_agrees_with_scikit_learn(n, dim, classes):
    Z, y = problem(n, dim, classes)
    path = logistic_path(Z, np.eye(classes)[y], GRID, tol=1e-7)
    for C, weights in zip(GRID, path, strict=True):
        scores = Z @ weights[:-1] + weights[-1]
        ours = np.exp(scores - scores.max(1, keepdims=True))
        ours /= ours.sum(1, keepdims=True)
        # two classes: scikit-learn penalises one w by |w|^2, we penalise w/2 and -w/2 by |w|^2 / 2 together
        theirs = LogisticRegression(C=C if classes > 2 else 2 * C, tol=1e-9, max_iter=20000).fit(Z, y).predict_proba(Z)
        assert np.abs(ours - theirs).max() < 2e-3


def test_one_vs_rest_agrees_with_liblinear():
    Z, y = problem(150, 8, 3)
    path = logistic_path(Z, np.eye(3)[y], GRID, loss="one-vs-rest", penalise_bias=True, tol=1e-7)
    for C, weights in zip(GRID, path, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = OneVsRestClassifier(LogisticRegression(C=C, solver="liblinear", tol=1e-9, max_iter=5000)).fit(Z, y)
        theirs = np.stack([np.append(one.coef_[0], one.intercept_) for one in model.estimators_], axis=1)
        assert np.abs(weights - theirs).max() < 1e-2 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("loss", ["multinomial", "one-vs-rest"])
def test_gradient_of_the_equation_vanishes_at_the_solution(loss):
    Z, y = problem(50, 4, 3)
    C = 0.7
    weights = logistic_path(Z, np.eye(3)[y], [C], loss=loss, tol=1e-9)[0]

    def equation(W):
        scores = Z @ W[:-1] + W[-1]
        return 0.5 * (W[:-1] ** 2).sum() + C * logistic_losses(scores, y, loss).sum()

    for index in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[index] = 1e-5
        assert abs(equation(weights + step) - equation(weights - step)) / 2e-5 < 1e-4


def test_losses_are_the_textbook_ones():
    scores, y = np.random.RandomState(0).randn(5, 3), np.array([0, 1, 2, 0, 1])
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    sigmoid, target = 1 / (1 + np.exp(-scores)), np.eye(3)[y]
    binary = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).sum(1)
    assert np.allclose(logistic_losses(scores, y, "multinomial"), -np.log(softmax[np.arange(5), y]))
    assert np.allclose(logistic_losses(scores, y, "one-vs-rest"), binary)


def test_order_of_the_grid_is_kept():
    Z, y = problem(50, 4, 3)
    upwards, downwards = logistic_path(Z, np.eye(3)[y], GRID), logistic_path(Z, np.eye(3)[y], GRID[::-1])
    assert np.array_equal(upwards, downwards[::-1])
    assert (np.diff(np.linalg.norm(upwards[:, :-1], axis=(1, 2))) > 0).all()  # a larger C is a weaker penalty


def test_extreme_values_stay_finite():
    Z, y = problem(30, 4, 3)
    for loss in ("multinomial", "one-vs-rest"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(logistic_path(1e4 * Z, np.eye(3)[y], GRID, loss=loss)).all()
