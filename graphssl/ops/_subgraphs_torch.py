"""The torch tier of ops/subgraphs.py: all subgraphs of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.ops.stream import stream_keys
from graphssl.ops.walks import bisect

__all__ = ["egos_torch", "lists_torch"]

_MARKS = 2**24  # of hashes: only those entries of a row are looked up whose mark is set
_PROBE = 8  # what a step of a binary search costs, in entries looked up

_Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def lists_torch(ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor) -> _Parts:
    """Distinct nodes of lists in their order, and the edges between them."""
    count, n = node_ptr.numel() - 1, ptr.numel() - 1
    lists = torch.arange(count, device=ptr.device)
    owner = torch.repeat_interleave(lists, node_ptr.diff())
    first = _first(owner * n + node)
    node, owner = node[first], owner[first]
    node_ptr = _pointer(owner, count)
    key, place = torch.sort(owner * n + node)  # of each node in each list, and where it is
    degree = ptr[node + 1] - ptr[node]
    size = node_ptr.diff()[owner]
    by_search = degree > _PROBE * size * (degree.double() + 1).log2()
    # Rows looked up among the nodes.
    source, entry = _ragged(ptr[node], torch.where(by_search, 0, degree))
    wanted = owner[source] * n + neighbour[entry]
    marks = torch.zeros(_MARKS, dtype=torch.bool, device=ptr.device)
    marks[_hashed(key)] = True
    likely = marks[_hashed(wanted)].nonzero().squeeze(1)
    source, entry, wanted = source[likely], entry[likely], wanted[likely]
    found = torch.searchsorted(key, wanted)
    hit = key[found.clamp(max=max(0, key.numel() - 1))] == wanted if key.numel() else wanted == 0
    source, entry, target = source[hit], entry[hit], place[found[hit]]
    # Nodes looked up in long rows.
    if bool(by_search.any()):
        hub = by_search.nonzero().squeeze(1)
        which, other = _ragged(node_ptr[owner[hub]], size[hub])
        hub = hub[which]
        begin, end = ptr[node[hub]], ptr[node[hub] + 1]
        low = bisect(neighbour, begin, end, node[other])
        high = bisect(neighbour, low, end, node[other], right=True)
        which, more = _ragged(low, high - low)
        source, entry = torch.cat([source, hub[which]]), torch.cat([entry, more])
        target = torch.cat([target, other[which]])
        order = (source * neighbour.numel() + entry).argsort()
        source, entry, target = source[order], entry[order], target[order]
    edge_ptr = _pointer(owner[source], count)
    ids = entry if edge is None else edge[entry]
    return node, node_ptr, torch.stack([source, target]), ids, edge_ptr


def egos_torch(
    ptr: Tensor, neighbour: Tensor, seeds: Tensor, keys: Tensor, hops: int, most: int
) -> tuple[Tensor, Tensor]:
    """Breadth-first search from all seeds at once, hop by hop: the nodes and where each list begins."""
    count, n = seeds.numel(), ptr.numel() - 1
    owner = torch.arange(count, device=ptr.device)
    node, room = seeds, torch.full_like(seeds, most - 1)
    owners, nodes = [owner], [node]
    seen = owner * n + node  # ascending
    for _ in range(hops):
        active = room[owner] > 0
        node, owner = node[active], owner[active]
        source, entry = _ragged(ptr[node], ptr[node + 1] - ptr[node])
        owner, node = owner[source], neighbour[entry].long()
        key = owner * n + node
        new = _first(key)
        new = new[~torch.isin(key[new], seen, assume_unique=True)]
        if new.numel() == 0:
            break
        owner, node, key = owner[new], node[new], key[new]
        reached = torch.bincount(owner, minlength=count)
        by_key = stream_keys(keys[owner], node).argsort()
        by_key = by_key[owner[by_key].argsort(stable=True)]  # by owner, then by key
        rank = torch.empty_like(by_key)
        rank[by_key] = torch.arange(by_key.numel(), device=ptr.device) - (reached.cumsum(0) - reached)[owner[by_key]]
        kept = rank < room[owner]
        owner, node = owner[kept], node[kept]
        room = room - reached  # none is left where a hop did not fit
        owners.append(owner)
        nodes.append(node)
        seen = torch.cat([seen, key])
    owner = torch.cat(owners)
    order = owner.argsort(stable=True)
    return torch.cat(nodes)[order], _pointer(owner, count)


def _first(key: Tensor) -> Tensor:
    """Where each value stands for the first time, ascending."""
    value, order = torch.sort(key, stable=True)
    is_first = torch.ones_like(value, dtype=torch.bool)
    is_first[1:] = value[1:] != value[:-1]
    return order[is_first].sort().values


def _pointer(owner: Tensor, count: int) -> Tensor:
    """Where each list begins when sorted by owner: int64 (count + 1,)."""
    ptr = torch.zeros(count + 1, dtype=torch.int64, device=owner.device)
    torch.cumsum(torch.bincount(owner, minlength=count), 0, out=ptr[1:])
    return ptr


def _ragged(begin: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """The places begin, begin + 1, ..., ``size`` of them for each row: the row of each, and the place."""
    row = torch.repeat_interleave(torch.arange(size.numel(), device=size.device), size)
    before = size.cumsum(0) - size
    return row, torch.arange(row.numel(), device=size.device) + (begin - before)[row]


def _hashed(key: Tensor) -> Tensor:
    return (key * 0x9E3779B97F4A7C1) >> 32 & (_MARKS - 1)
