import copy
import pickle
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from graphssl.errors import ConfigurationError, UnknownNameError
from graphssl.functional import info_nce_loss
from graphssl.heads import EMA, Predictor, Projector, Queue
from graphssl.method import seeded
from graphssl.pairs import queue


def parameters(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def online() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.PReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("head", [Projector, Predictor])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_heads_have_the_layers_asked_for(head: type[Projector], num_layers: int, norm) -> None:  # type: ignore[no-untyped-def]
    built = head(5, 7, 2, num_layers=num_layers, norm=norm, activation="prelu")
    linear = [layer for layer in built if isinstance(layer, nn.Linear)]
    widths = [5] + [7] * (num_layers - 1) + [2]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise(widths))
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in built) == (num_layers - 1) * (norm == "batch")
    assert sum(isinstance(layer, nn.PReLU) for layer in built) == num_layers - 1
    assert isinstance(built[-1], nn.Linear)
    assert built(torch.zeros(4, 5)).shape == (4, 2)


def test_a_head_is_its_layers_in_order() -> None:
    head = Projector(3, 4, 2, activation="elu")
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(x), head[2](nn.functional.elu(head[0](x))))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_layers": 0}, ConfigurationError),
        ({"norm": "layer"}, ConfigurationError),
        ({"activation": "rleu"}, UnknownNameError),
    ],
)
def test_bad_options_are_refused(options, error: type[Exception]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error):
        Projector(2, 2, 2, **options)


def test_ema_starts_as_a_copy_without_gradient_and_leaves_the_module_alone() -> None:
    module = online()
    ema = EMA(module)
    assert torch.equal(parameters(ema.target), parameters(module))
    assert not any(p.requires_grad for p in ema.target.parameters())
    assert all(p.requires_grad for p in module.parameters())
    assert not ema(torch.ones(2, 3)).requires_grad


def test_ema_update_is_the_equation() -> None:
    module = online()
    ema = EMA(module, momentum=0.9)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    target, theta = parameters(ema.target).clone(), parameters(module).clone()
    ema.update()
    torch.testing.assert_close(parameters(ema.target), 0.9 * target + 0.1 * theta)
    assert torch.equal(parameters(module), theta)
    before = parameters(ema.target).clone()
    ema.update(1.0)
    assert torch.equal(parameters(ema.target), before)
    ema.update(0.0)
    assert torch.equal(parameters(ema.target), theta)


def test_ema_buffers_are_the_targets_own() -> None:
    """Statistics follow what the target computes in training mode; an update neither copies nor averages them."""
    module = online()
    ema = EMA(module, momentum=0.0)
    module(torch.full((8, 3), 5.0) + torch.eye(8)[:, :3])
    assert not torch.equal(module[1].running_mean, ema.target[1].running_mean)
    before = ema.target[1].running_mean.clone()
    ema.update()
    assert torch.equal(ema.target[1].running_mean, before)
    ema(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(ema.target[1].running_mean, before)
    ema.eval()
    before = ema.target[1].running_mean.clone()
    ema(torch.ones(8, 3))
    assert torch.equal(ema.target[1].running_mean, before)


def test_ema_reinitialised_is_independent_of_the_module() -> None:
    module = online()
    with torch.no_grad():
        module[1].running_mean.fill_(3.0)
    with seeded(1):
        ema = EMA(module, reinitialize=True)
    fresh, trained = ema.target[0].weight, module[0].weight
    assert not torch.equal(fresh, trained)
    assert not ema.target[1].running_mean.any()
    assert not any(p.requires_grad for p in ema.target.parameters())


def test_ema_refuses_to_reinitialise_what_it_cannot() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))

    with pytest.raises(ConfigurationError, match="Bare has parameters but no reset_parameters"):
        EMA(nn.Sequential(nn.Linear(2, 2), Bare()), reinitialize=True)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_ema_momentum_must_be_a_fraction(momentum: float) -> None:
    with pytest.raises(ConfigurationError, match="momentum"):
        EMA(online(), momentum)
    with pytest.raises(ConfigurationError, match="momentum"):
        EMA(online()).update(momentum)


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = online()
        self.ema = EMA(self.encoder, momentum=0.5)


def test_a_method_with_an_ema_lists_the_module_once() -> None:
    both = Both()
    names = list(both.state_dict())
    assert len(names) == len(set(names)) == 2 * len(online().state_dict())
    assert sum(p.requires_grad for p in both.parameters()) == len(list(online().parameters()))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_method_follows_its_own_module(duplicate) -> None:  # type: ignore[no-untyped-def]
    original = Both()
    twin = duplicate(original)
    with torch.no_grad():
        twin.encoder[0].weight.fill_(8.0)
    twin.ema.update(0.0)
    original.ema.update(0.0)
    assert (twin.ema.target[0].weight == 8).all()
    assert not (original.ema.target[0].weight == 8).any()


def test_ema_follows_a_module_that_changes_its_type() -> None:
    both = Both().double()
    both.ema.update(0.0)
    assert torch.equal(parameters(both.ema.target), parameters(both.encoder))
    assert parameters(both.ema.target).dtype == torch.float64


def rows(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None].repeat(1, 2)


def stored(keys: Queue) -> list[float]:
    return sorted(keys.values()[:, 0].tolist())


def test_queue_keeps_the_latest_rows() -> None:
    keys = Queue(4, 2)
    assert len(keys) == 0
    assert keys.values().shape == (0, 2)
    keys.push(rows(1, 2, 3))
    assert stored(keys) == [1, 2, 3]
    keys.push(rows(4, 5, 6))
    assert stored(keys) == [3, 4, 5, 6]
    keys.push(rows(7))
    assert stored(keys) == [4, 5, 6, 7]
    keys.push(rows(*range(10, 21)))
    assert stored(keys) == [17, 18, 19, 20]
    keys.push(rows(30))
    assert stored(keys) == [18, 19, 20, 30]


def test_queue_state_round_trip_continues_where_it_stopped() -> None:
    first, second = Queue(3, 2), Queue(3, 2)
    first.push(rows(1, 2, 3, 4))
    second.load_state_dict(first.state_dict())
    for keys in (first, second):
        keys.push(rows(5))
    assert stored(first) == stored(second) == [3, 4, 5]


def test_queue_holds_no_gradient_and_survives_a_push_before_backward() -> None:
    keys = Queue(4, 2)
    keys.push(rows(1, 2).requires_grad_())
    assert not keys.values().requires_grad
    anchors, own = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2)
    scores = torch.cat([anchors @ own.T, anchors @ keys.values().T], 1)
    loss = info_nce_loss(scores, queue(2, len(keys)))
    keys.push(rows(3, 4, 5))
    loss.backward()  # autograd kept what the queue held then
    assert anchors.grad is not None


def test_queue_refuses_rows_of_another_length() -> None:
    with pytest.raises(ConfigurationError, match=r"\(rows, 2\), got \(1, 3\)"):
        Queue(4, 2).push(torch.zeros(1, 3))
    with pytest.raises(ConfigurationError, match="at least 1"):
        Queue(0, 2)
