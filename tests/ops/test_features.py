"""Constant features: views of them are not written out, products with them are shared and exact."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch

from graphssl.errors import InvalidGraphError
from graphssl.ops import derive_features, is_constant, project
from graphssl.ops.features import DerivedFeatures

N, F = 1024, 1100


def bag(density=0.01, seed=0):
    return (torch.rand(N, F, generator=torch.Generator().manual_seed(seed)) < density).float()


def change(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(N, generator=generator), (torch.rand(F, generator=generator) < 0.7).float()


def multiply(x, weight):
    product, rows = project(x, weight)
    return product if rows is None else product[rows]


def test_derived_features_read_like_the_matrix_they_stand_for():
    x, (rows, columns) = bag(), change()
    derived = derive_features(x, rows=rows, columns=columns)
    expected = x[rows] * columns
    assert isinstance(derived, DerivedFeatures)
    assert derived.shape == expected.shape
    assert derived.dtype == expected.dtype
    assert derived.written is None  # asking for its shape does not write it out
    assert torch.equal(derived + 0, expected)
    assert (derived.numpy() == expected.numpy()).all()
    assert derived[:2, :3].tolist() == expected[:2, :3].tolist()
    for other in (
        copy.deepcopy(derived),
        pickle.loads(pickle.dumps(derived)),
        derived.clone(),
        derived.double().float(),
    ):
        assert torch.equal(other, expected)
    assert torch.equal(x, bag())  # untouched


def test_changes_of_changes():
    x, (rows, columns), (again, more) = bag(), change(0), change(1)
    twice = derive_features(derive_features(x, rows=rows, columns=columns), rows=again, columns=more)
    assert twice.base is x
    assert torch.equal(twice + 0, (x[rows] * columns)[again] * more)


@pytest.mark.parametrize("density", [0.01, 0.3])
@pytest.mark.parametrize(("rows", "columns"), [(False, False), (True, False), (False, True), (True, True)])
def test_products_and_gradients_equal_the_dense_ones(density, rows, columns):
    x, (order, kept) = bag(density), change()
    derived = derive_features(x, rows=order if rows else None, columns=kept if columns else None)
    weight = torch.randn(F, 17, generator=torch.Generator().manual_seed(2), requires_grad=True)
    product = multiply(derived, weight)
    expected = derived.dense() @ weight
    torch.testing.assert_close(product, expected, atol=1e-4, rtol=1e-4)
    upstream = torch.randn(N, 17, generator=torch.Generator().manual_seed(3))
    (got,) = torch.autograd.grad(product, weight, upstream)
    (right,) = torch.autograd.grad(expected, weight, upstream)
    torch.testing.assert_close(got, right, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("density", [0.01, 0.3])
def test_a_graph_and_its_corruption_share_one_product(density):
    x, (rows, _) = bag(density), change()
    weight = torch.randn(F, 8, requires_grad=True)
    first, _ = project(x, weight)
    second, order = project(derive_features(x, rows=rows), weight)
    assert second is first
    assert torch.equal(order, rows)
    # two losses, each with a backward of its own
    first.sum().backward()
    once = weight.grad.clone()
    second.sum().backward()
    torch.testing.assert_close(weight.grad, 2 * once)
    with torch.no_grad():
        weight.add_(1.0)
    assert project(x, weight)[0] is not first  # the weight has moved
    x[0, 0] += 1
    moved, _ = project(x, weight)
    torch.testing.assert_close(moved, x @ weight, atol=1e-3, rtol=1e-4)


def test_nothing_is_kept_that_nobody_holds():
    x, weight = bag(), torch.randn(F, 8, requires_grad=True)
    product, _ = project(x, weight)
    watch = weakref.ref(product)
    del product
    gc.collect()
    assert watch() is None
    with torch.no_grad():
        assert project(x, weight)[0] is not project(x, weight)[0]


def test_writing_to_a_view_of_features_is_seen_and_the_source_stays():
    x, (rows, _) = bag(), change()
    derived = derive_features(x, rows=rows)
    derived[0] = 7.0
    assert torch.equal(x, bag())
    weight = torch.eye(F)[:, :4]
    assert torch.equal(multiply(derived, weight)[0], torch.full((4,), 7.0))
    assert torch.equal(derive_features(derived, columns=torch.ones(F)) + 0, derived + 0)


def test_writing_to_the_source_before_the_view_is_read_is_an_error():
    x, (rows, _) = bag(), change()
    derived = derive_features(x, rows=rows)
    x[0] = 7.0
    for use in (derived.sum, lambda: project(derived, torch.ones(F, 2)), lambda: derive_features(derived, rows=rows)):
        with pytest.raises(InvalidGraphError, match="clone"):
            use()


def test_small_or_learnt_features_are_changed_at_once():
    small, learnt = torch.randn(4, 3), bag().requires_grad_()
    for x in (small, learnt):
        assert not is_constant(x)
        rows = torch.randperm(x.size(0))
        out = derive_features(x, rows=rows)
        assert type(out) is torch.Tensor
        assert torch.equal(out, x[rows])


def test_rows_looked_at_first_do_not_decide_alone():
    late = torch.cat([torch.zeros(N, F // 2), torch.ones(N, F // 2)], dim=1)
    late[::4] = 0  # the sampled rows are empty, the others half full
    weight = torch.randn(F, 3)
    torch.testing.assert_close(multiply(late, weight), late @ weight, atol=1e-3, rtol=1e-4)
