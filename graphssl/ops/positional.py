"""Positions of nodes in small graphs: leading eigenvectors of the normalised adjacency, of many graphs at once."""

from __future__ import annotations

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.ops import backend, native

__all__ = ["positional_embeddings", "top_eigenvectors"]

_UNIT = 8  # torch computes graphs together whose sizes have the same multiple of this above them
_BLOCK_ENTRIES = {"cpu": 2**20, "cuda": 2**25}  # of the matrices that torch holds at once
_OUTSIDE = -2.0  # eigenvalue of the padding: below all others, which are in [-1, 1]
_SAME = 1 - 1e-6  # entries that differ by less in size are a tie
_NO_PLACE = 1e-6  # a shorter row is zero but for rounding

backend.declare("top_eigenvectors", cpp={torch.float32})


def positional_embeddings(edge_index: Tensor, ptr: Tensor, k: int, *, edge_weight: Tensor | None = None) -> Tensor:
    r"""Rows of the leading eigenvectors of each graph's normalised adjacency, scaled to unit length (GCC [1]_).

    Parameters
    ----------
    edge_index, ptr, k, edge_weight
        As for :func:`top_eigenvectors`.

    Returns
    -------
    Tensor of float32, shape (M, k)
        Zeros behind the columns that a graph of fewer than k nodes has. A row shorter than 1e-6 before the scaling, of
        a node that the leading eigenvectors do not reach, is zero.

    Raises
    ------
    ConfigurationError, InvalidGraphError
        As :func:`top_eigenvectors`.

    Notes
    -----
    Differs from the authors' code: a graph of n nodes has min(n, k) columns, where they take min(n - 2, k), the limit
    of their iterative solver, and nothing but zeros for n = 1; eigenvalues descend, theirs ascend; signs are fixed.

    References
    ----------
    .. [1] Qiu et al. GCC: Graph Contrastive Coding for Graph Neural Network Pre-Training. KDD 2020. arXiv:2006.09963.

    Examples
    --------
    >>> path = torch.tensor([[0, 1], [1, 2]])
    >>> positional_embeddings(path, torch.tensor([0, 3]), 1).T
    tensor([[1., 1., 1.]])
    """
    _, vectors = top_eigenvectors(edge_index, ptr, k, edge_weight=edge_weight)
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors.div_(length.masked_fill_(length <= _NO_PLACE, torch.inf))


def top_eigenvectors(
    edge_index: Tensor, ptr: Tensor, k: int, *, edge_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""The largest eigenvalues of :math:`D^{-1/2} A D^{-1/2}` and their eigenvectors, for each of many small graphs.

    Parameters
    ----------
    edge_index : Tensor of int64, shape (2, E)
        Edges of all graphs in any order (fastest: graph by graph), none between two of them. A is symmetric: an edge
        counts in both directions, and once if it comes several times. A self-loop is one entry of the diagonal.
    ptr : Tensor of int64, shape (S + 1,)
        Graph s has the nodes ``ptr[s]`` to ``ptr[s + 1] - 1``, as in a batch of torch_geometric.
    k : int, > 0
    edge_weight : Tensor of a float dtype, shape (E,), optional
        Not negative. Of all edges between two nodes the largest weight counts. Default: 1.

    Returns
    -------
    values : Tensor of float32, shape (S, k)
        In descending order, in [-1, 1]; zeros behind the min(n, k) that a graph of n nodes has.
    vectors : Tensor of float32, shape (M, k)
        M = ``ptr[-1]``. The columns of a graph's rows are orthonormal, and zero behind the min(n, k) first.

    Raises
    ------
    ConfigurationError
        If k is not a positive integer.
    InvalidGraphError
        If shapes or dtypes are wrong, an edge leaves its graph, or a weight is negative or not finite.

    Notes
    -----
    The entry of largest magnitude of a vector is positive; of several equal up to 1e-6, the first. Equal eigenvalues
    leave their basis free: only the space they span is determined, and the tiers differ within it. Computed in double
    precision. Time is O(n^3) for each graph; the result does not depend on the number of threads. The C++ kernel
    takes graphs up to 128 nodes, torch the rest. No gradient flows to the weights.
    """
    edge_index, ptr, weight, bounds = _checked(edge_index, ptr, k, edge_weight)
    found: tuple[Tensor, Tensor] = _top_eigenvectors(edge_index, weight, bounds, ptr, int(ptr[-1]), k)
    return found


def _checked(
    edge_index: Tensor, ptr: Tensor, k: int, edge_weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Edges graph by graph, offsets, weights of float64, and the first edge of each graph, shape (S + 1,)."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigurationError(f"k must be a positive integer, got {k!r}")
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.int64:
        raise InvalidGraphError(f"expected edge_index of int64, shape (2, E), got {_what(edge_index)}")
    if ptr.dim() != 1 or not ptr.numel() or ptr.dtype != torch.int64 or ptr.device != edge_index.device:
        raise InvalidGraphError(f"expected ptr of int64, shape (S + 1,), where the edges are, got {_what(ptr)}")
    size = ptr.diff()
    if int(ptr[0]) or bool((size < 0).any()):
        raise InvalidGraphError("ptr must start with 0 and not decrease: pass the ptr of a torch_geometric batch")
    weight = None
    if edge_weight is not None:
        if edge_weight.shape != edge_index.shape[1:] or not edge_weight.is_floating_point():
            raise InvalidGraphError(
                f"expected edge_weight of floats, shape ({edge_index.size(1)},), got {_what(edge_weight)}"
            )
        weight = edge_weight.detach().to(torch.float64)
        if not bool(((weight >= 0) & (weight < torch.inf)).all()):
            raise InvalidGraphError("edge_weight must be finite and not negative: got an entry that is not")
    bounds = torch.zeros_like(ptr)
    if edge_index.numel():
        low, high = edge_index.aminmax()
        if not 0 <= int(low) <= int(high) < int(ptr[-1]):
            raise InvalidGraphError(f"edges must join nodes in [0, {int(ptr[-1])}): got {int(low)} to {int(high)}")
        graph = torch.repeat_interleave(size, output_size=int(ptr[-1]))[edge_index]
        if not torch.equal(graph[0], graph[1]):
            raise InvalidGraphError("an edge joins two graphs: ptr does not fit edge_index")
        if bool((graph[0].diff() < 0).any()):
            order = graph[0].argsort(stable=True)
            edge_index, weight = edge_index[:, order], None if weight is None else weight[order]
        bounds[1:] = graph[0].bincount(minlength=size.numel()).cumsum(0)
    return edge_index, ptr.contiguous(), None if weight is None else weight.contiguous(), bounds


def _what(tensor: Tensor) -> str:
    return f"{tensor.dtype}, shape {tuple(tensor.shape)}, on {tensor.device}"


@torch.library.custom_op("graphssl::top_eigenvectors", mutates_args=())
def _top_eigenvectors(
    edge_index: Tensor, weight: Tensor | None, bounds: Tensor, ptr: Tensor, nodes: int, k: int
) -> tuple[Tensor, Tensor]:
    values, vectors = _fake(edge_index, weight, bounds, ptr, nodes, k)
    left = torch.ones_like(bounds[1:])
    if backend.choose("top_eigenvectors", vectors) == "cpp":
        source, target = edge_index.contiguous()
        native.call(
            "top_eigenvectors", source, target, weight, bounds, ptr, values, vectors, left, left.numel(),
            k, native.threads(),
        )  # fmt: skip
    graphs = left.nonzero().squeeze(1)
    if graphs.numel():
        _by_torch(edge_index, weight, bounds, ptr, graphs, values, vectors)
    return values, vectors


@_top_eigenvectors.register_fake
def _fake(
    edge_index: Tensor, weight: Tensor | None, bounds: Tensor, ptr: Tensor, nodes: int, k: int
) -> tuple[Tensor, Tensor]:
    values = torch.empty(ptr.size(0) - 1, k, device=ptr.device)
    return values, torch.empty(nodes, k, device=ptr.device)


def _by_torch(
    edge_index: Tensor, weight: Tensor | None, bounds: Tensor, ptr: Tensor, graphs: Tensor, values: Tensor,
    vectors: Tensor,
) -> None:  # fmt: skip
    """Fill in the eigenvalues and vectors of some graphs, those of similar size together."""
    values[graphs] = 0
    padded = ptr.diff()[graphs].add_(_UNIT - 1) // _UNIT * _UNIT
    entries = _BLOCK_ENTRIES.get(ptr.device.type, _BLOCK_ENTRIES["cuda"])
    for size in padded.unique().tolist():
        if size == 0:
            continue
        for block in graphs[padded == size].split(max(1, entries // size**2)):
            matrix, place = _normalised(edge_index, weight, bounds, ptr, block, size)
            found, basis = torch.linalg.eigh(matrix)
            k = min(values.size(1), size)
            found, basis = found.flip(1)[:, :k], basis.flip(2)[:, :, :k]
            inside = place >= 0  # (B, size)
            missing = torch.arange(k, device=ptr.device) >= inside.sum(1, keepdim=True)  # (B, k)
            magnitude = basis.abs()
            first = (magnitude >= _SAME * magnitude.amax(1, keepdim=True)).int().argmax(1, keepdim=True)
            sign = torch.where(basis.gather(1, first) < 0, -1.0, 1.0)
            values[block, :k] = found.masked_fill(missing, 0).float()
            vectors[place[inside]] = 0
            vectors[place[inside], :k] = (basis * sign).masked_fill(missing[:, None], 0)[inside].float()


def _normalised(
    edge_index: Tensor, weight: Tensor | None, bounds: Tensor, ptr: Tensor, block: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Normalised adjacencies (B, size, size) of float64, and the node of each row (B, size), -1 for padding."""
    n, edges = ptr.diff()[block], bounds.diff()[block]
    row = torch.arange(size, device=ptr.device)
    outside = row >= n[:, None]
    place = (ptr[block, None] + row).masked_fill(outside, -1)
    number = torch.repeat_interleave(edges)  # of the block's graphs, for each of their edges
    edge = torch.arange(number.numel(), device=ptr.device) + (bounds[block] - edges.cumsum(0) + edges)[number]
    u, v = edge_index[:, edge] - ptr[block][number]
    first = number * size**2
    at = torch.cat([first + u * size + v, first + v * size + u])
    value = torch.ones_like(at, dtype=torch.float64) if weight is None else weight[edge].repeat(2)
    matrix = value.new_zeros(block.numel() * size**2).scatter_reduce_(0, at, value, "amax").view(-1, size, size)
    root = matrix.sum(2).rsqrt_()
    root.masked_fill_(root == torch.inf, 0)
    matrix.mul_(root[:, :, None]).mul_(root[:, None])
    matrix.diagonal(dim1=1, dim2=2).masked_fill_(outside, _OUTSIDE)
    return matrix, place
