"""The plain tier of :mod:`graphssl.ops.contrast`: square tiles of scores in torch, on any device, for any dtype.

It multiplies in the dtype of its input: ``precision`` changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = [
    "cross_logsumexp_backward", "cross_logsumexp_forward", "self_logsumexp_backward", "self_logsumexp_forward",
]  # fmt: skip

# Scores held at once: on a CPU what stays in its cache, on a GPU more.
_TILE_BYTES = {"cpu": 2**21, "cuda": 2**28}
# Nats that the logarithms of all sums may lie apart so that one exponential of a score serves both sides.
_SPREAD = 40.0


def self_logsumexp_forward(z: Tensor, scale: float, skip_partner: bool, bound: float | None, precision: str) -> Tensor:
    """Shape (M,)."""
    sums = _Sums(z, z.size(0), bound)
    for rows, columns, scores in _self_tiles(z, scale, skip_partner):
        e = sums.exponentials(scores)
        sums.add(rows, e, dim=1)
        if rows != columns:
            sums.add(columns, e, dim=0)
    return sums.log()


def self_logsumexp_backward(
    z: Tensor, lse: Tensor, grad: Tensor, scale: float, skip_partner: bool, precision: str
) -> Tensor:
    """Shape (M, P)."""
    out = torch.zeros_like(z)
    weights = _weights(lse, lse, scale * grad, scale * grad)
    with torch.autocast(z.device.type, enabled=False):
        for rows, columns, scores in _self_tiles(z, scale, skip_partner):
            w = weights(rows, columns, scores)
            out[rows].addmm_(w, z[columns])
            if rows != columns:
                out[columns].addmm_(w.T, z[rows])
    return out


def cross_logsumexp_forward(
    x: Tensor, y: Tensor, scale: float, skip_diagonal: bool, bound: float | None, precision: str, *, columns: bool
) -> tuple[Tensor, Tensor]:
    """Shapes (A,) and (C,), or (0,) without ``columns``."""
    over_y, over_x = _Sums(x, x.size(0), bound), _Sums(x, y.size(0) if columns else 0, bound)
    for a, c, scores in _cross_tiles(x, y, scale, skip_diagonal):
        e = over_y.exponentials(scores)
        over_y.add(a, e, dim=1)
        if columns:
            over_x.add(c, e, dim=0)
    return over_y.log(), over_x.log()


def cross_logsumexp_backward(
    x: Tensor, y: Tensor, rows: Tensor, cols: Tensor, grad_rows: Tensor, grad_cols: Tensor,
    scale: float, skip_diagonal: bool, precision: str, *, need_y: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Shapes (A, P) and (C, P), or (0, P) without ``need_y``."""
    dx, dy = torch.zeros_like(x), torch.zeros_like(y) if need_y else y.new_empty(0, y.size(1))
    weights = _weights(rows, cols, scale * grad_rows, scale * grad_cols)
    with torch.autocast(x.device.type, enabled=False):
        for a, c, scores in _cross_tiles(x, y, scale, skip_diagonal):
            w = weights(a, c, scores)
            dx[a].addmm_(w, y[c])
            if need_y:
                dy[c].addmm_(w.T, x[a])
    return dx, dy


class _Sums:
    """Logarithms of sums that grow tile by tile: shifted by a bound where there is one, else kept as logarithms."""

    def __init__(self, like: Tensor, size: int, bound: float | None) -> None:
        self.bound = bound
        self.total = like.new_full((size,), -torch.inf if bound is None else 0.0)

    def exponentials(self, scores: Tensor) -> Tensor:
        return scores if self.bound is None else scores.sub_(self.bound).exp_()

    def add(self, where: slice, e: Tensor, *, dim: int) -> None:
        if self.bound is None:
            self.total[where] = torch.logaddexp(self.total[where], e.logsumexp(dim))
        else:
            self.total[where] += e.sum(dim)

    def log(self) -> Tensor:
        return self.total if self.bound is None else self.total.log().add_(self.bound)


def _weights(
    rows: Tensor, cols: Tensor, grad_rows: Tensor, grad_cols: Tensor
) -> Callable[[slice, slice, Tensor], Tensor]:
    """What a tile of scores adds to the gradient: ``exp(s - rows) * grad_rows + exp(s - cols) * grad_cols``."""
    # Nothing was summed there, so every score is -inf and any finite logarithm gives zero.
    rows, cols = (lse.masked_fill(lse == -torch.inf, 0.0) for lse in (rows, cols))
    every = torch.cat([rows, cols])
    shift = every.max() if every.numel() else every.new_zeros(())
    if every.numel() and bool(shift - every.min() < _SPREAD):
        u, v = (shift - rows).exp() * grad_rows, (shift - cols).exp() * grad_cols

        def together(a: slice, c: slice, scores: Tensor) -> Tensor:
            return scores.sub_(shift).exp_().mul_(u[a, None] + v[c] if cols.numel() else u[a, None])

        return together

    def apart(a: slice, c: slice, scores: Tensor) -> Tensor:
        w = (scores - rows[a, None]).exp_().mul_(grad_rows[a, None])
        return w.add_(scores.sub_(cols[c]).exp_().mul_(grad_cols[c])) if cols.numel() else w

    return apart


def _self_tiles(z: Tensor, scale: float, skip_partner: bool) -> Iterator[tuple[slice, slice, Tensor]]:
    """Tiles on and above the diagonal; those on it are whole, and serve their rows only."""
    total = z.size(0)
    skipped = (0, total // 2, -(total // 2)) if skip_partner else (0,)
    for a in _slices(total, z):
        for c in _slices(total, z, a.start):
            yield a, c, _tile(z, z, a, c, scale, skipped)


def _cross_tiles(x: Tensor, y: Tensor, scale: float, skip_diagonal: bool) -> Iterator[tuple[slice, slice, Tensor]]:
    for a in _slices(x.size(0), x):
        for c in _slices(y.size(0), x):
            yield a, c, _tile(x, y, a, c, scale, (0,) if skip_diagonal else ())


def _slices(total: int, like: Tensor, start: int = 0) -> Iterator[slice]:
    step = int((_TILE_BYTES.get(like.device.type, 2**28) / like.element_size()) ** 0.5)
    for begin in range(start, total, step):
        yield slice(begin, min(begin + step, total))


def _tile(x: Tensor, y: Tensor, a: slice, c: slice, scale: float, skipped: tuple[int, ...]) -> Tensor:
    """Scores of rows ``a`` against ``c``; -inf where column - row is one of the skipped distances."""
    with torch.autocast(x.device.type, enabled=False):
        scores = (x[a] * scale) @ y[c].T
    for distance in skipped:
        offset = a.start + distance - c.start
        if -scores.size(0) < offset < scores.size(1):
            scores.diagonal(offset).fill_(-torch.inf)
    return scores
