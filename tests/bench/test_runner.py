import json
import math
import time

import numpy as np
import pytest
import torch

import graphssl.bench.runner as runner
from graphssl.bench import CONTROLS, Job, plan, read_results, run, summarise
from graphssl.errors import ConfigurationError, NonFiniteLossError

FIELDS = [
    "method", "encoder", "dataset", "protocol", "probe", "seed", "metric", "value", "valid_value", "steps",
    "train_seconds", "eval_seconds", "peak_memory_bytes", "status", "reason", "device", "version", "commit", "torch",
    "config", "config_hash",
]  # fmt: skip
SMALL = {"hidden_channels": 8}


def small_jobs(**changes):
    settings = {"seeds": 2, "options": SMALL, "max_steps": 2, "device": "cpu", **changes}
    return plan(["dgi"], {"karate": "kmeans"}, **settings)


def test_plan_has_every_control_for_each_data_set_encoder_and_seed():
    jobs = plan(["dgi", "grace"], {"karate": "kmeans", "sbm": "knn"}, encoders=["gcn", "gin"], seeds=3)
    for dataset, protocol in (("karate", "kmeans"), ("sbm", "knn")):
        here = [job for job in jobs if job.dataset == dataset]
        assert {job.protocol for job in here} == {protocol}
        counts = {name: sum(job.method == name for job in here) for name in (*CONTROLS, "dgi", "grace")}
        assert counts == {"raw": 3, "propagated": 3, "untrained": 6, "dgi": 6, "grace": 6}
    assert {job.label() for job in jobs if job.method == "untrained"} == {"gcn", "gin"}


def test_encoders_are_left_out_for_methods_that_take_none():
    jobs = plan(["deepwalk", "dgi"], {"karate": "kmeans"}, encoders=["gcn", "gin"], seeds=2)
    labels = {name: [job.label() for job in jobs if job.method == name] for name in ("deepwalk", "dgi", "untrained")}
    assert labels["deepwalk"] == ["none"] * 2
    assert labels["dgi"] == labels["untrained"] == ["gcn", "gcn", "gin", "gin"]
    alone = plan(["deepwalk"], {"karate": "kmeans"}, encoders=["gcn", "gin"], seeds=1)
    assert [(job.method, job.label()) for job in alone[2:]] == [("untrained", "none"), ("deepwalk", "none")]
    assert alone == plan(["deepwalk"], {"karate": "kmeans"}, seeds=1)


def test_a_configuration_tells_everything_but_seed_and_device():
    job = Job("dgi", "karate", "kmeans", options=SMALL, max_steps=2)
    config = job.config()
    assert config["options"]["hidden_channels"] == 8
    assert config["options"]["num_layers"] >= 1  # a default
    assert config["training"]["max_steps"] == 2
    assert (config["dataset"], config["protocol"], config["recipe_encoder"]) == ("karate", "kmeans", "gcn")
    assert config == Job("dgi", "karate", "kmeans", seed=5, device="cpu", options=SMALL, max_steps=2).config()
    assert config != Job("dgi", "karate", "kmeans", options=SMALL, max_steps=3).config()
    assert json.loads(json.dumps(config)) == config


def test_rows_hold_exactly_the_documented_fields(tmp_path):
    outcome = run(small_jobs(), tmp_path)
    assert (outcome.ok, outcome.failed, outcome.skipped) == (8, 0, 0)
    rows = read_results(tmp_path)
    assert len(rows) == 4 * 2 * 2  # methods and controls, seeds, nmi and ari
    for row in rows:
        assert set(row) == set(FIELDS)
        assert (row["status"], row["reason"], row["device"]) == ("ok", None, "cpu")
        assert -1 <= row["value"] <= 1
        assert row["peak_memory_bytes"] > 1e6
    steps = {row["method"]: row["steps"] for row in rows}
    assert steps == {"raw": 0, "propagated": 0, "untrained": 0, "dgi": 2}


def test_losses_and_a_sample_of_the_embedding_are_kept(tmp_path):
    run(small_jobs(), tmp_path)
    history = json.loads(next((tmp_path / "history").glob("dgi_gcn_karate_kmeans_*_s1.json")).read_text())
    assert len(history["loss"]) == 2
    assert history["final"]["columns"] == 8
    (path,) = (tmp_path / "embeddings").glob("dgi_*.npz")  # seed 0 only
    with np.load(path, allow_pickle=False) as file:
        assert file["embedding"].shape == (34, 8)
        assert file["y"].shape == file["ids"].shape == (34,)
    assert not (tmp_path / "checkpoints").exists()


def test_resuming_after_a_kill_in_the_middle_of_a_line_gives_the_same_values(tmp_path):
    run(small_jobs(), tmp_path)
    path = tmp_path / "results.jsonl"
    before = summarise(read_results(tmp_path))
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:9]) + whole[9][:40])  # inside the second row of a job
    outcome = run(small_jobs(), tmp_path)
    assert (outcome.skipped, outcome.ok) == (4, 4)
    assert (tmp_path / "results.truncated").read_bytes().strip() == whole[9][:40]
    assert [row.get("mean") for row in summarise(read_results(tmp_path))] == [row["mean"] for row in before]
    assert summarise(read_results(tmp_path)) == before


def test_a_kill_between_two_rows_of_a_job_is_noticed(tmp_path):
    run(small_jobs(), tmp_path)
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]))
    assert run(small_jobs(), tmp_path).ok == 1


def test_only_what_is_missing_runs_and_resume_false_runs_all(tmp_path):
    run(small_jobs(seeds=1), tmp_path)
    assert run(small_jobs(seeds=1), tmp_path).skipped == 4
    more = run(small_jobs(seeds=2), tmp_path)
    assert (more.skipped, more.ok) == (4, 4)
    other = run(small_jobs(seeds=1, max_steps=1), tmp_path)
    assert (other.skipped, other.ok) == (3, 1)  # controls do not depend on the steps
    assert run(small_jobs(seeds=1), tmp_path, resume=False).ok == 4


def test_a_failure_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    whole = runner.execute
    errors = {0: NonFiniteLossError("the loss became nan"), 1: MemoryError("no"), 2: torch.OutOfMemoryError("CUDA")}

    def fails(job, data, **rest):
        if job.method == "dgi":
            raise errors[job.seed]
        return whole(job, data, **rest)

    monkeypatch.setattr(runner, "execute", fails)
    lines = []
    outcome = run(small_jobs(seeds=3), tmp_path, report=lines.append)
    assert (outcome.ok, outcome.failed) == (9, 3)
    bad = [row for row in read_results(tmp_path) if row["status"] != "ok"]
    assert [row["status"] for row in bad] == ["failed", "memory", "memory"]
    assert bad[0]["reason"] == "NonFiniteLossError: the loss became nan"
    assert all(set(row) == set(FIELDS) and row["value"] is None for row in bad)
    assert len(lines) == 12
    monkeypatch.undo()
    assert run(small_jobs(seeds=3), tmp_path).ok == 3  # only the failed ones
    assert all(row["failed"] == 0 for row in summarise(read_results(tmp_path)))


def test_a_data_set_that_cannot_be_loaded_is_tried_once(tmp_path, monkeypatch):
    calls = []

    def broken(name):
        calls.append(name)
        raise ConfigurationError("not today")

    monkeypatch.setattr(runner, "load_dataset", broken)
    assert run(small_jobs(), tmp_path).failed == 8
    assert calls == ["karate"]
    with pytest.raises(ConfigurationError, match="not today"):
        run(small_jobs(), tmp_path / "other", stop_on=(ConfigurationError,))


def test_a_job_over_its_time_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "execute", lambda *_, **__: time.sleep(5))
    started = time.perf_counter()
    run(small_jobs()[:1], tmp_path, timeout=0.05)
    assert time.perf_counter() - started < 4
    (row,) = read_results(tmp_path)
    assert row["status"] == "timeout"
    assert "0.05 s" in row["reason"]


def test_equal_seeds_give_equal_values(tmp_path):
    job = [Job("grace", "karate", "kmeans", options=SMALL, max_steps=2, device="cpu")]
    for folder in ("a", "b"):
        run(job, tmp_path / folder)
    a, b = (read_results(tmp_path / folder) for folder in ("a", "b"))
    assert [row["value"] for row in a] == [row["value"] for row in b]
    assert not any(math.isnan(row["value"]) for row in a)


def test_links_are_trained_without_the_hidden_edges(tmp_path, monkeypatch):
    import graphssl.bench.execute as execute

    seen = []
    whole = execute.fit
    monkeypatch.setattr(execute, "fit", lambda name, data, **rest: seen.append(data) or whole(name, data, **rest))
    run([Job("dgi", "sbm", "links-85-5-10", options=SMALL, max_steps=1, device="cpu")], tmp_path)
    from graphssl import load_dataset

    assert seen[0].num_edges < load_dataset("sbm").num_edges
    assert {row["metric"] for row in read_results(tmp_path)} == {"roc_auc", "average_precision"}
