"""The torch tier of ops/subgraphs.py: all subgraphs of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.ops.stream import stream_keys
from graphssl.ops.walks import bisect

__all__ = ["distinct_nodes", "egos_torch", "lists_torch"]

_MARKS = 2**22  # of hashes: only those entries of a row are looked up whose mark is set
_PROBE = 1  # what a step of a binary search costs, in entries looked up
_FEW = 16  # nodes that are looked up in a hub's row of a symmetric graph, and more in large subgraphs

_Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def lists_torch(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor, symmetric: bool
) -> _Parts:
    """Distinct nodes of lists in their order, and the edges between them.

    As in cpp/builder.h: the entries of short rows are looked up among the nodes. In the rows of hubs the nodes are
    looked up: all of them, or in a symmetric graph only the other hubs and those whose own row holds the hub.
    """
    count = node_ptr.numel() - 1
    node, owner, node_ptr, key, place = distinct_nodes(node, node_ptr, ptr.numel() - 1)
    degree, size = ptr[node + 1] - ptr[node], node_ptr.diff()[owner]
    looked_up = size / 8 + _FEW if symmetric else size
    is_hub = degree > _PROBE * looked_up * (degree + 1.0).log2()
    source, entry, target = _scan(ptr, neighbour, node, owner, torch.where(is_hub, 0, degree), key, place)
    if bool(is_hub.any()):
        hub = is_hub.nonzero().squeeze(1)
        if symmetric:
            hub_ptr = _pointer(owner[hub], count)
            which, other = _ragged(hub_ptr[owner[hub]], hub_ptr.diff()[owner[hub]])
            back = is_hub[target]
            back[1:] &= (target[1:] != target[:-1]) | (source[1:] != source[:-1])  # parallel edges follow each other
            row, partner = torch.cat([hub[which], target[back]]), torch.cat([hub[other], source[back]])
        else:
            which, partner = _ragged(node_ptr[owner[hub]], size[hub])
            row = hub[which]
        row, found, partner = _search(ptr, neighbour, node, row, partner)
        source, entry, target = torch.cat([source, row]), torch.cat([entry, found]), torch.cat([target, partner])
        order = (source * neighbour.numel() + entry).argsort()
        source, entry, target = source[order], entry[order], target[order]
    edge_ptr = _pointer(owner[source], count)
    ids = entry if edge is None else edge[entry]
    return node, node_ptr, torch.stack([source, target]), ids, edge_ptr


def distinct_nodes(node: Tensor, node_ptr: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Each node of a list once, the list of each, where lists begin, list * n + node ascending and their places."""
    count = node_ptr.numel() - 1
    owner = torch.repeat_interleave(torch.arange(count, device=node.device), node_ptr.diff())
    key, place, first = _distinct(owner * n + node)
    owner = owner[first]
    return node[first], owner, _pointer(owner, count), key, place


def _scan(
    ptr: Tensor, neighbour: Tensor, node: Tensor, owner: Tensor, degree: Tensor, key: Tensor, place: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Look up ``degree`` entries of each node among the keys: source, entry and target of the edges."""
    n = ptr.numel() - 1
    source, entry = _ragged(ptr[node], degree)
    wanted = (owner * n)[source] + neighbour[entry]
    marks = torch.zeros(_MARKS, dtype=torch.bool, device=ptr.device)
    marks[_hashed(key)] = True
    likely = marks[_hashed(wanted)].nonzero().squeeze(1)
    wanted = wanted[likely]
    found = torch.searchsorted(key, wanted).clamp_(max=key.numel() - 1)
    hit = (key[found] == wanted).nonzero().squeeze(1)
    likely = likely[hit]
    return source[likely], entry[likely], place[found[hit]]


def _search(
    ptr: Tensor, neighbour: Tensor, node: Tensor, row: Tensor, partner: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Look up partners in the rows of nodes: row, entry and partner of the edges."""
    end, wanted = ptr[node[row] + 1], node[partner]
    low = bisect(neighbour, ptr[node[row]], end, wanted)
    hit = ((low < end) & (neighbour[low.clamp(max=neighbour.numel() - 1)] == wanted)).nonzero().squeeze(1)
    row, partner, low, end, wanted = row[hit], partner[hit], low[hit], end[hit], wanted[hit]
    high = low + 1
    twin = ((high < end) & (neighbour[high.clamp(max=neighbour.numel() - 1)] == wanted)).nonzero().squeeze(1)
    if twin.numel() > 0:
        high[twin] = bisect(neighbour, high[twin], end[twin], wanted[twin], right=True)
    which, entry = _ragged(low, high - low)
    return row[which], entry, partner[which]


def egos_torch(
    ptr: Tensor, neighbour: Tensor, seeds: Tensor, keys: Tensor, hops: int, most: int
) -> tuple[Tensor, Tensor]:
    """Breadth-first search from all seeds at once, hop by hop: the nodes and where each list begins."""
    count, n = seeds.numel(), ptr.numel() - 1
    owner = torch.arange(count, device=ptr.device)
    node, room = seeds, torch.full_like(seeds, most - 1)
    owners, nodes = [owner], [node]
    seen = owner * n + node
    for _ in range(hops):
        active = room[owner] > 0
        node, owner = node[active], owner[active]
        source, entry = _ragged(ptr[node], ptr[node + 1] - ptr[node])
        owner, node = owner[source], neighbour[entry].long()
        key = owner * n + node
        new = _distinct(torch.cat([seen, key]))[2][seen.numel() :] - seen.numel()
        if new.numel() == 0:
            break
        owner, node, key = owner[new], node[new], key[new]
        reached = torch.bincount(owner, minlength=count)
        if bool((reached > room).any()):
            kept = _smallest(stream_keys(keys[owner], node), owner, reached, room)
            owner, node = owner[kept], node[kept]
        room = room - reached  # none is left where a hop did not fit
        owners.append(owner)
        nodes.append(node)
        seen = torch.cat([seen, key])
    owner = torch.cat(owners)
    order = owner.argsort(stable=True)
    return torch.cat(nodes)[order], _pointer(owner, count)


def _smallest(value: Tensor, owner: Tensor, reached: Tensor, room: Tensor) -> Tensor:
    """Where the values stand that are among the ``room`` smallest of their owner, ascending; owners ascend."""
    # Random values: nearly always those below a limit are enough, and few are left to sort.
    limit = (room + 8 * room.clamp(min=4).sqrt()) / reached
    low = (value.double() * 2.0**-64 + 0.5 <= limit[owner]).nonzero().squeeze(1)
    count = torch.bincount(owner[low], minlength=room.numel())
    if bool((count < torch.minimum(room, reached)).any()):
        low, count = torch.arange(value.numel(), device=value.device), reached
    value, owner = value[low], owner[low]
    order = value.argsort()
    order = order[owner[order].argsort(stable=True)]  # by owner, then by value
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device) - (count.cumsum(0) - count)[owner[order]]
    return low[rank < room[owner]]


def _distinct(key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The values, ascending; the place of each in the order of appearance; and where each appears first, ascending."""
    value, order = torch.sort(key, stable=True)
    is_first = torch.ones_like(value, dtype=torch.bool)
    is_first[1:] = value[1:] != value[:-1]
    value, order = value[is_first], order[is_first]
    appears = torch.zeros_like(key, dtype=torch.bool)
    appears[order] = True
    return value, appears.cumsum(0)[order] - 1, appears.nonzero().squeeze(1)


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
