"""A subgraph around each seed: random walks with restart, ego nets; as one PyG batch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from graphssl.checks import whole_number
from graphssl.data import graph_source
from graphssl.errors import ConfigurationError
from graphssl.ops import Subgraphs, ego_nets, walk_subgraphs
from graphssl.registry import SAMPLERS

__all__ = ["EgoNets", "RandomWalkSubgraphs"]


@SAMPLERS.register("random-walk-subgraphs", example={"walk_length": 16})
class RandomWalkSubgraphs:
    """The subgraph induced by the nodes that a random walk with restart visits.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
        Walks follow the direction of edges, and choose them in proportion to ``weight_attr`` where a ``Data`` has it.
    walk_length : int
        Number of moves.
    restart_prob : float in [0, 1]
        Probability of going back to the seed before a move.
    weight_attr : str, optional
    attributes : bool
        Whether what nodes and edges carry is put into the batch; without, the topology alone.

    References
    ----------
    .. [1] Tong, Faloutsos, Pan. Fast Random Walk with Restart and Its Applications. ICDM 2006.
    .. [2] Qiu et al. GCC: Graph Contrastive Coding for Graph Neural Network Pre-Training. KDD 2020. Section 3.2.

    Examples
    --------
    >>> import graphssl, torch
    >>> sampler = graphssl.samplers.RandomWalkSubgraphs(graphssl.load_dataset("karate"), walk_length=8)
    >>> batch = sampler.sample(torch.tensor([5, 0]), seed=1)
    >>> batch.num_graphs, batch.n_id[batch.ptr[:-1]].tolist()
    (2, [5, 0])
    """

    def __init__(
        self,
        data: Any,
        walk_length: int = 64,
        restart_prob: float = 0.8,
        *,
        weight_attr: str | None = "edge_weight",
        attributes: bool = True,
    ) -> None:
        if not 0 <= restart_prob <= 1:
            raise ConfigurationError(f"restart_prob is a probability in [0, 1], got {restart_prob}")
        self.source = graph_source(data, weight_attr=weight_attr)
        self.walk_length = whole_number("walk_length", walk_length, 0)
        self.restart_prob, self.attributes = restart_prob, attributes

    def sample(self, seeds: Tensor, seed: int = 0, *, streams: Tensor | None = None) -> Batch:
        """One graph for each seed.

        Parameters
        ----------
        seeds : Tensor, array or list of integers, shape (S,)
            May repeat.
        seed : int
            Of the random numbers.
        streams : Tensor, array or list of integers, shape (S,), optional
            Which stream of random numbers each seed draws from. Default: by the seed's id, and by how often it stood
            before, so that equal seeds differ and a seed's subgraph does not depend on the batch.

        Returns
        -------
        Batch
            The seed is the first node of its graph. ``n_id`` and ``e_id``: which nodes and edges of the graph it has.
        """
        found = walk_subgraphs(
            self.source.topology("out"), seeds, self.walk_length, restart=self.restart_prob, seed=seed, streams=streams
        )
        return to_batch(self.source, found, attributes=self.attributes)


@SAMPLERS.register("ego-nets", example={"hops": 1})
class EgoNets:
    """The subgraph induced by the nodes that are at most some hops from a seed.

    Parameters
    ----------
    data : Data, DiskGraph, or (FeatureStore, GraphStore)
        Hops follow the direction of edges.
    hops : int
    max_nodes : int, optional
        Nodes of a subgraph at most: of the hop at which there would be more, a uniform sample is kept.
    attributes : bool
        Whether what nodes and edges carry is put into the batch.
    """

    def __init__(self, data: Any, hops: int = 2, *, max_nodes: int | None = None, attributes: bool = True) -> None:
        self.source, self.hops, self.attributes = graph_source(data), whole_number("hops", hops, 0), attributes
        self.max_nodes = None if max_nodes is None else whole_number("max_nodes", max_nodes, 1)

    def sample(self, seeds: Tensor, seed: int = 0, *, streams: Tensor | None = None) -> Batch:
        """One graph for each seed, as :meth:`RandomWalkSubgraphs.sample` gives them."""
        csr = self.source.topology("out")
        found = ego_nets(csr, seeds, self.hops, max_nodes=self.max_nodes, seed=seed, streams=streams)
        return to_batch(self.source, found, attributes=self.attributes)


def to_batch(source: Any, found: Subgraphs, *, attributes: bool = True) -> Batch:
    """Subgraphs as a PyG batch; ``to_data_list`` takes it apart."""
    sizes = found.ptr.diff()
    rows: dict[str, Any] = {}
    edges: dict[str, Any] = {}
    if attributes:
        rows = _as_collated(source.node_rows(found.node), found.ptr)
        edges = _as_collated(source.edge_rows(found.edge), found.edge_ptr)
    rows, edges = {**rows, "n_id": found.node}, {**edges, "e_id": found.edge}
    batch: Any = Batch(edge_index=found.edge_index, **rows, **edges)
    graphs = sizes.numel()
    batch.batch = found.batch
    batch.ptr = found.ptr
    zeros = torch.zeros(graphs, dtype=torch.int64)
    node_ptr, edge_ptr = found.ptr.cpu(), found.edge_ptr.cpu()
    batch._num_graphs = graphs
    batch._slice_dict = {**dict.fromkeys(rows, node_ptr), **dict.fromkeys(edges, edge_ptr), "edge_index": edge_ptr}
    lists = [name for name, value in {**rows, **edges}.items() if isinstance(value, list)]
    batch._slice_dict.update(dict.fromkeys(lists, torch.arange(graphs + 1)))
    batch._inc_dict = {**dict.fromkeys([*rows, *edges], zeros), "edge_index": node_ptr[:-1]}
    if "x" not in rows:
        batch.num_nodes = found.node.numel()
        batch.stores[0]._num_nodes = sizes.tolist()
    return batch


def _as_collated(rows: dict[str, Any], ptr: Tensor) -> dict[str, Any]:
    """Attributes as PyG keeps them in a batch: numbers as one tensor, anything else as a list with an entry a graph."""
    collated, bounds = {}, ptr.tolist()
    for name, value in rows.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            value = torch.from_numpy(value)
        if not isinstance(value, Tensor):
            value = [value[start:stop] for start, stop in pairwise(bounds)]
        collated[name] = value
    return collated
