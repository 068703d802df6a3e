"""Graphs of any size for the speed scripts: what is planted is there, and the scripts run on a small one."""

import graphs
import large
import measure
import papers_simulation
import pytest
import torch

from graphssl.data import open_graph


def sources(graph):
    return torch.repeat_interleave(torch.arange(graph.num_nodes), graph.topology().ptr.diff())


def test_communities_are_planted(tmp_path):
    graph = graphs.planted_on_disk(tmp_path / "g", 5_003, 40_000, num_features=8, homophily=0.7, signal=3.0)
    assert (graph.num_nodes, graph.num_features, graph.dtype, graph.undirected) == (5_003, 8, "float16", True)
    assert 79_000 < graph.num_edges < 80_000  # loops and repetitions fall away
    assert torch.equal(graph.y, torch.arange(5_003) % 10)
    row, col = sources(graph), graph.topology().neighbour.long()
    assert bool((row != col).all())
    assert float((row % 10 == col % 10).float().mean()) == pytest.approx(0.7, abs=0.01)
    x = graph.gather(torch.arange(5_003))
    centres = torch.stack([x[graph.y == c].mean(0) for c in range(10)])
    torch.testing.assert_close(centres.norm(dim=1), torch.full((10,), 3.0), atol=0.3, rtol=0)
    assert float((x - centres[graph.y]).std()) == pytest.approx(1.0, abs=0.02)


def test_the_graph_is_a_function_of_the_seed_alone(tmp_path, monkeypatch):
    def made(name, **options):
        graph = graphs.planted_on_disk(tmp_path / name, 300, 900, num_features=4, **options)
        return graph.gather(torch.arange(300)), graph.topology().neighbour

    first, again, other = made("a"), made("b", memory_bytes=2**10), made("c", seed=1)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(one.shape == two.shape and torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_degrees_follow_a_power_law(tmp_path):
    graph = graphs.planted_on_disk(tmp_path / "g", 100_000, 400_000, num_features=1, exponent=2.2)
    degree = graph.topology().ptr.diff().double()
    assert float(degree.max()) > 100 * float(degree.mean())
    # the number of nodes above a degree falls with the exponent less one
    shares = [float((degree > d).double().mean()) for d in (30, 300)]
    assert torch.log10(torch.tensor(shares[0] / shares[1])) == pytest.approx(1.2, abs=0.15)
    hubs = (degree > 100).nonzero().view(-1).double() / graph.num_nodes
    assert float(hubs.mean()) == pytest.approx(0.5, abs=0.15)  # not at the front


def test_a_method_is_measured_on_a_small_graph(tmp_path):
    graphs.planted_on_disk(tmp_path / "g", 2_000, 10_000)
    argv = [large.__file__, "--one", "bgrl", str(tmp_path / "g"), "--steps", "2"]
    row = measure.child(argv, timeout=120, threads=2) | measure.child([*argv, "--control"], timeout=120, threads=2)
    assert (row["n"], row["steps"], row["dimensions"]) == (2_000, 2, large.WIDTH)
    assert 0 < row["sampling_seconds"] < row["step_seconds"] < 60
    assert row["held_bytes"] < row["bytes"] < large.LIMIT
    assert all(0.1 < row[key] <= 1 for key in ("raw", "untrained", "trained"))


def test_slopes_are_exponents():
    keys = ("seconds", "embed_seconds", "bytes", "embed_bytes")
    rows = [dict(variant="dgi", n=n, **{key: n**power for power, key in enumerate(keys)}) for n in (10, 100, 1000)]
    assert large.slopes(rows) == [pytest.approx(dict(variant="dgi", **{key: p for p, key in enumerate(keys)}))]
    assert large.slopes(rows[:1]) == []


def test_the_arithmetic_of_the_large_graph(tmp_path):
    graphs.planted_on_disk(tmp_path / "g", 3_000, 30_000, num_features=128, exponent=2.2)
    row = measure.child([papers_simulation.__file__, "--one", str(tmp_path / "g"), "--batches", "2"], timeout=120)
    found = papers_simulation.costs(row)
    assert found["features_float16"] == 111_059_956 * 128 * 2
    assert found["topology_undirected"] == 8 * 111_059_957 + 4 * 2 * 1_615_685_872
    assert found["steps"] == 108_458 - 1
    assert found["epoch_seconds"] == pytest.approx(found["steps"] * (found["batch_seconds"] + found["step_seconds"]))
    graph = open_graph(tmp_path / "g")
    assert row["layer_share"] == 1
    assert row["edges"] == graph.num_edges
