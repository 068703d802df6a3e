"""Every Python example of every page runs, offline, in the order of its page."""

import os
import subprocess
import sys
import types

import matplotlib
import pytest
from pages_of_docs import DOCS, PAGES, blocks, page_name

from graphssl import registry

REGISTRIES = [value for value in vars(registry).values() if isinstance(value, registry.Registry)]
WITH_EXAMPLES = [path for path in PAGES if blocks(path, "python")]


@pytest.fixture
def own_registries():
    """What an example registers is forgotten after it."""
    before = {id(kind): set(kind.names()) for kind in REGISTRIES}
    yield
    for kind in REGISTRIES:
        for name in set(kind.names()) - before[id(kind)]:
            kind.remove(name)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHSSL_OFFLINE", "1")
    monkeypatch.setenv("GRAPHSSL_MIRROR", "")
    monkeypatch.setenv("GRAPHSSL_HOME", str(tmp_path / "cache"))
    matplotlib.use("agg")


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=page_name)
@pytest.mark.usefixtures("own_registries", "offline")
def test_the_examples_of_a_page_run(path, monkeypatch):
    name = "example_" + page_name(path).removesuffix(".md").replace("/", "_").replace("-", "_")
    page = types.ModuleType(name)  # a module of its own, so that its classes can be pickled
    monkeypatch.setitem(sys.modules, name, page)
    for block in blocks(path, "python"):
        padded = "\n" * (block.line - 1) + block.text  # a failure names the line of the page
        exec(compile(padded, str(path), "exec"), page.__dict__)


def test_there_is_an_example_on_every_method_page():
    assert not [page_name(p) for p in (DOCS / "methods").glob("*.md") if p.stem != "index" and p not in WITH_EXAMPLES]


def test_the_method_of_extend_is_a_plugin_of_the_command_line(tmp_path):
    plugin = tmp_path / "my_method.py"
    plugin.write_text(blocks(DOCS / "extend.md", "python")[0].text)
    environment = {**os.environ, "GRAPHSSL_PLUGINS": str(plugin), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "graphssl", "run", "my-reconstruction", "karate", "--max-steps", "2"]
    result = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert "my-reconstruction" in result.stdout
