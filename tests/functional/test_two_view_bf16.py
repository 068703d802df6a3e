"""Products in bfloat16: how far the gradient of the two-view InfoNCE is from float64's."""

import pytest
from hard_views import KINDS, gradient, views

from graphssl.ops import native

SETS = [isa for isa in native.instruction_sets() if isa.endswith("_bf16")]
needs_bf16 = pytest.mark.skipif(not SETS, reason=f"bfloat16 kernels: {native.why_missing() or 'not on this processor'}")


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
