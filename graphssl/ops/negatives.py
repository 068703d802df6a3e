"""Negative samples: pairs of nodes that no edge joins, and targets that are no neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops._rows_torch import contains, distinct, ragged
from graphssl.ops.checks import check_tensor
from graphssl.ops.csr import CSR, check_csr
from graphssl.ops.stream import below, stream_keys, uniform
from graphssl.ops.walks import walk_keys

__all__ = ["negative_edges", "negative_targets"]

_ROUNDS = 16  # of rejection, before the targets that a source may have are listed
_BLOCK_ENTRIES = 2**22  # nodes listed at once


def negative_edges(csr: CSR, num: int, *, seed: int = 0, self_loops: bool = False) -> Tensor:
    r"""Ordered pairs of nodes (u, v) where v is not in row u, each set of ``num`` pairs equally likely.

    Parameters
    ----------
    csr : CSR
        With ``direction="out"`` pairs are sources and targets that no edge joins; with ``"in"``, targets and sources.
    num : int, >= 0
    seed : int
    self_loops : bool
        Pairs (u, u) may come, too.

    Returns
    -------
    Tensor of int64, shape (2, num)
        Distinct pairs, in random order.

    Raises
    ------
    ConfigurationError
        If ``num`` or the seed is no whole number, or there are fewer than ``num`` such pairs.

    Notes
    -----
    Pairs are drawn, and drawn again where there is an edge, in O(num log(largest degree)). Where less than a quarter of
    all pairs is free, or ``num`` is more than half of the free ones, these are listed in O(N^2), which is then no more
    than a few times the edges and the result.
    """
    check_csr(csr)
    num, seed = whole_number("num", num, 0), whole_number("seed", seed)
    key = stream_keys(seed, torch.zeros(1, dtype=torch.int64, device=csr.device))
    pairs = csr.num_nodes**2
    at_least = pairs - csr.num_edges - (0 if self_loops else csr.num_nodes)
    if num <= at_least // 2 and at_least >= pairs / 4:
        return _by_rejection(csr, num, key, self_loops)
    free = _free_pairs(csr, self_loops) if num <= pairs else key.new_empty(0)
    if num > free.numel():
        least = "fewer" if num > pairs else f"only {free.numel()}"
        raise ConfigurationError(f"got num = {num}, but {least} pairs of nodes have no edge: ask for fewer")
    order = uniform(key, torch.arange(free.numel(), device=csr.device)).argsort(stable=True)
    chosen = free[order[:num]]
    return torch.stack([chosen // max(1, csr.num_nodes), chosen % max(1, csr.num_nodes)])


def negative_targets(csr: CSR, sources: Tensor, *, k: int, seed: int = 0, weights: Tensor | None = None) -> Tensor:
    r"""For each source ``k`` independent nodes, none of them the source itself or in its row.

    Parameters
    ----------
    csr : CSR
    sources : Tensor of integers, shape (S,)
    k : int, >= 0
    seed : int
    weights : Tensor, shape (N,), optional
        Odds of each node, >= 0: 0 never comes. By default all are equal.

    Returns
    -------
    Tensor of int64, shape (S, k)
        Nodes may come several times. What a source gets does not depend on the others: as with
        :func:`sample_neighbours`, its stream is its node, plus :math:`2^{32}` for each time that it came before.

    Raises
    ------
    ConfigurationError
        If ``k`` or the seed is no whole number, ``k`` is negative, or ``weights`` are not N finite numbers >= 0.
    InvalidGraphError
        If a source is not a node, or has no node that it may get, or ``csr`` or ``weights`` is of another type.
    """
    check_csr(csr)
    sources = csr.check_nodes(sources, "sources")
    k = whole_number("k", k, 0)
    odds = None if weights is None else _odds(csr, weights)
    upto = None if odds is None else odds.cumsum(0)
    keys = walk_keys(sources, seed, None).repeat_interleave(k)  # (S k,)
    source = sources.repeat_interleave(k)
    number = torch.arange(k, device=csr.device).repeat(sources.numel())
    target = torch.full_like(source, -1)
    waiting = torch.arange(source.numel(), device=csr.device)
    if upto is not None and waiting.numel() and not float(upto[-1]) > 0:
        raise ConfigurationError("expected a node with a weight above 0: all are 0")
    for turn in range(_ROUNDS):
        if waiting.numel() == 0:
            break
        drawn = _node(keys[waiting], number[waiting] + turn * k, csr.num_nodes, upto)
        good = (drawn != source[waiting]) & ~contains(csr.ptr, csr.neighbour, source[waiting], drawn)
        target[waiting[good]] = drawn[good]
        waiting = waiting[~good]
    for part in waiting.split(max(1, _BLOCK_ENTRIES // max(1, csr.num_nodes))) if waiting.numel() else ():
        target[part] = _by_listing(csr, source[part], keys[part], number[part] + _ROUNDS * k, odds)
    return target.view(sources.numel(), k)


def _by_rejection(csr: CSR, num: int, key: Tensor, self_loops: bool) -> Tensor:
    """Pairs as they are drawn, without edges and without those that came before."""
    n = csr.num_nodes
    found = key.new_empty(0)
    counter = 0
    while found.numel() < num:
        size = 2 * (num - found.numel()) + 64
        count = torch.arange(counter, counter + size, device=csr.device)
        counter += size
        u, v = (below(key, 2 * count + end, key.new_tensor(n)) for end in (0, 1))
        good = ~contains(csr.ptr, csr.neighbour, u, v)
        if not self_loops:
            good &= u != v
        found = torch.cat([found, (u * n + v)[good]])
        found = found[distinct(found)[2]]
    found = found[:num]
    return torch.stack([found // max(1, n), found % max(1, n)])


def _free_pairs(csr: CSR, self_loops: bool) -> Tensor:
    """u N + v of all pairs without an edge, ascending."""
    n = csr.num_nodes
    nodes = torch.arange(n, device=csr.device)
    free = torch.ones(n, n, dtype=torch.bool, device=csr.device)
    free[csr.rows, csr.neighbour.long()] = False
    if not self_loops:
        free[nodes, nodes] = False
    return free.view(-1).nonzero().squeeze(1)


def _odds(csr: CSR, weights: Tensor) -> Tensor:
    check_tensor("weights", weights)
    if weights.shape != (csr.num_nodes,) or not bool(((weights >= 0) & weights.isfinite()).all()):
        raise ConfigurationError(
            f"expected weights as finite numbers >= 0 of shape ({csr.num_nodes},), got shape {tuple(weights.shape)}"
        )
    return weights.to(csr.device, torch.float64)


def _node(keys: Tensor, counter: Tensor, num_nodes: int, upto: Tensor | None) -> Tensor:
    """A node for each number, with odds whose sums are ``upto``."""
    if upto is None:
        return below(keys, counter, keys.new_tensor(num_nodes))
    return torch.searchsorted(upto, uniform(keys, counter) * upto[-1], right=True).clamp_(max=num_nodes - 1)


def _by_listing(csr: CSR, source: Tensor, keys: Tensor, counter: Tensor, odds: Tensor | None) -> Tensor:
    """A target of each source among all that it may get."""
    allowed = torch.ones(source.numel(), csr.num_nodes, dtype=torch.float64, device=csr.device)
    if odds is not None:
        allowed *= odds
    place = torch.arange(source.numel(), device=csr.device)
    allowed[place, source] = 0
    owner, entry = ragged(csr.ptr[source], csr.ptr[source + 1] - csr.ptr[source])
    allowed[owner, csr.neighbour[entry].long()] = 0
    upto = allowed.cumsum(1)  # (B, N)
    total = upto[:, -1:]
    if not bool((total > 0).all()):
        lonely = int(source[(total <= 0).squeeze(1)][0])
        raise InvalidGraphError(f"node {lonely} has no target: all nodes that may come are its neighbours or itself")
    return torch.searchsorted(upto, uniform(keys, counter).unsqueeze(1) * total, right=True).squeeze(1)
