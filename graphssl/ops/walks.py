"""Random walks: one per seed, each a function of the seed's own stream of random numbers, in two tiers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from graphssl.checks import whole_number
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native
from graphssl.ops._walks_torch import second_order_torch, trials, walks_torch
from graphssl.ops.csr import CSR, as_ids, check_csr
from graphssl.ops.stream import stream_keys

__all__ = ["default_streams", "per_seed", "random_walks", "walk_keys"]

backend.declare("random_walks", cpp={torch.int32}, triton={torch.int32})


def default_streams(seeds: Tensor) -> Tensor:
    """The stream of each seed: its node, plus 2^32 for every time that this node stood before it in ``seeds``.

    So distinct seeds draw the same numbers in whatever batches they come, and copies of a seed draw different ones.

    Parameters
    ----------
    seeds : Tensor of int64, shape (S,)

    Returns
    -------
    Tensor of int64, shape (S,)
    """
    node, order = torch.sort(seeds, stable=True)
    place = torch.arange(node.numel(), device=node.device)
    is_first = torch.ones_like(node, dtype=torch.bool)
    is_first[1:] = node[1:] != node[:-1]
    before = place - torch.where(is_first, place, 0).cummax(0).values if node.numel() else place
    return torch.empty_like(seeds).scatter_(0, order, node + before * 2**32)


def walk_keys(seeds: Tensor, seed: int, streams: Tensor | None) -> Tensor:
    """The keys of the seeds' streams, int64 (S,): what all samplers with ``seed`` and ``streams`` draw from.

    Raises
    ------
    ConfigurationError
        If ``seed`` is no whole number.
    InvalidGraphError
        If there is not one stream, an integer, for each seed.
    """
    streams = default_streams(seeds) if streams is None else per_seed(streams, seeds, "streams")
    return stream_keys(whole_number("seed", seed), streams).contiguous()


def per_seed(values: Any, seeds: Tensor, name: str) -> Tensor:
    """One integer for each seed, contiguous int64 on their device, of a tensor, array or list.

    Raises
    ------
    InvalidGraphError
        If they are not integers of the shape of ``seeds``.
    """
    values = as_ids(values, name)
    if values.shape != seeds.shape or values.is_floating_point() or values.dtype == torch.bool:
        raise InvalidGraphError(
            f"expected {name} as integers of shape {tuple(seeds.shape)}, got {tuple(values.shape)} of {values.dtype}"
        )
    return values.to(seeds.device, torch.int64).contiguous()


def check_walk(length: int, restart: float) -> int:
    """The number of moves; raise ConfigurationError unless it is one, and ``restart`` a probability."""
    if not 0 <= restart <= 1:
        raise ConfigurationError(f"restart must be a probability, in [0, 1], got {restart!r}")
    return whole_number("length", length, 0)


def random_walks(
    csr: CSR,
    seeds: Tensor,
    length: int,
    *,
    seed: int = 0,
    streams: Tensor | None = None,
    restart: float = 0.0,
    p: float = 1.0,
    q: float = 1.0,
) -> Tensor:
    r"""Walks along the entries of ``csr``, with restart ([1]_, [2]_) or of second order ([3]_).

    A move goes to a neighbour: each entry with the same probability, or in proportion to its weight. Before each move
    but the first the walk jumps back to its seed with probability ``restart`` and moves from there. With p or q other
    than 1 a move from v, reached from t, to x has the odds (times the weight) 1 / p where x = t, 1 where there is an
    edge from t to x, 1 / q elsewhere.

    Parameters
    ----------
    csr : CSR of N nodes
    seeds : Tensor of integers, shape (S,)
    length : int, >= 0
        Number of moves.
    seed : int
        Of the random numbers.
    streams : Tensor of integers, shape (S,), optional
        Which stream each walk draws from; by default :func:`default_streams`.
    restart : float in [0, 1]
    p, q : float, > 0
        Return and in-out parameter of [3]_.

    Returns
    -------
    Tensor of int64, shape (S, length + 1)
        The seed, then the node after each move. At a node without neighbours (or without weight) the walk stays; with
        restart > 0 it returns to its seed, which is then the entry of that move.

    Raises
    ------
    ConfigurationError
        If an option is out of its range, or restart comes with p or q.
    InvalidGraphError
        If a seed is not a node, or there is not one stream for each.

    Notes
    -----
    Move t = 0, 1, ... uses number 2t of the walk's stream for the restart and 2t + 1 for the neighbour. With p or q,
    moves after the first draw from stream t of the walk's key: candidate i by number 2i, taken or refused by number
    2i + 1. One is taken anyway once the probability of coming that far is below 2^-53; the expected number of
    candidates is at most the largest of 1, 1 / p, 1 / q over the smallest. The result does not depend on the tier or
    on the number of threads.

    References
    ----------
    .. [1] Tong, Faloutsos, Pan. Fast Random Walk with Restart and Its Applications. ICDM 2006.
    .. [2] Qiu et al. GCC: Graph Contrastive Coding for Graph Neural Network Pre-Training. KDD 2020. arXiv:2006.09963.
       (Restart before a move, as in the authors' code.)
    .. [3] Grover, Leskovec. node2vec: Scalable Feature Learning for Networks. KDD 2016. arXiv:1607.00653, section 3.2.
    """
    check_csr(csr)
    length = check_walk(length, restart)
    if not (0 < p < math.inf and 0 < q < math.inf):
        raise ConfigurationError(f"p and q must be finite numbers > 0, got {p!r} and {q!r}")
    if restart > 0 and (p != 1 or q != 1):
        raise ConfigurationError("walks have either a restart or p and q: leave restart at 0, or p and q at 1")
    seeds = csr.check_nodes(seeds)
    keys = walk_keys(seeds, seed, streams)
    walks: Tensor = _random_walks(csr.ptr, csr.neighbour, csr.cumulative, seeds, keys, length, restart, 1 / p, 1 / q)
    return walks


@torch.library.custom_op("graphssl::random_walks", mutates_args=())
def _random_walks(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, seeds: Tensor, keys: Tensor, length: int,
    restart: float, back: float, far: float,
) -> Tensor:  # fmt: skip
    second_order = back != 1 or far != 1
    tier = backend.choose("random_walks", neighbour)
    if tier != "cpp":
        if second_order:
            return second_order_torch(ptr, neighbour, cumulative, seeds, keys, length, back, far)
        if tier == "triton":
            from graphssl.ops.triton.walks import random_walks as by_triton

            return by_triton(ptr, neighbour, cumulative, seeds, keys, length, restart)
        return walks_torch(ptr, neighbour, cumulative, seeds, keys, length, restart)
    out = seeds.new_empty(seeds.size(0), length + 1)
    args = ptr, neighbour, cumulative, seeds, keys, out, seeds.size(0), length
    if second_order:
        native.call("node2vec_walks", *args, back, far, trials(back, far), native.threads())
    else:
        native.call("random_walks", *args, float(restart), native.threads())
    return out


@_random_walks.register_fake
def _(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, seeds: Tensor, keys: Tensor, length: int,
    restart: float, back: float, far: float,
) -> Tensor:  # fmt: skip
    return seeds.new_empty(seeds.size(0), length + 1)
