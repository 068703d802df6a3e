"""The torch tier of ops/walks.py: all walks at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from graphssl.ops._rows_torch import bisect, contains, peek, pick
from graphssl.ops.stream import scaled, stream_keys, uniform

__all__ = ["second_order_torch", "trials", "walks_torch"]

_MOVES = 16  # whose random numbers are computed together
_CANDIDATES = 2**14  # that second-order walks try at once


def walks_torch(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, seeds: Tensor, keys: Tensor, length: int, restart: float
) -> Tensor:
    """Walks with restart, all seeds at once, move by move."""
    at, trace = seeds, [seeds]
    for t in range(length):
        if t % _MOVES == 0:
            counter = 2 * torch.arange(t, min(t + _MOVES, length), device=seeds.device).unsqueeze(1)
            number = uniform(keys, counter + 1)  # (moves, S)
            again = uniform(keys, counter) < restart if restart > 0 else None
        start = at if again is None or t == 0 else torch.where(again[t % _MOVES], seeds, at)
        entry, can_move = _draw(cumulative, pick(ptr, start), pick(ptr[1:], start), number[t % _MOVES])
        at = torch.where(can_move, peek(neighbour, entry).long(), seeds if restart > 0 else at)
        trace.append(at)
    return torch.stack(trace, dim=1)


def second_order_torch(
    ptr: Tensor, neighbour: Tensor, cumulative: Tensor | None, seeds: Tensor, keys: Tensor, length: int, back: float,
    far: float,
) -> Tensor:  # fmt: skip
    """node2vec: each walk tries some candidates for its next move at a time, whichever move that is."""
    first = walks_torch(ptr, neighbour, cumulative, seeds, keys, min(1, length), 0.0)
    out = torch.cat([first, seeds.new_empty(seeds.numel(), max(0, length - 1))], dim=1)
    trace = out.view(-1)
    least, larger, most, enough = min(1.0, far), max(1.0, far), max(1.0, back, far), trials(back, far)
    walk = torch.arange(seeds.numel() if length > 1 else 0, device=seeds.device)
    move, tried = torch.ones_like(walk), torch.zeros_like(walk)
    while walk.numel() > 0:
        place = walk * (length + 1) + move
        before, at = pick(trace, place - 1), pick(trace, place)
        begin, end = pick(ptr, at), pick(ptr[1:], at)
        own = stream_keys(pick(keys, walk), move).unsqueeze(1)
        width = max(1, min(_CANDIDATES // walk.numel(), enough // 16))  # so many are refused in 1 of 10 cases at most
        trial = tried.unsqueeze(1) + torch.arange(width, device=at.device)  # (walks, width)
        entry, can_move = _draw(cumulative, begin.unsqueeze(1), end.unsqueeze(1), uniform(own, 2 * trial))
        x = peek(neighbour, entry)
        odds = uniform(own, 2 * trial + 1) * most
        is_back = x == before.unsqueeze(1)
        taken = (odds < least) ^ (is_back & ((odds < least) ^ (odds < back)))
        undecided = ~is_back & (odds >= least) & (odds < larger) & (taken.cumsum(1) == 0)
        open_ = undecided.view(-1).nonzero().squeeze(1)
        source = pick(before, open_ // width)
        taken.view(-1)[open_] = contains(ptr, neighbour, source, pick(x.view(-1), open_)) == (far < 1)
        alone = peek(neighbour, begin) == peek(neighbour, end - 1)
        taken |= (trial + 1 >= enough) | alone.unsqueeze(1) | ~can_move
        chosen = taken.byte().argmax(1, keepdim=True)  # the first one
        moves = taken.gather(1, chosen).squeeze(1)
        trace[place + 1] = torch.where(can_move, x.gather(1, chosen), at.unsqueeze(1)).squeeze(1)  # or try again
        move, tried = move + moves, (tried + width) * ~moves
        walking = (move < length).nonzero().squeeze(1)
        walk, move, tried = pick(walk, walking), pick(move, walking), pick(tried, walking)
    return out


def trials(back: float, far: float) -> int:
    """After so many candidates the probability that all were refused is below 2^-53."""
    least = min(1.0, back, far) / max(1.0, back, far)
    return 1 if least == 1 else min(2**31, 1 + math.ceil(53 * math.log(2) / -math.log1p(-least)))


def _draw(cumulative: Tensor | None, begin: Tensor, end: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """The entry of each row [begin, end) that a uniform number chooses, and whether there is one to choose."""
    if cumulative is None:
        return begin + scaled(number, end - begin), end > begin
    total = torch.where(end > begin, peek(cumulative, end - 1), 0.0)
    return bisect(cumulative, begin, torch.maximum(begin, end - 1), number * total, right=True), total > 0
