"""The topology that samplers read: for each node its neighbours, in order, in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops._rows_torch import pointers
from graphssl.ops.adjacency import check_edges, plain
from graphssl.ops.checks import check_tensor, outside
from graphssl.ops.mapped import DEFAULT_MEMORY, empty_mapped

__all__ = ["CSR", "as_ids", "check_csr", "check_nodes", "node_ranges"]

DIRECTIONS = ("out", "in")
BLOCK = 2**20  # entries that are added up together
LONG = 64  # entries of a row that is added up by itself


def node_ranges(ptr: Tensor, entries: int) -> Iterator[slice]:
    """Consecutive nodes that have about so many entries together, all of each node's; ``ptr`` is (N + 1,)."""
    start, nodes = 0, ptr.numel() - 1
    while start < nodes:
        most = int(ptr[start]) + entries
        stop = max(start + 1, int(torch.searchsorted(ptr, most, right=True)) - 1)
        yield slice(start, stop)
        start = stop


def _row_sums(weight: Tensor, ptr: Tensor) -> Tensor:
    """Running sums of each row, written over ``weight`` (E,), one entry after the other.

    Sums over all entries, less those before the row, would lose a light row beside heavy ones.
    """
    start, degree = ptr[:-1], ptr.diff()
    for row in (degree > LONG).nonzero().view(-1).tolist():
        entries = slice(int(ptr[row]), int(ptr[row + 1]))
        weight[entries] = weight[entries].cumsum(0)
    start, degree = start[degree <= LONG], degree[degree <= LONG]
    for place in range(1, LONG):
        more = degree > place
        start, degree = start[more], degree[more]
        if not start.numel():
            break
        weight[start + place] += weight[start + place - 1]
    return weight


def as_ids(values: Any, name: str = "seeds") -> Tensor:
    """A tensor, array or list as a tensor; an empty list as int64."""
    try:
        found = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidGraphError(f"expected {name} as integers of shape (S,), got {values!r:.80}") from error
    return found.long() if found.numel() == 0 and not isinstance(values, Tensor) else found


@dataclass(frozen=True, eq=False)
class CSR:
    """Neighbours of node u: ``neighbour[ptr[u] : ptr[u + 1]]``, ascending; duplicate edges stand side by side.

    Parameters
    ----------
    ptr : Tensor of int64, shape (N + 1,)
    neighbour : Tensor of int32, shape (E,)
    edge : Tensor of int64, shape (E,), optional
        Which edge of the graph each entry is; None: the entries are the edges, in order.
    weight : Tensor of float32, shape (E,), optional
        Non-negative, of each entry; None: all equal.
    time : Tensor of int64, shape (E,), optional
        Time stamp of each entry.

    Notes
    -----
    The arrays may be memory-mapped files; nothing here copies them. Build one with :meth:`from_edges`.
    """

    ptr: Tensor
    neighbour: Tensor
    edge: Tensor | None = None
    weight: Tensor | None = None
    time: Tensor | None = None

    @classmethod
    def from_edges(
        cls,
        edge_index: Tensor,
        num_nodes: int,
        *,
        direction: str = "out",
        weight: Tensor | None = None,
        time: Tensor | None = None,
    ) -> CSR:
        """Compress the edges of a graph.

        Parameters
        ----------
        edge_index : Tensor of int64, shape (2, E)
            Sources and targets.
        num_nodes : int
            N, below 2^31.
        direction : str
            ``out``: the neighbours of u are the targets of its edges (walks follow edges); ``in``: the sources of the
            edges that end in u (messages travel along edges, so these are sampled for message passing).
        weight : Tensor, shape (E,), optional
        time : Tensor of integers, shape (E,), optional

        Raises
        ------
        InvalidGraphError
            If an edge is outside the graph, a weight is negative, NaN or infinite, or time stamps are not integers.
        ConfigurationError
            If ``direction`` or ``num_nodes`` is out of its range.
        """
        if direction not in DIRECTIONS:
            raise ConfigurationError(f"direction is one of {', '.join(DIRECTIONS)}, got {direction!r}")
        num_nodes = whole_number("num_nodes", num_nodes, 0)
        if num_nodes >= 2**31:
            raise InvalidGraphError(f"expected fewer than 2^31 nodes, got {num_nodes}")
        edge_index = plain(edge_index)
        check_edges(edge_index, num_nodes)
        row, col = edge_index if direction == "out" else edge_index.flip(0)
        key = row * num_nodes + col
        order = None
        if bool((key[1:] < key[:-1]).any()):
            order = torch.sort(key, stable=True).indices
            row, col = row[order], col[order]
        ptr = pointers(row, num_nodes)

        def entries(values: Tensor | None, name: str, dtype: torch.dtype) -> Tensor | None:
            if values is None:
                return None
            check_tensor(f"{name}s", values)
            if values.numel() != edge_index.size(1):
                raise InvalidGraphError(
                    f"expected one {name} for each of {edge_index.size(1)} edges, got shape {tuple(values.shape)}"
                )
            values = values.detach().reshape(-1).to(dtype)
            return values if order is None else values[order]

        if isinstance(time, Tensor) and (time.is_floating_point() or time.is_complex()):
            raise InvalidGraphError(
                f"expected time stamps as integers, got {time.dtype}: scale and round them, as in (1000 * time).long()"
            )
        weight = entries(weight, "weight", torch.float32)
        if weight is not None and not bool(((weight >= 0) & weight.isfinite()).all()):
            raise InvalidGraphError("expected finite weights >= 0: they are the odds of being sampled")
        return cls(ptr, col.to(torch.int32), order, weight, entries(time, "time stamp", torch.int64))

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.ptr.numel() - 1

    @property
    def num_edges(self) -> int:
        """E."""
        return self.neighbour.numel()

    @property
    def device(self) -> torch.device:
        """Where the arrays are."""
        return self.ptr.device

    @property
    def rows(self) -> Tensor:
        """The node whose row each entry is in, int64 (E,)."""
        return torch.repeat_interleave(self.ptr.diff())

    @cached_property
    def cumulative(self) -> Tensor | None:
        """Sums of the weights of a node's entries up to and with each one, float64 (E,); None without weights.

        Beyond 256 MiB a file without a name, mapped into memory: weights of a graph on disk are not in memory either.
        """
        if self.weight is None:
            return None
        if self.device.type != "cpu":  # added in the same order there, for the same bits
            sums = self.to("cpu").cumulative
            return None if sums is None else sums.to(self.device)
        sums = empty_mapped(self.num_edges, dtype=torch.float64, memory_bytes=DEFAULT_MEMORY)
        for nodes in node_ranges(self.ptr, BLOCK):
            ptr = self.ptr[nodes.start : nodes.stop + 1]
            first, last = int(ptr[0]), int(ptr[-1])
            sums[first:last] = _row_sums(self.weight[first:last].double(), ptr - first)
        return sums

    @cached_property
    def is_symmetric(self) -> bool:
        """Is there an entry (v, u) for each entry (u, v)?"""
        if backend.choose("subgraphs", self.neighbour) == "cpp":
            found = torch.empty(1, dtype=torch.int64)
            native.call("is_symmetric", self.ptr, self.neighbour, self.num_nodes, self.ptr.clone(), found)
            return bool(found)
        row = self.rows
        key, back = row * self.num_nodes + self.neighbour, self.neighbour.long() * self.num_nodes + row
        return torch.equal(key.unique_consecutive(), back.unique())

    @cached_property
    def undirected(self) -> CSR:
        """Both directions of every edge, each pair of nodes once, without weights and edge ids."""
        row = self.rows
        key, back = row * self.num_nodes + self.neighbour, self.neighbour.long() * self.num_nodes + row
        if self.weight is None and bool((key.diff() > 0).all()) and torch.equal(back.sort().values, key):
            return CSR(self.ptr, self.neighbour)
        key = torch.unique(torch.cat([key, back]))  # sorted
        return CSR(pointers(key // self.num_nodes, self.num_nodes), (key % self.num_nodes).to(torch.int32))

    def edge_ids(self, entries: Tensor) -> Tensor:
        """Which edges of the graph these entries are, int64."""
        return entries if self.edge is None else self.edge[entries]

    def to(self, device: str | torch.device) -> CSR:
        """The same on another device."""
        moved: dict[str, Any] = {
            name: None if value is None else value.to(device)
            for name in ("ptr", "neighbour", "edge", "weight", "time")
            for value in [getattr(self, name)]
        }
        return replace(self, **moved)

    def check_nodes(self, nodes: Any, name: str = "seeds") -> Tensor:
        """``nodes`` (tensor, array or list) as contiguous int64 on this device, when they are nodes of the graph.

        Raises
        ------
        InvalidGraphError
            If they are not integers of shape (S,), or one is not a node.
        """
        return check_nodes(as_ids(nodes, name).to(self.device), self.num_nodes, name)


def check_csr(csr: Any) -> None:
    """Raise an :class:`InvalidGraphError` unless it is a :class:`CSR`."""
    if not isinstance(csr, CSR):
        raise InvalidGraphError(
            f"expected a CSR, got {type(csr).__name__}: of a graph it is graphssl.data.topology_of(graph)"
        )


def check_nodes(nodes: Tensor, num_nodes: int, name: str = "seeds") -> Tensor:
    """``nodes`` as contiguous int64, or an :class:`InvalidGraphError` as of :meth:`CSR.check_nodes`."""
    if nodes.dim() != 1 or nodes.is_floating_point() or nodes.dtype == torch.bool:
        raise InvalidGraphError(f"expected {name} as integers of shape (S,), got {tuple(nodes.shape)} of {nodes.dtype}")
    nodes = nodes.long().contiguous()
    if (node := outside(nodes, num_nodes)) is not None:
        raise InvalidGraphError(f"{name} must be nodes of the graph, in [0, {num_nodes}): {node} is outside")
    return nodes
