"""Negative edges of a graph in any form; what they are is tested with the op, in tests/ops/test_negatives.py."""

from __future__ import annotations

import pytest
import torch

from graphssl import ops
from graphssl.data import graph_source, topology_of, write_graph
from graphssl.errors import ConfigurationError, InvalidGraphError
from graphssl.samplers import negative_edges
from graphssl.testing.samplers import example_inputs


def test_every_form_of_a_graph_has_the_same_ones(tmp_path):
    data = example_inputs()["a directed graph"]
    data.edge_attr = None
    disk = write_graph(tmp_path / "g", data)
    csr = graph_source(data).topology("out")
    assert topology_of(csr) is csr
    expected = ops.negative_edges(csr, 8, seed=3, self_loops=True)
    for graph in (data, csr, disk, (disk, disk), (data, data)):
        assert torch.equal(negative_edges(graph, 8, seed=3, self_loops=True), expected)
    edges = set(map(tuple, data.edge_index.t().tolist()))
    assert not edges & set(map(tuple, expected.t().tolist()))


def test_what_is_no_graph_and_no_number_is_named():
    data = example_inputs()["a directed graph"]
    for num in (2.5, -1, "two", torch.tensor(1.5), None):
        with pytest.raises(ConfigurationError, match="num >= 0 as a whole number"):
            negative_edges(data, num)
    with pytest.raises(InvalidGraphError, match="expected one graph"):
        negative_edges(data.edge_index, 2)
