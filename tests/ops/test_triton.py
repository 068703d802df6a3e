"""The contrastive Triton kernels against dense float64."""

import itertools
import math
from importlib import util

import pytest
import torch
from triton_devices import INTERPRETED, on_devices, unit_rows

from graphssl.ops import backend

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from graphssl.ops.contrast import cross_logsumexp, self_logsumexp
from graphssl.ops.triton import contrast

# The interpreter is numpy: the log of an empty sum is -inf, and what a mask will remove may overflow.
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (log2|exp2)", "ignore:invalid value encountered")

# Rows, their length, programs wanted (when rows are few, the columns are cut into spans). More rows than a tile and
# fewer, vectors shorter than a tensor core's and longer than a tile's.
SELF = [(70, 3, 1), (2, 16, 1), (300, 16, 1), (300, 16, 264), (134, 100, 1), (34, 256, 1), (20, 300, 1)]
CROSS = [(1, 5, 3), (150, 70, 64), (20, 40, 256)]
GRADIENTS = {"float32": 1e-5, "high": 1e-4, "bfloat16": 1e-2}  # how exact they are
OPTIONS = list(itertools.product([False, True], [None, 5.0], GRADIENTS))  # skip partners or diagonal, bound, precision
if INTERPRETED:  # every option with the first shape, every other shape with one of them
    SELF_CASES = [(*SELF[0], *options) for options in OPTIONS]
    SELF_CASES += [(*shape, *options) for shape, options in zip(SELF[1:], OPTIONS[::-1], strict=False)]
    CROSS_CASES = [(*shape, *options) for shape, options in zip(CROSS, OPTIONS[::2], strict=False)]
else:
    SELF += [(5416, 128, 264), (5416, 128, 1), (1001, 64, 264), (2048, 256, 264), (777, 512, 264)]
    CROSS += [(1024, 65_536, 128), (3001, 999, 256)]
    SELF_CASES = [(*shape, *options) for shape in SELF for options in OPTIONS]
    CROSS_CASES = [(*shape, *options) for shape in CROSS for options in OPTIONS]


def excluded(rows, columns, skip, device):
    i, j = torch.arange(rows, device=device)[:, None], torch.arange(columns, device=device)[None, :]
    none = torch.zeros(rows, columns, dtype=torch.bool, device=device)
    partner = (i - j).abs() == rows // 2
    return {"none": none, "self": i == j, "self and partner": (i == j) | partner}[skip]


def dense(x, y, scale, skip, grad_rows, grad_cols):
    """Logsumexp of rows and columns and both gradients in float64; an empty sum is -inf and has no gradient."""
    x, y = x.double().requires_grad_(), y.double().requires_grad_()
    scores = (scale * x @ y.T).masked_fill(excluded(len(x), len(y), skip, x.device), -math.inf)
    rows, cols = scores.logsumexp(1), scores.logsumexp(0)
    total = sum((g.double() * s)[s.isfinite()].sum() for g, s in ((grad_rows, rows), (grad_cols, cols)))
    gradients = torch.autograd.grad(total, (x, y))
    return rows.detach(), cols.detach(), *gradients


def assert_near(actual, expected, tolerance):
    """Within ``tolerance`` of the largest finite entry; infinite where expected."""
    assert actual.dtype == torch.float32
    assert actual.shape == expected.shape
    finite = expected[expected.isfinite()]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    torch.testing.assert_close(actual.double(), expected, rtol=0.0, atol=tolerance * max(largest, 1e-30))


@on_devices
@pytest.mark.parametrize(("count", "dims", "programs", "skip_partner", "bound", "precision"), SELF_CASES)
def test_self_equals_dense(device, monkeypatch, count, dims, programs, skip_partner, bound, precision):
    monkeypatch.setattr(contrast, "_ENOUGH_PROGRAMS", programs)
    count += count % 2 if skip_partner else 0
    z, grad = unit_rows(count, dims, device), unit_rows(1, count, device, seed=1)[0]
    if precision == "bfloat16":
        z = z.bfloat16().float()  # such rows are multiplied exactly: only the shares of the gradient are rounded
    lse, _, dx, dy = dense(z, z, 5.0, "self and partner" if skip_partner else "self", grad, torch.zeros_like(grad))
    actual = contrast.self_logsumexp_forward(z, 5.0, skip_partner, bound, precision)
    assert_near(actual, lse, 1e-5 if precision == "high" else 1e-6)
    gradient = contrast.self_logsumexp_backward(z, actual, grad, 5.0, skip_partner, precision)
    assert_near(gradient, dx + dy, GRADIENTS[precision])


@on_devices
@pytest.mark.parametrize(("anchors", "candidates", "dims", "skip_diagonal", "bound", "precision"), CROSS_CASES)
def test_cross_equals_dense(device, monkeypatch, anchors, candidates, dims, skip_diagonal, bound, precision):
    if INTERPRETED:
        monkeypatch.setattr(contrast, "_ENOUGH_PROGRAMS", 1)
    x, y = unit_rows(anchors, dims, device), unit_rows(candidates, dims, device, seed=1)
    grads = unit_rows(1, anchors, device, seed=2)[0], unit_rows(1, candidates, device, seed=3)[0]
    if precision == "bfloat16":
        x, y = x.bfloat16().float(), y.bfloat16().float()
    expected = dense(x, y, 5.0, "self" if skip_diagonal else "none", *grads)
    rows, cols = contrast.cross_logsumexp_forward(x, y, 5.0, skip_diagonal, bound, precision)
    gradients = contrast.cross_logsumexp_backward(x, y, rows, cols, *grads, 5.0, skip_diagonal, precision)
    for actual, want in zip((rows, cols, *gradients), expected, strict=True):
        assert_near(actual, want, GRADIENTS[precision])


@on_devices
def test_cross_without_columns(device):
    x, y, grad = unit_rows(40, 16, device), unit_rows(70, 16, device, seed=1), unit_rows(1, 40, device, seed=2)[0]
    nothing = grad.new_zeros(70)
    rows, _, dx, dy = dense(x, y, 3.0, "none", grad, nothing)
    actual, cols = contrast.cross_logsumexp_forward(x, y, 3.0, False, None, "float32", columns=False)
    assert_near(actual, rows, 1e-6)
    assert cols.shape == (0,)
    for need_y in (True, False):
        options = 3.0, False, "float32"
        gradients = contrast.cross_logsumexp_backward(x, y, actual, cols, grad, cols, *options, need_y=need_y)
        assert_near(gradients[0], dx, 1e-5)
        assert_near(gradients[1], dy if need_y else dy[:0], 1e-5)


@on_devices
@pytest.mark.parametrize("precision", GRADIENTS)
def test_a_single_score_is_as_exact_as_its_precision(device, precision):
    """The logsumexp of one score is that score: no sum hides how it was multiplied."""
    x, y = unit_rows(500, 16, device), unit_rows(1, 16, device, seed=1)
    score, _ = contrast.cross_logsumexp_forward(x, y, 1.0, False, None, precision, columns=False)
    products = x.double() * y.double()
    error = ((score - products.sum(1)) / products.abs().sum(1)).abs().max()
    least, most = {"float32": (0, 2**-21), "high": (2**-21, 2**-16), "bfloat16": (2**-12, 2**-8)}[precision]
    assert least < error < most


@on_devices
@pytest.mark.parametrize("scale", [1e4, 1000.0, 1.0, 0.0])
def test_extremes(device, scale):
    """Scores of +-1e4, a temperature of 1e-3, duplicates and rows of zeros."""
    z = unit_rows(60, 20, device)
    z[:10], z[10:20], z[20:25] = z[0].clone(), -z[0], 0.0
    grad = torch.ones(60, device=device)
    lse, _, dx, dy = dense(z, z, scale, "self", grad, torch.zeros_like(grad))
    actual = contrast.self_logsumexp_forward(z, scale, False, scale, "float32")
    assert_near(actual, lse, 1e-6)
    gradient = contrast.self_logsumexp_backward(z, actual, grad, scale, False, "float32")
    # A score of 1e4 is known to 1e-3 in float32, and its exponential to as many digits.
    assert_near(gradient, dx + dy, 1e-5 + 1e-6 * scale)


@on_devices
def test_nothing_left_is_minus_infinity_without_gradient(device):
    for count, skip_partner in ((1, False), (2, True), (0, False)):
        z, grad = unit_rows(count, 4, device), torch.ones(count, device=device)
        lse = contrast.self_logsumexp_forward(z, 2.0, skip_partner, None, "float32")
        assert lse.tolist() == [-math.inf] * count
        gradient = contrast.self_logsumexp_backward(z, lse, grad, 2.0, skip_partner, "float32")
        assert torch.equal(gradient, torch.zeros_like(z))
    x, y, grad = unit_rows(3, 4, device), unit_rows(0, 4, device), torch.ones(3, device=device)
    rows, cols = contrast.cross_logsumexp_forward(x, y, 2.0, False, None, "float32")
    assert rows.tolist() == [-math.inf] * 3
    dx, dy = contrast.cross_logsumexp_backward(x, y, rows, cols, grad, cols, 2.0, False, "float32")
    assert torch.equal(dx, torch.zeros_like(x))
    assert dy.shape == (0, 4)


@on_devices
def test_the_op_runs_in_this_tier(device):
    results = []
    for tier in ("torch", "triton"):
        x, y = (unit_rows(50, 12, device, seed).requires_grad_() for seed in (0, 1))
        with backend.use(tier):
            assert backend.choose("self_logsumexp", x) == tier
            out = [
                self_logsumexp(x, scale=4.0, skip_partner=True, bound=4.0),
                *cross_logsumexp(x, y, scale=4.0, skip_diagonal=True, bound=4.0),
                cross_logsumexp(x, y.detach(), scale=2.0, columns=False)[0],
            ]
            gradients = torch.autograd.grad(sum((o * o).sum() for o in out), (x, y))
        results.append([*out, *gradients])
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", GRADIENTS)
def test_same_bits_every_time_and_linear_memory(precision):
    z, grad = unit_rows(40_000, 128, "cuda"), unit_rows(1, 40_000, "cuda", seed=1)[0]
    torch.cuda.reset_peak_memory_stats()
    before, results = torch.cuda.memory_allocated(), []
    for _ in range(2):
        lse = contrast.self_logsumexp_forward(z, 5.0, True, 5.0, precision)
        results.append((lse, contrast.self_logsumexp_backward(z, lse, grad, 5.0, True, precision)))
    assert all(map(torch.equal, *results))
    assert torch.cuda.max_memory_allocated() - before < 12 * z.nbytes  # a matrix of scores would be 300 times z
