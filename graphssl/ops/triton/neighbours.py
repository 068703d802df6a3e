"""One hop of uniform neighbour sampling, a block of nodes by one program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from graphssl.ops import _neighbours_torch
from graphssl.ops.csr import CSR
from graphssl.ops.triton.stream import below, stream_key

__all__ = ["draw"]

_MOST = 64  # neighbours of a node that the kernel draws: all of them stay in registers


def draw(
    csr: CSR, u: Tensor, s: Tensor, keys: Tensor, hop: int, fanout: int, replace: bool, limit: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours of each node, the bits of ``_neighbours_torch.draw``, which draws all but a few with equal odds.

    Parameters
    ----------
    csr : CSR
    u, s : Tensor of int64, shape (n,)
        Nodes, and the place of each one's seed.
    keys : Tensor of int64, shape (S,)
        Of the seeds' streams.
    hop, fanout : int
    replace : bool
    limit : Tensor of int64, shape (S,), or None

    Returns
    -------
    owner, entry, found : Tensor of int64, shape (E,)
        The place in u, the entry and the neighbour of each draw, by owner, then by entry.
    """
    if csr.weight is not None or limit is not None or not 0 <= fanout <= _MOST:
        return _neighbours_torch.draw(csr, u, s, keys, hop, fanout, replace, limit)
    start = csr.ptr[u]
    degree = csr.ptr[u + 1] - start
    end = ((degree > 0) * fanout if replace else degree.clamp(max=fanout)).cumsum(0)
    edges = int(end[-1]) if u.numel() else 0
    owner, entry, found = (u.new_empty(edges) for _ in range(3))
    if edges:
        width = triton.next_power_of_2(fanout)
        block = 32 if width <= 32 else 16  # nodes: as many numbers in a thread's registers
        with torch.cuda.device_of(u):
            draw_kernel[(triton.cdiv(u.numel(), block),)](
                csr.neighbour, u, s, keys, start, degree, end, owner, entry, found, u.numel(), hop, fanout,
                REPLACE=replace, WIDTH=width, BLOCK=block, num_warps=1,
            )  # fmt: skip
    return owner, entry, found


@triton.jit(do_not_specialize=["count", "hop", "fanout"])
def draw_kernel(
    neighbour_ptr: tl.tensor, node_ptr: tl.tensor, tree_ptr: tl.tensor, key_ptr: tl.tensor, start_ptr: tl.tensor,
    degree_ptr: tl.tensor, end_ptr: tl.tensor, owner_ptr: tl.tensor, entry_ptr: tl.tensor, found_ptr: tl.tensor,
    count: tl.tensor, hop: tl.tensor, fanout: tl.tensor,
    REPLACE: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """Program b draws for the nodes [b BLOCK, (b + 1) BLOCK). A node's picks are a column, so they stay in a thread."""
    node = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = node < count
    start = tl.load(start_ptr + node, mask=here, other=0)
    degree = tl.load(degree_ptr + node, mask=here, other=0)
    end = tl.load(end_ptr + node, mask=here, other=0)
    u = tl.load(node_ptr + node, mask=here, other=0)
    tree = tl.load(tree_ptr + node, mask=here, other=0)
    zero = tl.zeros([BLOCK], tl.int64)
    key = tl.load(key_ptr + tree, mask=here, other=0).to(tl.uint64, bitcast=True)
    key = stream_key(stream_key(key, zero + hop), u)

    slot = tl.arange(0, WIDTH)[:, None]
    pick = tl.full([WIDTH, BLOCK], 0x7FFFFFFFFFFFFFFF, tl.int64)  # nothing yet: above every rank
    place = tl.zeros([WIDTH, BLOCK], tl.int32)  # of each pick among those so far, in ascending order
    for i in range(fanout):
        if REPLACE:
            rank = below(key, zero + i, tl.maximum(degree, 1))
        else:  # Floyd: what was picked before gives way to the last rank that it could have been
            last = tl.maximum(degree - fanout + i, 0)
            rank = below(key, zero + i, last + 1)
            rank = tl.where(tl.max((pick == rank[None, :]).to(tl.int32), 0) > 0, last, rank)
        before = tl.sum((pick <= rank[None, :]).to(tl.int32), 0)
        place += (pick > rank[None, :]).to(tl.int32)
        place = tl.where(slot == i, before[None, :], place)
        pick = tl.where(slot == i, rank[None, :], pick)
    if REPLACE:
        size = tl.where(degree > 0, zero + fanout, 0)
    else:
        size = tl.minimum(degree, fanout)
        everything = (degree <= fanout)[None, :]
        pick = tl.where(everything, slot.to(tl.int64), pick)
        place = tl.where(everything, slot, place)

    mask = here[None, :] & (slot < size[None, :])
    entry = start[None, :] + pick
    to = (end - size)[None, :] + place
    tl.store(owner_ptr + to, tl.broadcast_to(node[None, :], [WIDTH, BLOCK]), mask=mask)
    tl.store(entry_ptr + to, entry, mask=mask)
    tl.store(found_ptr + to, tl.load(neighbour_ptr + entry, mask=mask, other=0).to(tl.int64), mask=mask)
