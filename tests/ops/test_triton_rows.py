"""The Triton kernels that reduce lists of rows, segments and sparse products, against loops and dense float64."""

import math
from importlib import util

import pytest
import torch
from triton_devices import INTERPRETED, on_devices, unit_rows

from graphssl.errors import ConfigurationError
from graphssl.ops import backend

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from graphssl.ops import segment_reduce
from graphssl.ops.triton import segment
from graphssl.ops.triton.spmm import spmm

REDUCTIONS = ["sum", "mean", "max", "min"]
SHAPES = [(60, 5, 3), (20, 4, 130), (50, 3, 1), (0, 2, 5), (9, 1, 0)]  # rows, segments, columns
if not INTERPRETED:
    SHAPES += [(20_000, 7, 64), (50_000, 9_000, 128)]


@on_devices
def test_the_segment_op_runs_in_this_tier(device, monkeypatch):
    groupings, group = [], segment._group
    monkeypatch.setattr(segment, "_group", lambda *args, **options: groupings.append(args) or group(*args, **options))
    index = torch.tensor([2, 0, 2, 2, 0], device=device)
    src = unit_rows(5, 6, device).view(5, 2, 3)
    results = []
    for tier in ("torch", "triton"):
        leaf = src.clone().requires_grad_()
        with backend.use(tier):
            largest = segment_reduce(leaf, index, 4, "max")
            gradient = torch.autograd.grad((largest * largest).sum(), leaf)[0]
            results.append([*(segment_reduce(src, index, 4, reduce) for reduce in REDUCTIONS), gradient])
    torch.testing.assert_close(*results)
    assert len(groupings) == 1  # for six reductions over one index, and none in the torch tier


def reduce_by_loop(src, index, segments, reduce):
    out = src.new_zeros(segments, src.size(1))
    for which in range(segments):
        mine = src[index == which]
        if len(mine):
            out[which] = {"sum": mine.sum, "mean": mine.mean, "max": mine.amax, "min": mine.amin}[reduce](0)
    return out


@on_devices
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("longest", [4, 1024])
@pytest.mark.parametrize(("rows", "segments", "dims"), SHAPES)
def test_segments_equal_a_loop(device, monkeypatch, rows, segments, dims, longest, order):
    monkeypatch.setattr(segment, "_LONGEST", longest)  # beyond it, segments are cut into pieces
    generator = torch.Generator().manual_seed(0)
    src = torch.randn(rows, dims, generator=generator).to(device)
    index = torch.randint(segments, (rows,), generator=generator)
    index = (index.sort().values if order == "sorted" else index).to(device)
    for reduce in REDUCTIONS:
        actual = segment.segment_reduce(src, index, segments, reduce)
        expected = reduce_by_loop(src.double(), index, segments, reduce)
        torch.testing.assert_close(actual, expected.float(), rtol=1e-5, atol=1e-4)


@on_devices
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_segments_spread_nan_and_keep_infinities(device, reduce):
    src = torch.tensor([[1.0, 2.0], [math.nan, 3.0], [-math.inf, math.inf], [-math.inf, 5.0], [1e30, -1e30]])
    index = torch.tensor([1, 1, 3, 3, 4])
    actual = segment.segment_reduce(src.to(device), index.to(device), 6, reduce).cpu()
    expected = reduce_by_loop(src, index, 6, reduce)
    torch.testing.assert_close(actual, expected, equal_nan=True)
    assert actual[1, 0].isnan()
    assert actual[0].tolist() == [0.0, 0.0]


@on_devices
@pytest.mark.parametrize("wrong", [-1, 3])
def test_segments_outside_the_range_are_an_error(device, wrong):
    index = torch.tensor([0, wrong, 2, 1], device=device)
    with pytest.raises(ConfigurationError, match=rf"\[0, 3\), found {wrong}"):
        segment.segment_reduce(torch.ones(4, 2, device=device), index, 3, "sum")


@on_devices
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("dims", [1, 33, 130])
def test_spmm_equals_dense(device, dims, dtype):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(20, 9, generator=generator, dtype=torch.float64)
    matrix[torch.rand(20, 9, generator=generator) < 0.6] = 0.0
    matrix[3] = 0.0
    matrix = matrix.to(device)
    x = torch.randn(12, dims, generator=generator).to(device)
    row, col = matrix.nonzero(as_tuple=True)
    ptr = torch.searchsorted(row, torch.arange(21, device=device)).to(dtype)
    value, col = matrix[matrix != 0].float(), col.to(dtype)
    gather, scatter = torch.randperm(12)[:9].to(device), torch.randperm(25)[:20].to(device)

    torch.testing.assert_close(
        spmm(ptr, col, value, None, None, x, 20), (matrix @ x[:9].double()).float(), rtol=1e-5, atol=1e-5
    )
    expected = torch.zeros(25, dims, device=device, dtype=torch.float64)
    expected[scatter] = matrix @ x[gather].double()
    actual = spmm(ptr, col, value, gather, scatter, x, 25)
    torch.testing.assert_close(actual, expected.float(), rtol=1e-5, atol=1e-5)
