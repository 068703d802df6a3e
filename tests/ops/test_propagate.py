"""A layer in one pass equals its parts, on every tier: values, gradients, extremes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from tiers import TIERS, needs_cpp, tier
from torch.nn import functional as F

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native, normalized_adjacency, propagate, sparse_operator, spmm
from graphssl.ops.leaky import _leaky_backward
from graphssl.ops.spmm import _propagate, _transposed

NODES = 37


def graph(seed=0, num_nodes=NODES, edges=150):
    generator = torch.Generator().manual_seed(seed)
    return normalized_adjacency(
        torch.randint(num_nodes, (2, edges), generator=generator), num_nodes, norm="row", dtype=torch.float64
    )


def inputs(width, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(NODES, width, generator=generator, dtype=dtype).requires_grad_()
    bias = torch.randn(width, generator=generator, dtype=dtype).requires_grad_()
    return x, torch.randperm(NODES, generator=generator), bias, torch.tensor([0.25], dtype=dtype, requires_grad=True)


def parts(adjacency, x, rows, bias, slope):
    out = adjacency.to_dense().to(x.dtype) @ (x if rows is None else x[rows])
    out = out if bias is None else out + bias
    return out if slope is None else F.prelu(out, slope if isinstance(slope, torch.Tensor) else out.new_tensor([slope]))


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("width", [0, 1, 3, 16, 31, 128, 512, 700])
@pytest.mark.parametrize("slope", ["none", "relu", "prelu"])
def test_one_pass_equals_its_parts(name, width, slope):
    x, rows, bias, learnt = inputs(width)
    slope = {"none": None, "relu": 0.0, "prelu": learnt}[slope]
    for given in (dict(rows=None, bias=None), dict(rows=rows, bias=bias)):
        wanted = [tensor for tensor in (x, given["bias"], slope) if isinstance(tensor, torch.Tensor)]
        with tier(name):
            out = propagate(graph(), x, slope=slope, **given)
            weight = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
            gradients = torch.autograd.grad((out * weight).sum(), wanted)
        expected = parts(graph(), x, slope=slope, **given)
        torch.testing.assert_close(out, expected)
        for got, right in zip(gradients, torch.autograd.grad((expected * weight).sum(), wanted), strict=True):
            torch.testing.assert_close(got, right)


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("slope", [None, 0.0, "learnt"])
def test_gradients_of_first_and_second_order(name, slope):
    x, rows, bias, learnt = inputs(3)
    adjacency = graph()

    def layer(x, bias, learnt):
        return propagate(adjacency, x, rows=rows, bias=bias, slope=learnt if slope == "learnt" else slope)

    with tier(name):
        assert torch.autograd.gradcheck(layer, (x, bias, learnt))
        assert torch.autograd.gradgradcheck(layer, (x, bias, learnt))


@pytest.mark.parametrize("value", [0.0, -0.5, 1e-6])
def test_slopes_whose_sign_says_nothing_take_the_long_way(value):
    x, rows, bias, _ = inputs(5)
    slope = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    out = propagate(graph(), x, rows=rows, bias=bias, slope=slope)
    expected = parts(graph(), x, rows, bias, slope)
    torch.testing.assert_close(out, expected)
    for got, right in zip(
        torch.autograd.grad(out.square().sum(), (x, bias, slope)),
        torch.autograd.grad(expected.square().sum(), (x, bias, slope)),
        strict=True,
    ):
        torch.testing.assert_close(got, right)


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("slope", [-0.5, -1e-6, 0.0, 0.5, 1])
def test_fixed_slopes_of_either_sign(name, slope):
    x, rows, bias, _ = inputs(19)
    expected = parts(graph(), x, rows, bias, slope)
    with tier(name):
        out = propagate(graph(), x, rows=rows, bias=bias, slope=slope)
        gradients = torch.autograd.grad(out.square().sum(), (x, bias))
    torch.testing.assert_close(out, expected)
    for got, right in zip(gradients, torch.autograd.grad(expected.square().sum(), (x, bias)), strict=True):
        torch.testing.assert_close(got, right)


@pytest.mark.parametrize("name", TIERS)
def test_rows_need_be_no_permutation_nor_contiguous(name):
    x, order, bias, _ = inputs(19)
    for rows in (torch.arange(NODES) // 2, torch.zeros(NODES, dtype=torch.long), torch.stack([order, order], 1)[:, 0]):
        expected = parts(graph(), x, rows, bias, 0.0)
        with tier(name):
            out = propagate(graph(), x, rows=rows, bias=bias, slope=0.0)
            assert torch.equal(out, propagate(graph(), x.detach(), rows=rows, bias=bias.detach(), slope=0.0))
            (gradient,) = torch.autograd.grad(out.square().sum(), x)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected.square().sum(), x)[0])


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(rows=torch.arange(NODES - 1)), r"\(37,\).*\(36,\)"),
        (dict(rows=torch.zeros(NODES, 1, dtype=torch.long)), r"\(37,\)"),
        (dict(rows=torch.arange(NODES, dtype=torch.int32)), "int64.*int32"),
        (dict(rows=torch.arange(NODES) + 1), r"row 37 .*\[0, 37\)"),
        (dict(rows=torch.arange(NODES) - 9), "row -9 "),
        (dict(bias=torch.zeros(1)), r"\(5,\).*\(1,\)"),
        (dict(bias=torch.zeros(5, 1)), r"\(5,\)"),
        (dict(bias=torch.zeros(9)), r"\(5,\)"),
    ],
)
def test_rows_and_bias_that_do_not_fit_are_refused(name, options, match):
    with tier(name), pytest.raises(InvalidGraphError, match=match):
        propagate(graph(), torch.randn(NODES, 5), **options)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_only_real_floating_point_goes_through_a_layer(dtype):
    with pytest.raises(ConfigurationError, match=f"{dtype}.*float"):
        spmm(graph(), torch.ones(NODES, 5, dtype=dtype))


@needs_cpp
def test_a_transposed_product_without_memory_is_an_error():
    ptr, col, ones = torch.zeros(2, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), torch.ones(1, 16)
    with pytest.raises(ConfigurationError, match="memory"):  # it would need 2^63 bytes
        native.call("spmm_transposed_f32", ptr, col, ones[0, :0], ones, torch.empty(0), 1, 2**57, 16, 1)


@pytest.mark.parametrize("name", TIERS)
def test_float32_huge_values_and_nan(name):
    adjacency = graph()
    x, rows, bias, slope = inputs(40, torch.float32)
    with tier(name), torch.no_grad():
        huge = propagate(adjacency, 1e30 * x, rows=rows, bias=bias, slope=slope)
        torch.testing.assert_close(huge, parts(adjacency, 1e30 * x, rows, bias, slope), rtol=1e-4, atol=1e25)
        broken = x.clone()
        broken[rows[0]] = torch.nan
        reached = adjacency.to_dense()[:, 0] != 0
        assert torch.equal(propagate(adjacency, broken, rows=rows, slope=slope).isnan().any(dim=1), reached)


@pytest.mark.parametrize("name", TIERS)
def test_graphs_without_edges_or_nodes(name):
    empty = normalized_adjacency(torch.empty(2, 0, dtype=torch.long), 4, self_loops=False)
    nobody = normalized_adjacency(torch.empty(2, 0, dtype=torch.long), 0)
    with tier(name):
        out = propagate(empty, torch.randn(4, 20), bias=torch.full((20,), -2.0), slope=0.5)
        assert torch.equal(out, torch.full((4, 20), -1.0))
        assert propagate(nobody, torch.randn(0, 20, requires_grad=True)).shape == (0, 20)


@needs_cpp
def test_number_of_threads_changes_no_bit():
    generator = torch.Generator().manual_seed(0)
    adjacency = normalized_adjacency(torch.randint(3000, (2, 20_000), generator=generator), 3000)
    x = torch.randn(3000, 70, generator=generator, requires_grad=True)
    slope, bias = torch.tensor([0.3], requires_grad=True), torch.randn(70, generator=generator, requires_grad=True)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            out = propagate(adjacency, x, bias=bias, slope=slope)
            found.append([out, *torch.autograd.grad(out.sum(), (x, bias, slope))])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], others, strict=True))


def test_torch_library_contracts():
    adjacency = graph()
    x, rows, bias, slope = inputs(6)
    triple = adjacency.parts(), adjacency.parts(transposed=True)
    for options in ((None, None, None, 0.0, False), (rows, bias, slope, 0.25, True)):
        torch.library.opcheck(_propagate, (*triple[0], *triple[1], x, *options, NODES))
    torch.library.opcheck(_transposed, (*triple[1], *triple[0], x, rows, NODES))
    out = propagate(adjacency, x, slope=slope).detach()
    torch.library.opcheck(_leaky_backward, (torch.randn_like(out), out, 0.25))


def test_torch_compile_goes_through():
    adjacency = graph()
    x, _, bias, slope = inputs(4)

    def layer(x, bias, slope):
        return propagate(adjacency, x, bias=bias, slope=slope).square().sum()

    adjacency.parts(transposed=True)  # made at the first step, outside of what is compiled
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, bias, slope), layer(x, bias, slope))
    for got, right in zip(
        torch.autograd.grad(compiled(x, bias, slope), (x, bias, slope)),
        torch.autograd.grad(layer(x, bias, slope), (x, bias, slope)),
        strict=True,
    ):
        torch.testing.assert_close(got, right)


def test_tier_switched_off_gives_the_same():
    x, rows, bias, slope = inputs(33, torch.float32)
    fast = propagate(graph(), x, rows=rows, bias=bias, slope=slope)
    with backend.use("torch"):
        plain = propagate(graph(), x, rows=rows, bias=bias, slope=slope)
        torch.testing.assert_close(spmm(graph(), x), graph().to_dense().float() @ x)
    torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("name", TIERS)
@pytest.mark.parametrize("width", [1, 16, 37, 96])
def test_few_rows_met_many_times(name, width):
    """Features times a weight: few rows on one side, on which the products choose another order."""
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(300, 20, generator=generator, dtype=torch.float64).mul_(2).sub_(1).relu_()
    weight = torch.randn(20, width, generator=generator, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(300, width, generator=generator, dtype=torch.float64)
    with tier(name):
        product = spmm(sparse_operator(dense.to_sparse_coo()), weight)
        torch.testing.assert_close(product, dense @ weight)
        (gradient,) = torch.autograd.grad(product, weight, upstream)
        torch.testing.assert_close(gradient, dense.t() @ upstream)


def test_a_first_product_warns_of_nothing():
    """Torch announces once per process that CSR is in beta: in a process of its own, with warnings as errors."""
    code = """
import torch
from graphssl.ops import backend, normalized_adjacency, spmm
with backend.use("torch"):
    assert spmm(normalized_adjacency(torch.tensor([[0], [1]]), 2), torch.ones(2, 3)).shape == (2, 3)
"""
    options = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    subprocess.run([sys.executable, *options, "-c", code], check=True, timeout=120)
