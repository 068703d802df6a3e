"""The random numbers of ``ops/stream.py`` inside a kernel, bit for bit."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["below", "stream_key", "uniform"]

_STEP = tl.constexpr(0x9E3779B97F4A7C15)
_FIRST = tl.constexpr(0xBF58476D1CE4E5B9)
_SECOND = tl.constexpr(0x94D049BB133111EB)


@triton.jit
def mix64(x: tl.tensor) -> tl.tensor:
    """Of uint64."""
    x = (x ^ (x >> 30)) * _FIRST
    x = (x ^ (x >> 27)) * _SECOND
    return x ^ (x >> 31)


@triton.jit
def stream_key(key: tl.tensor, stream: tl.tensor) -> tl.tensor:
    """The key, uint64, of a stream, int64, of a key."""
    return mix64(mix64(key + _STEP) + stream.to(tl.uint64, bitcast=True) * _STEP)


@triton.jit
def uniform(key: tl.tensor, counter: tl.tensor) -> tl.tensor:
    """Number ``counter``, int64, of a key's stream: float64 in [0, 1)."""
    x = mix64(key + (counter + 1).to(tl.uint64) * _STEP)
    return (x >> 11).to(tl.float64) * 1.1102230246251565e-16  # 2^-53


@triton.jit
def below(key: tl.tensor, counter: tl.tensor, n: tl.tensor) -> tl.tensor:
    """An int64 in [0, n), n >= 1."""
    return tl.minimum((uniform(key, counter) * n.to(tl.float64)).to(tl.int64), n - 1)
