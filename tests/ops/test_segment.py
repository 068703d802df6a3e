import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphssl.errors import ConfigurationError
from graphssl.ops import segment_logsumexp, segment_reduce, segment_softmax

LOOPS = {"sum": lambda rows: rows.sum(0), "mean": lambda rows: rows.mean(0), "max": lambda rows: rows.amax(0)}
LOOPS["min"] = lambda rows: rows.amin(0)


def draw(rows: int, segments: int, *, trailing: tuple[int, ...] = (3,), seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    src = torch.randn(rows, *trailing, generator=generator, dtype=torch.float64)
    return src, torch.randint(segments, (rows,), generator=generator)


@pytest.mark.parametrize("reduce", list(LOOPS))
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 12), segments=st.integers(1, 6), trailing=st.sampled_from([(), (3,), (2, 2)]))
def test_reduce_equals_loop(reduce, rows, segments, trailing):
    src, index = draw(rows, segments, trailing=trailing)
    out = segment_reduce(src, index, segments, reduce)
    assert out.shape == (segments, *trailing)
    for segment in range(segments):
        mine = src[index == segment]
        expected = LOOPS[reduce](mine) if len(mine) else torch.zeros(trailing, dtype=src.dtype)
        torch.testing.assert_close(out[segment], expected)


@pytest.mark.parametrize("reduce", list(LOOPS))
def test_reduce_gradient(reduce):
    src, index = draw(8, 5)
    assert torch.autograd.gradcheck(lambda s: segment_reduce(s, index, 5, reduce), src.requires_grad_())


def test_reduce_of_half_precision_is_accumulated_in_float32():
    src = torch.full((4096, 1), 0.1, dtype=torch.bfloat16)
    out = segment_reduce(src, torch.zeros(4096, dtype=torch.long), 1)
    assert out.dtype == torch.bfloat16
    assert abs(out.item() - 4096 * src[0].item()) < 2  # adding in bfloat16 stops growing near 32


def test_reduce_leaves_input_alone_and_rejects_nonsense():
    src, index = draw(6, 3)
    before = src.clone()
    segment_reduce(src, index, 3, "max")
    assert torch.equal(src, before)
    with pytest.raises(ConfigurationError, match="'median'"):
        segment_reduce(src, index, 3, "median")
    with pytest.raises(ConfigurationError, match=r"\(6, 3\)"):
        segment_reduce(src, index[:5], 3)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_softmax_and_logsumexp_equal_loops(scale):
    src, index = draw(14, 4)
    src = (src * scale).float()
    soft, log = segment_softmax(src, index, 5), segment_logsumexp(src, index, 5)
    for segment in range(4):
        rows = src[index == segment]
        torch.testing.assert_close(soft[index == segment], rows.softmax(0))
        torch.testing.assert_close(log[segment], rows.logsumexp(0))
    assert (log[4] == -torch.inf).all()


def test_softmax_and_logsumexp_gradients():
    src, index = draw(9, 3)
    index[:3] = torch.arange(3)  # no segment is empty: -inf has no numerical derivative
    assert torch.autograd.gradcheck(lambda s: segment_softmax(s, index, 3), src.requires_grad_())
    assert torch.autograd.gradcheck(lambda s: segment_logsumexp(s, index, 3), src)


def test_logsumexp_of_minus_infinity_has_no_nan_gradient():
    src = torch.tensor([-torch.inf, -torch.inf, 1.0, -torch.inf], requires_grad=True)
    out = segment_logsumexp(src, torch.tensor([0, 0, 1, 1]), 2)
    assert out.tolist() == [-torch.inf, 1.0]
    out[1].backward()
    assert src.grad is not None
    assert src.grad.tolist() == [0.0, 0.0, 1.0, 0.0]
