"""Which scores are positive and which are negative: two boolean masks, made once and never recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError

__all__ = ["Pairs", "queue", "real_versus_corrupt", "same_graph", "same_row", "two_views", "within_window"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a score matrix: positive, negative, or (in neither mask) ignored.

    The constructors of this module know their masks to be valid and most of the facts below, so that
    using them never waits for a GPU. For masks of your own the values are read once, when they are
    made, and each fact once, when it is first asked for.

    Parameters
    ----------
    positive : Tensor of bool, shape (A, C)
        Anchors by candidates: pairs whose score should be high.
    negative : Tensor of bool, shape (A, C)
        Pairs whose score should be low. No pair is in both masks.
    validated : bool
        True skips reading the values: the masks are known to be disjoint.

    Raises
    ------
    ConfigurationError
        If the masks are not boolean matrices of one shape on one device, or overlap.
    """

    positive: Tensor
    negative: Tensor
    validated: bool = False

    def __post_init__(self) -> None:
        for name, mask in (("positive", self.positive), ("negative", self.negative)):
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.dim() != 2:
                found = (
                    f"{mask.dtype} of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
                )
                raise ConfigurationError(f"{name} must be a bool tensor of shape (anchors, candidates), got {found}")
        if self.positive.shape != self.negative.shape or self.positive.device != self.negative.device:
            raise ConfigurationError(
                "positive and negative must have one shape and one device, got "
                f"{tuple(self.positive.shape)} on {self.positive.device} and "
                f"{tuple(self.negative.shape)} on {self.negative.device}"
            )
        if not self.validated and bool((self.positive & self.negative).any()):
            raise ConfigurationError("a pair is both positive and negative: take it out of one of the masks")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of anchors and of candidates, (A, C)."""
        return self.positive.size(0), self.positive.size(1)

    @cached_property
    def every_anchor_has_positive(self) -> bool:
        """Does each row hold a positive pair?"""
        return bool(self.positive.any(dim=1).all())

    @cached_property
    def every_anchor_has_negative(self) -> bool:
        """Does each row hold a negative pair?"""
        return bool(self.negative.any(dim=1).all())

    @cached_property
    def has_positive(self) -> bool:
        """Is any pair positive?"""
        return bool(self.positive.any())

    @cached_property
    def has_negative(self) -> bool:
        """Is any pair negative?"""
        return bool(self.negative.any())


def _known(positive: Tensor, negative: Tensor, **facts: bool) -> Pairs:
    """Pairs whose facts follow from how they were made: stored where cached_property looks for them."""
    pairs = Pairs(positive, negative, validated=True)
    pairs.__dict__.update(facts)
    return pairs


def _at_least(name: str, value: int, smallest: int) -> None:
    if value < smallest:
        raise ConfigurationError(f"{name} must be at least {smallest}, got {value}")


def same_row(n: int, *, device: torch.device | str | None = None) -> Pairs:
    """Row i of one matrix belongs to row i of another; all other rows are negatives.

    Parameters
    ----------
    n : int
        Rows of either matrix; scores are (N, N).
    device : torch.device or str, optional
        Where the masks live.
    """
    _at_least("n", n, 1)
    positive = torch.eye(n, dtype=torch.bool, device=device)  # (N, N)
    return _everywhere(positive, ~positive, has_negative=n > 1)


def two_views(n: int, *, intra: bool = True, device: torch.device | str | None = None) -> Pairs:
    """Two views of n things, stacked: anchors and candidates are both ``torch.cat([z1, z2])``.

    The positive of row i is the same thing in the other view, row i + N or i - N. Negatives are the
    other things in the other view and, with ``intra``, also in the anchor's own view. A row's pair with
    itself is in neither mask.

    Parameters
    ----------
    n : int
        Things per view; scores are (2N, 2N).
    intra : bool
        Count the other rows of the anchor's own view as negatives.
    device : torch.device or str, optional
        Where the masks live.
    """
    _at_least("n", n, 1)
    same = torch.eye(n, dtype=torch.bool, device=device)  # (N, N)
    none = torch.zeros_like(same)
    positive = torch.cat([torch.cat([none, same], 1), torch.cat([same, none], 1)])  # (2N, 2N)
    own = ~same if intra else none
    negative = torch.cat([torch.cat([own, ~same], 1), torch.cat([~same, own], 1)])  # (2N, 2N)
    return _everywhere(positive, negative, has_negative=n > 1)


def same_graph(graph_of_node: Tensor, num_graphs: int, *, device: torch.device | str | None = None) -> Pairs:
    """Nodes against graphs: a node's own graph is positive, every other graph of the batch negative.

    Parameters
    ----------
    graph_of_node : Tensor of long, shape (N,)
        Index of each node's graph (PyG's ``batch``).
    num_graphs : int
        G; scores are (N, G).
    device : torch.device or str, optional
        Where the masks live; that of ``graph_of_node`` unless given.
    """
    positive = _membership(graph_of_node, num_graphs, device)  # (N, G)
    return _everywhere(positive, ~positive, has_negative=num_graphs > 1)


def real_versus_corrupt(graph_of_node: Tensor, num_graphs: int, *, device: torch.device | str | None = None) -> Pairs:
    """Graphs against nodes and their corrupted copies: candidates are ``torch.cat([h, h_corrupt])``.

    For graph g its own nodes are positive and their corrupted copies negative. Nodes of other graphs, real
    or corrupted, are in neither mask.

    Parameters
    ----------
    graph_of_node : Tensor of long, shape (N,)
        Index of each node's graph (PyG's ``batch``).
    num_graphs : int
        G; scores are (G, 2N).
    device : torch.device or str, optional
        Where the masks live; that of ``graph_of_node`` unless given.
    """
    own = _membership(graph_of_node, num_graphs, device).T  # (G, N)
    none = torch.zeros_like(own)
    positive, negative = torch.cat([own, none], 1), torch.cat([none, own], 1)  # (G, 2N)
    if num_graphs == 1:
        return _everywhere(positive, negative, has_negative=True)
    return _known(positive, negative, has_positive=True, has_negative=True)  # some graphs may have no nodes


def queue(n: int, k: int, *, device: torch.device | str | None = None) -> Pairs:
    """Anchors against their own key and a queue: candidates are ``torch.cat([keys, queue.values()])``.

    Key i is the positive of anchor i, every row of the queue is a negative, and the keys of the other
    anchors are in neither mask (momentum contrast).

    Parameters
    ----------
    n : int
        Anchors, one key each.
    k : int
        Rows of the queue, possibly 0; scores are (N, N + K).
    device : torch.device or str, optional
        Where the masks live.
    """
    _at_least("n", n, 1)
    _at_least("k", k, 0)
    own = torch.eye(n, dtype=torch.bool, device=device)  # (N, N)
    old = torch.ones(n, k, dtype=torch.bool, device=device)  # (N, K)
    positive = torch.cat([own, ~old], 1)  # (N, N + K)
    negative = torch.cat([torch.zeros_like(own), old], 1)  # (N, N + K)
    return _everywhere(positive, negative, has_negative=k > 0)


def within_window(lengths: Tensor, size: int, *, window: int, negatives: int) -> Pairs:
    """Skip-gram's pairs: each node of a walk with those at most ``window`` places away, and with negatives of its own.

    Anchors are the places of all walks, one walk after the other. Candidates are the ``size`` places of the anchor's
    own walk, then its negatives.

    Parameters
    ----------
    lengths : Tensor of integers, shape (B,)
        Nodes of each walk, from 1 to ``size``; places behind a walk's end are in neither mask.
    size : int
        Places of a walk, T.
    window : int
        Largest distance.
    negatives : int
        K for each place; scores are (B T, T + K).
    """
    for name, value in (("size", size), ("window", window), ("negatives", negatives)):
        _at_least(name, value, 1)
    place = torch.arange(size, device=lengths.device)
    apart = (place[:, None] - place).abs()  # (T, T)
    there = place < lengths[:, None]  # (B, T)
    near = (apart > 0) & (apart <= window) & there[:, :, None] & there[:, None, :]  # (B, T, T)
    positive, own = near.flatten(0, 1), there.view(-1, 1).expand(-1, negatives)  # (B T, T), (B T, K)
    return _known(
        torch.cat([positive, torch.zeros_like(own)], 1), torch.cat([torch.zeros_like(positive), own], 1),
        has_negative=True,
    )  # fmt: skip


def _everywhere(positive: Tensor, negative: Tensor, *, has_negative: bool) -> Pairs:
    """Pairs with a positive in every row, and a negative in every row or in none."""
    return _known(
        positive,
        negative,
        every_anchor_has_positive=True,
        has_positive=True,
        every_anchor_has_negative=has_negative,
        has_negative=has_negative,
    )


def _membership(graph_of_node: Tensor, num_graphs: int, device: torch.device | str | None) -> Tensor:
    _at_least("num_graphs", num_graphs, 1)
    if graph_of_node.dim() != 1 or graph_of_node.numel() == 0 or graph_of_node.dtype != torch.long:
        raise ConfigurationError(
            "graph_of_node must be a long tensor of shape (nodes,) with at least one node, got "
            f"{graph_of_node.dtype} of shape {tuple(graph_of_node.shape)}"
        )
    graph_of_node = graph_of_node.to(device or graph_of_node.device)
    return graph_of_node[:, None] == torch.arange(num_graphs, device=graph_of_node.device)  # (N, G)
