"""The tiers and instruction sets that this machine has, for tests that run on each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from graphssl.ops import backend, native

needs_cpp = pytest.mark.skipif(bool(native.why_missing()), reason=f"C++ kernels: {native.why_missing()}")
TIERS = ["torch", *(f"cpp-{name}" for name in native.instruction_sets())]


@contextlib.contextmanager
def tier(name: str) -> Iterator[None]:
    """Compute with one of ``TIERS``."""
    kind, _, isa = name.partition("-")
    with contextlib.ExitStack() as stack:
        stack.enter_context(backend.use(kind))
        if isa:
            stack.enter_context(native.use_instruction_set(isa))
        yield
