"""What every method must satisfy, whatever its objective."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphssl.errors import GraphSSLError, NotInductiveError
from graphssl.method import Method, create_method, seeded
from graphssl.registry import METHODS
from graphssl.training import embed_data, train

__all__ = ["check_method", "example_graph", "example_graphs"]


def example_graph(num_nodes: int = 24, num_features: int = 8, *, seed: int = 0, isolated: int = 2) -> Data:
    """A random undirected graph with isolated nodes at the end."""
    generator = torch.Generator().manual_seed(seed)
    connected = max(num_nodes - isolated, 1)
    ends = torch.randint(connected, (2, 3 * num_nodes), generator=generator)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = torch.cat([ends, ends.flip(0)], dim=1).unique(dim=1)
    return Data(x=torch.rand(num_nodes, num_features, generator=generator), edge_index=edge_index)


def example_graphs(count: int = 6, *, seed: int = 0) -> list[Data]:
    """Random graphs of different sizes."""
    return [example_graph(8 + 3 * i, seed=seed + i, isolated=1) for i in range(count)]


def check_method(name: str, **options: Any) -> None:
    """Check a registered method of level ``node`` or ``graph``; raises AssertionError on the first failure.

    The loss is a finite scalar, its gradient reaches every trainable and no frozen parameter, inputs stay as they
    were; ``embed`` is deterministic in eval mode, follows a relabelling of the nodes (unless the method says
    ``equivariant = False``), and treats a batch as its graphs alone; the state survives ``state_dict`` and pickle;
    training lowers nothing to NaN, repeats bit for bit with the same seed and leaves the caller's random state alone;
    edgeless graphs, self-loops and duplicate edges pass; one node, or a batch of one graph, gives a finite loss or a
    typed error of one line. A method with ``inductive = False`` is made anew for each of these graphs, refuses to embed
    a graph of another size with a typed error, and may refuse to train on one without edges.
    """
    level = METHODS.get(name).info["level"]
    graphs = example_graphs()
    data: Any = graphs if level == "graph" else example_graph()
    batch = Batch.from_data_list(graphs) if level == "graph" else data
    method = create_method(name, data, seed=1, **options)
    _check_loss(name, method, batch)
    _check_embedding(name, method, data, batch, level)
    _check_state(name, method, data, batch, options)
    _check_training(name, data, options)
    _check_odd_graphs(name, method, level, options)


def _check_loss(name: str, method: Method, batch: Data) -> None:
    before = _tensors(batch)
    method.train()
    with seeded(0):
        loss = method.loss(batch)
    assert loss.shape == (), f"{name}: loss must be a scalar, got shape {tuple(loss.shape)}"
    assert torch.isfinite(loss), f"{name}: loss is {float(loss.detach())}"
    loss.backward()
    for key, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name}: no gradient on {key}"
            assert torch.isfinite(parameter.grad).all(), f"{name}: gradient of {key} is not finite"
        else:
            assert parameter.grad is None, f"{name}: frozen parameter {key} received a gradient"
    method.zero_grad(set_to_none=True)
    after = _tensors(batch)
    assert before.keys() == after.keys(), f"{name}: loss changed the batch's attributes"
    for key, (value, version) in before.items():
        assert torch.equal(value, after[key][0]), f"{name}: loss changed batch.{key}"
        assert after[key][1] == version, f"{name}: loss wrote to batch.{key} in place"


def _check_embedding(name: str, method: Method, data: Any, batch: Data, level: str) -> None:
    method.eval()
    embedding = _embed(method, batch)
    rows = len(data) if level == "graph" else batch.num_nodes
    assert embedding.dim() == 2, f"{name}: embed must give a matrix"
    assert embedding.size(0) == rows, f"{name}: embed must give {rows} rows, got {embedding.size(0)}"
    assert torch.equal(embedding, _embed(method, batch)), f"{name}: embed is not deterministic in eval mode"
    if level == "graph":
        alone = torch.cat([_embed(method, Batch.from_data_list([graph])) for graph in data])
        _assert_close(alone, embedding, f"{name}: a graph's embedding depends on its batch")
        if not method.equivariant:
            return
        relabelled = Batch.from_data_list([_relabel(graph)[0] for graph in data])
        _assert_close(_embed(method, relabelled), embedding, f"{name}: relabelling nodes changes graph embeddings")
    elif method.equivariant:
        relabelled, order = _relabel(data)
        _assert_close(_embed(method, relabelled), embedding[order], f"{name}: embeddings do not follow a relabelling")


def _check_state(name: str, method: Method, data: Any, batch: Data, options: dict[str, Any]) -> None:
    expected = _embed(method, batch)
    other = create_method(name, data, seed=2, **options).eval()
    other.load_state_dict(method.state_dict())
    assert torch.equal(_embed(other, batch), expected), f"{name}: state_dict does not restore the embedding"
    restored = pickle.loads(pickle.dumps(method))
    assert torch.equal(_embed(restored, batch), expected), f"{name}: pickling changes the embedding"
    assert torch.equal(_embed(copy.deepcopy(method), batch), expected), f"{name}: deepcopy changes the embedding"


def _check_training(name: str, data: Any, options: dict[str, Any]) -> None:
    outcomes = []
    for _ in range(2):
        stream = torch.get_rng_state()
        method = create_method(name, data, seed=3, **options)
        history = train(method, data, steps=3, lr=1e-3, seed=3, device="cpu")
        assert torch.equal(stream, torch.get_rng_state()), f"{name}: the caller's random state was changed"
        outcomes.append((history.loss, embed_data(method, data, device="cpu")))
    assert outcomes[0][0] == outcomes[1][0], f"{name}: the same seed gives other losses"
    assert torch.equal(outcomes[0][1], outcomes[1][1]), f"{name}: the same seed gives other embeddings"


def _check_odd_graphs(name: str, method: Method, level: str, options: dict[str, Any]) -> None:
    width = 8
    edgeless = Data(x=torch.rand(5, width), edge_index=torch.zeros(2, 0, dtype=torch.long))
    loops = Data(x=torch.rand(3, width), edge_index=torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 0, 2]]))
    single = Data(x=torch.rand(1, width), edge_index=torch.zeros(2, 0, dtype=torch.long))
    other = [example_graph(isolated=0)] if level == "graph" else []
    for label, graph in {"edgeless": edgeless, "looped": loops, "single-node": single}.items():
        batch = Batch.from_data_list([graph, *other])
        may_refuse = batch.num_nodes == 1
        if not method.inductive:
            _check_refuses_to_embed(name, method, batch, label)
            method = create_method(name, batch, seed=1, **options)
            may_refuse = batch.num_edges == 0
        _check_finite_or_refused(name, method, batch, label, may_refuse=may_refuse)
        method.eval()
        assert torch.isfinite(_embed(method, batch)).all(), f"{name}: embedding of a {label} graph is not finite"
    if level == "graph":
        _check_finite_or_refused(name, method, Batch.from_data_list(other), "lone", may_refuse=True)


def _check_refuses_to_embed(name: str, method: Method, batch: Data, label: str) -> None:
    """Rows of the nodes trained on are no embedding of a graph with another number of nodes."""
    try:
        _embed(method.eval(), batch)
    except NotInductiveError:
        return
    raise AssertionError(f"{name}: embeds a {label} graph of another size, though it says inductive = False")


def _check_finite_or_refused(name: str, method: Method, batch: Data, label: str, *, may_refuse: bool) -> None:
    """One node, or one graph, has nothing to be contrasted with: a typed error of one line will do."""
    method.train()
    try:
        with seeded(0):
            loss = method.loss(batch)
    except GraphSSLError as error:
        assert may_refuse, f"{name}: refuses a {label} graph: {error}"
        assert "\n" not in str(error), f"{name}: the error for a {label} graph has more than one line"
    else:
        assert torch.isfinite(loss), f"{name}: loss on a {label} graph is {float(loss.detach())}"


def _embed(method: Method, batch: Data) -> Tensor:
    with torch.no_grad():
        return method.embed(batch)


def _tensors(batch: Data) -> dict[str, tuple[Tensor, int]]:
    return {key: (value.clone(), value._version) for key, value in batch.to_dict().items() if torch.is_tensor(value)}


def _relabel(graph: Data) -> tuple[Data, Tensor]:
    order = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(5))
    position = torch.empty_like(order).scatter_(0, order, torch.arange(order.numel()))
    return Data(x=graph.x[order], edge_index=position[graph.edge_index]), order


def _assert_close(actual: Tensor, expected: Tensor, message: str) -> None:
    scale = max(1.0, float(expected.abs().max()))
    worst = float((actual - expected).abs().max()) / scale
    assert worst < 1e-4, f"{message} (largest relative difference {worst:.2g})"
