"""Subgraphs of many seeds at once: the nodes of a list, a walk or a neighbourhood, and all edges between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops.csr import CSR
from graphssl.ops.stream import stream_keys
from graphssl.ops.walks import bisect, check_walk, walk_keys, walks_torch

__all__ = ["Subgraphs", "ego_nets", "induced_subgraphs", "trace_subgraphs", "walk_subgraphs"]

_UNBOUNDED = 2**62
_MARKS = 2**24  # of hashes: the torch tier looks up only those entries of a row whose mark is set
_PROBE = 8  # what a step of a binary search costs the torch tier, in entries looked up

backend.declare("subgraphs", cpp={torch.int32})

_Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Subgraphs:
    """S subgraphs, one after the other, numbered like a batch of torch_geometric.

    Parameters
    ----------
    node : Tensor of int64, shape (M,)
        Nodes of the graph.
    ptr : Tensor of int64, shape (S + 1,)
        The nodes of subgraph s are ``node[ptr[s] : ptr[s + 1]]``.
    edge_index : Tensor of int64, shape (2, E)
        Ends of the edges, as places in ``node``.
    edge : Tensor of int64, shape (E,)
        Which edge of the graph each one is.
    edge_ptr : Tensor of int64, shape (S + 1,)
        The edges of subgraph s are ``edge[edge_ptr[s] : edge_ptr[s + 1]]``.
    """

    node: Tensor
    ptr: Tensor
    edge_index: Tensor
    edge: Tensor
    edge_ptr: Tensor

    @property
    def batch(self) -> Tensor:
        """Which subgraph each node is in, int64 (M,)."""
        count = torch.arange(self.ptr.numel() - 1, device=self.ptr.device)
        return torch.repeat_interleave(count, self.ptr.diff(), output_size=self.node.numel())


def induced_subgraphs(csr: CSR, node: Tensor, ptr: Tensor) -> Subgraphs:
    """All edges of the graph between the nodes of each list, self-loops and duplicates included.

    Parameters
    ----------
    csr : CSR
        Of out-edges: ``edge_index[0]`` is the node whose row an entry is in.
    node : Tensor of integers, shape (M,)
        Distinct within a list.
    ptr : Tensor of integers, shape (S + 1,)
        List s is ``node[ptr[s] : ptr[s + 1]]``.

    Returns
    -------
    Subgraphs
        Edges by the place of their source, then in the order of ``csr``.

    Raises
    ------
    InvalidGraphError
        If a node is not in the graph or twice in a list, or ``ptr`` does not cut ``node`` into lists.
    """
    node = csr.check_nodes(node, "nodes")
    ptr = ptr.to(node).contiguous()
    if ptr.dim() != 1 or not ptr.numel() or ptr[0] != 0 or ptr[-1] != node.numel() or bool((ptr.diff() < 0).any()):
        raise InvalidGraphError(f"expected ptr to ascend from 0 to the number of nodes, {node.numel()}")
    found = Subgraphs(*_list_subgraphs(csr.ptr, csr.neighbour, csr.edge, node, ptr))
    if found.node.numel() != node.numel():
        raise InvalidGraphError("expected lists of distinct nodes: a node stands twice in one")
    return found


def trace_subgraphs(csr: CSR, trace: Tensor) -> Subgraphs:
    """The subgraphs on the nodes of each row of a trace (S, L), in the order of their first visit.

    Raises
    ------
    InvalidGraphError
        If the trace is not of that shape, or an entry is not a node.
    """
    if trace.dim() != 2:
        raise InvalidGraphError(f"expected a trace of shape (S, L), got {tuple(trace.shape)}")
    node = csr.check_nodes(trace.reshape(-1), "the entries of a trace")
    ptr = torch.arange(trace.size(0) + 1, device=node.device) * trace.size(1)
    return Subgraphs(*_list_subgraphs(csr.ptr, csr.neighbour, csr.edge, node, ptr))


def walk_subgraphs(
    csr: CSR, seeds: Tensor, length: int, *, restart: float, seed: int = 0, streams: Tensor | None = None
) -> Subgraphs:
    """The subgraphs on the nodes that walks with restart visit: the seed first, the others by first visit.

    Parameters
    ----------
    csr, seeds, length, restart, seed, streams
        As for :func:`random_walks`: the result is that of :func:`trace_subgraphs` on these walks.

    Raises
    ------
    ConfigurationError, InvalidGraphError
        As :func:`random_walks`.

    References
    ----------
    .. [1] Qiu et al. GCC: Graph Contrastive Coding for Graph Neural Network Pre-Training. KDD 2020. arXiv:2006.09963,
       section 3.2 (r-ego networks by random walk with restart).
    """
    check_walk(length, restart)
    seeds = csr.check_nodes(seeds)
    keys = walk_keys(seeds, seed, streams)
    args = csr.ptr, csr.neighbour, csr.cumulative, csr.edge, seeds, keys
    return Subgraphs(*_walk_subgraphs(*args, length, restart))


def ego_nets(
    csr: CSR,
    seeds: Tensor,
    hops: int,
    *,
    max_nodes: int | None = None,
    seed: int = 0,
    streams: Tensor | None = None,
) -> Subgraphs:
    """The subgraphs on all nodes within ``hops`` steps of each seed, in breadth-first order, the seed first.

    Parameters
    ----------
    csr : CSR
    seeds : Tensor of integers, shape (S,)
    hops : int, >= 0
    max_nodes : int, >= 1, optional
        The hop that goes beyond this number of nodes is the last, and as many of its nodes stay as fit, each with the
        same probability: those v for which stream v of the seed's key has the smallest key.
    seed, streams
        As for :func:`random_walks`; used with ``max_nodes`` only.

    Raises
    ------
    ConfigurationError
        If ``hops`` or ``max_nodes`` is out of its range.
    InvalidGraphError
        If a seed is not a node, or there is not one stream for each.
    """
    if hops < 0:
        raise ConfigurationError(f"hops must be 0 or more, got {hops!r}")
    if max_nodes is not None and max_nodes < 1:
        raise ConfigurationError(f"max_nodes must be 1 or more (the seed), or None, got {max_nodes!r}")
    seeds = csr.check_nodes(seeds)
    keys = walk_keys(seeds, seed, streams)
    most = _UNBOUNDED if max_nodes is None else max_nodes
    return Subgraphs(*_ego_nets(csr.ptr, csr.neighbour, csr.edge, seeds, keys, hops, most))


@torch.library.custom_op("graphssl::list_subgraphs", mutates_args=())
def _list_subgraphs(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    if backend.choose("subgraphs", neighbour) == "cpp":
        return _kernel("subgraphs_of_lists", edge, ptr, neighbour, node, node_ptr, node_ptr.size(0) - 1)
    return _lists_torch(ptr, neighbour, edge, node, node_ptr)


@torch.library.custom_op("graphssl::walk_subgraphs", mutates_args=())
def _walk_subgraphs(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, edge: Tensor | None, seeds: Tensor, keys: Tensor,
    length: int, restart: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    if backend.choose("subgraphs", neighbour) == "cpp":
        sizes = seeds.size(0), length, float(restart)
        return _kernel("subgraphs_of_walks", edge, ptr, neighbour, cumulative, seeds, keys, *sizes)
    trace = walks_torch(ptr, neighbour, cumulative, seeds, keys, length, restart)
    node_ptr = torch.arange(seeds.size(0) + 1, device=ptr.device) * (length + 1)
    return _lists_torch(ptr, neighbour, edge, trace.reshape(-1), node_ptr)


@torch.library.custom_op("graphssl::ego_nets", mutates_args=())
def _ego_nets(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, seeds: Tensor, keys: Tensor, hops: int, most: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    if backend.choose("subgraphs", neighbour) == "cpp":
        return _kernel("subgraphs_of_egos", edge, ptr, neighbour, seeds, keys, seeds.size(0), hops, most)
    return _lists_torch(ptr, neighbour, edge, *_egos_torch(ptr, neighbour, seeds, keys, hops, most))


def _fake(count: int | torch.SymInt, like: Tensor) -> _Parts:
    context = torch.library.get_ctx()
    nodes, edges = context.new_dynamic_size(), context.new_dynamic_size()
    shapes = (nodes,), (count,), (2, edges), (edges,), (count,)
    return tuple(like.new_empty(shape) for shape in shapes)  # type: ignore[return-value]


_list_subgraphs.register_fake(lambda ptr, neighbour, edge, node, node_ptr: _fake(node_ptr.size(0), ptr))
_walk_subgraphs.register_fake(
    lambda ptr, neighbour, cumulative, edge, seeds, keys, length, restart: _fake(seeds.size(0) + 1, ptr)
)
_ego_nets.register_fake(lambda ptr, neighbour, edge, seeds, keys, hops, most: _fake(seeds.size(0) + 1, ptr))


def _kernel(name: str, edge: Tensor | None, *args: Tensor | int | float | None) -> _Parts:
    """Build in the kernel's memory, then copy into tensors: how large they are is known only then."""
    totals = torch.empty(3, dtype=torch.int64)
    native.call(name, *args, native.threads(), totals)
    handle, nodes, edges = totals.tolist()
    count: int = next(arg for arg in args if isinstance(arg, int))  # the first whole number
    try:
        shapes: list[tuple[int, ...]] = [(nodes,), (count + 1,), (2, edges), (edges,), (count + 1,)]
        found = tuple(torch.empty(shape, dtype=torch.int64) for shape in shapes)
    except BaseException:
        native.call("subgraphs_free", handle)
        raise
    native.call("subgraphs_take", handle, edge, *found, edges, native.threads())
    return found  # type: ignore[return-value]


def _lists_torch(ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor) -> _Parts:
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


def _egos_torch(
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
