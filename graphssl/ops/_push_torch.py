"""The torch tier of pushing (ops/diffusion.py): many seeds take their steps together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from graphssl.ops._rows_torch import pick, ragged

__all__ = ["push_torch"]

_ENTRIES, _GPU_ENTRIES = 2**21, 2**26  # of the workspaces: seeds that are pushed together, times nodes


def push_torch(
    ptr: Tensor,
    col: Tensor,
    value: Tensor,
    seeds: Tensor,
    *,
    top_k: int,
    tolerance: float,
    first: float,
    growth: Sequence[float],
    rest: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """The largest entries of rows of a series, by the rule and in the units that are told in cpp/push.cpp.

    Parameters
    ----------
    ptr, col, value : Tensor
        The matrix in CSR form.
    seeds : Tensor of int64, shape (S,)
    top_k, tolerance
        As of :func:`graphssl.ops.ppr_push`.
    first : float
        Coefficient 0.
    growth, rest : sequence of float
        ``c[k + 1] / c[k]`` and ``(c[k + 1] + c[k + 2] + ...) / c[k]``; at later steps the last ones hold.

    Returns
    -------
    index (S, K), value (S, K), residual (S,)
    """
    ptr = ptr.long()
    size = ptr.diff().clamp(min=1).to(value.dtype).sqrt()
    entries = _ENTRIES if value.device.type == "cpu" else _GPU_ENTRIES
    blocks = seeds.split(max(1, entries // size.numel()))
    work = value.new_zeros(2, blocks[0].numel() * size.numel())
    parts = []
    for block in blocks:
        row, column, found, residual = _push(ptr, col, value, size, block, work, tolerance, first, growth, rest)
        parts.append((*_largest(row, column, found, block.numel(), top_k), residual))
    index, out, residual = (torch.cat(part) for part in zip(*parts, strict=True))
    return index, out, residual


def _push(
    ptr: Tensor, col: Tensor, value: Tensor, size: Tensor, seeds: Tensor, work: Tensor, tolerance: float, first: float,
    growth: Sequence[float], rest: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The entries that mass reached, by row and column: row, column, value; and the residual of each row.

    ``work`` is zero, and is again when this returns: the mass that waits and what moved on, seed * nodes + node.
    """
    count, nodes, degree = seeds.numel(), size.numel(), ptr.diff()
    limit, scale = tolerance * size, pick(size, seeds)
    mass, found = work
    moving = torch.arange(count, device=seeds.device) * nodes + seeds
    mass[moving] = first / scale
    residual = rest[0] * first / scale
    reached = [moving]
    for step in itertools.count():
        if not moving.numel():
            break
        now, then = (min(k, len(rest) - 1) for k in (step, step + 1))
        owner, u = moving // nodes, moving % nodes
        moved = pick(mass, moving)
        found.index_add_(0, moving, moved)
        mass.index_fill_(0, moving, 0.0)
        residual.index_add_(0, owner, moved, alpha=-rest[now])
        row, entry = ragged(pick(ptr, u), pick(degree, u))
        v, owner = pick(col, entry).long(), pick(owner, row)
        target, given = owner * nodes + v, growth[now] * pick(moved, row) * pick(value, entry)
        mass.index_add_(0, target, given)
        residual.index_add_(0, owner, given, alpha=rest[then])
        reached.append(target)
        moving = torch.unique(target[rest[then] * pick(mass, target) > pick(limit, v)])
    place = torch.unique(torch.cat(reached))
    row = place // nodes
    total = (pick(mass, place) + pick(found, place)) * pick(scale, row)
    work.index_fill_(1, place, 0.0)
    return row, place % nodes, total, scale * residual


def _largest(row: Tensor, column: Tensor, value: Tensor, count: int, top_k: int) -> tuple[Tensor, Tensor]:
    """Columns and values of the largest positive entries of each row, of equal ones the first; -1 and 0 behind them.

    Entries come by row and column.
    """
    order = value.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row, column, value = row[order], column[order], value[order]
    counts = torch.bincount(row, minlength=count)
    rank = torch.arange(row.numel(), device=row.device) - pick(counts.cumsum(0) - counts, row)
    kept = (rank < top_k) & (value > 0)
    index, largest = column.new_full((count, top_k), -1), value.new_zeros(count, top_k)
    index[row[kept], rank[kept]] = column[kept]
    largest[row[kept], rank[kept]] = value[kept]
    return index, largest
