"""Other tiles for the contrastive Triton kernels than those in use; gpu.py times them with ``--parts tiles``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import measure
import torch
from torch.nn.functional import normalize

from graphssl.ops.triton import contrast as kernels
from graphssl.ops.triton import tiles
from graphssl.ops.triton.tiles import Shape

#: By direction, precision and length. Compiled for 9.0, each fits into shared memory and none spills registers.
CANDIDATES = {
    ("forward", "bfloat16", 128): [
        Shape(128, 128, 128, 128, stages=3), Shape(128, 64, 128, 128), Shape(128, 64, 128, 128, stages=3),
        Shape(64, 128, 128, 128, warps=4, stages=3),
    ],
    ("forward", "float32", 128): [Shape(64, 64, 128, 128, warps=4), Shape(128, 128, 64, 128)],
    ("forward", "float32", 256): [Shape(64, 32, 256, 256, warps=4), Shape(128, 64, 64, 128)],
    ("backward", "bfloat16", 128): [Shape(64, 64, 128, 128, warps=4), Shape(128, 64, 128, 128, stages=3)],
    ("backward", "float32", 128): [Shape(64, 64, 128, 128, warps=4)],
    ("backward", "bfloat16", 256): [Shape(128, 32, 256, 256), Shape(128, 64, 64, 128)],
    ("backward", "float32", 256): [Shape(128, 64, 32, 128), Shape(128, 64, 64, 64)],
}  # fmt: skip


def tiles_part(
    count: int, device: str, seconds: Callable[[Mapping[str, Callable[[], object]]], dict[str, list[float]]]
) -> list[dict[str, Any]]:
    """The kernels by themselves, for two stacked views of ``count`` rows."""
    rows = []
    usual = tiles.shape_for
    for (direction, precision, width), candidates in CANDIDATES.items():
        z = normalize(torch.randn(2 * count, width, device=device))
        lse = kernels.self_logsumexp_forward(z, 2.0, True, 2.0, precision)

        def work(z: Any = z, lse: Any = lse, direction: str = direction, precision: str = precision) -> torch.Tensor:
            if direction == "forward":
                return kernels.self_logsumexp_forward(z, 2.0, True, 2.0, precision)
            return kernels.self_logsumexp_backward(z, lse, lse, 2.0, True, precision)

        variants: dict[str, Callable[[], object]] = {"in use": work}
        for shape in candidates:

            def with_shape(shape: Shape = shape, work: Callable[[], torch.Tensor] = work) -> torch.Tensor:
                tiles.shape_for = lambda *_, **__: shape
                try:
                    return work()
                finally:
                    tiles.shape_for = usual

            try:
                torch.testing.assert_close(with_shape(), work(), rtol=1e-3, atol=1e-3)
            except RuntimeError as error:  # more shared memory or registers than this device has
                print(f"{shape} was left out: {error}")
            else:
                variants[str(tuple(shape))] = with_shape
        labels = dict(path=f"gpu tiles, {direction}", n=count, width=width, precision=precision)
        rows += measure.compare(seconds(variants), baseline="in use", **labels)
    return rows
