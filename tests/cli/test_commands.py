import json

import numpy as np
import pytest
from typer.testing import CliRunner

from graphssl import list_datasets, list_methods, load_dataset
from graphssl.bench import ResultStore, read_results
from graphssl.cli import app

SMALL = ["--max-steps", "2", "--set", "hidden_channels=8", "--device", "cpu"]


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.exit_code, result.stderr)
    if code:
        assert "Traceback" not in result.stderr
    return result


def test_methods_and_datasets_list_what_is_registered():
    found = json.loads(call("methods", "--json").stdout)
    assert [entry["name"] for entry in found] == list_methods()
    dgi = next(entry for entry in found if entry["name"] == "dgi")
    assert dgi["level"] == "node"
    assert dgi["options"]["encoder"] == "gcn"
    assert "cora" in dgi["recipes"]
    assert [entry["name"] for entry in json.loads(call("datasets", "--json").stdout)] == list_datasets()
    table = call("methods").stdout
    assert all(name in table for name in list_methods())
    assert ":class:" not in table
    assert "karate" in call("datasets").stdout


def test_doctor_tells_versions_and_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path))
    monkeypatch.setenv("GRAPHSSL_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    monkeypatch.setenv("GRAPHSSL_PLUGINS", "no_such_module_xyz")
    facts = json.loads(call("doctor", "--json").stdout)
    assert facts["cache folder"] == str(tmp_path)
    assert facts["offline"] is True
    assert facts["torch"].startswith("2.")
    assert any("nowhere" in text for text in facts["warnings"])
    assert any("no_such_module_xyz" in text for text in facts["warnings"])
    assert "torch-scatter" in call("doctor").stdout


def test_doctor_warns_when_the_other_distribution_of_that_name_is_installed(monkeypatch):
    from importlib import metadata

    whole = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.2.0" if name == "graphssl" else whole(name))
    facts = json.loads(call("doctor", "--json").stdout)
    assert any("another project called graphssl" in text for text in facts["warnings"])
    monkeypatch.undo()
    clean = json.loads(call("doctor", "--json").stdout)
    assert not any("another project" in text for text in clean["warnings"])


def test_run_prints_one_table_of_seeds_and_one_of_means(tmp_path):
    result = call("run", "dgi", "karate", "--seeds", 2, *SMALL, "--out", tmp_path)
    assert "dgi, gcn" in result.stdout
    assert "±" in result.stdout
    for control in ("raw", "propagated", "untrained, gcn"):
        assert control in result.stdout
    assert "[8/8]" in result.stderr
    assert "[8/8]" not in result.stdout
    assert len(read_results(tmp_path)) == 16
    again = call("run", "dgi", "karate", "--seeds", 2, *SMALL, "--out", tmp_path, "--resume", "--json")
    assert len(read_results(tmp_path)) == 16
    assert json.loads(again.stdout) == json.loads((tmp_path / "summary.json").read_text())
    call("run", "dgi", "karate", "--seeds", 2, *SMALL, "--out", tmp_path)
    assert len(read_results(tmp_path)) == 32


def test_run_takes_encoder_protocol_and_settings(tmp_path):
    arguments = ["--encoder", "mlp", "--protocol", "knn", "--set", "lr=0.5", "--recipe", "none", "--out", tmp_path]
    call("run", "dgi", "sbm", *arguments, *SMALL)
    row = next(row for row in read_results(tmp_path) if row["method"] == "dgi")
    assert (row["encoder"], row["protocol"], row["steps"]) == ("mlp", "knn", 2)
    assert row["config"]["training"]["lr"] == 0.5
    assert row["config"]["options"]["hidden_channels"] == 8


def test_compare_writes_results_and_report_and_leaves_out_what_does_not_fit(tmp_path):
    arguments = ["--methods", "dgi,graphcl", "--datasets", "karate", "--encoders", "gcn,mlp", "--out", tmp_path]
    result = call("compare", *arguments, *SMALL, "--json")
    summary = json.loads(result.stdout)
    names = {(row["method"], row["encoder"]) for row in summary}
    own = {(method, encoder) for method in ("untrained", "dgi") for encoder in ("gcn", "mlp")}
    assert names == own | {("raw", "none"), ("propagated", "none")}
    assert "left out: 'graphcl'" in result.stderr
    assert f"report: {tmp_path / 'report.html'}" in result.stderr
    assert (tmp_path / "report.html").is_file()
    rows = len(read_results(tmp_path))
    call("compare", *arguments, *SMALL)  # goes on by itself: nothing to do
    assert len(read_results(tmp_path)) == rows


def test_compare_leaves_encoders_out_for_a_method_that_takes_none_and_says_so(tmp_path):
    arguments = ["--methods", "deepwalk,dgi", "--datasets", "karate", "--encoders", "gcn,mlp", "--out", tmp_path]
    result = call("compare", *arguments, "--max-steps", "1", "--device", "cpu", "--json")
    names = [(row["method"], row["encoder"]) for row in json.loads(result.stdout) if row["metric"] == "nmi"]
    trained = {(method, encoder) for method in ("untrained", "dgi") for encoder in ("gcn", "mlp")}
    assert len(names) == len(set(names))
    assert set(names) == trained | {("deepwalk", "none"), ("raw", "none"), ("propagated", "none")}
    assert "left out: the encoders of 'deepwalk'" in result.stderr
    report = (tmp_path / "report.md").read_text()
    assert "One row for all of gcn, mlp, as they take no encoder by name: deepwalk." in report
    assert "| deepwalk |" in report


def test_report_is_written_again(tmp_path):
    from graphssl.bench import Job, run

    run([Job("raw", "karate", "kmeans", device="cpu")], tmp_path)
    assert call("report", tmp_path).stdout.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.md").is_file()


def test_embed_writes_rows_in_the_order_of_the_nodes(tmp_path):
    out = tmp_path / "new" / "z.npz"
    facts = json.loads(call("embed", "dgi", "karate", "--out", out, *SMALL, "--json").stdout)
    assert (facts["rows"], facts["columns"]) == (34, 8)
    with np.load(out, allow_pickle=False) as file:
        assert file["embedding"].shape == (34, 8)
        assert file["embedding"].dtype == np.float32
        assert file["ids"].tolist() == list(range(34))


def test_embed_keeps_identifiers_of_a_file(tmp_path):
    graph = tmp_path / "edges.csv"
    graph.write_text("source,target\nanna,ben\nben,carl\ncarl,anna\ncarl,dora\n")
    out = tmp_path / "z.npz"
    call("embed", "dgi", graph, "--out", out, *SMALL)
    with np.load(out, allow_pickle=False) as file:
        assert sorted(file["ids"].tolist()) == ["anna", "ben", "carl", "dora"]
        assert file["embedding"].shape == (4, 8)


def test_embed_whole_graphs(tmp_path):
    out = tmp_path / "z.npz"
    call("embed", "graphcl", "digits-graphs", "--out", out, "--max-steps", 1, "--set", "hidden_channels=4")
    with np.load(out, allow_pickle=False) as file:
        assert len(file["embedding"]) == len(file["ids"]) == len(load_dataset("digits-graphs"))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "dgii", "karate"], "did you mean 'dgi'"),
        (["run", "dgi", "karte"], "did you mean 'karate'"),
        (["run", "dgi", "karate", "--protocol", "kmens"], "did you mean 'kmeans'"),
        (["run", "dgi", "karate", "--protocol", "tu-10fold"], "graph level"),
        (["run", "dgi", "karate", "--encoder", "gnc"], "known: gat"),
        (["run", "dgi", "karate", "--recipe", "corra"], "did you mean 'cora'"),
        (["run", "dgi", "karate", "--set", "hiden_channels=3"], "did you mean 'hidden_channels'"),
        (["run", "dgi", "karate", "--set", "hidden_channels=x"], "expected int"),
        (["run", "dgi", "karate", "--set", "hidden_channels"], "key=value"),
        (["run", "grace", "karate", "--set", "temperature=-1", "--max-steps", "1"], "temperature"),
        (["run", "dgi", "karate", "--device", "tpu9"], "device"),
        (["run", "dgi", "karate", "--seeds", "0"], "--seeds"),
        (["run", "dgi", "karate", "--bogus"], "--bogus"),
        (["run", "dgi"], "DATASET"),
        (["run", "dgi", "digits-graphs"], "graph level"),
        (["run", "byol", "karate"], "Python"),
        (["run", "dgi", "karate", "--resume"], "--out"),
        (["embed", "dgi", "karate", "--out", "z.txt"], ".npz"),
        (["embed", "dgi", "karrate", "--out", "z.npz"], "did you mean 'karate'"),
        (["compare", "--methods", "graphcl", "--datasets", "karate", "--out", "x"], "level"),
        (["compare", "--methods", "", "--datasets", "karate", "--out", "x"], "at least one"),
        (["run", "deepwalk", "karate", "--encoder", "gcn"], "--encoder"),
        (["cmpare"], "compare"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_mistakes_are_one_line_and_exit_2(arguments, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments, code=2)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert hint in last
    assert not any(line.startswith("error") for line in result.stderr.splitlines()[:-1])
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_failures_exit_1(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    monkeypatch.delenv("GRAPHSSL_MIRROR", raising=False)
    (tmp_path / "file").write_text("")
    for arguments, hint in (
        (["report", tmp_path / "nothing"], "results.jsonl"),
        (["embed", "dgi", tmp_path / "no.csv", "--out", tmp_path / "z.npz"], "no.csv"),
        (["embed", "dgi", "karate", "--out", tmp_path / "file" / "z.npz", *SMALL], "file"),
        (["run", "dgi", "karate", "--out", tmp_path / "file", *SMALL], "file"),
        (["run", "dgi", "cora", *SMALL], "GRAPHSSL_OFFLINE"),
    ):
        result = call(*arguments, code=1)
        assert hint in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_a_diverging_training_fails_with_its_reason_and_the_rest_is_kept(tmp_path):
    arguments = ["run", "dgi", "karate", "--set", "lr=1e30", "--set", "hidden_channels=8", "--max-steps", 60]
    result = call(*arguments, "--out", tmp_path, "--json", code=1)
    summary = json.loads(result.stdout)
    failed = next(row for row in summary if row["method"] == "dgi")
    assert (failed["n"], failed["failed"]) == (0, 1)
    assert "mean" not in failed
    assert "loss became" in result.stderr
    assert {row["status"] for row in read_results(tmp_path) if row["method"] == "raw"} == {"ok"}


def test_ctrl_c_exits_130_and_says_what_is_kept(tmp_path, monkeypatch):
    import graphssl.bench.runner as runner

    whole, calls = runner.execute, []

    def interrupted(job, data, **rest):
        calls.append(job)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(job, data, **rest)

    monkeypatch.setattr(runner, "execute", interrupted)
    result = call("run", "dgi", "karate", "--seeds", 2, *SMALL, "--out", tmp_path, code=130)
    last = result.stderr.strip().splitlines()[-1]
    assert "2 result rows are kept" in last
    assert "--resume" in last
    assert len(ResultStore(tmp_path).rows) == 2


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("GRAPHSSL_DEBUG", "1")
    result = CliRunner().invoke(app, ["run", "dgii", "karate"])
    assert type(result.exception).__name__ == "UnknownNameError"
