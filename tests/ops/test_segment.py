import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import TIERS, needs_cpp, tier

from graphssl.errors import ConfigurationError
from graphssl.ops import backend, segment_logsumexp, segment_ops, segment_reduce, segment_softmax

LOOPS = {
    "sum": lambda rows: rows.sum(0),
    "mean": lambda rows: rows.mean(0),
    "max": lambda rows: rows.amax(0),
    "min": lambda rows: rows.amin(0),
}
OPS = {
    **{name: lambda src, index, num, name=name: segment_reduce(src, index, num, name) for name in LOOPS},
    "softmax": segment_softmax,
    "logsumexp": segment_logsumexp,
}
# the instruction sets with bfloat16 run the same kernels
tiers = pytest.mark.parametrize("tier_name", [name for name in TIERS if "bf16" not in name])
ops = pytest.mark.parametrize("op", list(OPS))


@pytest.fixture(autouse=True)
def registered_ops_whatever_the_size(monkeypatch):
    monkeypatch.setattr(segment_ops, "SMALL", 0)


def draw(rows, segments, *, trailing=(3,), seed=0, ordered=False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    src = torch.randn(rows, *trailing, generator=generator, dtype=torch.float64).to(dtype)
    index = torch.randint(segments, (rows,), generator=generator)
    return src, index.sort()[0] if ordered else index


def loop(op, src, index, segments):
    """From the definition, in float64."""
    src = src.double()
    if op == "softmax":
        out = torch.empty_like(src)
        for segment in index.unique():
            out[index == segment] = src[index == segment].softmax(0)
        return out
    out = torch.full((segments, *src.shape[1:]), -torch.inf if op == "logsumexp" else 0.0, dtype=torch.float64)
    for segment in index.unique():
        rows = src[index == segment]
        out[segment] = rows.logsumexp(0) if op == "logsumexp" else LOOPS[op](rows)
    return out


@tiers
@ops
@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(0, 40),
    segments=st.integers(1, 6),
    trailing=st.sampled_from([(), (1,), (2, 2), (7,), (13,), (37,), (131,), (0,)]),
    ordered=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 99),
)
def test_equals_loop(tier_name, op, rows, segments, trailing, ordered, dtype, seed):
    src, index = draw(rows, segments, trailing=trailing, ordered=ordered, dtype=dtype, seed=seed)
    with tier(tier_name):
        out = OPS[op](src, index, segments)
    assert out.dtype == dtype
    torch.testing.assert_close(out, loop(op, src, index, segments).to(dtype), atol=1e-5, rtol=1e-5)


@tiers
@ops
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("columns", [1, 33, 300])
def test_many_rows_equal_loop(tier_name, op, ordered, columns):
    src, index = draw(3000, 40, trailing=(columns,), ordered=ordered, dtype=torch.float32)
    index[index == 7] = 8  # an empty segment in the middle, two at the end, one that spans several pieces
    index[:700] = index[0]
    with tier(tier_name):
        out = OPS[op](src, index, 42)
    torch.testing.assert_close(out.double(), loop(op, src, index, 42), atol=2e-5, rtol=2e-5)


@tiers
@ops
def test_gradients(tier_name, op):
    src, index = draw(9, 4)
    index[:4] = torch.arange(4)  # no segment is empty: -inf has no numerical derivative
    src.requires_grad_()
    with tier(tier_name):
        for order in (index, index.sort()[0]):
            run = lambda src, order=order: OPS[op](src, order, 4)  # noqa: E731
            assert torch.autograd.gradcheck(run, src)
            assert torch.autograd.gradgradcheck(run, src)


@tiers
@pytest.mark.parametrize("op", ["max", "min", "softmax", "logsumexp", "mean"])
@pytest.mark.parametrize("ordered", [False, True])
def test_gradients_of_many_rows_equal_autograd_of_loops(tier_name, op, ordered):
    src, index = draw(700, 9, trailing=(290,), ordered=ordered, dtype=torch.float32)
    grads = []
    for run in (OPS[op], lambda *args: loop(op, *args)):
        leaf = src.clone().requires_grad_()
        with tier(tier_name):
            out = run(leaf, index, 9)
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out))
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-4)


@tiers
@pytest.mark.parametrize("reduce", ["max", "min"])
def test_equal_extremes_share_the_gradient(tier_name, reduce):
    src = torch.tensor([[2.0], [1.0], [2.0], [2.0]]) * (1 if reduce == "max" else -1)
    src.requires_grad_()
    with tier(tier_name):
        segment_reduce(src, torch.tensor([1, 1, 1, 0]), 2, reduce).backward(torch.tensor([[5.0], [3.0]]))
    assert src.grad.view(-1).tolist() == [1.5, 0.0, 1.5, 5.0]


@tiers
def test_half_precision_is_accumulated_in_float32(tier_name):
    src = torch.full((4096, 1), 0.1, dtype=torch.bfloat16)
    with tier(tier_name):
        out = segment_reduce(src, torch.zeros(4096, dtype=torch.long), 1)
        soft = segment_softmax(src, torch.zeros(4096, dtype=torch.long), 1)
    assert (out.dtype, soft.dtype) == (torch.bfloat16, torch.bfloat16)
    assert abs(out.item() - 4096 * src[0].item()) < 2  # adding in bfloat16 stops growing near 32
    assert soft.float().sum().item() == pytest.approx(1.0)


@tiers
@pytest.mark.parametrize("ordered", [False, True])
def test_integers_are_reduced_too(tier_name, ordered):
    index = torch.tensor([0, 0, 2]) if ordered else torch.tensor([2, 0, 0])
    src = torch.tensor([4, 5, 6]) if ordered else torch.tensor([6, 4, 5])
    with tier(tier_name):
        assert {name: segment_reduce(src, index, 3, name).tolist() for name in LOOPS} == {
            "sum": [9, 0, 6], "mean": [4, 0, 6], "max": [5, 0, 6], "min": [4, 0, 6],
        }  # fmt: skip


@tiers
@ops
def test_input_is_left_alone_and_may_be_strided(tier_name, op):
    src, index = draw(6, 3, trailing=(4,))
    before = src.clone()
    with tier(tier_name):
        expected = OPS[op](src.clone(), index.clone(), 3)
        torch.testing.assert_close(
            OPS[op](src.t().contiguous().t(), torch.stack([index, index]).t()[:, 0], 3), expected
        )
        OPS[op](src, index, 3)
    assert torch.equal(src, before)


@tiers
@ops
@pytest.mark.parametrize("index", [[0, 3, 1], [-1, 0, 2], [0, 1, 3]])
def test_index_out_of_range_is_named(tier_name, op, index):
    with (
        tier(tier_name),
        pytest.raises(ConfigurationError, match=rf"\[0, 3\), found {-1 if -1 in index else 3}.*num_segments"),
    ):
        OPS[op](torch.ones(3, 2), torch.tensor(index), 3)


def test_nonsense_is_rejected():
    src, index = draw(6, 3)
    with pytest.raises(ConfigurationError, match="'median'"):
        segment_reduce(src, index, 3, "median")
    with pytest.raises(ConfigurationError, match=r"\(6, 3\)"):
        segment_reduce(src, index[:5], 3)
    with pytest.raises(ConfigurationError, match="int64"):
        segment_softmax(src, index.int(), 3)
    with pytest.raises(ConfigurationError, match=">= 0"):
        segment_reduce(src, index, -1)
    with pytest.raises(ConfigurationError, match="floating"):
        segment_logsumexp(src.long(), index, 3)


@tiers
@pytest.mark.parametrize("columns", [1, 20])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_softmax_and_logsumexp_at_extremes(tier_name, scale, columns):
    src, index = draw(14, 4, trailing=(columns,))
    src = (src * scale).float()
    with tier(tier_name):
        soft, log = segment_softmax(src, index, 5), segment_logsumexp(src, index, 5)
    torch.testing.assert_close(soft, loop("softmax", src, index, 5).float())
    torch.testing.assert_close(log, loop("logsumexp", src, index, 5).float())
    assert (log[4] == -torch.inf).all()


@tiers
def test_logsumexp_of_minus_infinity_has_no_nan_gradient(tier_name):
    src = torch.tensor([-torch.inf, -torch.inf, 1.0, -torch.inf], requires_grad=True)
    with tier(tier_name):
        out = segment_logsumexp(src, torch.tensor([0, 0, 1, 1]), 2)
        assert out.tolist() == [-torch.inf, 1.0]
        out[1].backward()
    assert src.grad.tolist() == [0.0, 0.0, 1.0, 0.0]


@tiers
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logsumexp_of_infinity_is_infinity(tier_name, dtype):
    src = torch.tensor([1.0, torch.inf, 2.0, torch.inf, -torch.inf, torch.nan, torch.inf], dtype=dtype)
    index = torch.tensor([0, 0, 1, 2, 2, 3, 3])
    with tier(tier_name):
        assert segment_logsumexp(src, index, 4).tolist()[:3] == [torch.inf, 2.0, torch.inf]
        assert segment_logsumexp(src, index, 4)[3].isnan()


@tiers
@ops
@pytest.mark.parametrize("columns", [1, 19])
def test_nan_stays_in_its_segment_and_column(tier_name, op, columns):
    src, index = draw(30, 3, trailing=(columns,), dtype=torch.float32)
    src[4, 0] = torch.nan
    expected = torch.zeros(30 if op == "softmax" else 3, columns, dtype=torch.bool)
    expected[index == index[4] if op == "softmax" else index[4], 0] = True
    with tier(tier_name):
        assert torch.equal(OPS[op](src, index, 3).isnan(), expected)
        order = index.argsort(stable=True)
        out = OPS[op](src[order], index[order], 3)
    assert torch.equal(out.isnan(), expected[order] if op == "softmax" else expected)


@needs_cpp
@pytest.mark.parametrize("width", [1, 2, 40])
def test_sums_of_many_sorted_rows_keep_their_digits(width):
    rows = 2**24 // width + 5000
    src, index = torch.full((rows, width), 0.1), torch.zeros(rows, dtype=torch.long)
    exact = float(src[0, 0].double()) * rows
    # Rounding goes one way here. Added row by row the sum would be 16 % too small.
    assert segment_reduce(src, index, 1, "sum").double().sub(exact).abs().max() < 1e-3 * exact
    assert segment_reduce(src, index, 1, "mean").sub(0.1).abs().max() < 1e-4


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_small_gradients_by_torch_are_the_same(reduce, monkeypatch):
    src, index = draw(200, 9)
    leaf = src.requires_grad_()
    expected = segment_reduce(leaf, index, 9, reduce)
    gradient = torch.autograd.grad(expected.square().sum(), leaf)[0]
    monkeypatch.setattr(segment_ops, "SMALL", 2**16)
    out = segment_reduce(leaf, index, 9, reduce)
    assert type(out.grad_fn) is not type(expected.grad_fn)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), leaf)[0], gradient)
    with pytest.raises(ConfigurationError, match=r"\[0, 8\)"):
        segment_reduce(leaf, index.clamp(min=8), 8, reduce)


@needs_cpp
@ops
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("columns", [1, 21, 520])
def test_bits_do_not_depend_on_threads(op, ordered, columns):
    src, index = draw(60_000 // columns + 17, 29, trailing=(columns,), ordered=ordered, dtype=torch.float32)
    results = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            leaf = src.clone().requires_grad_()
            out = OPS[op](leaf, index, 29)
            out.square().nan_to_num(neginf=0.0).sum().backward()
            results.append((out.detach(), leaf.grad))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert torch.equal(result[0], results[0][0])
        assert torch.equal(result[1], results[0][1])


@needs_cpp
@ops
def test_switched_off_kernels_fall_back(op, monkeypatch):
    src, index = draw(50, 5, dtype=torch.float32)
    fast = OPS[op](src, index, 5)
    monkeypatch.setattr(backend.native, "why_missing", lambda: "not built")
    monkeypatch.setattr(backend.native, "call", lambda *args: pytest.fail("a kernel was called"))
    torch.testing.assert_close(OPS[op](src, index, 5), fast)


@pytest.mark.parametrize("tier_name", sorted({TIERS[0], TIERS[-1]}))
@ops
def test_registered_ops_keep_their_contract(tier_name, op):
    src, index = draw(8, 3, dtype=torch.float32)
    src.requires_grad_()
    graphssl, out = torch.ops.graphssl, OPS[op](src, index, 3).detach()
    calls = {
        "softmax": [
            (graphssl.segment_softmax, (src, index, 3)),
            (graphssl.segment_softmax_backward, (torch.rand_like(src).requires_grad_(), out, index, 3)),
        ],
        "logsumexp": [
            (graphssl.segment_logsumexp, (src, index, 3)),
            (graphssl.segment_logsumexp_backward, (torch.rand_like(out).requires_grad_(), src, out, index)),
        ],
        "max": [(graphssl.segment_extreme_backward, (torch.rand_like(out).requires_grad_(), src.detach(), out, index))],
    }
    with tier(tier_name):
        for call, args in calls.get(op, []) + ([(graphssl.segment_reduce, (src, index, 3, op))] if op in LOOPS else []):
            torch.library.opcheck(call.default, args)


@ops
def test_compiles_whole(op):
    src, index = draw(20, 4, dtype=torch.float32)
    compiled = torch.compile(lambda src, index: OPS[op](src, index, 4).square(), backend="aot_eager", fullgraph=True)
    results = []
    for run in (lambda src, index: OPS[op](src, index, 4).square(), compiled):
        leaf = src.clone().requires_grad_()
        out = run(leaf, index)
        out.sum().backward()
        results.append((out.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.gpu
@ops
def test_gpu_equals_cpu(op):
    src, index = draw(5000, 60, trailing=(40,), dtype=torch.float32)
    results = []
    for device in ("cpu", "cuda"):
        leaf = src.to(device).requires_grad_()
        out = OPS[op](leaf, index.to(device), 61)
        out.square().nan_to_num(neginf=0.0).sum().backward()
        results.append((out.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-4)
