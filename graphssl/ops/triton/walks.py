"""Random walks with restart, a block of walks by one program: one launch for all moves."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from graphssl.ops.triton.stream import below, uniform

__all__ = ["random_walks"]

_BLOCK = 32  # walks of a program, one a thread: few, since each waits for memory at every move


def random_walks(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, seeds: Tensor, keys: Tensor, length: int, restart: float
) -> Tensor:
    """Walks of first order, the bits of :func:`graphssl.ops._walks_torch.walks_torch`.

    Parameters
    ----------
    ptr, neighbour, cumulative : Tensor of int64 (N + 1,), int32 (E,), float64 (E,) or None
        As of a CSR.
    seeds, keys : Tensor of int64, shape (S,)
    length : int
    restart : float

    Returns
    -------
    Tensor of int64, shape (S, length + 1)
    """
    out = seeds.new_empty(seeds.size(0), length + 1)
    if seeds.numel():
        chance = torch.full((1,), restart, dtype=torch.float64, device=seeds.device)  # a scalar would become float32
        with torch.cuda.device_of(seeds):
            walk_kernel[(triton.cdiv(seeds.size(0), _BLOCK),)](
                ptr, neighbour, cumulative, seeds, keys, out, chance, seeds.size(0), length,
                WEIGHTED=cumulative is not None, RESTART=restart > 0, BLOCK=_BLOCK, num_warps=1,
            )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["count", "length"])
def walk_kernel(
    ptr_ptr: tl.tensor, neighbour_ptr: tl.tensor, cumulative_ptr: tl.tensor, seed_ptr: tl.tensor, key_ptr: tl.tensor,
    out_ptr: tl.tensor, restart_ptr: tl.tensor, count: tl.tensor, length: tl.tensor,
    WEIGHTED: tl.constexpr, RESTART: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """Program b makes the walks [b BLOCK, (b + 1) BLOCK)."""
    walk = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = walk < count
    seed = tl.load(seed_ptr + walk, mask=here, other=0)
    key = tl.load(key_ptr + walk, mask=here, other=0).to(tl.uint64, bitcast=True)
    chance = tl.load(restart_ptr)
    out = out_ptr + walk * (length + 1)
    tl.store(out, seed, mask=here)
    at = seed
    for move in range(length):
        t = tl.zeros([BLOCK], tl.int64) + move
        start = at
        if RESTART:
            start = tl.where((uniform(key, 2 * t) < chance) & (t > 0), seed, at)
        begin = tl.load(ptr_ptr + start, mask=here, other=0)
        end = tl.load(ptr_ptr + start + 1, mask=here, other=0)
        if WEIGHTED:
            total = tl.load(cumulative_ptr + end - 1, mask=here & (end > begin), other=0.0)
            some = total > 0
            place = uniform(key, 2 * t + 1) * total
            low, high = begin, tl.where(end > begin, end - 1, begin)
            steps = tl.max(end - begin, axis=0)
            while steps > 0:
                middle = (low + high) >> 1
                value = tl.load(cumulative_ptr + middle, mask=here & (low < high), other=0.0)
                above = (low < high) & (value <= place)
                high = tl.where(above, high, middle)
                low = tl.where(above, middle + 1, low)
                steps = steps >> 1
            entry = low
        else:
            degree = end - begin
            some = degree > 0
            entry = begin + below(key, 2 * t + 1, degree)
        to = tl.load(neighbour_ptr + entry, mask=here & some, other=0).to(tl.int64)
        if RESTART:
            at = tl.where(some, to, seed)
        else:
            at = tl.where(some, to, at)
        tl.store(out + move + 1, at, mask=here)
