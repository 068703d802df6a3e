"""The loop: seeds, schedules, early stopping, and errors that say what happened."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

import graphssl
from graphssl.errors import ConfigurationError, InvalidGraphError, NonFiniteLossError, UnknownNameError
from graphssl.testing.methods import example_graph, example_graphs
from graphssl.training import embed_data, train
from graphssl.training.optim import learning_rate


class Scripted(graphssl.Method):
    """A method whose loss follows a script: weight * script[step]."""

    def __init__(self, script: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.script, self.calls, self.seen = script, 0, []

    def loss(self, batch):
        value = self.script[self.calls]
        self.calls += 1
        self.seen.append(batch)
        return self.weight.detach() * 0 + value + self.weight - self.weight.detach()

    def embed(self, batch):
        return self.weight * batch.x


def test_labels_and_masks_never_reach_the_method() -> None:
    data = example_graph()
    data.y, data.train_mask = torch.zeros(24, dtype=torch.long), torch.ones(24, dtype=torch.bool)
    method = Scripted([1.0])
    train(method, data, steps=1, device="cpu")
    assert not {"y", "train_mask"} & set(method.seen[0].keys())
    assert "y" in data


def test_input_and_callers_random_state_are_untouched() -> None:
    data = example_graph()
    before = copy.deepcopy(data)
    state = torch.get_rng_state()
    method = graphssl.create_method("grace", data, hidden_channels=8)
    train(method, data, steps=3, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], data[key]) for key in ("x", "edge_index"))


def test_same_seed_same_losses_and_another_seed_others() -> None:
    data = example_graph()

    def losses(seed: int) -> list[float]:
        method = graphssl.create_method("grace", data, hidden_channels=8, seed=seed)
        return train(method, data, steps=4, seed=seed, device="cpu").loss

    assert losses(0) == losses(0) != losses(1)


def test_epochs_count_passes_over_all_graphs_and_each_is_seen_once() -> None:
    graphs = example_graphs(7)
    for i, graph in enumerate(graphs):
        graph.tag = torch.tensor([i])
    method = Scripted([0.0] * 4)
    history = train(method, graphs, epochs=2, batch_size=3, device="cpu")
    assert history.steps == 4  # 3 + 4 graphs: the one left over joins the batch before it
    first, second = ([int(t) for batch in part for t in batch.tag] for part in (method.seen[:2], method.seen[2:]))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second  # shuffled anew each epoch


def test_patience_keeps_the_best_weights() -> None:
    method = Scripted([3.0, 2.0, 1.0, 5.0, 5.0, 5.0, 0.0])
    history = train(method, example_graph(), steps=7, lr=0.1, optimizer="sgd", patience=3, device="cpu")
    assert history.loss == pytest.approx([3.0, 2.0, 1.0, 5.0, 5.0, 5.0])
    assert history.best_step == 3
    reference = Scripted([3.0, 2.0, 1.0])
    train(reference, example_graph(), steps=3, lr=0.1, optimizer="sgd", device="cpu")
    assert torch.equal(method.weight, reference.weight)


def test_a_non_finite_loss_stops_with_the_step(tmp_path) -> None:
    method = Scripted([1.0, 0.5, math.nan])
    with pytest.raises(NonFiniteLossError, match=r"nan at step 3 .*epoch 3, batch 1.*0\.5.*ckpt"):
        train(method, example_graph(), steps=5, device="cpu", checkpoint=tmp_path / "ckpt", checkpoint_every=1)


def test_zero_steps_leave_the_method_untrained() -> None:
    data = example_graph()
    method = graphssl.create_method("dgi", data, hidden_channels=8)
    before = copy.deepcopy(method.state_dict())
    assert train(method, data, steps=100, max_steps=0, device="cpu").loss == []
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
    assert not method.training


def test_learning_rate_schedules() -> None:
    def rate(step: int, **options) -> float:
        return learning_rate(step, 100, lr=1.0, **options)

    assert [rate(s) for s in (0, 99)] == [1.0, 1.0]
    assert [rate(s, warmup=0.1) for s in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert [rate(s, schedule="cosine", warmup=0.2) for s in (20, 60)] == pytest.approx([1.0, 0.5])
    assert rate(99, schedule="cosine") < 1e-3
    assert rate(50, schedule="linear") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (dict(steps=1, epochs=1), ConfigurationError, "not both"),
        (dict(steps=-1), ConfigurationError, "at least 0"),
        (dict(steps=2.5), ConfigurationError, "steps as a whole number"),
        (dict(epochs="3"), ConfigurationError, "epochs as a whole number"),
        (dict(steps=1, max_steps=0.5), ConfigurationError, "max_steps as a whole number"),
        (dict(steps=1, checkpoint_every=0), ConfigurationError, "checkpoint_every >= 1"),
        (dict(steps=1, seed=0.5), ConfigurationError, "seed as a whole number, got 0.5"),
        (dict(steps=1, seed="3"), ConfigurationError, "seed as a whole number, got '3'"),
        (dict(steps=1, seed=None), ConfigurationError, "seed as a whole number"),
        (dict(steps=1, seed=2**64), ConfigurationError, "64 bits"),
        (dict(steps=1, lr=0.0), ConfigurationError, "lr"),
        (dict(steps=1, lr=math.nan), ConfigurationError, "lr"),
        (dict(steps=1, optimizer="adan"), UnknownNameError, "did you mean 'adam'"),
        (dict(steps=1, schedule="cosin"), UnknownNameError, "did you mean 'cosine'"),
        (dict(steps=1, warmup=1.5), ConfigurationError, "warmup"),
        (dict(steps=1, device="gpu"), ConfigurationError, "unknown device"),
    ],
)
def test_bad_settings(settings, error, words) -> None:
    data = example_graph()
    method = graphssl.create_method("dgi", data, hidden_channels=8)
    with pytest.raises(error, match=words):
        train(method, data, **{"device": "cpu", **settings})


@pytest.mark.parametrize("seed", [0.5, "3", None, True, torch.tensor(0.5), 2**64])
def test_bad_seeds_of_parameters(seed) -> None:
    with pytest.raises(ConfigurationError, match=r"a seed of 64 bits|seed as a whole number"):
        graphssl.create_method("dgi", example_graph(), hidden_channels=8, seed=seed)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    def losses(seed, steps, hops):
        method = graphssl.create_method("dgi", example_graph(), hidden_channels=8, seed=seed)
        settings = dict(steps=steps, max_steps=steps, num_neighbors=hops, batch_size=4)
        return train(method, example_graph(), seed=seed, device="cpu", **settings).loss

    assert losses(np.int64(3), np.int32(2), np.array([2])) == losses(torch.tensor(3), 2.0, [2]) == losses(3, 2, (2,))


def test_a_graph_that_cannot_be_used_is_refused_before_training() -> None:
    data = example_graph()
    method = graphssl.create_method("dgi", data, hidden_channels=8)
    data.x[3, 2] = math.nan
    with pytest.raises(InvalidGraphError, match="row 3"):
        train(method, data, steps=1, device="cpu")


def test_embedding_a_list_in_blocks_equals_graph_by_graph() -> None:
    graphs = example_graphs(5)
    method = graphssl.create_method("infograph", graphs, hidden_channels=8)
    whole = embed_data(method, graphs, device="cpu")
    blocks = embed_data(method, graphs, batch_size=2, device="cpu")
    torch.testing.assert_close(whole, blocks)
    assert whole.shape == (5, 24)
