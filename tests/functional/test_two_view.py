"""InfoNCE of two views without a matrix of scores: equal to the dense form."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from graphssl.critics import CosineCritic
from graphssl.errors import ConfigurationError
from graphssl.functional import info_nce_loss, two_view_info_nce_loss
from graphssl.ops import backend, native
from graphssl.pairs import Pairs, two_views

MISSING = native.why_missing()
tiers = pytest.mark.parametrize(
    "tier", ["torch", pytest.param("cpp", marks=pytest.mark.skipif(bool(MISSING), reason=f"C++ kernels: {MISSING}"))]
)


def views(n: int, p: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z1, z2 = (torch.randn(n, p, generator=generator).to(dtype).requires_grad_() for _ in range(2))
    return z1, z2


def dense(z1: Tensor, z2: Tensor, *, temperature: float, intra: bool) -> Tensor:
    z = torch.cat([z1, z2])
    return info_nce_loss(
        CosineCritic()(z, z), two_views(len(z1), intra=intra, device=z.device), temperature=temperature
    )


def with_gradients(loss: Any, z1: Tensor, z2: Tensor, **options: Any) -> tuple[Tensor, ...]:
    value = loss(z1, z2, **options)
    return value.detach(), *torch.autograd.grad(value, (z1, z2))


def assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], **tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize("intra", [True, False])
def test_equals_grace_by_loops(intra: bool) -> None:
    z1, z2 = views(4)
    t = 0.4

    def cos(a: Tensor, b: Tensor) -> float:
        return (a @ b / (a.norm() * b.norm())).item()

    total = 0.0
    for u, v in ((z1, z2), (z2, z1)):
        for i in range(4):
            denominator = sum(math.exp(cos(u[i], v[k]) / t) for k in range(4))
            if intra:
                denominator += sum(math.exp(cos(u[i], u[k]) / t) for k in range(4) if k != i)
            total -= math.log(math.exp(cos(u[i], v[i]) / t) / denominator)
    loss = two_view_info_nce_loss(z1, z2, temperature=t, intra=intra)
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("temperature", [0.02, 0.5, 1.0])
def test_equals_the_dense_form(temperature: float, intra: bool) -> None:
    z1, z2 = views(7)
    expected = with_gradients(dense, z1, z2, temperature=temperature, intra=intra)
    found = with_gradients(two_view_info_nce_loss, z1, z2, temperature=temperature, intra=intra)
    assert_same(found, expected, rtol=1e-9, atol=1e-12)


@tiers
@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("temperature", [0.02, 1.0])
def test_equals_the_dense_form_in_float32_when_pairs_are_nearly_solved(
    tier: str, temperature: float, intra: bool
) -> None:
    z1, _ = views(60, 16, dtype=torch.float32)
    z2 = (z1.detach() + 0.05 * torch.randn(60, 16, generator=torch.Generator().manual_seed(1))).requires_grad_()
    exact = with_gradients(
        dense, z1.detach().double().requires_grad_(), z2.detach().double().requires_grad_(),
        temperature=temperature, intra=intra,
    )  # fmt: skip
    with backend.use(tier):
        found = with_gradients(two_view_info_nce_loss, z1, z2, temperature=temperature, intra=intra)
    for a, b in zip(found, exact, strict=True):
        assert (a.double() - b).norm() <= 1e-4 * b.norm()  # of a loss of 1e-8 too


def dense_of_anchors(z1: Tensor, z2: Tensor, anchors: Tensor, *, temperature: float, intra: bool) -> Tensor:
    z, pairs = torch.cat([z1, z2]), two_views(len(z1), intra=intra)
    rows = torch.cat([anchors, anchors + len(z1)])
    pairs = Pairs(pairs.positive[rows], pairs.negative[rows])
    return info_nce_loss(CosineCritic()(z[rows], z), pairs, temperature=temperature)


@tiers
@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize(("temperature", "count"), [(0.02, 9), (1.0, 1), (0.5, 37)])
def test_anchors_are_rows_of_the_dense_form(tier: str, intra: bool, temperature: float, count: int) -> None:
    z1, z2 = views(37)
    anchors = torch.randperm(37, generator=torch.Generator().manual_seed(1))[:count]
    options = dict(temperature=temperature, intra=intra)
    expected = with_gradients(lambda a, b: dense_of_anchors(a, b, anchors, **options), z1, z2)
    with backend.use(tier):
        found = with_gradients(two_view_info_nce_loss, z1, z2, anchors=anchors.int(), **options)
        single = [z.detach().float().requires_grad_() for z in (z1, z2)]
        in_float32 = with_gradients(two_view_info_nce_loss, *single, anchors=anchors, **options)
    assert_same(found, expected, rtol=1e-9, atol=1e-12)
    for a, b in zip(in_float32, expected, strict=True):
        assert (a.double() - b).norm() <= 1e-4 * b.norm()


@pytest.mark.parametrize("intra", [True, False])
def test_anchors_give_the_loss_of_all_rows_on_average(intra: bool) -> None:
    z1, z2 = views(12)
    whole = with_gradients(two_view_info_nce_loss, z1, z2, intra=intra)
    parts = [
        with_gradients(two_view_info_nce_loss, z1, z2, intra=intra, anchors=part)
        for part in torch.randperm(12, generator=torch.Generator().manual_seed(2)).split(4)
    ]
    assert_same(tuple(sum(values) / 3 for values in zip(*parts, strict=True)), whole)


def test_the_only_row_is_an_anchor_without_negatives() -> None:
    value, *grads = with_gradients(two_view_info_nce_loss, *views(1), anchors=torch.tensor([0]))
    assert abs(value) < 1e-12
    assert all(grad.abs().max() < 1e-12 for grad in grads)


@pytest.mark.parametrize(
    "anchors",
    [torch.tensor([0, 0]), torch.tensor([4]), torch.tensor([-1]), torch.tensor([]).long(), torch.tensor([[0]]),
     torch.tensor([0.0]), torch.tensor([True, False, True, True]), [0, 1]],
)  # fmt: skip
def test_what_is_no_set_of_rows_cannot_be_anchors(anchors: Tensor) -> None:
    with pytest.raises(ConfigurationError, match=r"distinct integers in \[0, 4\)"):
        two_view_info_nce_loss(*views(4), anchors=anchors)


@pytest.mark.parametrize("intra", [True, False])
def test_gradcheck(intra: bool) -> None:
    assert torch.autograd.gradcheck(
        lambda a, b: two_view_info_nce_loss(a, b, temperature=0.3, intra=intra), views(4, 3)
    )


@pytest.mark.parametrize("intra", [True, False])
def test_one_thing_costs_nothing(intra: bool) -> None:
    value, *grads = with_gradients(two_view_info_nce_loss, *views(1), intra=intra)
    assert abs(value) < 1e-12
    assert all(grad.abs().max() < 1e-12 for grad in grads)


@pytest.mark.parametrize("intra", [True, False])
def test_duplicate_rows(intra: bool) -> None:
    z1, z2 = torch.ones(6, 3).double().requires_grad_(), torch.ones(6, 3).double().requires_grad_()
    value, *grads = with_gradients(two_view_info_nce_loss, z1, z2, intra=intra)
    assert value.item() == pytest.approx(math.log(11 if intra else 6))
    assert all(grad.abs().max() < 1e-12 for grad in grads)


@pytest.mark.parametrize("intra", [True, False])
def test_zero_rows_have_cosine_zero_and_no_gradient(intra: bool) -> None:
    z1, z2 = (z.detach() for z in views(5))
    z1[2] = 0
    z2[[0, 2]] = 0
    z1, z2 = z1.requires_grad_(), z2.requires_grad_()
    found = with_gradients(two_view_info_nce_loss, z1, z2, temperature=0.5, intra=intra)
    assert_same(found, with_gradients(dense, z1, z2, temperature=0.5, intra=intra))
    assert not found[1][2].any()
    assert not found[2][[0, 2]].any()
    assert all(part.isfinite().all() and part.abs().max() < 10 for part in found)


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_scale_of_a_row_is_irrelevant(scale: float) -> None:
    z1, z2 = views(5, dtype=torch.float32)
    scaled = two_view_info_nce_loss(scale * z1, z2)
    torch.testing.assert_close(scaled, two_view_info_nce_loss(z1, z2))


def test_swapping_views_and_reordering_rows_changes_nothing() -> None:
    z1, z2 = views(6)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    loss = two_view_info_nce_loss(z1, z2)
    torch.testing.assert_close(two_view_info_nce_loss(z2, z1), loss)
    torch.testing.assert_close(two_view_info_nce_loss(z1[order], z2[order]), loss)


def test_equal_views_beat_misaligned_ones() -> None:
    z1, _ = views(6)
    assert two_view_info_nce_loss(z1, z1) < two_view_info_nce_loss(z1, z1.roll(1, dims=0))


def test_the_incoming_gradient_scales_the_outgoing_one() -> None:
    z1, z2 = views(4)
    once, thrice = (torch.autograd.grad(k * two_view_info_nce_loss(z1, z2), z1)[0] for k in (1, 3))
    torch.testing.assert_close(3 * once, thrice)


@pytest.mark.parametrize("intra", [True, False])
def test_nothing_of_the_size_of_all_scores_is_kept(intra: bool) -> None:
    n, p = 200, 4
    kept: list[Tensor] = []
    z1, z2 = views(n, p, dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x), x)[1], lambda x: x):
        two_view_info_nce_loss(z1, z2, intra=intra)
    assert kept
    assert max(x.numel() for x in kept) <= 2 * n * p
    assert max(x.untyped_storage().nbytes() for x in kept) <= 4 * 2 * n * p


def test_compiles_into_one_graph() -> None:
    z1, z2 = views(20, dtype=torch.float32)
    expected = with_gradients(two_view_info_nce_loss, z1, z2, temperature=0.1)
    compiled = torch.compile(two_view_info_nce_loss, backend="aot_eager", fullgraph=True)
    assert_same(with_gradients(compiled, z1, z2, temperature=0.1), expected)


def test_nan_is_not_hidden() -> None:
    z1, z2 = views(4, dtype=torch.float32)
    z1.data[1, 2] = torch.nan
    assert all(part.isnan().any() for part in with_gradients(two_view_info_nce_loss, z1, z2))


@tiers
@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_extremes_stay_finite(tier: str, size: float, intra: bool) -> None:
    z1, z2 = (size * z.detach() for z in views(300, 20, dtype=torch.float32))
    z1[:10], z2[20:23] = z1[10], 0.0
    with backend.use(tier):
        found = with_gradients(
            two_view_info_nce_loss, z1.requires_grad_(), z2.requires_grad_(), temperature=1e-3, intra=intra
        )
    exact = with_gradients(
        dense, *(z.detach().double().requires_grad_() for z in (z1, z2)), temperature=1e-3, intra=intra
    )
    for a, b in zip(found, exact, strict=True):
        assert (a.double() - b).norm() <= 1e-3 * b.norm()


def test_without_gradient_nothing_is_kept() -> None:
    z1, z2 = (z.detach() for z in views(4))
    assert not two_view_info_nce_loss(z1, z2).requires_grad


def test_a_gradient_for_one_view_only() -> None:
    z1, z2 = views(4)
    both = torch.autograd.grad(two_view_info_nce_loss(z1, z2), z1)[0]
    torch.testing.assert_close(torch.autograd.grad(two_view_info_nce_loss(z1, z2.detach()), z1)[0], both)


def test_autocast_computes_in_float32() -> None:
    z1, z2 = views(16, dtype=torch.float32)
    expected = with_gradients(two_view_info_nce_loss, z1, z2, temperature=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = with_gradients(two_view_info_nce_loss, z1, z2, temperature=0.05)
    assert_same(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
def test_half_precision_inputs_are_computed_in_float32(dtype: torch.dtype) -> None:
    z1, z2 = views(16, dtype=dtype)
    loss = two_view_info_nce_loss(z1, z2, temperature=0.05)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, two_view_info_nce_loss(z1.float(), z2.float(), temperature=0.05))
    assert torch.autograd.grad(loss, z1)[0].dtype == dtype


@pytest.mark.parametrize(
    ("z1", "z2", "options"),
    [
        (torch.zeros(3, 2), torch.zeros(4, 2), {}),
        (torch.zeros(3), torch.zeros(3), {}),
        (torch.zeros(0, 2), torch.zeros(0, 2), {}),
        (torch.zeros(3, 2).long(), torch.zeros(3, 2).long(), {}),
        (torch.zeros(3, 2), torch.zeros(3, 2).double(), {}),
        (torch.zeros(3, 2), torch.zeros(3, 2), {"temperature": -1.0}),
        (torch.zeros(3, 2), torch.zeros(3, 2), {"precision": "float16"}),
    ],
)
def test_bad_input_is_refused(z1: Tensor, z2: Tensor, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"must|equal|needs"):
        two_view_info_nce_loss(z1, z2, **options)


@pytest.mark.gpu
@pytest.mark.parametrize("intra", [True, False])
def test_gpu_equals_cpu(intra: bool) -> None:
    z1, z2 = views(500, 32, dtype=torch.float32)
    expected = with_gradients(two_view_info_nce_loss, z1, z2, temperature=0.1, intra=intra)
    on_gpu = [z.detach().cuda().requires_grad_() for z in (z1, z2)]
    with torch.autocast("cuda", dtype=torch.bfloat16):
        found = with_gradients(two_view_info_nce_loss, *on_gpu, temperature=0.1, intra=intra)
    assert_same(tuple(x.cpu() for x in found), expected, rtol=1e-3, atol=1e-5)
