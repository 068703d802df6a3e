"""Views that replace the edges of a graph by a diffusion over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data import graph_of_node, num_graphs
from graphssl.errors import ConfigurationError
from graphssl.ops import Adjacency, normalized_adjacency, sparse_operator, spmm
from graphssl.registry import VIEWS
from graphssl.views.base import edge_index_of, order_by_group
from graphssl.views.subset import replace_edges

__all__ = ["HeatDiffusion", "PPRDiffusion"]

# Up to so many nodes one dense matrix is faster than the series.
_DENSE_SOLVE, _DENSE_EXPONENTIAL = 5000, 500
_BLOCK_ENTRIES = 2**24  # beyond: entries of a block of the series, 128 MiB in float64
_TOLERANCE = 1e-7  # what the terms left out of the series may add up to, per column


@VIEWS.register("ppr-diffusion", example={"alpha": 0.2}, adds_edges=True)
@dataclass(frozen=True)
class PPRDiffusion:
    r"""Personalised PageRank: weighted edges to wherever a random walk with restarts arrives.

    .. math::
        S = \alpha (I - (1 - \alpha) \tilde A)^{-1}, \quad \tilde A = \hat D^{-1/2} (A + I) \hat D^{-1/2}

    The result has ``edge_index`` and ``edge_weight`` (the entries of S), computed for each graph of a
    batch on its own; ``edge_weight`` of the input is used, its other edge attributes have no meaning for the new edges
    and are left out. Deterministic, and costly: meant for :meth:`graphssl.Method.prepare`.

    Parameters
    ----------
    alpha : float in (0, 1]
        Probability of a restart.
    top_k : int, optional
        Keep the k largest incoming edges of each node.
    threshold : float, >= 0
        Leave out entries smaller than this; 0 keeps all that are not zero. The default is MERIT's.

    Notes
    -----
    Up to 5000 nodes one dense solve in float64. Beyond, the series :math:`\alpha \sum_k (1-\alpha)^k \tilde A^k`,
    a block of columns at a time, cut where its rest is below 1e-7, each block being sparsified before the next.
    What remains after ``top_k`` and ``threshold`` is not normalised again.

    References
    ----------
    .. [1] Klicpera, Weissenberger, Guennemann. Diffusion Improves Graph Learning. NeurIPS 2019. arXiv:1911.05485.
    .. [2] Hassani, Khasahmadi. Contrastive Multi-View Representation Learning on Graphs. ICML 2020.
       arXiv:2006.05582, equation 2.
    """

    alpha: float = 0.2
    top_k: int | None = field(default=None, kw_only=True)
    threshold: float = field(default=1e-4, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise ConfigurationError(f"alpha must be a number in (0, 1], got {self.alpha!r}")
        _check(self.top_k, self.threshold)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with the same nodes and the edges of S; the generator is not used."""
        return _diffused(data, self._dense, list(self._coefficients()), _DENSE_SOLVE, self.top_k, self.threshold)

    def _dense(self, transition: Tensor) -> Tensor:
        identity = torch.eye(transition.size(0), dtype=transition.dtype, device=transition.device)
        return torch.linalg.solve(identity - (1 - self.alpha) * transition, self.alpha * identity)

    def _coefficients(self) -> Iterator[float]:
        rest = 1.0
        while rest > _TOLERANCE:
            yield self.alpha * rest
            rest *= 1 - self.alpha


@VIEWS.register("heat-diffusion", example={"t": 2.0}, adds_edges=True)
@dataclass(frozen=True)
class HeatDiffusion:
    r"""Heat kernel: weighted edges to wherever heat has flowed after time t.

    .. math::
        S = e^{-t} \exp(t \tilde A) = e^{-t} \sum_k \frac{t^k}{k!} \tilde A^k, \quad
        \tilde A = \hat D^{-1/2} (A + I) \hat D^{-1/2}

    This is the exponential of a matrix; MVGRL's code takes the exponential of each entry. The result is as
    that of :class:`PPRDiffusion`.

    Parameters
    ----------
    t : float, > 0
        Time of diffusion; MVGRL uses 5.
    top_k : int, optional
        Keep the k largest incoming edges of each node.
    threshold : float, >= 0
        Leave out entries smaller than this; 0 keeps all that are not zero.

    Notes
    -----
    Up to 500 nodes one dense matrix exponential in float64; beyond, the series as for :class:`PPRDiffusion`.

    References
    ----------
    .. [1] Klicpera, Weissenberger, Guennemann. Diffusion Improves Graph Learning. NeurIPS 2019. arXiv:1911.05485.
    .. [2] Hassani, Khasahmadi. Contrastive Multi-View Representation Learning on Graphs. ICML 2020.
       arXiv:2006.05582, equation 3.
    """

    t: float = 5.0
    top_k: int | None = field(default=None, kw_only=True)
    threshold: float = field(default=1e-4, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.t < math.inf:
            raise ConfigurationError(f"t must be a finite number > 0, got {self.t!r}")
        _check(self.top_k, self.threshold)

    def __call__(self, data: Data, *, generator: torch.Generator | None = None) -> Data:
        """A graph with the same nodes and the edges of S; the generator is not used."""
        return _diffused(data, self._dense, list(self._coefficients()), _DENSE_EXPONENTIAL, self.top_k, self.threshold)

    def _dense(self, transition: Tensor) -> Tensor:
        # exp(t A - t I): the shift inside keeps a large t from overflowing
        identity = torch.eye(transition.size(0), dtype=transition.dtype, device=transition.device)
        return torch.linalg.matrix_exp(self.t * (transition - identity))

    def _coefficients(self) -> Iterator[float]:
        # a Poisson distribution, summed until nothing is left of it
        k, rest = 0, 1.0
        while rest > _TOLERANCE or k <= self.t:
            coefficient = math.exp(k * math.log(self.t) - self.t - math.lgamma(k + 1))
            yield coefficient
            rest -= coefficient
            k += 1


def _check(top_k: int | None, threshold: float) -> None:
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ConfigurationError(f"top_k must be a positive integer or None, got {top_k!r}")
    if not 0 <= threshold < math.inf:
        raise ConfigurationError(f"threshold must be a finite number >= 0, got {threshold!r}")


def _diffused(
    data: Data,
    dense: Callable[[Tensor], Tensor],
    coefficients: list[float],
    dense_nodes: int,
    top_k: int | None,
    threshold: float,
) -> Data:
    """The graph with the edges of S, made graph by graph."""
    edge_index, graph, graphs = edge_index_of(data), graph_of_node(data), num_graphs(data)
    weight = data.edge_weight.detach().view(-1) if "edge_weight" in data else None
    local = torch.empty_like(graph)
    ends, entries = [edge_index.new_empty(2, 0)], [torch.empty(0, dtype=torch.float64, device=edge_index.device)]
    for nodes, edges in zip(_members(graph, graphs), _members(graph[edge_index[0]], graphs), strict=True):
        local[nodes] = torch.arange(nodes.numel(), device=nodes.device)
        transition = normalized_adjacency(
            local[edge_index[:, edges]],
            nodes.numel(),
            None if weight is None else weight[edges].double(),
            dtype=torch.float64,
        )
        for first, rows in _rows(
            transition, dense, coefficients, dense_nodes, sparsified=top_k is not None or threshold > 0
        ):
            target, source, value = _largest(rows, top_k, threshold)
            ends.append(nodes[torch.stack([source, target + first])])
            entries.append(value)
    dtype = weight.dtype if weight is not None and weight.is_floating_point() else torch.get_default_dtype()
    return replace_edges(data, torch.cat(ends, dim=1), edge_weight=torch.cat(entries).to(dtype))


def _members(group: Tensor, groups: int) -> Sequence[Tensor]:
    """Positions of the members of each group."""
    return order_by_group(group).split(torch.bincount(group, minlength=groups).tolist())


def _rows(
    transition: Adjacency,
    dense: Callable[[Tensor], Tensor],
    coefficients: list[float],
    dense_nodes: int,
    *,
    sparsified: bool,
) -> Iterator[tuple[int, Tensor]]:
    """S (n, n) in blocks of rows (B, n), each with the number of its first row."""
    n = transition.shape[0]
    if n == 0:
        return
    if n <= dense_nodes:
        yield 0, dense(transition.to_dense())
        return
    if not sparsified:
        raise ConfigurationError(
            f"the diffusion of {n} nodes would have {n * n} edges: give top_k, or a threshold > 0 such as 1e-4"
        )
    transposed = sparse_operator(transition.matrix(transposed=True))
    size = max(1, _BLOCK_ENTRIES // n)
    for first in range(0, n, size):
        # The columns of f(A^T) are the rows of f(A).
        power = torch.zeros(n, min(size, n - first), dtype=transition.dtype, device=transition.device)
        power[first : first + size].fill_diagonal_(1)  # columns of the identity
        total = coefficients[0] * power
        for coefficient in coefficients[1:]:
            power = spmm(transposed, power)
            total.add_(power, alpha=coefficient)
        yield first, total.t()


def _largest(rows: Tensor, top_k: int | None, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value of the entries to keep of a dense block (B, n)."""
    keep = (rows >= threshold) & (rows > 0)
    if top_k is not None and top_k < rows.size(1):
        keep &= torch.zeros_like(keep).scatter_(1, rows.topk(top_k, dim=1).indices, True)
    row, column = keep.nonzero(as_tuple=True)
    return row, column, rows[row, column]
