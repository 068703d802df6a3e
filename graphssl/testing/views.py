"""What every view must satisfy, whatever it changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphssl.data import graph_of_node, num_graphs, num_nodes
from graphssl.method import seeded
from graphssl.views import View

__all__ = ["check_view"]


def check_view(view: View, *, adds_edges: bool = False, device: str = "cpu") -> None:
    """Check a view on graphs and batches of every awkward kind.

    Duplicate edges and self-loops, isolated nodes, no edges, one node, as many edges as nodes, several graphs and one
    graph in a batch. The input stays as it was, down to the version of its tensors. The same generator, or the same
    default stream, gives the same view, and a generator leaves the default stream alone. Per-node and per-edge
    attributes stay aligned, removed nodes are accounted for by ``n_id``, also when the view is applied twice;
    a batch keeps its graphs, each with at least one node and no edge between two, and still splits into them.

    Parameters
    ----------
    view : View
        Called as ``view(data, generator=generator)`` on graphs with ``x`` (N, 4).
    adds_edges : bool
        Whether the result may have edges that the input has not: otherwise each edge must be an edge of
        the input, once, with its own attributes.
    device : str
        Where the graphs are, and the random numbers drawn.

    Raises
    ------
    AssertionError
        At the first failure, naming the graph and what is wrong.
    """
    for name, example in _example_inputs().items():
        data = example.to(device)
        where = f"{view!r} on {name}"
        before = snapshot(data)
        out = view(data, generator=_generator(0, device))
        assert isinstance(out, type(data)), f"{where}: expected a {type(data).__name__}, got {type(out).__name__}"
        assert out is not data, f"{where}: returned its input, not a new graph"
        check_unchanged(where, before, data)
        _check_randomness(where, view, data, out, device)
        twice = view(out, generator=_generator(1, device))
        for label, result in ((where, out), (f"{where}, twice", twice)):
            rows = _check_nodes(label, result, data)
            _check_edges(label, result, data, rows, adds_edges)
            if "batch" in data:
                _check_batch(label, result, data, rows)


def _example_inputs() -> dict[str, Data]:
    graphs = {
        "a graph with loops, duplicates and isolated nodes": labelled_graph(
            9, [[0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5], [1, 1, 0, 2, 1, 2, 3, 2, 5, 5, 4]]
        ),
        "a graph with as many edges as nodes": labelled_graph(6, [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]]),
        "a graph without edges": labelled_graph(5, [[], []]),
        "one node": labelled_graph(1, [[], []]),
        "one node with a loop": labelled_graph(1, [[0], [0]]),
    }
    several = [_with_graph_label(graph, label) for label, graph in enumerate(graphs.values())]
    batches = {"a batch of several": Batch.from_data_list(several), "a batch of one": Batch.from_data_list(several[:1])}
    return graphs | batches


def labelled_graph(nodes: int, edges: list[list[int]]) -> Data:
    edge_index = torch.tensor(edges, dtype=torch.long)
    number = torch.arange(edge_index.size(1))
    return Data(
        x=torch.rand(nodes, 4, generator=_generator(nodes)) + 0.1,
        edge_index=edge_index,
        edge_attr=torch.stack([number, number], dim=1).float(),
        edge_weight=0.5 + number.float(),
        node_label=torch.arange(nodes),
        train_mask=torch.arange(nodes) % 2 == 0,
    )


def _with_graph_label(graph: Data, label: int) -> Data:
    graph = graph.clone()
    graph.y, graph.name = torch.tensor([label]), f"graph {label}"
    return graph


def _generator(seed: int, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def _default_stream(device: str) -> Tensor:
    return torch.cuda.get_rng_state(device) if torch.device(device).type == "cuda" else torch.get_rng_state()


def snapshot(data: Data) -> dict[str, Any]:
    content = data.to_dict()
    return {key: (value, value.clone(), value._version) for key, value in content.items() if isinstance(value, Tensor)}


def check_unchanged(where: str, before: dict[str, Any], data: Data) -> None:
    after = {key: value for key, value in data.to_dict().items() if isinstance(value, Tensor)}
    assert after.keys() == before.keys(), f"{where}: the input had {sorted(before)}, now it has {sorted(after)}"
    for key, (value, copy, version) in before.items():
        assert after[key] is value, f"{where}: the input's {key} was replaced"
        assert torch.equal(value, copy), f"{where}: the input's {key} was changed"
        assert value._version == version, f"{where}: the input's {key} was written in place"


def _check_randomness(where: str, view: View, data: Data, out: Data, device: str) -> None:
    state = _default_stream(device)
    assert_same(f"{where}: the same generator gives another view", out, view(data, generator=_generator(0, device)))
    assert torch.equal(_default_stream(device), state), f"{where}: the default stream was used beside the generator"
    views = []
    for _ in range(2):
        with seeded(0):
            views.append(view(data))
    assert_same(f"{where}: torch.manual_seed does not determine the view", *views)


def assert_same(message: str, first: Data, second: Data) -> None:
    a, b = first.to_dict(), second.to_dict()
    assert a.keys() == b.keys(), message
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, Tensor) else value == b[key], f"{message} ({key})"


def _check_nodes(where: str, out: Data, data: Data) -> Tensor:
    """The input's row of each node of the result, (N',)."""
    nodes, before = num_nodes(out), num_nodes(data)
    assert out.num_nodes == nodes, f"{where}: num_nodes is {out.num_nodes}, but there are {nodes}"
    assert 0 < nodes <= before, f"{where}: {nodes} nodes of {before}"
    assert nodes == before or "n_id" in out, f"{where}: nodes were removed, but there is no n_id"
    rows = out.n_id if "n_id" in out else torch.arange(before, device=data.x.device)
    for key in ("x", "node_label", "train_mask"):
        assert out[key].size(0) == nodes, f"{where}: {key} has {out[key].size(0)} rows for {nodes} nodes"
    for key in ("node_label", "train_mask"):
        assert torch.equal(out[key], data[key][rows]), f"{where}: n_id and the rows of {key} do not fit"
    return rows


def _check_edges(where: str, out: Data, data: Data, rows: Tensor, adds_edges: bool) -> None:
    edge_index = out.edge_index
    assert edge_index is not None, f"{where}: there is no edge_index"
    assert edge_index.dtype == torch.long, f"{where}: edge_index must be int64, got {edge_index.dtype}"
    assert edge_index.dim() == 2, f"{where}: edge_index must be (2, E), got {tuple(edge_index.shape)}"
    edges, nodes = edge_index.size(1), num_nodes(out)
    in_range = not edges or (int(edge_index.min()) >= 0 and int(edge_index.max()) < nodes)
    assert in_range, f"{where}: edge_index points outside [0, {nodes})"
    for key in ("edge_attr", "edge_weight"):
        assert key not in out or out[key].size(0) == edges, f"{where}: {key} has {out[key].size(0)} rows, not {edges}"
    if adds_edges:
        return
    assert "edge_attr" in out, f"{where}: edge_attr was lost"
    assert "edge_weight" in out, f"{where}: edge_weight was lost"
    graph = graph_of_node(data)[rows[edge_index[0]]]
    # edge_attr numbers the edges within each graph
    assert data.edge_index is not None
    count = torch.bincount(graph_of_node(data)[data.edge_index[0]], minlength=num_graphs(data))
    number = out.edge_attr[:, 0].long() + (count.cumsum(0) - count)[graph]
    assert number.unique().numel() == edges, f"{where}: an edge appears twice"
    assert torch.equal(rows[edge_index], data.edge_index[:, number]), f"{where}: edges and edge_attr do not fit"
    assert torch.equal(out.edge_weight, data.edge_weight[number]), f"{where}: edges and edge_weight do not fit"


def _check_batch(where: str, out: Any, data: Any, rows: Tensor) -> None:
    graphs = data.num_graphs
    assert out.num_graphs == graphs, f"{where}: {out.num_graphs} graphs of {graphs}"
    assert torch.equal(out.batch, data.batch[rows]), f"{where}: batch does not fit the nodes kept"
    sizes = torch.bincount(out.batch, minlength=graphs)
    assert bool((sizes > 0).all()), f"{where}: a graph lost all its nodes"
    assert torch.equal(out.ptr.diff(), sizes), f"{where}: ptr does not fit batch"
    source, target = out.batch[out.edge_index]
    assert torch.equal(source, target), f"{where}: an edge joins two graphs of the batch"
    assert torch.equal(out.y, data.y), f"{where}: labels of graphs were changed"
    for index, part in enumerate(out.to_data_list()):
        label = f"{where}: graph {index} of the batch"
        assert torch.equal(part.x, out.x[out.batch == index]), f"{label} does not get its nodes back"
        own = out.edge_index[:, source == index] - out.ptr[index]
        assert torch.equal(part.edge_index, own), f"{label} does not get its edges back"
        assert part.name == data.name[index], f"{label} does not get its name back"
