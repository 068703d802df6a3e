"""The edges between the nodes of lists: counted, then written, a node by each program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from graphssl.ops._subgraphs_torch import distinct_nodes

__all__ = ["lists"]

_BLOCK = 64  # entries of a row, or nodes of a list, that a program looks up at once


def lists(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Distinct nodes of lists in their order, and the edges between them: the bits of ``lists_torch``.

    Parameters
    ----------
    ptr, neighbour, edge : Tensor of int64 (N + 1,), int32 (E,), int64 (E,) or None
        As of a CSR.
    node, node_ptr : Tensor of int64, shapes (M,) and (S + 1,)

    Returns
    -------
    node, ptr, edge_index, edge, edge_ptr : Tensor of int64
        As of :class:`graphssl.ops.Subgraphs`.
    """
    node, owner, node_ptr, key, place = distinct_nodes(node, node_ptr, ptr.numel() - 1)
    end = torch.zeros(node.numel() + 1, dtype=torch.int64, device=node.device)
    edges = 0
    edge_index = entry = None

    def launch() -> None:
        if node.numel():
            with torch.cuda.device_of(node):
                edges_kernel[(node.numel(),)](
                    ptr, neighbour, node, owner, node_ptr, key, place, end, edge_index, entry, edges, ptr.numel() - 1,
                    FILL=entry is not None, BLOCK=_BLOCK, num_warps=1,
                )  # fmt: skip

    launch()
    end[1:].cumsum_(0)
    edges = int(end[-1])
    edge_index, entry = node.new_empty(2, edges), node.new_empty(edges)
    launch()
    return node, node_ptr, edge_index, entry if edge is None else edge[entry], end[node_ptr]


@triton.jit
def first_of(values_ptr: tl.tensor, begin: tl.tensor, end: tl.tensor, wanted: tl.tensor) -> tl.tensor:
    """The first place in [begin, end), both scalar, whose value is at least each ``wanted``; ``end`` without one."""
    low = tl.zeros_like(wanted) + begin
    high = tl.zeros_like(wanted) + end
    left = end - begin
    while left > 0:
        middle = (low + high) >> 1
        below = tl.load(values_ptr + middle, mask=low < high, other=0).to(tl.int64) < wanted
        high = tl.where((low < high) & ~below, middle, high)
        low = tl.where((low < high) & below, middle + 1, low)
        left = left >> 1
    return low


@triton.jit(do_not_specialize=["edges", "nodes"])
def edges_kernel(
    ptr_ptr: tl.tensor, neighbour_ptr: tl.tensor, node_ptr: tl.tensor, owner_ptr: tl.tensor, list_ptr: tl.tensor,
    key_ptr: tl.tensor, place_ptr: tl.tensor, end_ptr: tl.tensor, edge_index_ptr: tl.tensor, entry_ptr: tl.tensor,
    edges: tl.tensor, nodes: tl.tensor, FILL: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """Program i counts the edges from node i, or writes them behind those of the nodes before it.

    Either the entries of its row are looked up among the nodes of its list, which are sorted in ``key``, or these in
    the row, which is sorted as well: both ways the entries come in ascending order.
    """
    row = tl.program_id(0).to(tl.int64)
    node = tl.load(node_ptr + row)
    owner = tl.load(owner_ptr + row)
    begin, end = tl.load(ptr_ptr + node), tl.load(ptr_ptr + node + 1)
    first, last = tl.load(list_ptr + owner), tl.load(list_ptr + owner + 1)
    lanes = tl.arange(0, BLOCK)
    at = row * 0
    if FILL:
        at = tl.load(end_ptr + row)
    degree, size = (end - begin).to(tl.float32), (last - first).to(tl.float32)
    if degree * tl.log2(size + 1) <= 2 * size * tl.log2(degree + 1):
        for start in range(begin, end, BLOCK):
            entry = start + lanes
            there = entry < end
            wanted = owner * nodes + tl.load(neighbour_ptr + entry, mask=there, other=0)
            slot = first_of(key_ptr, first, last, wanted)
            hit = there & (slot < last)
            hit = hit & (tl.load(key_ptr + slot, mask=hit, other=-1) == wanted)
            if FILL:
                to = at + tl.cumsum(hit.to(tl.int64), 0) - 1
                tl.store(edge_index_ptr + to, lanes * 0 + row, mask=hit)
                tl.store(edge_index_ptr + edges + to, tl.load(place_ptr + slot, mask=hit, other=0), mask=hit)
                tl.store(entry_ptr + to, entry, mask=hit)
            at += tl.sum(hit.to(tl.int64), 0)
    else:
        for start in range(first, last, BLOCK):
            slot = start + lanes
            there = slot < last
            wanted = tl.load(key_ptr + slot, mask=there, other=0) - owner * nodes
            entry = first_of(neighbour_ptr, begin, end, wanted)
            number = tl.where(there, first_of(neighbour_ptr, begin, end, wanted + 1) - entry, 0)  # parallel edges
            if FILL:
                to = at + tl.cumsum(number, 0) - number
                target = tl.load(place_ptr + slot, mask=there, other=0)
                for i in range(tl.max(number, 0)):
                    hit = i < number
                    tl.store(edge_index_ptr + to + i, lanes * 0 + row, mask=hit)
                    tl.store(edge_index_ptr + edges + to + i, target, mask=hit)
                    tl.store(entry_ptr + to + i, entry + i, mask=hit)
            at += tl.sum(number, 0)
    if not FILL:
        tl.store(end_ptr + row + 1, at)
