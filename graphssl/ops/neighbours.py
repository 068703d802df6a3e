"""Neighbour sampling: around seed nodes, hop by hop, a random few of the edges that end in each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.errors import ConfigurationError
from graphssl.ops import _neighbours_torch, backend, native
from graphssl.ops.csr import CSR, check_csr
from graphssl.ops.walks import per_seed, walk_keys

__all__ = ["SampledNeighbours", "sample_neighbours"]

backend.declare("sample_neighbours", cpp={torch.int32}, triton={torch.int32})


@dataclass(frozen=True, eq=False)
class SampledNeighbours:
    """A sampled subgraph, laid out as PyTorch Geometric's ``NeighborLoader`` does.

    Parameters
    ----------
    node : Tensor of int64, shape (M,)
        Node of the graph that each local node is: the seeds in their order, then hop after hop what was found.
    row, col : Tensor of int64, shape (E',)
        Local source and target of each edge; edges point towards the seeds. Ordered by target.
    entry : Tensor of int64, shape (E',)
        Which entry of the CSR each edge is.
    edge : Tensor of int64, shape (E',)
        Which edge of the graph each one is.
    batch : Tensor of int64, shape (M,), or None
        The place of the seed whose tree each local node is in, for disjoint trees.
    num_sampled_nodes : list of int, length hops + 1
        Seeds, and new nodes of each hop.
    num_sampled_edges : list of int, length hops
    """

    node: Tensor
    row: Tensor
    col: Tensor
    entry: Tensor
    edge: Tensor
    batch: Tensor | None
    num_sampled_nodes: list[int]
    num_sampled_edges: list[int]


def sample_neighbours(
    csr: CSR,
    seeds: Tensor,
    fanouts: Sequence[int],
    *,
    seed: int = 0,
    streams: Tensor | None = None,
    replace: bool = False,
    disjoint: bool = False,
    seed_time: Tensor | None = None,
) -> SampledNeighbours:
    r"""Sample the computation graph of a batch of seeds [1]_.

    In hop h, each node that was found in hop h - 1 for the first time draws ``fanouts[h]`` of the edges that end in it.

    Parameters
    ----------
    csr : CSR
        With ``direction="in"``: the neighbours of v are the sources of the edges that end in v. With weights, edges are
        drawn with these odds, and those of weight 0 never.
    seeds : Tensor of integers, shape (S,)
    fanouts : sequence of int
        Edges drawn for each node, hop by hop; -1: all of them.
    seed : int
        Of the random numbers.
    streams : Tensor of int64, shape (S,), optional
        The stream of random numbers of each seed. By default its node, plus :math:`2^{32}` for each time that it came
        before among the seeds.
    replace : bool
        Draw with replacement: always ``fanouts[h]`` edges, some of them several times, where there is one at all.
    disjoint : bool
        A tree for each seed: no two seeds share a local node. What a seed samples is then independent of the others.
    seed_time : Tensor of integers, shape (S,), optional
        Only edges with ``csr.time`` up to the seed's time, inclusive, are sampled, with equal odds. For disjoint trees.

    Returns
    -------
    SampledNeighbours
        The edges of a node in ascending order of their entries. The same on every device, in every tier, for any number
        of threads.

    Raises
    ------
    ConfigurationError
        If a fan-out or the seed is no whole number, a fan-out is below -1, or options do not fit together.
    InvalidGraphError
        If a seed is not a node, or ``streams`` or ``seed_time`` has not one integer for each seed.

    Notes
    -----
    Without replacement, with equal odds: Floyd's algorithm [2]_, O(fan-out) for a node whatever its degree. Weights
    and times are read for the whole row, O(degree); weights with replacement by bisection.
    The random numbers of a node u in hop h are a stream named by (seed, the stream of the seed through which u was
    first found, h, u). A seed that comes twice has a row and a tree of edges for each time; where it is found as a
    neighbour of others, and trees are not disjoint, it is the first of these rows.

    References
    ----------
    .. [1] Hamilton, Ying, Leskovec. Inductive Representation Learning on Large Graphs. NeurIPS 2017. Algorithm 2.
    .. [2] Bentley, Floyd. A Sample of Brilliance. Communications of the ACM 30(9), 1987.
    .. [3] Efraimidis, Spirakis. Weighted Random Sampling with a Reservoir. Information Processing Letters 97, 2006.
       (With weights, without replacement.)
    """
    check_csr(csr)
    seeds = csr.check_nodes(seeds)
    fanouts = [whole_number("fanouts", fanout) for fanout in fanouts]
    if any(not -1 <= fanout < 2**31 for fanout in fanouts):
        raise ConfigurationError(f"fanouts are integers >= 0, or -1 for all neighbours, got {fanouts}")
    if seed_time is not None:
        if csr.time is None or csr.weight is not None or not disjoint:
            raise ConfigurationError(
                "seed_time needs a CSR with time stamps and without weights, and disjoint=True: each seed has a time "
                "of its own"
            )
        seed_time = per_seed(seed_time, seeds, "seed_time")
    keys = walk_keys(seeds, seed, streams)
    tier = backend.choose("sample_neighbours", csr.neighbour)
    if tier == "cpp":
        return _by_kernel(csr, seeds, keys, fanouts, replace, disjoint, seed_time)
    draw = _neighbours_torch.draw
    if tier == "triton":
        from graphssl.ops.triton.neighbours import draw
    return _by_torch(csr, seeds, keys, fanouts, replace, disjoint, seed_time, draw)


def _by_torch(
    csr: CSR, seeds: Tensor, keys: Tensor, fanouts: list[int], replace: bool, disjoint: bool, limit: Tensor | None,
    draw: _neighbours_torch.Draw,
) -> SampledNeighbours:  # fmt: skip
    node, tree, row, col, entry, nodes_of, edges_of = _neighbours_torch.sample(
        csr, seeds, keys, fanouts, replace, disjoint, limit, draw
    )
    return SampledNeighbours(node, row, col, entry, csr.edge_ids(entry), tree if disjoint else None, nodes_of, edges_of)


def _by_kernel(
    csr: CSR, seeds: Tensor, keys: Tensor, fanouts: list[int], replace: bool, disjoint: bool, limit: Tensor | None
) -> SampledNeighbours:
    hops = len(fanouts)
    totals = torch.zeros(4 + 2 * hops, dtype=torch.int64)
    native.call(
        "sample_neighbours", csr.ptr, csr.neighbour, csr.weight, csr.cumulative if replace else None,
        None if limit is None else csr.time, csr.num_nodes, seeds, keys, limit, seeds.numel(),
        torch.tensor(fanouts, dtype=torch.int64), hops, replace, disjoint, totals, native.threads(),
    )  # fmt: skip
    handle, nodes, edges, *counts = totals.tolist()

    def make() -> tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        row, col, entry = (seeds.new_empty(edges) for _ in range(3))
        tree = seeds.new_empty(nodes) if disjoint else None
        return seeds.new_empty(nodes), tree, row, col, entry, entry if csr.edge is None else seeds.new_empty(edges)

    node, tree, row, col, entry, edge = found = native.room("sample_neighbours", handle, make)
    native.call("sample_neighbours_take", handle, csr.edge, *found)
    return SampledNeighbours(node, row, col, entry, edge, tree, counts[: hops + 1], counts[hops + 1 :])
