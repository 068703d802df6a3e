"""Every registered view passes the public contract suite."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch, Data

from graphssl.errors import ConfigurationError
from graphssl.registry import VIEWS
from graphssl.testing import check_view

ENTRIES = [pytest.param(entry, id=entry.name) for entry in VIEWS]


@pytest.mark.parametrize("entry", ENTRIES)
def test_example(entry):
    check_view(entry.obj(**entry.info["example"]), adds_edges=entry.info.get("adds_edges", False))


@pytest.mark.gpu
@pytest.mark.parametrize("entry", ENTRIES)
def test_example_on_cuda(entry):
    view = entry.obj(**entry.info["example"])
    check_view(view, adds_edges=entry.info.get("adds_edges", False), device="cuda")
    graph = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]])).to("cuda")
    if "p" in entry.info["example"] or entry.name == "random-walk-subgraph":
        with pytest.raises(ConfigurationError, match="generator is on cpu"):
            view(graph, generator=torch.Generator())


@pytest.mark.parametrize("entry", [p for p in ENTRIES if "identity" in p.values[0].info])
def test_identity(entry):
    view = entry.obj(**entry.info["identity"])
    check_view(view)
    graph = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]), edge_attr=torch.rand(3, 2))
    for data in (graph, Batch.from_data_list([graph, graph])):
        out = view(data)
        assert out.keys() == data.keys()
        assert all(out[key] is data[key] for key in data.keys())  # noqa: SIM118


def test_all_views_of_the_design_are_registered():
    expected = {
        "drop-edges", "add-edges", "perturb-edges", "mask-feature-columns", "mask-feature-entries", "mask-nodes",
        "drop-nodes", "random-walk-subgraph", "shuffle-features", "ppr-diffusion", "heat-diffusion", "compose",
        "random-choice", "identity", "adaptive-drop-edges", "adaptive-mask-features",
    }  # fmt: skip
    assert expected <= set(VIEWS.names())


def _in_place(data, *, generator=None):
    data.x.mul_(0)
    return data.clone()


def _forgets_attributes(data, *, generator=None):
    out = data.clone()
    out.edge_index = out.edge_index[:, :1]
    return out


def _ignores_the_generator(data, *, generator=None):
    out = data.clone()
    out.x = torch.rand_like(out.x)
    return out


def _joins_graphs(data, *, generator=None):
    out = data.clone()
    out.edge_index = torch.tensor([[0], [out.num_nodes - 1]])
    out.edge_attr, out.edge_weight = torch.zeros(1, 2), torch.ones(1)
    return out


def _forgets_n_id(data, *, generator=None):
    return data.subgraph(torch.arange(data.num_nodes) < max(1, data.num_nodes - 1))


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (lambda data, *, generator=None: data, "new graph"),
        (_in_place, "was changed"),
        (_forgets_attributes, "edge_attr has"),
        (_ignores_the_generator, "same generator"),
        (_joins_graphs, "joins two graphs"),
        (_forgets_n_id, "n_id"),
    ],
)
def test_the_suite_finds_mistakes(view, message):
    with pytest.raises(AssertionError, match=message):
        check_view(view, adds_edges=True)
