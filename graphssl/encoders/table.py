"""A table: one learnt vector for each node, whatever its features and edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.data import NodeBlocks, num_nodes
from graphssl.encoders.base import Encoder
from graphssl.encoders.sampled import num_seeds
from graphssl.errors import ConfigurationError, NotInductiveError

__all__ = ["Table"]


class Table(Encoder):
    """One row for each node of one graph.

    Parameters
    ----------
    nodes : int
        N, the number of nodes.
    out_channels : int
        D.
    zero : bool
        Begin with zeros, as word2vec does with vectors of contexts; else with numbers between -1 / (2 D) and 1 / (2 D).

    Notes
    -----
    1. No registered encoder: those are layers, from features to features, and know no number of nodes.
    2. The gradient is dense: a step costs O(N D) however few rows a batch reads.

    References
    ----------
    .. [1] Mikolov, Sutskever, Chen, Corrado, Dean. Distributed Representations of Words and Phrases and their
       Compositionality. 2013. (Initial values: word2vec.c.)
    """

    def __init__(self, nodes: int, out_channels: int, *, zero: bool = False) -> None:
        super().__init__()
        if nodes < 1 or out_channels < 1:
            raise ConfigurationError(f"a table needs nodes and out_channels of at least 1, got {nodes}, {out_channels}")
        self.in_channels, self.out_channels, self.zero = -1, out_channels, zero
        self.weight = nn.Parameter(torch.empty(nodes, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the rows anew."""
        bound = 0.0 if self.zero else 0.5 / self.out_channels
        nn.init.uniform_(self.weight, -bound, bound)

    def rows(self, nodes: Tensor) -> Tensor:
        """The rows of these nodes, of any shape (...): (..., D)."""
        return nn.functional.embedding(nodes, self.weight)

    def forward(self, data: Data | NodeBlocks) -> Tensor:
        """All rows, shape (N, D); of a sampled batch those of its nodes ``n_id``, or of its seeds alone.

        Raises
        ------
        NotInductiveError
            If the graph has another number of nodes than the table has rows.
        """
        if isinstance(data, Data) and "n_id" in data:
            return self.rows(data.n_id[: num_seeds(data)])
        count = data.num_nodes if isinstance(data, NodeBlocks) else num_nodes(data)
        if count != self.weight.size(0):
            raise NotInductiveError(
                f"the table has a row for each of the {self.weight.size(0)} nodes it was made for, got a graph of "
                f"{count} nodes: embed the graph it was trained on"
            )
        return self.weight.clone()  # the parameter itself would change under the caller as training goes on
