"""A graph read in blocks of nodes, each with all its neighbours: what embeds a graph that does not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl.data.source import GraphSource, degrees, graph_source
from graphssl.errors import ConfigurationError
from graphssl.ops import sample_neighbours
from graphssl.ops.mapped import DEFAULT_MEMORY, empty_mapped

__all__ = ["DEFAULT_MEMORY", "NodeBlocks"]


class NodeBlocks:
    """A graph for an encoder to go through layer by layer, in blocks of consecutive nodes.

    Parameters
    ----------
    graph : Data, DiskGraph or (FeatureStore, GraphStore)
    memory_bytes : int
        What the tensors of one block may take, about; at least one node with its neighbours is read at a time. Results
        larger than this are written to files, which the system may keep in memory but takes back when it needs it.
    device : torch.device
        Where blocks are put; results are on the CPU.
    folder : path, optional
        Where the files of results are made, default the system's folder for temporary files. They have no name there
        and are gone once nobody holds the result.
    """

    def __init__(
        self,
        graph: Any,
        *,
        memory_bytes: int = DEFAULT_MEMORY,
        device: torch.device | str = "cpu",
        folder: str | Path | None = None,
    ) -> None:
        if memory_bytes < 1:
            raise ConfigurationError(f"memory_bytes must be positive, got {memory_bytes}")
        self.source: GraphSource = graph_source(graph)
        self.memory_bytes, self.device, self.folder = memory_bytes, torch.device(device), folder

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.source.num_nodes

    def blocks(
        self, features: Tensor | None, *, width: int, neighbours: bool = True
    ) -> Iterator[tuple[slice, Tensor, Data]]:
        """Blocks of nodes, with their features and edges.

        Parameters
        ----------
        features : Tensor, shape (N, in), optional
            Read instead of the graph's ``x``.
        width : int
            Numbers that the work on a block needs for each of its rows, beside the features.
        neighbours : bool
            Whether a block holds the nodes from which edges come into it.

        Yields
        ------
        rows : slice
            Which nodes of the graph the first ``len(rows)`` rows are.
        x : Tensor, shape (rows and neighbours, in)
        data : Data
            ``edge_index``, ``edge_weight`` where the graph has it, ``whole_in_degree`` and ``whole_norm_degree``.
        """
        columns = self.source.num_features if features is None else features.size(1)
        csr = self.source.topology("in")
        for rows in self.ranges(4 * (columns + width) + 64, neighbours=neighbours):
            nodes, data = torch.arange(rows.start, rows.stop), Data()
            if neighbours:
                found = sample_neighbours(csr, nodes, [-1])
                nodes = found.node
                data.edge_index = torch.stack([found.row, found.col])
                weight = self.source.edge_rows(found.edge).get("edge_weight")
                if weight is not None:
                    data.edge_weight = weight
                data.whole_in_degree, data.whole_norm_degree = degrees(self.source, nodes)
            x = self.source.node_rows(nodes)["x"] if features is None else features[nodes.cpu()]
            yield rows, x.to(self.device), data.to(self.device)

    @torch.no_grad()
    def map(
        self, work: Callable[[Tensor, Data], Tensor], features: Tensor | None, *, out_channels: int, width: int,
        neighbours: bool = True,
    ) -> Tensor:  # fmt: skip
        """A result for every node, (N, out_channels): the first rows of ``work(x, data)`` on each of :meth:`blocks`."""
        out = self.output(out_channels)
        for rows, x, data in self.blocks(features, width=width, neighbours=neighbours):
            out[rows] = work(x, data)[: rows.stop - rows.start].cpu()
        return out

    def ranges(self, row_bytes: int, *, neighbours: bool = False) -> Iterator[slice]:
        """Consecutive nodes whose rows fit into the memory, with those of as many neighbours as they have edges."""
        ptr = self.source.topology("in").ptr.cpu()
        start, most = 0, max(1, self.memory_bytes // row_bytes)
        while start < self.num_nodes:
            stop = min(self.num_nodes, start + most)
            if neighbours:
                cost = ptr[start + 1 : stop + 1] - ptr[start] + torch.arange(1, stop - start + 1)
                stop = start + max(1, int(torch.searchsorted(cost, most, right=True)))
            yield slice(start, stop)
            start = stop

    def output(self, width: int) -> Tensor:
        """Room for a result, (N, width) of float32 on the CPU: in memory when it is small, else in a file."""
        return empty_mapped(
            self.num_nodes, width, dtype=torch.float32, memory_bytes=self.memory_bytes, folder=self.folder
        )
