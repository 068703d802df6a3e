"""Killed anywhere and resumed, a run equals the uninterrupted one."""

import pytest
import torch

import graphssl
from graphssl.errors import ConfigurationError, CorruptFileError
from graphssl.testing.methods import example_graph, example_graphs
from graphssl.training import train


class KilledError(Exception):
    pass


def run(name, data, path=None, stop_at=None, **settings):
    method = graphssl.create_method(name, data, hidden_channels=8, seed=4)

    def on_step(step: int, loss: float) -> None:
        if step == stop_at:
            raise KilledError

    history = train(method, data, seed=4, device="cpu", checkpoint=path, on_step=on_step, **settings)
    return method, history


@pytest.mark.parametrize("name", ["grace", "bgrl", "ggd", "infograph", "graphcl"])
@pytest.mark.parametrize("stop_at", [1, 5, 8])
def test_resumed_equals_uninterrupted(name, stop_at, tmp_path) -> None:
    data = example_graphs(7) if name in ("infograph", "graphcl") else example_graph()
    settings = dict(steps=11, lr=1e-2, schedule="cosine", warmup=0.2, patience=50, checkpoint_every=2)
    if name in ("infograph", "graphcl"):
        settings["batch_size"] = 3
    whole, history = run(name, data, **settings)
    with pytest.raises(KilledError):
        run(name, data, tmp_path / "c.safetensors", stop_at, **settings)
    resumed, resumed_history = run(name, data, tmp_path / "c.safetensors", **settings)
    assert resumed_history.loss == history.loss
    assert resumed_history.effective_rank == history.effective_rank
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_finished_run_is_not_trained_further(tmp_path) -> None:
    first, _ = run("grace", example_graph(), tmp_path / "c", steps=3)
    second, history = run("grace", example_graph(), tmp_path / "c", steps=3)
    assert history.steps == 3
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_other_settings_are_refused(tmp_path) -> None:
    run("grace", example_graph(), tmp_path / "c", steps=3)
    with pytest.raises(ConfigurationError, match="other settings"):
        run("grace", example_graph(), tmp_path / "c", steps=3, lr=0.5)


def test_a_truncated_checkpoint_says_what_to_do(tmp_path) -> None:
    run("grace", example_graph(), tmp_path / "c", steps=3)
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptFileError, match="delete it to start again"):
        run("grace", example_graph(), tmp_path / "c", steps=3)
