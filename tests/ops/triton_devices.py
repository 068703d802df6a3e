"""Where the tests of Triton kernels run: on a CUDA device, or in Triton's interpreter on the CPU.

The interpreter has to be chosen before triton is imported, so it runs in a process of its own: the tests carry the mark
``gpu``, and ``test_triton_interpreter.py`` runs them once more, on the CPU.
"""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
on_devices = pytest.mark.parametrize("device", ["cpu" if INTERPRETED else pytest.param("cuda", marks=pytest.mark.gpu)])


def unit_rows(count: int, dims: int, device: str, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, dims, generator=generator), dim=1).to(device)
