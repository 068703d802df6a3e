"""The torch tier of ops/subgraphs.py: all subgraphs of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.ops._rows_torch import bisect, distinct, peek, pick, pointers, ragged
from graphssl.ops.stream import stream_keys

__all__ = ["distinct_nodes", "egos_torch", "lists_torch"]

_MARKS = 2**22  # only those entries of a row are looked up whose mark is set
_APART = 2592203  # odd, _MARKS over the golden ratio: the marks of different subgraphs lie in different places
_PROBE = 1  # what a step of a binary search costs, in entries looked up
_FEW = 16  # nodes that are looked up in a hub's row of a symmetric graph, and more in large subgraphs

_Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def lists_torch(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor, symmetric: bool
) -> _Parts:
    """Distinct nodes of lists in their order, and the edges between them.

    As in cpp/induced.h: the entries of short rows are looked up among the nodes. In the rows of hubs the nodes are
    looked up: all of them, or in a symmetric graph only the other hubs and those whose own row holds the hub.
    """
    count = node_ptr.numel() - 1
    node, owner, node_ptr, key, place = distinct_nodes(node, node_ptr, ptr.numel() - 1)
    degree, size = _row(ptr, node)[1], pick(node_ptr.diff(), owner)
    looked_up = size / 8 + _FEW if symmetric else size
    is_hub = degree > _PROBE * looked_up * (degree + 1.0).log2()
    source, entry, target = _scan(ptr, neighbour, node, owner, torch.where(is_hub, 0, degree), key, place)
    if bool(is_hub.any()):
        hub = is_hub.nonzero().squeeze(1)
        if symmetric:
            hub_ptr = pointers(pick(owner, hub), count)
            which, other = ragged(pick(hub_ptr, pick(owner, hub)), pick(hub_ptr.diff(), pick(owner, hub)))
            back = pick(is_hub, target)
            back[1:] &= (target[1:] != target[:-1]) | (source[1:] != source[:-1])  # parallel edges follow each other
            row, partner = torch.cat([pick(hub, which), target[back]]), torch.cat([pick(hub, other), source[back]])
        else:
            which, partner = ragged(pick(node_ptr, pick(owner, hub)), pick(size, hub))
            row = pick(hub, which)
        row, found, partner = _search(ptr, neighbour, node, row, partner)
        source, entry, target = torch.cat([source, row]), torch.cat([entry, found]), torch.cat([target, partner])
        order = (source * neighbour.numel() + entry).argsort()
        source, entry, target = pick(source, order), pick(entry, order), pick(target, order)
    edge_ptr = pointers(pick(owner, source), count)
    ids = entry if edge is None else pick(edge, entry)
    return node, node_ptr, torch.stack([source, target]), ids, edge_ptr


def distinct_nodes(node: Tensor, node_ptr: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Each node of a list once, the list of each, where lists begin, list * n + node ascending and their places."""
    count = node_ptr.numel() - 1
    owner = torch.repeat_interleave(node_ptr.diff())
    key, place, first = distinct(owner * n + node)
    owner = pick(owner, first)
    return pick(node, first), owner, pointers(owner, count), key, place


def _scan(
    ptr: Tensor, neighbour: Tensor, node: Tensor, owner: Tensor, degree: Tensor, key: Tensor, place: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Look up ``degree`` entries of each node among the keys: source, entry and target of the edges."""
    shift = (owner * _APART & (_MARKS - 1)).to(neighbour.dtype)  # of the marks of a node's subgraph
    marks = torch.zeros(_MARKS, dtype=torch.bool, device=ptr.device)
    marks[(node + shift) & (_MARKS - 1)] = True
    source, entry = ragged(pick(ptr, node), degree)
    likely = pick(marks, (pick(neighbour, entry) + pick(shift, source)) & (_MARKS - 1)).nonzero().squeeze(1)
    source, entry = pick(source, likely), pick(entry, likely)
    wanted = pick(owner, source) * (ptr.numel() - 1) + pick(neighbour, entry)
    found = torch.searchsorted(key, wanted).clamp_(max=key.numel() - 1)
    hit = (pick(key, found) == wanted).nonzero().squeeze(1)
    return pick(source, hit), pick(entry, hit), pick(place, pick(found, hit))


def _search(
    ptr: Tensor, neighbour: Tensor, node: Tensor, row: Tensor, partner: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Look up partners in the rows of nodes: row, entry and partner of the edges."""
    u, wanted = pick(node, row), pick(node, partner)
    end = pick(ptr[1:], u)
    low = bisect(neighbour, pick(ptr, u), end, wanted)
    hit = ((low < end) & (peek(neighbour, low) == wanted)).nonzero().squeeze(1)
    row, partner, low, end, wanted = (pick(values, hit) for values in (row, partner, low, end, wanted))
    high = low + 1
    twin = ((high < end) & (peek(neighbour, high) == wanted)).nonzero().squeeze(1)
    if twin.numel() > 0:
        high[twin] = bisect(neighbour, high[twin], end[twin], wanted[twin], right=True)
    which, entry = ragged(low, high - low)
    return pick(row, which), entry, pick(partner, which)


def egos_torch(
    ptr: Tensor, neighbour: Tensor, seeds: Tensor, keys: Tensor, hops: int, most: int
) -> tuple[Tensor, Tensor]:
    """Breadth-first search from all seeds at once, hop by hop: the nodes and where each list begins."""
    count, n = seeds.numel(), ptr.numel() - 1
    owner = torch.arange(count, device=ptr.device)
    node, room = seeds, torch.full_like(seeds, most - 1)
    owners, nodes = [owner], [node]
    for _ in range(hops):
        active = pick(room, owner) > 0
        node, owner = node[active], owner[active]
        begin, degree = _row(ptr, node)
        source, entry = ragged(begin, degree)
        crowd = torch.zeros_like(room).index_add_(0, owner, degree)
        owner, node = pick(owner, source), pick(neighbour, entry).long()
        seen = torch.cat(owners) * n + torch.cat(nodes)
        new, reached = _choose(seen, owner, node, keys, crowd, room, n)
        if new.numel() == 0:
            break
        owner, node = pick(owner, new), pick(node, new)
        room = room - reached  # none is left where a hop did not fit
        owners.append(owner)
        nodes.append(node)
    owner = torch.cat(owners)
    order = owner.argsort(stable=True)
    return pick(torch.cat(nodes), order), pointers(owner, count)


def _choose(
    seen: Tensor, owner: Tensor, node: Tensor, keys: Tensor, crowd: Tensor, room: Tensor, n: int
) -> tuple[Tensor, Tensor]:
    """Where new nodes are found, in ``crowd`` places for each list, and how many; of too many the ``room`` smallest.

    Values are random: of a large crowd nearly always those below a limit are enough, and few are left to sort.
    """
    value, everything = stream_keys(keys, node, owner), torch.iinfo(torch.int64).max
    share = (2.0 * room + 64) / crowd
    limit = torch.where((crowd > room) & (share < 1), ((share - 0.5) * 2.0**64).long(), everything)
    while True:
        low = (value <= pick(limit, owner)).nonzero().squeeze(1)
        key = torch.cat([seen, pick(owner, low) * n + pick(node, low)])
        new = pick(low, distinct(key)[2][seen.numel() :] - seen.numel())
        reached = torch.bincount(pick(owner, new), minlength=room.numel())
        too_few = (limit < everything) & (reached < room)
        if not bool(too_few.any()):
            break
        limit = torch.where(too_few, everything, limit)
    if bool((reached > room).any()):
        owner, value = pick(owner, new), pick(value, new)
        order = value.argsort()
        order = pick(order, pick(owner, order).argsort(stable=True))  # by owner, as they stand, then by value
        rank = torch.arange(order.numel(), device=order.device) - pick(reached.cumsum(0) - reached, owner)
        new = pick(new, order[rank < pick(room, owner)].sort().values)
    return new, reached


def _row(ptr: Tensor, node: Tensor) -> tuple[Tensor, Tensor]:
    """Where the row of each node begins, and its degree."""
    begin = pick(ptr, node)
    return begin, pick(ptr[1:], node) - begin
