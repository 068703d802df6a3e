"""Neighbour sampling in plain torch, on any device: the definition that cpp/neighbours.cpp computes bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from graphssl.ops._rows_torch import bisect, pick, ragged
from graphssl.ops.csr import CSR
from graphssl.ops.stream import below, stream_keys, uniform

__all__ = ["Draw", "draw", "sample"]

Draw = Callable[[CSR, Tensor, Tensor, Tensor, int, int, bool, Tensor | None], tuple[Tensor, Tensor, Tensor]]


def sample(
    csr: CSR, seeds: Tensor, keys: Tensor, fanouts: Sequence[int], replace: bool, disjoint: bool,
    limit: Tensor | None, draw: Draw,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, list[int], list[int]]:  # fmt: skip
    """Nodes, the seed of each, sources, targets, entries, and how many nodes and edges each hop brought."""
    node, tree = seeds, torch.arange(seeds.numel(), device=seeds.device)
    rows, cols, entries = [], [], []
    nodes_of, edges_of, begin = [seeds.numel()], [], 0
    for hop, fanout in enumerate(fanouts):
        u, s = node[begin:], tree[begin:]
        owner, entry, found = draw(csr, u, s, keys, hop, fanout, replace, limit)
        from_tree = s[owner]
        row, is_new = _number(node, tree, found, from_tree, csr.num_nodes if disjoint else 0)
        rows.append(row)
        cols.append(owner + begin)
        entries.append(entry)
        begin = node.numel()
        node, tree = torch.cat([node, found[is_new]]), torch.cat([tree, from_tree[is_new]])
        nodes_of.append(node.numel() - begin)
        edges_of.append(row.numel())
    none = seeds.new_empty(0)
    return node, tree, *(torch.cat([none, *parts]) for parts in (rows, cols, entries)), nodes_of, edges_of  # type: ignore[return-value]


def _number(node: Tensor, tree: Tensor, found: Tensor, from_tree: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Local numbers of what was found, and the places where a node came for the first time.

    With a stride N each tree has nodes of its own, with 0 they share them.
    """
    identity = torch.cat([node + tree * stride, found + from_tree * stride])
    ordered, order = identity.sort(stable=True)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = torch.empty_like(order)  # of each, the first place where its identity stands
    first[order] = order[starts][starts.cumsum(0) - 1]
    first = first[node.numel() :] - node.numel()
    is_new = first == torch.arange(found.numel(), device=found.device)
    number = is_new.cumsum(0) - 1 + node.numel()
    return torch.where(first < 0, first + node.numel(), number[first.clamp(min=0)]), is_new


def draw(
    csr: CSR, u: Tensor, s: Tensor, keys: Tensor, hop: int, fanout: int, replace: bool, limit: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One hop for nodes u in the trees of seeds s: of each draw its place in u, its entry and its node."""
    key = stream_keys(stream_keys(keys, torch.full_like(keys, hop)), u, s)
    owner, entry = _entries(csr, u, key, fanout, replace, None if limit is None else limit[s])
    return owner, entry, csr.neighbour[entry].long()


def _entries(
    csr: CSR, u: Tensor, key: Tensor, fanout: int, replace: bool, limit: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Entries drawn for nodes u, ascending for each, and whose they are."""
    start = csr.ptr[u]
    degree = csr.ptr[u + 1] - start
    if fanout == 0:
        degree = torch.zeros_like(degree)
    if limit is not None and csr.time is not None:
        owner, rank = _ranges(degree)
        early = csr.time[start[owner] + rank] <= limit[owner]
        owner, rank = owner[early], rank[early]
        count = torch.bincount(owner, minlength=u.numel())
        drawn, which = _uniform_ranks(key, count, fanout, replace)
        return drawn, start[drawn] + rank[(count.cumsum(0) - count)[drawn] + which]
    if csr.weight is None:
        owner, rank = _uniform_ranks(key, degree, fanout, replace)
    elif replace and fanout >= 0:
        owner, rank = _weighted_ranks(csr, key, start, degree, fanout)
    else:
        owner, rank = _weighted_subset(csr.weight, key, start, degree, fanout)
    return owner, start[owner] + rank


def _ranges(count: Tensor) -> tuple[Tensor, Tensor]:
    """0, ..., count[i] - 1 for each i, one after the other, and the i of each."""
    return ragged(torch.zeros_like(count), count)


def _uniform_ranks(key: Tensor, count: Tensor, fanout: int, replace: bool) -> tuple[Tensor, Tensor]:
    """``fanout`` of ``count`` equally likely ranks."""
    if replace and fanout >= 0:
        some = count.nonzero().squeeze(1)
        counter = torch.arange(fanout, device=key.device)
        rank = below(key[some].unsqueeze(1), counter, count[some].unsqueeze(1)).sort(1).values  # (n, fanout)
        return some.repeat_interleave(fanout), rank.reshape(-1)
    owner, rank = _ranges(count if fanout < 0 else count.clamp(max=fanout))
    if fanout > 0:
        choosing = count > fanout
        rank[choosing[owner]] = _floyd(key[choosing], count[choosing], fanout).t().reshape(-1)
    return owner, rank


def _floyd(key: Tensor, count: Tensor, fanout: int) -> Tensor:
    """Floyd's algorithm for all nodes at once: (fanout, n), ascending, each subset of the ranks equally likely."""
    chosen = key.new_empty(fanout, key.numel())
    for i in range(fanout):
        last = count - fanout + i
        rank = below(key, i, last + 1)
        chosen[i] = torch.where((chosen[:i] == rank).any(0), last, rank)
    return chosen.sort(0).values


def _weighted_ranks(csr: CSR, key: Tensor, start: Tensor, degree: Tensor, fanout: int) -> tuple[Tensor, Tensor]:
    """With replacement: the first rank whose cumulative weight is above a uniform number."""
    cumulative = csr.cumulative
    assert cumulative is not None
    some = degree.nonzero().squeeze(1)
    total = cumulative[(start + degree)[some] - 1]
    some, total = some[total > 0], total[total > 0].unsqueeze(1)
    first = start[some].unsqueeze(1)
    x = uniform(key[some].unsqueeze(1), torch.arange(fanout, device=key.device)) * total  # (n, fanout)
    rank = bisect(cumulative, first, first + degree[some].unsqueeze(1) - 1, x, right=True) - first
    return some.repeat_interleave(fanout), rank.sort(1).values.reshape(-1)


def _weighted_subset(weight: Tensor, key: Tensor, start: Tensor, degree: Tensor, fanout: int) -> tuple[Tensor, Tensor]:
    """Without replacement: the smallest of exponential numbers with the weights as rates."""
    owner, rank = _ranges(degree)
    rate = pick(weight, pick(start, owner) + rank).double()
    some = rate.nonzero().squeeze(1)
    owner, rank, rate = pick(owner, some), pick(rank, some), pick(rate, some)
    count = torch.bincount(owner, minlength=degree.numel())
    if fanout < 0 or int(count.max() if count.numel() else 0) <= fanout:
        return owner, rank
    number = uniform(pick(key, owner), rank)
    # The time that so many are expected to come in: nearly always it is enough, and few are left to sort.
    total = torch.zeros_like(degree, dtype=torch.float64).index_add_(0, owner, rate)
    limit = torch.where(count > 4 * fanout + 16, (3 * fanout + 16) / total, math.inf)
    while True:
        early = (number <= rate * pick(limit, owner)).nonzero().squeeze(1)  # -log(1 - u) >= u
        waiting, of = _minus_log(1 - pick(number, early)) / pick(rate, early), pick(owner, early)
        sure = torch.bincount(of[waiting <= 0.99 * pick(limit, of)], minlength=degree.numel())  # 0.99: of rounding
        too_few = (sure < fanout) & limit.isfinite()
        if not bool(too_few.any()):
            break
        limit = torch.where(too_few, math.inf, limit)
    order = waiting.view(torch.int64).argsort(stable=True)  # numbers >= 0 are in the order of their bits
    order = pick(order, pick(of, order).argsort(stable=True))  # by node, the shortest first, of equal ones the first
    size = torch.bincount(of, minlength=degree.numel())
    place = torch.arange(order.numel(), device=order.device) - pick(size.cumsum(0) - size, of)
    kept = pick(early, order[place < fanout].sort().values)
    return pick(owner, kept), pick(rank, kept)


def _minus_log(x: Tensor) -> Tensor:
    """-log(x) for x in (0, 1], to 1e-15, by sums, products and one quotient: libraries' logarithms differ in bits."""
    bits = x.view(torch.int64)
    exponent = (bits >> 52) - 1023
    mantissa = ((bits & (2**52 - 1)) | 1023 << 52).view(torch.float64)
    large = mantissa > 1.4142135623730951
    mantissa, exponent = torch.where(large, mantissa * 0.5, mantissa), exponent + large
    f = (mantissa - 1) / (mantissa + 1)
    square = f * f
    series = torch.full_like(f, 1 / 21)
    for odd in range(19, 0, -2):
        series *= square
        series += 1 / odd
    return -(exponent.double() * 0.6931471805599453 + 2 * f * series)
