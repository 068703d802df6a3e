"""Losses without a matrix of scores, each equal to its dense namesake in value and gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor

from graphssl import functional as F
from graphssl import pairs
from graphssl.critics import CosineCritic, DotCritic
from graphssl.errors import ConfigurationError
from graphssl.functional import same_graph
from graphssl.ops import backend, native

TIERS = ("torch",) if native.why_missing() else ("torch", "cpp")
GRAPH_OF_NODE = torch.tensor([0, 0, 1, 3, 3, 3, 0, 1, 1, 0])  # graph 2 has no nodes


def rows(n: int, p: int = 4, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def with_gradients(loss: Any, *inputs: Tensor) -> list[Tensor]:
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    value = loss(*inputs)
    return [value.detach(), *torch.autograd.grad(value, inputs)]


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-9) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a.double() - b.double()).norm() <= tolerance * (1e-12 + b.norm()), (a, b)


def stacked(estimator: Any, intra: bool, **options: Any) -> Any:
    def loss(z1: Tensor, z2: Tensor) -> Tensor:
        z = torch.cat([z1, z2])
        return estimator(CosineCritic()(z, z), pairs.two_views(len(z1), intra=intra), **options)

    return loss


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("prior", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("concentration", [None, 0.0, 2.0])
def test_corrected_losses(concentration: float | None, prior: float, temperature: float, intra: bool) -> None:
    z1, z2 = rows(6), rows(6, seed=1)
    options: dict[str, Any] = {"temperature": temperature, "prior": prior}
    blocked, dense = F.two_view_debiased_info_nce_loss, F.debiased_info_nce_loss
    if concentration is not None:
        options["concentration"] = concentration
        blocked, dense = F.two_view_hard_info_nce_loss, F.hard_info_nce_loss
    expected = with_gradients(stacked(dense, intra, **options), z1, z2)
    assert_same(with_gradients(lambda a, b: blocked(a, b, intra=intra, **options), z1, z2), expected)
    for tier in TIERS:
        with backend.use(tier):
            found = with_gradients(lambda a, b: blocked(a, b, intra=intra, **options), z1.float(), z2.float())
        assert_same(found, expected, 1e-4)


def test_without_a_correction_it_is_the_plain_loss() -> None:
    z1, z2 = rows(6), rows(6, seed=1)
    found = with_gradients(lambda a, b: F.two_view_hard_info_nce_loss(a, b, prior=0.0, concentration=0.0), z1, z2)
    assert_same(found, with_gradients(F.two_view_info_nce_loss, z1, z2))


@pytest.mark.parametrize("old", [0, 1, 9])
@pytest.mark.parametrize("temperature", [0.02, 0.5])
def test_queue(temperature: float, old: int) -> None:
    anchors, keys, queue = rows(5), rows(5, seed=1), rows(old, seed=2)

    def dense(anchors: Tensor, keys: Tensor, queue: Tensor) -> Tensor:
        scores = CosineCritic()(anchors, torch.cat([keys, queue]))
        return F.info_nce_loss(scores, pairs.queue(len(anchors), len(queue)), temperature=temperature)

    def blocked(*inputs: Tensor) -> Tensor:
        return F.queue_info_nce_loss(*inputs, temperature=temperature)

    expected = with_gradients(dense, anchors, keys, queue)
    assert_same(with_gradients(blocked, anchors, keys, queue), expected)
    for tier in TIERS:
        with backend.use(tier):
            found = with_gradients(lambda a: blocked(a, keys.float(), queue.float()), anchors.float())
            assert_same(found, expected[:2], 1e-4)


@pytest.mark.parametrize("block", [1, 8, 2**20])
@pytest.mark.parametrize("size", [1.0, 300.0])
def test_same_graph(size: float, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_graph, "_BLOCK_SCORES", block)
    nodes, graphs = size * rows(10), rows(4, seed=1)

    def dense(nodes: Tensor, graphs: Tensor) -> Tensor:
        return F.jsd_loss(DotCritic()(nodes, graphs), pairs.same_graph(GRAPH_OF_NODE, 4))

    found = with_gradients(lambda h, g: F.same_graph_jsd_loss(h, g, GRAPH_OF_NODE), nodes, graphs)
    assert_same(found, with_gradients(dense, nodes, graphs))


def test_same_graph_gradcheck() -> None:
    nodes, graphs = rows(10).requires_grad_(), rows(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda h, g: 3 * F.same_graph_jsd_loss(h, g, GRAPH_OF_NODE), (nodes, graphs))


def test_same_graph_has_no_second_derivative_and_says_so() -> None:
    nodes = rows(10).requires_grad_()
    loss = F.same_graph_jsd_loss(nodes, rows(4, seed=1), GRAPH_OF_NODE)
    with pytest.raises(ConfigurationError, match="differentiable once"):
        torch.autograd.grad(loss, nodes, create_graph=True)


@pytest.mark.parametrize("size", [1.0, 300.0])
def test_node_summary(size: float) -> None:
    real, corrupt, summary = size * rows(10), rows(10, seed=1), rows(4, seed=2)

    def dense(real: Tensor, corrupt: Tensor, summary: Tensor) -> Tensor:
        scores = DotCritic()(summary, torch.cat([real, corrupt]))
        return F.jsd_loss(scores, pairs.real_versus_corrupt(GRAPH_OF_NODE, 4))

    found = with_gradients(lambda *z: F.node_summary_jsd_loss(*z, GRAPH_OF_NODE), real, corrupt, summary)
    assert_same(found, with_gradients(dense, real, corrupt, summary))
    halved = with_gradients(lambda *z: F.node_summary_jsd_loss(*z, GRAPH_OF_NODE) / 2, real, corrupt, summary)

    def bce(real: Tensor, corrupt: Tensor, summary: Tensor) -> Tensor:
        scores = DotCritic()(summary, torch.cat([real, corrupt]))
        return F.bce_loss(scores, pairs.real_versus_corrupt(GRAPH_OF_NODE, 4))

    assert_same(halved, with_gradients(bce, real, corrupt, summary))


def test_scores_of_a_million_pairs_are_not_kept() -> None:
    nodes, graphs = rows(4000, 2).requires_grad_(), rows(300, 2, seed=1)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x), x)[1], lambda x: x):
        F.same_graph_jsd_loss(nodes, graphs, torch.arange(4000) % 300)
        F.node_summary_jsd_loss(nodes, nodes, graphs, torch.arange(4000) % 300)
        F.queue_info_nce_loss(nodes, nodes, graphs)
    assert max(x.untyped_storage().nbytes() for x in kept) <= 8 * 4000 * 2


LOSSES = {
    "debiased": lambda z: F.two_view_debiased_info_nce_loss(z, z.flip(0)),
    "hard": lambda z: F.two_view_hard_info_nce_loss(z, z.flip(0)),
    "queue": lambda z: F.queue_info_nce_loss(z, z.flip(0), z.roll(1)),
    "same graph": lambda z: F.same_graph_jsd_loss(z, z[:4], GRAPH_OF_NODE),
    "node summary": lambda z: F.node_summary_jsd_loss(z, z.flip(0), z[:4], GRAPH_OF_NODE),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_computed_in_float32_and_nan_is_not_hidden(loss: Any) -> None:
    z = rows(10, dtype=torch.float32)
    expected = with_gradients(loss, z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(with_gradients(loss, z), expected, 0.0)
    assert loss(z.bfloat16()).dtype == torch.float32
    z[3, 0] = torch.nan
    assert loss(z).isnan()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_compiles_into_one_graph(loss: Any) -> None:
    z = rows(10, dtype=torch.float32)
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    assert_same(with_gradients(compiled, z), with_gradients(loss, z), 1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.two_view_debiased_info_nce_loss(rows(1), rows(1)),
        lambda: F.two_view_hard_info_nce_loss(rows(3), rows(3), concentration=-1.0),
        lambda: F.two_view_debiased_info_nce_loss(rows(3), rows(3), prior=1.0),
        lambda: F.queue_info_nce_loss(rows(3), rows(3), rows(3, 5)),
        lambda: F.queue_info_nce_loss(rows(3), rows(3), rows(3), temperature=0.0),
        lambda: F.same_graph_jsd_loss(rows(10), rows(1), GRAPH_OF_NODE * 0),
        lambda: F.same_graph_jsd_loss(rows(10), rows(4), GRAPH_OF_NODE[:3]),
        lambda: F.same_graph_jsd_loss(rows(10), rows(4, 3), GRAPH_OF_NODE),
        lambda: F.node_summary_jsd_loss(rows(10), rows(9), rows(4), GRAPH_OF_NODE),
    ],
)
def test_bad_input_is_refused(call: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must|no negative|no other graph|probability"):
        call()
