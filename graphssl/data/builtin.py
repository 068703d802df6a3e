"""Data sets that need no download: handwritten digits as graphs, the karate club, planted communities."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.errors import ConfigurationError

__all__ = ["digits_graphs", "digits_knn", "karate_club", "planted_communities"]


def digits_knn(*, num_neighbors: int = 8) -> Data:
    """Node level: each of scikit-learn's 1,797 digit images joined to its nearest others.

    Parameters
    ----------
    num_neighbors : int
        Neighbours by Euclidean distance of pixels; an edge is kept when either end chose it. Equal distances are
        decided by the smaller index, so that the graph is the same everywhere.

    Returns
    -------
    Data
        ``x`` (1797, 64) pixels in [0, 1], ``edge_index`` with both directions, ``y`` (1797,) the digit, and masks of a
        fixed stratified split: 10 % train, 10 % validation, 80 % test.
    """
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)  # (N, 64) whole numbers from 0 to 16
    count = len(pixels)
    squares = (pixels**2).sum(axis=1)
    distance = squares[:, None] + squares - 2 * pixels @ pixels.T  # (N, N), exact: small whole numbers
    np.fill_diagonal(distance, distance.max() + 1)
    ranked = distance.astype(np.int64) * count + np.arange(count)
    chosen = np.argpartition(ranked, num_neighbors, axis=1)[:, :num_neighbors]
    source = np.repeat(np.arange(count), num_neighbors)
    y = torch.from_numpy(digit.astype(np.int64))
    data = Data(
        x=torch.from_numpy((pixels / 16).astype(np.float32)),
        edge_index=_undirected(source, chosen.reshape(-1), count),
        y=y,
    )
    return _with_masks(data, y, seed=0)


def digits_graphs() -> list[Data]:
    """Graph level: one graph per digit image, with a node for every pixel that has ink.

    Returns
    -------
    list of 1,797 Data
        ``x`` (N, 3): ink in (0, 1], row and column in [0, 1] (from the top left); edges join pixels that touch, also
        at a corner; ``y`` (1,) the digit.
    """
    from sklearn.datasets import load_digits

    images, digit = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    image, row, col = images.nonzero()
    number = np.full(images.shape, -1)
    number[image, row, col] = np.arange(image.size)
    padded = np.pad(number, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    steps = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    touching = np.stack([padded[image, row + i, col + j] for i, j in steps], axis=1)  # (all nodes, 8), -1 for no ink
    source, step = (touching >= 0).nonzero()
    target = touching[source, step]
    x = np.stack([images[image, row, col] / 16, row / 7, col / 7], axis=1).astype(np.float32)

    sizes = np.bincount(image, minlength=len(images))
    first = np.cumsum(sizes) - sizes
    edges = np.stack([source, target]) - first[image[source]]
    counts = np.bincount(image[source], minlength=len(images))
    parts = zip(
        torch.from_numpy(x).split(sizes.tolist()),
        torch.from_numpy(edges).split(counts.tolist(), dim=1),
        torch.from_numpy(digit.astype(np.int64)).split(1),
        strict=True,
    )
    return [Data(x=features, edge_index=edge_index, y=y) for features, edge_index, y in parts]


def karate_club() -> Data:
    """Zachary's karate club: 34 members, 156 directed edges, 4 modularity classes, identity features.

    References
    ----------
    .. [1] Zachary. An Information Flow Model for Conflict and Fission in Small Groups. 1977.
    """
    from torch_geometric.datasets import KarateClub

    return KarateClub()[0]


def planted_communities(
    num_nodes: int = 1000,
    num_classes: int = 4,
    *,
    num_features: int = 32,
    average_degree: float = 10.0,
    homophily: float = 0.8,
    signal: float = 1.5,
    seed: int = 0,
) -> Data:
    """A planted-community graph of any size, in time and memory linear in nodes and edges.

    Each edge starts in a random node and ends, with probability ``homophily``, in a random node of the same class,
    otherwise of another. Features are ``signal`` times a random unit direction of the class plus standard normal noise:
    alone they tell the class poorly, averaged over neighbours well.

    Parameters
    ----------
    num_nodes, num_classes : int
        Classes have equal sizes up to one node.
    num_features : int
        Columns of ``x``.
    average_degree : float
        Mean number of neighbours aimed at; self-loops and repeated edges are dropped, so the graph has slightly fewer.
    homophily : float in [0, 1]
        Share of edges inside a class.
    signal : float
        Distance of a class centre from the origin, in standard deviations of the noise.
    seed : int
        Same seed, same graph.

    Returns
    -------
    Data
        ``x`` (N, F) float32, ``edge_index`` with both directions, ``y`` (N,), and masks of a 10/10/80 percent split.

    References
    ----------
    .. [1] Holland, Laskey, Leinhardt. Stochastic blockmodels: First steps. Social Networks, 1983.
    """
    if num_classes < 2 or num_nodes < 2 * num_classes:
        raise ConfigurationError(f"need 2 classes and 2 nodes a class, got {num_classes} classes and {num_nodes} nodes")
    if not 0 <= homophily <= 1 or average_degree < 0:
        raise ConfigurationError(f"homophily lies in [0, 1] and average_degree >= 0, got {homophily}, {average_degree}")
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(num_nodes) % num_classes)
    members = np.argsort(y, kind="stable")  # nodes grouped by class
    size = np.bincount(y, minlength=num_classes)
    first = np.cumsum(size) - size

    count = round(num_nodes * average_degree / 2)
    source = rng.integers(num_nodes, size=count)
    inside = rng.random(count) < homophily
    # Another class is drawn by moving 1 to C - 1 classes on, so that none is drawn twice as often.
    target_class = np.where(inside, y[source], (y[source] + rng.integers(1, num_classes, size=count)) % num_classes)
    target = members[first[target_class] + (rng.random(count) * size[target_class]).astype(np.int64)]

    centres = rng.standard_normal((num_classes, num_features))
    centres *= signal / np.linalg.norm(centres, axis=1, keepdims=True)
    x = centres[y] + rng.standard_normal((num_nodes, num_features))
    labels = torch.from_numpy(y.astype(np.int64))
    data = Data(
        x=torch.from_numpy(x.astype(np.float32)),
        edge_index=_undirected(source, target, num_nodes),
        y=labels,
    )
    return _with_masks(data, labels, seed=seed)


def _undirected(source: np.ndarray, target: np.ndarray, count: int) -> Tensor:
    """Both directions of every edge once, sorted, without self-loops: ``(2, E)``."""
    keep = source != target
    source, target = source[keep].astype(np.int64), target[keep].astype(np.int64)
    keys = np.unique(np.concatenate([source * count + target, target * count + source]))
    return torch.from_numpy(np.stack([keys // count, keys % count]))


def _with_masks(data: Data, y: Tensor, *, seed: int) -> Data:
    """Add a stratified split of 10 % train, 10 % validation and the rest test; at least one of each a class."""
    rng = np.random.default_rng(seed)
    part = np.full(len(y), 2)
    for label in y.unique().numpy():
        nodes = rng.permutation((y == label).nonzero().view(-1).numpy())
        share = max(1, round(0.1 * len(nodes)))
        part[nodes[:share]], part[nodes[share : 2 * share]] = 0, 1
    for i, mask in enumerate(("train_mask", "val_mask", "test_mask")):
        data[mask] = torch.from_numpy(part == i)
    return data
