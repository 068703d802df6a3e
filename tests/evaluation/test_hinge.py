import numpy as np
import pytest
from sklearn.svm import LinearSVC

from graphssl.evaluation.hinge import squared_hinge_path
from graphssl.evaluation.losses import row_losses

GRID = tuple(10.0**k for k in range(-3, 5))


def problem(n, dim, classes, seed=0):
    random = np.random.RandomState(seed)
    y = np.arange(n) % classes
    return random.randn(classes, dim)[y] + 2 * random.randn(n, dim), y


def gradient(weights, Z, target, C, penalise_bias):
    """Of the objective divided by C n: (D + 1, K)."""
    A, sign = np.hstack([Z, np.ones((len(Z), 1))]), 2 * target - 1
    shrink = np.append(np.ones(Z.shape[1]), penalise_bias)[:, None]
    return (shrink * weights / C - 2 * A.T @ (sign * np.maximum(1 - sign * (A @ weights), 0))) / len(Z)


@pytest.mark.parametrize(("n", "dim", "classes"), [(200, 6, 3), (40, 90, 4), (60, 5, 2)])
def test_equals_liblinear(n, dim, classes):
    Z, y = problem(n, dim, classes)
    grid = GRID if n > dim else GRID[:3]  # beyond, liblinear's primal solver does not get there on separable rows
    for C, weights in zip(grid, squared_hinge_path(Z, np.eye(classes)[y], grid), strict=True):
        model = LinearSVC(C=C, dual=False, tol=1e-10, max_iter=100000).fit(Z, y)
        theirs = np.vstack([model.coef_.T, model.intercept_])
        ours = weights if classes > 2 else weights[:, 1:]
        assert np.abs(ours - theirs).max() < 1e-4 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("penalise_bias", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e-4])
def test_degenerate_rows_are_solved(scale, penalise_bias):
    Z, y = problem(40, 8, 3)
    cases = {
        "duplicate rows": (np.repeat(Z[:10], 4, axis=0), np.repeat(y[:10], 4)),
        "duplicate rows of two classes": (np.vstack([Z, Z]), np.concatenate([y, (y + 1) % 3])),
        "constant columns": (np.hstack([Z, np.full((40, 3), 2.5)]), y),
        "zero rows": (Z * (np.arange(40) < 30)[:, None], y),
        "all zero": (np.zeros((40, 8)), y),
        "separable": (Z + 30 * np.eye(3, 8)[y], y),
        "one row a class": (Z[:3, :2], y[:3]),
        "one row": (Z[:1], y[:1]),
        "an absent class": (Z[y != 2], y[y != 2]),
    }
    for name, (rows, labels) in cases.items():
        target = np.eye(3)[labels]
        path = squared_hinge_path(scale * rows, target, GRID, penalise_bias=penalise_bias)
        for C, weights in zip(GRID, path, strict=True):
            error = np.abs(gradient(weights, scale * rows, target, C, penalise_bias)).max()
            assert error < 1e-6 * max(1, scale), (name, C)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_independent_and_the_order_of_the_grid_is_kept(classes):
    Z, y = problem(50, 12, classes)
    target = np.eye(classes)[y]
    path = squared_hinge_path(Z, target, GRID)
    for k in range(classes):
        assert np.allclose(squared_hinge_path(Z, target[:, [k]], GRID)[:, :, 0], path[:, :, k], atol=1e-6)
    # the same steps, but a product may round by where its operands lie in memory
    assert np.allclose(squared_hinge_path(Z, target, GRID[::-1])[::-1], path, rtol=1e-6, atol=1e-9)
    assert (np.diff(np.linalg.norm(path, axis=(1, 2))) > 0).all()


def test_few_steps_come_closer():
    Z, y = problem(60, 12, 3)
    values = []
    for steps in (0, 1, 2, 20):
        weights = squared_hinge_path(Z, np.eye(3)[y], [1e2], max_iter=steps)[0]
        losses = row_losses(Z @ weights[:-1] + weights[-1], y, "squared-hinge")
        values.append(0.5 * (weights**2).sum() + 1e2 * losses.sum())
    assert values[0] == pytest.approx(1e2 * 60 * 3)
    assert values == sorted(values, reverse=True)
    assert values[1] > values[3]
