"""What only a process of its own can show: imports, streams, exit codes, resuming after a kill."""

import json
import os
import subprocess
import sys

import pytest


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "graphssl", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_imports_neither_torch_nor_its_followers(arguments):
    code = f"""
import sys
from graphssl.cli import app
try:
    app({arguments!r})
except SystemExit as stop:
    assert stop.code == 0
heavy = [name for name in ("torch", "torch_geometric", "sklearn", "matplotlib") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: graphssl" in done.stdout


def test_json_is_the_only_thing_on_standard_output(tmp_path):
    small = ["--max-steps", 2, "--set", "hidden_channels=8"]
    done = command("run", "dgi", "karate", *small, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "summary.json").read_text())
    assert "[4/4]" in done.stderr
    recorded = json.loads((tmp_path / "runs.jsonl").read_text())["command"]
    assert recorded.startswith("graphssl run dgi karate --max-steps 2")

    results = tmp_path / "results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole[:-30])
    again = command("run", "dgi", "karate", *small, "--out", tmp_path, "--json", "--resume")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 3
    assert json.loads(again.stdout) == json.loads(done.stdout)


def test_exit_codes_and_single_lines():
    usage = command("run", "dgii", "karate")
    assert (usage.returncode, usage.stdout) == (2, "")
    assert usage.stderr.count("\n") == 1
    assert "did you mean 'dgi'" in usage.stderr
    failed = command("report", "no-such-folder")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.count("\n") == 1
