import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifier

from graphssl.evaluation.ridge import ridge_path

GRID = (1e-3, 1e-1, 10.0, 1e3)


def problem(n, dim, classes, seed=0):
    random = np.random.RandomState(seed)
    y = np.arange(n) % classes
    return random.randn(classes, dim)[y] + 2 * random.randn(n, dim) + 3, y


@pytest.mark.parametrize(("n", "dim", "classes"), [(200, 6, 3), (40, 90, 4), (60, 5, 2), (40, 40, 3)])
def test_equals_scikit_learn(n, dim, classes):
    Z, y = problem(n, dim, classes)
    for C, weights in zip(GRID, ridge_path(Z, np.eye(classes)[y], GRID), strict=True):
        model = RidgeClassifier(alpha=1 / C).fit(Z, y)
        ours = weights if classes > 2 else weights[:, 1:]
        assert np.allclose(ours[:-1].T, model.coef_, atol=1e-8)
        assert np.allclose(ours[-1], model.intercept_, atol=1e-7)
        assert np.array_equal((Z @ weights[:-1] + weights[-1]).argmax(1), model.predict(Z))


@pytest.mark.parametrize("dim", [6, 90])
def test_penalised_intercept_is_the_weight_of_a_column_of_ones(dim):
    Z, y = problem(40, dim, 3)
    target = np.eye(3)[y]
    for C, weights in zip(GRID, ridge_path(Z, target, GRID, penalise_bias=True), strict=True):
        model = Ridge(alpha=1 / C, fit_intercept=False).fit(np.hstack([Z, np.ones((40, 1))]), 2 * target - 1)
        assert np.allclose(weights, model.coef_.T, atol=1e-8)


def test_degenerate_rows_satisfy_the_normal_equations():
    Z, y = problem(40, 8, 3)
    cases = {
        "duplicate rows": np.repeat(Z[:10], 4, axis=0),
        "constant columns": np.hstack([Z, np.full((40, 3), 2.5)]),
        "zero rows": Z * (np.arange(40) < 30)[:, None],
        "all zero": np.zeros((40, 8)),
        "one row": Z[:1],
        "an absent class": Z[y != 2],
    }
    for name, rows in cases.items():
        labels = y[y != 2] if name == "an absent class" else y[: len(rows)]
        target = np.eye(3)[labels]
        for penalise_bias in (True, False):
            path = ridge_path(rows, target, GRID, penalise_bias=penalise_bias)
            for C, weights in zip(GRID, path, strict=True):
                A = np.hstack([rows, np.ones((len(rows), 1))])
                shrink = np.append(np.ones(rows.shape[1]), penalise_bias)[:, None] / C
                gradient = A.T @ (A @ weights - (2 * target - 1)) + shrink * weights
                assert np.abs(gradient).max() < 1e-7 * len(rows), (name, C)
