"""Products that keep 16 bits (``precision="high"``): values and gradients against float64, and where it is float32."""

from collections.abc import Iterator

import pytest
import torch
from hard_views import KINDS, gradient, views
from torch import Tensor
from torch.nn.functional import normalize

from graphssl.functional import two_view_info_nce_loss
from graphssl.ops import backend, cross_logsumexp, native, self_logsumexp

SETS = native.instruction_sets()
on_amx = pytest.mark.usefixtures("amx")
# What 16 bits keep of rows whose differences are a thousandth of their length is seen in the gradient.
HARDEST = ("tightly clustered", "wholly collapsed")
TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@pytest.fixture
def amx() -> Iterator[None]:
    if "amx_bf16" not in SETS:
        pytest.skip("kernels for AMX: not built, or not on this processor")
    with native.use_instruction_set("amx_bf16"):
        yield


def rows(n: int, p: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(n, p, generator=torch.Generator().manual_seed(seed)), dim=1)


def everything(precision: str) -> list[Tensor]:
    """Results and gradients of both ops and of the loss, with and without a running maximum, over several tiles."""
    x, y = rows(700, 40).requires_grad_(), rows(331, 40, seed=1).requires_grad_()
    out = [
        self_logsumexp(x, scale=5.0, skip_partner=True, bound=5.1, precision=precision),
        self_logsumexp(x, scale=60.0, precision=precision),
        *cross_logsumexp(x, y, scale=5.0, bound=5.1, precision=precision),
        cross_logsumexp(x, y, scale=60.0, columns=False, precision=precision)[0],
        two_view_info_nce_loss(x[:331], y, temperature=0.2, precision=precision),
    ]
    total = sum((value * rows(1, value.numel(), seed=7)).sum() for value in out)
    return [*(value.detach() for value in out), *torch.autograd.grad(total, (x, y))]


@on_amx
@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_near_that_of_float64(kind: str, intra: bool) -> None:
    z1, z2 = (z.float() for z in views(kind))
    for temperature in TEMPERATURES:
        options = {"temperature": temperature, "intra": intra}
        exact_loss, exact = gradient(z1.double(), z2.double(), **options)
        loss, found = gradient(z1, z2, precision="high", **options)
        cosine = (found * exact).sum() / (found.norm() * exact.norm())
        assert 1 - cosine < (1e-5 if kind in HARDEST else 1e-9)
        assert (found - exact).norm() < (5e-3 if kind in HARDEST else 5e-5) * exact.norm()
        assert (loss - exact_loss).abs() < 4e-5 * exact_loss


@on_amx
@pytest.mark.parametrize("p", [1, 16, 33, 300])
def test_a_single_score_is_off_by_less_than_the_bound(p: int) -> None:
    """The logsumexp of one score is that score: no sum hides how it was multiplied."""
    x, y = rows(500, p), rows(1, p, seed=1)
    for precision, least, most in (("high", 2**-21, 2**-16), ("bfloat16", 2**-13, 2**-8)):
        score, _ = cross_logsumexp(x, y, columns=False, precision=precision)
        error = (score - x.double() @ y[0].double()).abs().max()
        assert error < most
        assert error > least or p == 1  # exact where rows are 1 and -1


@on_amx
def test_the_tiers_agree() -> None:
    found = everything("high")
    with backend.use("torch"):
        expected = everything("high")
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() < 2e-5 * b.norm()
    assert not torch.equal(found[0], expected[0])


@pytest.mark.parametrize("isa", [isa for isa in SETS if isa != "amx_bf16"])
def test_float32_without_amx(isa: str) -> None:
    with native.use_instruction_set(isa):
        assert all(map(torch.equal, everything("high"), everything("float32")))


def test_float32_in_torch_and_for_float64() -> None:
    z1, z2 = views("random")
    assert torch.equal(gradient(z1, z2, precision="high")[1], gradient(z1, z2)[1])
    with backend.use("torch"):
        assert all(map(torch.equal, everything("high"), everything("float32")))


@pytest.mark.parametrize("precision", ["high", "bfloat16"])
def test_float32_below_the_temperature_where_rounding_matters(precision: str) -> None:
    z1, z2 = (z.float() for z in views("random"))
    found, expected = (gradient(z1, z2, temperature=0.01, precision=p)[1] for p in (precision, "float32"))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("temperature", [0.02, 1.0])
@pytest.mark.parametrize("intra", [True, False])
def test_duplicates_zero_rows_and_large_numbers(intra: bool, temperature: float) -> None:
    z1, z2 = (z.float() for z in views("random", 70, 20))
    z1[3:9], z2[3:9], z1[11], z2[40], z1[50:60], z1[61] = z1[2], z1[2], 0.0, 0.0, -z1[2], 1e6 * z1[61]
    options = {"intra": intra, "temperature": temperature, "precision": "high"}
    loss, found = gradient(z1, z2, **options)
    exact_loss, exact = gradient(z1.double(), z2.double(), **options)
    assert (loss - exact_loss).abs() < 1e-5 * exact_loss
    assert (found - exact).norm() < 5e-5 * exact.norm()
    assert not found[[11, 70 + 40]].any()


def test_one_node_has_nothing_to_contrast() -> None:
    loss, found = gradient(torch.ones(1, 5), torch.randn(1, 5), precision="high")
    assert loss == 0
    assert not found.any()


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    one: list[Tensor] = []
    two: list[Tensor] = []
    for threads, found in ((1, one), (2, two)):
        monkeypatch.setattr(native, "threads", lambda threads=threads: threads)
        found += everything("high")
    assert all(map(torch.equal, one, two))
