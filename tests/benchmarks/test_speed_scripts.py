"""The speed scripts compare what computes the same, and their arithmetic is right."""

import contrast
import dgi_step
import grace_epoch
import growth
import measure
import pytest
import torch

from graphssl.data import planted_communities


def power_law(variant, kind, sizes, *, time, memory):
    return [
        dict(variant=variant, kind=kind, n=n, edges=5 * n, seconds=3e-7 * n**time, bytes=7 * n**memory) for n in sizes
    ]


def test_slopes_are_exponents_and_a_fixed_cost_does_not_hide_the_upper_decade():
    sizes = (1_000, 10_000, 30_000, 100_000)
    rows = power_law("dgi", "linear", sizes, time=1.05, memory=1.2)
    rows[0]["seconds"] = 1.0  # a fixed cost
    rows += power_law("grace", "all pairs", sizes, time=2.0, memory=1.0)
    dgi, grace = growth.slopes(rows[::-1])[::-1]
    assert dgi["time_upper"] == pytest.approx(1.05)
    assert dgi["time_full"] < 0.5
    assert (dgi["time_full_met"], dgi["time_upper_met"], dgi["memory_upper_met"]) == (True, True, False)
    assert (dgi["smallest"], dgi["upper"], dgi["largest"]) == (1_000, 10_000, 100_000)
    assert grace["time_full"] == pytest.approx(2.0)
    assert (grace["time_upper_met"], grace["memory_upper_met"]) == (None, True)


def test_one_size_has_no_slope():
    assert growth.slopes(power_law("dgi", "linear", (1_000,), time=1, memory=1)) == []


def test_a_step_is_measured_in_a_process_of_its_own():
    argv = [growth.__file__, "--one", "gca", "200", "--repeats", "1"]
    found = measure.child(argv, timeout=120)
    assert set(found) == {"edges", "seconds", "min", "max", "repeats", "held"}
    assert 0 < found["seconds"] < 10
    found = measure.child([*argv, "--memory"], timeout=120)
    assert set(found) == {"bytes"}
    assert 10**5 < found["bytes"] < 10**8


def test_every_loss_is_the_dense_one():
    contrast.check(contrast.variants())


def test_a_wrong_loss_is_found():
    variants = contrast.variants()
    with pytest.raises(AssertionError):
        contrast.check({**variants, "wrong": ("torch", lambda z1, z2: contrast.dense_loss(z1, z2, 0.4))})


def test_both_dgi_encoders_are_one_function_and_every_variant_trains():
    data = planted_communities(60, 3, num_features=8)
    dgi_step.check(data, 4)
    steps = dgi_step.build(data, 4)
    assert list(steps)[:2] == [dgi_step.PEER, "graphssl, torch"]
    for step in steps.values():
        step()


def test_grace_differs_in_the_loss_alone():
    data, source = grace_epoch.graph_of(100)
    assert (data.num_nodes, source) == (100, "planted communities")
    for step in grace_epoch.build(data).values():
        step()


def test_the_dense_form_is_left_out_where_it_does_not_fit(monkeypatch):
    monkeypatch.setattr(measure, "memory_available", lambda: 12e9)
    assert contrast.fits(contrast.DENSE, 10_000)
    assert not contrast.fits(contrast.DENSE, 19_717)
    assert contrast.fits("torch", 10**6)


def test_without_a_data_set_a_graph_of_its_shape_is_taken(monkeypatch, capsys):
    def missing(name):
        raise dgi_step.GraphSSLError("not here")

    monkeypatch.setattr(dgi_step, "load_dataset", missing)
    data, source = dgi_step.graph_of("cora")
    assert source == "random graph shaped as cora"
    assert (data.num_nodes, data.num_features) == (2_708, 1_433)
    torch.testing.assert_close(data.x.sum(1), torch.ones(2_708))
    assert "a random graph" in capsys.readouterr().out
