"""Log-sum-exp over all pairs of rows: equal to the dense form in every tier, and linear in memory."""

import math
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch.nn.functional import normalize

from graphssl.errors import ConfigurationError
from graphssl.functional import queue_info_nce_loss, two_view_info_nce_loss
from graphssl.ops import _contrast_torch, backend, contrast, cross_logsumexp, native, self_logsumexp

compiled = pytest.mark.skipif(bool(native.why_missing()), reason=f"C++ kernels: {native.why_missing()}")
plain_sets = [isa for isa in native.instruction_sets() if not isa.endswith("_bf16")]
bf16_sets = [isa for isa in native.instruction_sets() if isa.endswith("_bf16")]
PRECISIONS = ["float32", "high", "bfloat16"]
SELF_SHAPES = [(2, 1), (4, 3), (96, 64), (98, 100), (290, 128), (600, 16), (702, 300)]
CROSS_SHAPES = [(1, 1, 1), (5, 9, 3), (300, 97, 64), (97, 1000, 100), (1, 300, 256)]


def rows(n, p, *, seed=0, dtype=torch.float32, unit=True):
    z = torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (normalize(z, dim=1) if unit else z).to(dtype)


def dense_self(z, *, scale=1.0, skip_partner=False):
    own = torch.eye(len(z), dtype=torch.bool)
    skipped = own | own.roll(len(z) // 2, dims=0) if skip_partner else own
    return (scale * z @ z.T).masked_fill(skipped, -torch.inf).logsumexp(1)


def dense_cross(x, y, *, scale=1.0, skip_diagonal=False):
    scores = scale * x @ y.T
    if skip_diagonal:
        scores = scores.masked_fill(torch.eye(*scores.shape, dtype=torch.bool), -torch.inf)
    return scores.logsumexp(1), scores.logsumexp(0)


def with_gradients(op, *inputs, **options):
    """The results of an op, then the gradients of a fixed random combination of those that are finite."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    found = op(*inputs, **options)
    outputs = [x for x in (found if isinstance(found, tuple) else (found,)) if x is not None]
    weights = [rows(1, len(x), seed=7, unit=False)[0].to(x) for x in outputs]
    total = sum((w * x.where(x.isfinite(), x.detach() * 0)).nansum() for w, x in zip(weights, outputs, strict=True))
    return [x.detach() for x in outputs] + list(torch.autograd.grad(total, inputs))


def assert_near(found, exact, tolerance):
    for a, b in zip(found, exact, strict=True):
        finite = b.isfinite()
        assert torch.equal(a[~finite].double(), b[~finite])
        assert (a.double() - b)[finite].norm() <= tolerance * (1 + b[finite].norm()), (a, b)


def test_equals_loops():
    z, scale = rows(6, 3, dtype=torch.float64, unit=False), 1.3
    for i, found in enumerate(self_logsumexp(z, scale=scale, skip_partner=True)):
        others = [j for j in range(6) if j != i and abs(i - j) != 3]
        assert found.item() == pytest.approx(math.log(sum(math.exp(scale * (z[i] @ z[j]).item()) for j in others)))
    x, y = z[:2], z[2:]
    over_y, over_x = cross_logsumexp(x, y, scale=scale, skip_diagonal=True)
    e = [[math.exp(scale * (a @ b).item()) * (i != j) for j, b in enumerate(y)] for i, a in enumerate(x)]
    assert over_y.tolist() == pytest.approx([math.log(sum(line)) for line in e])
    assert over_x.tolist() == pytest.approx([math.log(sum(column)) for column in zip(*e, strict=True)])


@pytest.mark.parametrize("bound", [None, 30.0])
@pytest.mark.parametrize("skip", [False, True])
def test_gradcheck_over_many_tiles(skip, bound, monkeypatch):
    monkeypatch.setattr(_contrast_torch, "_TILE_BYTES", {"cpu": 8 * 3**2})
    z, x, y = (rows(n, 3, seed=n, dtype=torch.float64, unit=False).requires_grad_() for n in (8, 4, 7))
    assert torch.autograd.gradcheck(lambda z: self_logsumexp(z, scale=0.7, skip_partner=skip, bound=bound), z)
    assert torch.autograd.gradcheck(lambda x, y: cross_logsumexp(x, y, skip_diagonal=skip, bound=bound), (x, y))
    assert torch.autograd.gradcheck(lambda x: cross_logsumexp(x, y, columns=False, bound=bound)[0], x)


@pytest.mark.parametrize("scale", [2.0, 300.0])
@pytest.mark.parametrize("skip", [False, True])
def test_torch_tier_equals_the_dense_form_over_many_tiles(skip, scale, monkeypatch):
    monkeypatch.setattr(_contrast_torch, "_TILE_BYTES", {"cpu": 8 * 10**2})
    z, y = rows(34, 5, dtype=torch.float64), rows(57, 5, seed=1, dtype=torch.float64)
    found = with_gradients(self_logsumexp, z, scale=scale, skip_partner=skip, bound=scale)
    assert_near(found, with_gradients(dense_self, z, scale=scale, skip_partner=skip), 1e-12)
    found = with_gradients(cross_logsumexp, z, y, scale=scale, skip_diagonal=skip, bound=scale)
    assert_near(found, with_gradients(dense_cross, z, y, scale=scale, skip_diagonal=skip), 1e-12)


@compiled
@pytest.mark.parametrize("isa", plain_sets)
@pytest.mark.parametrize(("scale", "bound"), [(2.0, 2.0001), (2.0, None), (300.0, None)])
def test_cpp_equals_the_dense_form(isa, scale, bound):
    tolerance = 1e-6 + 1e-7 * scale
    with native.use_instruction_set(isa):
        for m, p in SELF_SHAPES:
            z, skip = rows(m, p), m % 4 == 2
            found = with_gradients(self_logsumexp, z, scale=scale, skip_partner=skip, bound=bound)
            exact = with_gradients(dense_self, z.double(), scale=scale, skip_partner=skip)
            assert_near(found, [part.nan_to_num(0.0, neginf=-torch.inf) for part in exact], tolerance)
        for a, c, p in CROSS_SHAPES:
            x, y, skip = rows(a, p), rows(c, p, seed=1), a % 2 == 1 and c > 1
            found = with_gradients(cross_logsumexp, x, y, scale=scale, skip_diagonal=skip, bound=bound)
            exact = with_gradients(dense_cross, x.double(), y.double(), scale=scale, skip_diagonal=skip)
            assert_near(found, [part.nan_to_num(0.0, neginf=-torch.inf) for part in exact], tolerance)


@pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=compiled)])
@pytest.mark.parametrize("wide", [False, True])
def test_only_what_is_needed_is_returned(tier, wide):
    x, y = rows(40, 8), rows(500, 8, seed=1)
    x, y = (x, y) if wide else (y, x)
    exact = with_gradients(lambda x, y: dense_cross(x, y, scale=5.0)[0], x.double(), y.double())
    with backend.use(tier):
        assert_near(with_gradients(cross_logsumexp, x, y, scale=5.0, columns=False), exact, 1e-5)
        a = x.clone().requires_grad_()
        lse, none = cross_logsumexp(a, y, scale=5.0, columns=False)
        assert none is None
        assert_near(torch.autograd.grad((lse * rows(1, len(x), seed=7, unit=False)[0]).sum(), a), exact[1:2], 1e-5)


@pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=compiled)])
@pytest.mark.parametrize("size", [1e4, 1e-3])
def test_scores_of_any_size_stay_finite(tier, size):
    z = rows(130, 6, unit=False)
    z[3], z[70] = z[4], 0.0  # a duplicate and a zero row
    with backend.use(tier):
        found = with_gradients(self_logsumexp, z, scale=size / (z @ z.T).abs().max().item(), skip_partner=True)
        both = with_gradients(cross_logsumexp, z[:50], z[50:], scale=size)
    assert all(part.isfinite().all() for part in found + both)
    exact = with_gradients(dense_self, z.double(), scale=size / (z @ z.T).abs().max().item(), skip_partner=True)
    assert_near(found, exact, 1e-6 + 1e-7 * size)


@pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=compiled)])
@pytest.mark.parametrize("bound", [None, 5.0])
def test_nothing_left_is_minus_infinity_without_gradient(tier, bound):
    z = rows(2, 4).requires_grad_()
    with backend.use(tier):
        out = self_logsumexp(z, skip_partner=True, bound=bound)
        assert out.tolist() == [-math.inf, -math.inf]
        assert not torch.autograd.grad(out, z, torch.ones(2))[0].any()
        over_y, over_x = cross_logsumexp(z, z[:0], bound=bound)
        assert over_y.tolist() == [-math.inf, -math.inf]
        assert over_x.shape == (0,)
        assert not torch.autograd.grad(over_y, z, torch.ones(2))[0].any()
        assert self_logsumexp(z[:0], bound=bound).shape == (0,)


@pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=compiled)])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bound", [None, 5.0])
def test_nan_is_not_hidden(tier, bound, precision):
    z = rows(700, 8)
    z[400, 2] = torch.nan
    with backend.use(tier):
        z.requires_grad_()
        out = self_logsumexp(z, bound=bound, precision=precision)
        assert out.isnan().all()
        assert torch.autograd.grad(out.sum(), z)[0].isnan().any(dim=1).all()


@compiled
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("isa", native.instruction_sets()[-1:])
@pytest.mark.parametrize("scale", [2.0, 200.0])
def test_threads_change_no_bit(isa, precision, scale, monkeypatch):
    x, y = rows(1500, 48), rows(700, 48, seed=1)

    def everything(threads):
        monkeypatch.setattr(native, "threads", lambda: threads)
        return [
            *with_gradients(self_logsumexp, x, scale=scale, bound=scale, skip_partner=True, precision=precision),
            *with_gradients(cross_logsumexp, x, y, scale=scale, bound=scale, precision=precision),
        ]

    with native.use_instruction_set(isa):
        one = everything(1)
        for threads in (2, 5):
            assert all(map(torch.equal, everything(threads), one))


@compiled
@pytest.mark.parametrize("isa", bf16_sets)
def test_bfloat16_is_near_the_dense_form(isa):
    with native.use_instruction_set(isa):
        for m, p in SELF_SHAPES:
            z = rows(m, p)
            found = with_gradients(self_logsumexp, z, scale=5.0, bound=5.1, precision="bfloat16")
            assert_near(found, with_gradients(dense_self, z.double(), scale=5.0), 1e-2)
        for a, c, p in CROSS_SHAPES:
            x, y = rows(a, p), rows(c, p, seed=1)
            found = with_gradients(cross_logsumexp, x, y, scale=5.0, precision="bfloat16")
            assert_near(found, with_gradients(dense_cross, x.double(), y.double(), scale=5.0), 1e-2)


@compiled
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("high", 1e-5), ("bfloat16", 1e-2)])
def test_blocks_of_full_size(precision, tolerance):
    z, options = rows(4700, 16), {"scale": 5.0, "skip_partner": True, "bound": 5.1}
    exact = with_gradients(self_logsumexp, z.double(), **options)  # by the torch tier
    assert_near(with_gradients(self_logsumexp, z, precision=precision, **options), exact, tolerance)


@compiled
def test_less_precision_falls_back_to_float32():
    z = rows(100, 20)
    with native.use_instruction_set(plain_sets[-1]):
        expected, *others = (with_gradients(self_logsumexp, z, scale=5.0, precision=p) for p in PRECISIONS)
    assert all(torch.equal(*pair) for found in others for pair in zip(found, expected, strict=True))


@compiled
def test_torch_computes_where_the_fast_tier_does_not(monkeypatch):
    monkeypatch.setattr(native, "call", None)  # calling it would fail
    z = rows(20, 4)
    self_logsumexp(z.double())
    with backend.use("torch"):
        self_logsumexp(z)
        cross_logsumexp(z, z)
    with pytest.raises(TypeError):
        self_logsumexp(z)


def test_halves_are_raised_and_autocast_changes_nothing():
    z = rows(50, 8)
    expected = with_gradients(self_logsumexp, z, scale=20.0)
    for tier in ("torch", "cpp")[: 1 if native.why_missing() else 2]:
        with backend.use(tier), torch.autocast("cpu", dtype=torch.bfloat16):
            assert_near(with_gradients(self_logsumexp, z, scale=20.0), [x.double() for x in expected], 1e-5)
    assert self_logsumexp(z.half()).dtype == torch.float32
    assert torch.equal(self_logsumexp(z.bfloat16()), self_logsumexp(z.bfloat16().float()))


def test_differentiable_once_and_says_so():
    z = rows(6, 3).requires_grad_()
    (slope,) = torch.autograd.grad(self_logsumexp(z).sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        torch.autograd.grad(slope.sum(), z)


def test_a_temperature_that_is_learned_is_refused_rather_than_half_differentiated():
    z = rows(6, 3)
    temperature = torch.tensor(0.5, requires_grad=True)
    for loss in (two_view_info_nce_loss, partial(queue_info_nce_loss, queue=rows(4, 3, seed=1))):
        with pytest.raises(ConfigurationError, match="requires grad"):
            loss(z, z + 1, temperature=temperature)
        assert torch.equal(loss(z, z + 1, temperature=temperature.detach()), loss(z, z + 1, temperature=0.5))


@pytest.mark.parametrize("tier", ["torch", pytest.param("cpp", marks=compiled)])
def test_opcheck(tier):
    z, y = rows(10, 4).requires_grad_(), rows(7, 4, seed=1).requires_grad_()
    lse, other = dense_self(z).detach(), dense_cross(z, y)[1].detach()
    with backend.use(tier):
        torch.library.opcheck(contrast._self, (z, 2.0, True, None, "float32"))
        torch.library.opcheck(contrast._self_backward, (z.detach(), lse, lse, 2.0, True, "float32"))
        for columns in (True, False):
            torch.library.opcheck(contrast._cross, (z, y, 2.0, True, columns, 2.0, "float32"))
            cols = other if columns else other[:0]
            backward = z.detach(), y.detach(), lse, cols, lse, cols, 2.0, True, columns, "float32"
            torch.library.opcheck(contrast._cross_backward, backward)


@pytest.mark.parametrize(
    "call",
    [
        lambda: self_logsumexp(torch.zeros(3)),
        lambda: self_logsumexp(torch.zeros(4, 2).long()),
        lambda: self_logsumexp(torch.zeros(3, 2), skip_partner=True),
        lambda: self_logsumexp(torch.zeros(3, 2), precision="highest"),
        lambda: self_logsumexp(torch.zeros(3, 2), scale=0.0),
        lambda: cross_logsumexp(torch.zeros(3, 2), torch.zeros(3, 2), scale=-2.0),
        lambda: cross_logsumexp(torch.zeros(3, 2), torch.zeros(3, 2), scale=float("nan")),
        lambda: cross_logsumexp(torch.zeros(3, 2), torch.zeros(3, 4)),
        lambda: cross_logsumexp(torch.zeros(3, 2), torch.zeros(3, 2).double()),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ConfigurationError, match="must"):
        call()


def test_memory_grows_with_the_rows_and_not_with_the_scores():
    code = """
import resource, torch
from graphssl.ops import backend, self_logsumexp
def run(rows):
    z = torch.nn.functional.normalize(torch.randn(rows, 16), dim=1).requires_grad_()
    self_logsumexp(z, scale=2.0, skip_partner=True, bound=2.1).sum().backward()
for tier in ("torch", ""):
    with backend.use(tier):
        run(1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for tier in ("torch", ""):
    with backend.use(tier):
        run(6000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert grown < 25_000  # kilobytes; all scores are 144,000
