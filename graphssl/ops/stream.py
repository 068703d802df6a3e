r"""Random numbers without a state: number :math:`i` of stream :math:`s` is a function of (seed, s, i).

A sampler gives every seed node a stream of its own, so that what it draws does not depend on the batch it came in, on
the number of threads, or on the tier: ``cpp/random.h`` computes the same bits.

References
----------
.. [1] Steele, Lea, Flood. Fast Splittable Pseudorandom Number Generators. OOPSLA 2014. (The finaliser, with the
   constants of Stafford's variant 13.)
.. [2] Salmon, Moraes, Dror, Shaw. Parallel Random Numbers: As Easy as 1, 2, 3. SC 2011. (Counters instead of a state.)
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["below", "mix64", "scaled", "stream_keys", "uniform"]

_STEP = 0x9E3779B97F4A7C15 - 2**64  # as the signed number of the same 64 bits
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64


def mix64(x: Tensor) -> Tensor:
    """A bijection of the 64-bit integers that changes half of the bits on average when one changes; any shape."""
    x = x ^ _shift(x, 30)  # a tensor of our own: from here on in place, which takes half the time
    x *= _FIRST
    x ^= _shift(x, 27)
    x *= _SECOND
    x ^= _shift(x, 31)
    return x


def stream_keys(key: int | Tensor, streams: Tensor, owner: Tensor | None = None) -> Tensor:
    """Keys of the streams of a key (the seed, or a key given by this function), int64, of the shape of ``streams``.

    With owners, int64 as many as streams, they are streams of ``key[owner]``.
    """
    if not isinstance(key, Tensor):
        key = torch.tensor(_signed(key))
    mixed = mix64(key + _STEP)
    return mix64((mixed if owner is None else mixed.index_select(0, owner)) + streams * _STEP)


def uniform(keys: Tensor, counter: int | Tensor) -> Tensor:
    """Number ``counter`` of each key's stream: float64 in [0, 1) with 53 random bits."""
    step = (counter + 1) * _STEP
    return _shift(mix64(keys + (step if isinstance(step, Tensor) else _signed(step))), 11).double() * 2.0**-53


def below(keys: Tensor, counter: int | Tensor, n: Tensor) -> Tensor:
    """An int64 in [0, n) for each key and each n >= 1: each value with probability 1 / n up to 2^-53."""
    return scaled(uniform(keys, counter), n)


def scaled(number: Tensor, n: Tensor) -> Tensor:
    """The int64 in [0, n) that a number in [0, 1) chooses."""
    return torch.minimum((number * n).long(), n - 1)


def _signed(number: int) -> int:
    """The last 64 bits of a Python integer, as torch writes them."""
    return (number + 2**63) % 2**64 - 2**63


def _shift(x: Tensor, bits: int) -> Tensor:
    """To the right, zeros coming in at the left: torch shifts signed numbers."""
    return (x >> bits).bitwise_and_(2 ** (64 - bits) - 1)
