"""Products in bfloat16: how far the gradient of the two-view InfoNCE is from float64's."""

import pytest
import torch
from torch import Tensor

from graphssl.functional import two_view_info_nce_loss
from graphssl.ops import native

SETS = [isa for isa in native.instruction_sets() if isa.endswith("_bf16")]
needs_bf16 = pytest.mark.skipif(not SETS, reason=f"bfloat16 kernels: {native.why_missing() or 'not on this processor'}")

# How far apart the rows of a cluster are, relative to their length; how far a thing's two views are; clusters.
KINDS = {
    "random": (1.0, 1.0, 0),
    "nearly solved": (1.0, 0.05, 0),
    "solved": (1.0, 0.001, 0),
    "clustered": (0.3, 0.3, 10),
    "tightly clustered": (0.001, 0.001, 10),
    "collapsed": (0.01, 0.01, 1),
    "wholly collapsed": (0.001, 0.001, 1),
}


def views(kind: str, n: int = 300, p: int = 64) -> tuple[Tensor, Tensor]:
    width, apart, clusters = KINDS[kind]
    generator = torch.Generator().manual_seed(0)

    def noise(rows: int) -> Tensor:
        return torch.randn(rows, p, generator=generator, dtype=torch.float64)

    if clusters == 0:
        z1 = noise(n)
        return z1, (z1 if apart < 1 else 0) + apart * noise(n)
    centre = noise(clusters)[torch.randint(clusters, (n,), generator=generator)]
    return centre + width * noise(n), centre + apart * noise(n)


def gradient(z1: Tensor, z2: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    z1, z2 = z1.clone().requires_grad_(), z2.clone().requires_grad_()
    loss = two_view_info_nce_loss(z1, z2, **options)
    return loss.detach().double(), torch.cat(torch.autograd.grad(loss, (z1, z2))).double()


@needs_bf16
@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_near_that_of_float64(isa: str, kind: str, intra: bool) -> None:
    z1, z2 = (z.float() for z in views(kind))
    for temperature in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        options = {"temperature": temperature, "intra": intra}
        exact_loss, exact = gradient(z1.double(), z2.double(), **options)
        with native.use_instruction_set(isa):
            loss, found = gradient(z1, z2, precision="bfloat16", **options)
        cosine = (found * exact).sum() / (found.norm() * exact.norm())
        assert cosine > 0.999
        assert (found - exact).norm() < 0.03 * exact.norm()
        assert (loss - exact_loss).abs() < 2e-2 * exact_loss


@needs_bf16
def test_it_is_another_computation() -> None:
    z1, z2 = (z.float() for z in views("random"))
    assert gradient(z1, z2, precision="bfloat16")[0] != gradient(z1, z2)[0]


def test_float32_below_the_temperature_where_rounding_matters() -> None:
    z1, z2 = (z.float() for z in views("random"))
    found, expected = (gradient(z1, z2, temperature=0.01, precision=p)[1] for p in ("bfloat16", "float32"))
    assert torch.equal(found, expected)
