"""Killed anywhere and resumed, a run equals the uninterrupted one."""

import pytest
import torch

import graphssl
from graphssl.errors import ConfigurationError, CorruptFileError
from graphssl.testing.methods import example_graph, example_graphs
from graphssl.training import fit, resolve_settings, train


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


def fitted(path, steps=3, **options):
    return fit(
        "grace", example_graph(), options={"hidden_channels": 8, **options}, training={"steps": steps}, device="cpu",
        checkpoint=path,
    ).method  # fmt: skip


def test_other_options_of_the_method_are_refused(tmp_path) -> None:
    first = fitted(tmp_path / "c", temperature=0.4)
    with pytest.raises(ConfigurationError, match=r"made with temperature=0\.4, not 0\.9: delete it"):
        fitted(tmp_path / "c", temperature=0.9)
    with pytest.raises(ConfigurationError, match="hidden_channels=8, not 16, intra=True, not False"):
        fitted(tmp_path / "c", temperature=0.4, intra=False, hidden_channels=16)
    with pytest.raises(ConfigurationError, match="other settings"):
        fitted(tmp_path / "c", steps=4, temperature=0.4)
    defaults = {"drop_edges": (0.2, 0.4), "activation": "relu"}
    again = fitted(tmp_path / "c", temperature=0.4, **defaults)  # said or not
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in first.state_dict().items())


def test_options_that_one_side_does_not_tell_are_not_compared(tmp_path) -> None:
    fitted(tmp_path / "c", temperature=0.4)
    method = graphssl.create_method("grace", example_graph(), hidden_channels=8)
    numbers = resolve_settings("grace", training={"steps": 3}).training
    train(method, example_graph(), device="cpu", checkpoint=tmp_path / "c", **numbers)
    with pytest.raises(ConfigurationError, match="temperature"):  # still known
        fitted(tmp_path / "c", temperature=0.9)
    train(method, example_graph(), device="cpu", checkpoint=tmp_path / "d", **numbers)
    fitted(tmp_path / "d", temperature=0.9)


@pytest.mark.parametrize("kept", [None, {"temperature": 0.4, "sizes": [1, 2]}])
def test_a_resumed_run_with_options_equals_an_uninterrupted_one(kept, tmp_path) -> None:
    given = None if kept is None else {"temperature": 0.4, "sizes": (1, 2)}
    settings = dict(steps=9, checkpoint_every=2)
    whole, _ = run("grace", example_graph(), **settings)
    with pytest.raises(KilledError):
        run("grace", example_graph(), tmp_path / "c", 5, options=given, **settings)
    resumed, _ = run("grace", example_graph(), tmp_path / "c", options=kept, **settings)
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


def test_refused_checkpoints_leave_the_method_as_it_is(tmp_path) -> None:
    fitted(tmp_path / "c")
    numbers = resolve_settings("grace", training={"steps": 3}).training
    for hidden, message, changed in ((8, "other settings", {"lr": 0.5}), (16, "another method.*size mismatch", {})):
        method = graphssl.create_method("grace", example_graph(), hidden_channels=hidden, seed=7)
        before = {name: value.clone() for name, value in method.state_dict().items()}
        with pytest.raises(ConfigurationError, match=message):
            train(method, example_graph(), device="cpu", checkpoint=tmp_path / "c", **numbers | changed)
        assert all(torch.equal(value, method.state_dict()[name]) for name, value in before.items())


def test_settings_with_objects_are_the_same_in_every_process() -> None:
    class Option:
        pass

    one, other = (resolve_settings("grace", options={"activation": Option()}) for _ in range(2))
    assert one.hash == other.hash
    assert " at 0x" not in str(one.to_dict())


def test_a_truncated_checkpoint_says_what_to_do(tmp_path) -> None:
    run("grace", example_graph(), tmp_path / "c", steps=3)
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptFileError, match="delete it to start again"):
        run("grace", example_graph(), tmp_path / "c", steps=3)
