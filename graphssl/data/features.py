"""Node features: given, normalised, or made from degrees when a graph has none."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data.graphs import GraphList, num_features, num_nodes
from graphssl.errors import InvalidGraphError, unknown_name

__all__ = ["FEATURE_KINDS", "resolve_features", "with_features"]

T = TypeVar("T", Data, Sequence[Data])

#: Every kind; ``degree-one-hot-M`` with a number M in place of the letter.
FEATURE_KINDS = (
    "auto",
    "given",
    "row-normalized",
    "degree",
    "degree-one-hot",
    "degree-one-hot-M",
    "constant",
    "node-labels",
)

DEGREE_CHANNELS = 16
MAX_ONE_HOT_DEGREE = 255
_ONE_HOT = re.compile(r"degree-one-hot-(\d+)")


def with_features(data: T, kind: str = "auto") -> T:
    """The same graph or graphs with ``x`` of the chosen kind. Inputs are unchanged; other tensors are shared.

    Parameters
    ----------
    data : Data or sequence of Data
        One graph (or batch), or several.
    kind : str
        - ``"auto"``: ``"given"`` when there are features, else ``"degree"``.
        - ``"given"``: ``x`` as it is.
        - ``"row-normalized"``: ``x`` divided by the sum of absolute values of its row; rows of zeros stay zeros.
        - ``"degree"``: (N, 16), the position of ``log2(1 + degree)`` on the integer grid 0..15 by linear interpolation:
          at most two entries differ from zero and a row sums to 1. Degrees 0, 1, 3, 7, ... fall on one column. It
          depends on nothing but the node's own degree, so it is the same for graphs that come later.
        - ``"degree-one-hot"``: one column per degree from 0 to the largest in ``data``, at most 255; larger degrees
          share the last column. ``"degree-one-hot-32"`` fixes the largest degree; see :func:`resolve_features`.
        - ``"constant"``: (N, 1) of ones.
        - ``"node-labels"``: ``x`` as given, one-hot node labels in the TU sets; an error when there are none.

    Returns
    -------
    Data, list of Data or GraphList
        New ``Data`` objects; float32 ``x``.

    Raises
    ------
    UnknownNameError
        With the nearest kind.
    InvalidGraphError
        If the kind needs features and a graph has none.

    Notes
    -----
    The degree of a node is the number of edges that end in it, that is of messages it receives; a self-loop counts
    once, duplicate edges each.
    """
    kind = resolve_features(data, kind)
    if hasattr(data, "topology"):  # read in pieces: with the features it has
        return data
    graphs = [data] if isinstance(data, Data) else list(data)
    make = _maker(kind)
    done = []
    for graph in graphs:
        new = copy.copy(graph)
        new.x = make(graph)
        done.append(new)
    if isinstance(data, Data):
        return done[0]
    if isinstance(data, GraphList):
        return GraphList(done, name=data.name, num_classes=data.num_classes)
    return done


def resolve_features(data: Data | Sequence[Data], kind: str = "auto") -> str:
    """The kind that gives the same columns for later graphs: ``auto`` and ``degree-one-hot`` made explicit.

    Examples
    --------
    >>> import torch
    >>> from torch_geometric.data import Data
    >>> star = Data(edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]), num_nodes=4)
    >>> resolve_features(star, "auto"), resolve_features(star, "degree-one-hot")
    ('degree', 'degree-one-hot-3')
    """
    if hasattr(data, "topology"):
        if kind not in ("auto", "given") or num_features(data) == 0:
            raise InvalidGraphError(
                f"a graph on disk is used with the features it was written with, but features={kind!r} and it has "
                f"{num_features(data)} columns: write it with the features you want"
            )
        return "given"
    graphs = [data] if isinstance(data, Data) else list(data)
    known = kind in FEATURE_KINDS and not kind.endswith("-M")
    if not known and not _ONE_HOT.fullmatch(kind):
        raise unknown_name("feature kind", kind, FEATURE_KINDS)
    if kind == "auto":
        given = [graph.x is not None for graph in graphs]
        if any(given) and not all(given):
            raise InvalidGraphError(f"{sum(given)} of {len(given)} graphs have features x: give x to all or to none")
        return "given" if all(given) and num_features(graphs) > 0 else "degree"
    if kind == "degree-one-hot":
        largest = max((int(_degree(graph).max()) for graph in graphs if num_nodes(graph)), default=0)
        return f"degree-one-hot-{min(largest, MAX_ONE_HOT_DEGREE)}"
    return kind


def _maker(kind: str) -> Callable[[Data], Tensor]:
    match = _ONE_HOT.fullmatch(kind)
    if match:
        return lambda graph: _one_hot_degree(graph, int(match[1]))
    return {
        "given": lambda graph: _given(graph, kind),
        "node-labels": lambda graph: _given(graph, kind),
        "row-normalized": lambda graph: _row_normalized(_given(graph, kind)),
        "degree": _soft_degree,
        "constant": lambda graph: torch.ones(num_nodes(graph), 1, device=_device(graph)),
    }[kind]


def _given(graph: Data, kind: str) -> Tensor:
    if graph.x is None or graph.x.size(-1) == 0:
        what = "node labels" if kind == "node-labels" else "features x"
        raise InvalidGraphError(f"features={kind!r} needs {what}, but the graph has none: use 'degree' or 'constant'")
    return graph.x.float()


def _row_normalized(x: Tensor) -> Tensor:
    total = x.abs().sum(dim=1, keepdim=True)  # (N, 1)
    return x / total.masked_fill(total == 0, 1.0)


def _device(graph: Data) -> torch.device | None:
    return graph.edge_index.device if graph.edge_index is not None else None


def _degree(graph: Data) -> Tensor:
    return torch.bincount(graph.edge_index[1], minlength=num_nodes(graph))  # (N,)


def _soft_degree(graph: Data) -> Tensor:
    position = torch.log2(1.0 + _degree(graph).float()).clamp(max=DEGREE_CHANNELS - 1)  # (N,)
    grid = torch.arange(DEGREE_CHANNELS, device=position.device)
    return (1.0 - (position[:, None] - grid).abs()).clamp(min=0.0)  # (N, 16)


def _one_hot_degree(graph: Data, largest: int) -> Tensor:
    degree = _degree(graph).clamp(max=largest)
    return torch.nn.functional.one_hot(degree, largest + 1).float()  # (N, largest + 1)
