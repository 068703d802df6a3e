"""Subgraphs of many seeds at once: the nodes of a list, a walk or a neighbourhood, and all edges between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.errors import InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops._subgraphs_torch import egos_torch, lists_torch
from graphssl.ops.checks import check_tensor
from graphssl.ops.csr import CSR, check_csr
from graphssl.ops.walks import check_walk, walk_keys

__all__ = ["Subgraphs", "ego_nets", "induced_subgraphs", "trace_subgraphs", "walk_subgraphs"]

_UNBOUNDED = 2**62
_CHECKED = 2**26  # entries; whether a larger graph is symmetric is not asked: that could be slow, and saves time only

backend.declare("subgraphs", cpp={torch.int32}, triton={torch.int32})

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
        # The number of subgraphs that end before each node. Not by repeat_interleave: it wakes torch's threads for any
        # size, and these spin for milliseconds on the cores where the next batch is to be sampled.
        nodes = self.node.numel()
        return torch.bincount(self.ptr[1:-1], minlength=nodes + 1)[:nodes].cumsum(0)


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
    check_csr(csr)
    node = csr.check_nodes(node, "nodes")
    check_tensor("ptr", ptr)
    ptr = ptr.to(node).contiguous()
    if ptr.dim() != 1 or not ptr.numel() or ptr[0] != 0 or ptr[-1] != node.numel() or bool((ptr.diff() < 0).any()):
        raise InvalidGraphError(f"expected ptr to ascend from 0 to the number of nodes, {node.numel()}")
    found = Subgraphs(*_list_subgraphs(csr.ptr, csr.neighbour, csr.edge, node, ptr, _symmetric(csr)))
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
    check_csr(csr)
    check_tensor("trace", trace)
    if trace.dim() != 2:
        raise InvalidGraphError(f"expected a trace of shape (S, L), got {tuple(trace.shape)}")
    node = csr.check_nodes(trace.reshape(-1), "the entries of a trace")
    ptr = torch.arange(trace.size(0) + 1, device=node.device) * trace.size(1)
    return Subgraphs(*_list_subgraphs(csr.ptr, csr.neighbour, csr.edge, node, ptr, _symmetric(csr)))


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
    check_csr(csr)
    length = check_walk(length, restart)
    seeds = csr.check_nodes(seeds)
    keys = walk_keys(seeds, seed, streams)
    args = csr.ptr, csr.neighbour, csr.cumulative, csr.edge, seeds, keys
    return Subgraphs(*_walk_subgraphs(*args, length, restart, _symmetric(csr)))


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
    check_csr(csr)
    hops = whole_number("hops", hops, 0)
    most = _UNBOUNDED if max_nodes is None else whole_number("max_nodes", max_nodes, 1)
    seeds = csr.check_nodes(seeds)
    keys = walk_keys(seeds, seed, streams)
    return Subgraphs(*_ego_nets(csr.ptr, csr.neighbour, csr.edge, seeds, keys, hops, most, _symmetric(csr)))


def _symmetric(csr: CSR) -> bool:
    """May it be used that an edge found from one end is there from the other end, too?"""
    if backend.choose("subgraphs", csr.neighbour) == "triton":  # its kernel has no use for it
        return False
    return csr.num_edges <= _CHECKED and csr.is_symmetric


@torch.library.custom_op("graphssl::list_subgraphs", mutates_args=())
def _list_subgraphs(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor, symmetric: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    if backend.choose("subgraphs", neighbour) == "cpp":
        count = node_ptr.size(0) - 1
        return _kernel("list_subgraphs", count, edge, ptr, neighbour, node, node_ptr, count, symmetric)
    return _lists(ptr, neighbour, edge, node, node_ptr, symmetric)


@torch.library.custom_op("graphssl::walk_subgraphs", mutates_args=())
def _walk_subgraphs(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, edge: Tensor | None, seeds: Tensor, keys: Tensor,
    length: int, restart: float, symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    if backend.choose("subgraphs", neighbour) == "cpp":
        count, settings = seeds.size(0), (length, float(restart), symmetric)
        return _kernel("walk_subgraphs", count, edge, ptr, neighbour, cumulative, seeds, keys, count, *settings)
    trace = torch.ops.graphssl.random_walks(ptr, neighbour, cumulative, seeds, keys, length, restart, 1.0, 1.0)
    node_ptr = torch.arange(seeds.size(0) + 1, device=ptr.device) * (length + 1)
    return _lists(ptr, neighbour, edge, trace.reshape(-1), node_ptr, symmetric)


@torch.library.custom_op("graphssl::ego_nets", mutates_args=())
def _ego_nets(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, seeds: Tensor, keys: Tensor, hops: int, most: int,
    symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    if backend.choose("subgraphs", neighbour) == "cpp":
        count = seeds.size(0)
        return _kernel("ego_subgraphs", count, edge, ptr, neighbour, seeds, keys, count, hops, most, symmetric)
    return _lists(ptr, neighbour, edge, *egos_torch(ptr, neighbour, seeds, keys, hops, most), symmetric)


def _lists(
    ptr: Tensor, neighbour: Tensor, edge: Tensor | None, node: Tensor, node_ptr: Tensor, symmetric: bool
) -> _Parts:
    if backend.choose("subgraphs", neighbour) == "triton":
        from graphssl.ops.triton.subgraphs import lists

        return lists(ptr, neighbour, edge, node, node_ptr)
    return lists_torch(ptr, neighbour, edge, node, node_ptr, symmetric)


def _fake(count: int | torch.SymInt, like: Tensor) -> _Parts:
    context = torch.library.get_ctx()
    nodes, edges = context.new_dynamic_size(), context.new_dynamic_size()
    shapes = (nodes,), (count,), (2, edges), (edges,), (count,)
    return tuple(like.new_empty(shape) for shape in shapes)  # type: ignore[return-value]


_list_subgraphs.register_fake(lambda ptr, neighbour, edge, node, node_ptr, symmetric: _fake(node_ptr.size(0), ptr))
_walk_subgraphs.register_fake(
    lambda ptr, neighbour, cumulative, edge, seeds, keys, *options: _fake(seeds.size(0) + 1, ptr)
)
_ego_nets.register_fake(lambda ptr, neighbour, edge, seeds, keys, *options: _fake(seeds.size(0) + 1, ptr))


def _kernel(name: str, count: int, edge: Tensor | None, *args: Tensor | int | float | None) -> _Parts:
    """Build in the kernel's memory, then copy into tensors: how large they are is known only then."""
    totals = torch.empty(3, dtype=torch.int64)
    native.call(name, *args, native.threads(), totals)
    handle, nodes, edges = totals.tolist()
    shapes = (nodes,), (count + 1,), (2, edges), (edges,), (count + 1,)
    found = native.room("subgraphs", handle, lambda: tuple(torch.empty(shape, dtype=torch.int64) for shape in shapes))
    native.call("subgraphs_take", handle, edge, *found, edges, native.threads())
    return found  # type: ignore[return-value]
