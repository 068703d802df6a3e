import inspect
import math

import pytest
import torch
from torch import Tensor, nn

from graphssl.critics import BilinearCritic, CosineCritic, DotCritic, MLPCritic
from graphssl.method import seeded
from graphssl.registry import CRITICS, Entry


def build(entry: Entry, dim_a: int, dim_c: int) -> nn.Module:
    learned = "dim_a" in inspect.signature(entry.obj).parameters
    with seeded(0):
        module: nn.Module = entry.obj(dim_a, dim_c) if learned else entry.obj()
    return module.double()


def vectors(count: int, dim: int, seed: int) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dims(entry: Entry) -> tuple[int, int]:
    return (3, 5) if entry.info.get("learned") else (3, 3)


@pytest.mark.parametrize(("num_anchors", "num_candidates"), [(4, 2), (2, 4), (1, 6), (6, 1)])
@pytest.mark.parametrize("entry", CRITICS, ids=lambda entry: entry.name)
def test_each_score_depends_on_its_own_pair_only(entry: Entry, num_anchors: int, num_candidates: int) -> None:
    dim_a, dim_c = dims(entry)
    critic = build(entry, dim_a, dim_c)
    anchors, candidates = vectors(num_anchors, dim_a, 0), vectors(num_candidates, dim_c, 1)
    scores = critic(anchors, candidates)
    assert scores.shape == (num_anchors, num_candidates)
    for a in range(num_anchors):
        for c in range(num_candidates):
            torch.testing.assert_close(scores[a, c], critic(anchors[a : a + 1], candidates[c : c + 1])[0, 0])


@pytest.mark.parametrize("entry", CRITICS, ids=lambda entry: entry.name)
def test_gradcheck(entry: Entry) -> None:
    dim_a, dim_c = dims(entry)
    critic = build(entry, dim_a, dim_c)
    inputs = (vectors(3, dim_a, 0).requires_grad_(), vectors(4, dim_c, 1).requires_grad_())
    assert torch.autograd.gradcheck(critic, inputs)
    critic(*inputs).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in critic.parameters())


def test_by_loops() -> None:
    anchors, candidates = vectors(3, 2, 0), vectors(4, 2, 1)
    bilinear = BilinearCritic(2, 2).double()
    w = bilinear.weight.tolist()
    for a, x in enumerate(anchors.tolist()):
        for c, y in enumerate(candidates.tolist()):
            dot = sum(p * q for p, q in zip(x, y, strict=True))
            form = sum(x[i] * w[i][j] * y[j] for i in range(2) for j in range(2))
            assert DotCritic()(anchors, candidates)[a, c].item() == pytest.approx(dot)
            cosine = CosineCritic()(anchors, candidates)[a, c].item()
            assert cosine == pytest.approx(dot / (math.hypot(*x) * math.hypot(*y)))
            assert bilinear(anchors, candidates)[a, c].item() == pytest.approx(form)


def test_mlp_is_a_network_on_the_concatenation() -> None:
    critic = MLPCritic(2, 3, hidden=4).double()
    x, y = vectors(1, 2, 0), vectors(1, 3, 1)
    first = torch.cat([critic.anchor.weight, critic.candidate.weight], dim=1)
    hidden = (torch.cat([x, y], 1) @ first.T + critic.anchor.bias).relu()
    torch.testing.assert_close(critic(x, y), critic.score(hidden))


def test_cosine_of_a_zero_row_is_zero_without_gradient() -> None:
    x = torch.zeros(1, 3, requires_grad=True)
    scores = CosineCritic()(x, torch.ones(2, 3))
    scores.sum().backward()
    assert not scores.any()
    assert x.grad is not None
    assert not x.grad.any()


def test_cosine_is_computed_in_float32_under_autocast() -> None:
    x, y = vectors(4, 8, 0).float(), vectors(4, 8, 1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = CosineCritic()(x, y)
    assert torch.equal(scores, CosineCritic()(x, y))


@pytest.mark.parametrize("critic", [BilinearCritic(3, 4), MLPCritic(3, 4)], ids=lambda c: type(c).__name__)
def test_reset_parameters_draws_anew(critic: BilinearCritic | MLPCritic) -> None:
    before = {name: value.clone() for name, value in critic.state_dict().items()}
    critic.reset_parameters()
    assert all(not torch.equal(value, before[name]) for name, value in critic.state_dict().items())
