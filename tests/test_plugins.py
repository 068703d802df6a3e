"""A method in one file of the user's own: listed, checked, trained from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphssl
from graphssl.errors import GraphSSLError, UnknownNameError
from graphssl.registry import METHODS, Registry

SOURCE = '''
"""Feature reconstruction: a small method written outside the package."""

import torch
from torch.nn.functional import mse_loss

from graphssl import Method, Recipe, register
from graphssl.data import num_features
from graphssl.encoders import build_encoder


@register("toy-reconstruction", level="node", paper="none", tags=("generative",))
class ToyReconstruction(Method):
    """Rebuild each node's features from its neighbourhood."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def loss(self, graph):
        return mse_loss(self.decoder(self.encoder(graph)), graph.x)

    def embed(self, graph):
        return self.encoder(graph)

    @classmethod
    def from_options(cls, data, *, encoder="gcn", hidden_channels=32):
        network = build_encoder(encoder, num_features(data), hidden_channels=hidden_channels)
        return cls(network, torch.nn.Linear(network.out_channels, num_features(data)))


RECIPES = {"default": Recipe(training=dict(steps=20))}
'''


def command(*arguments: str, plugin: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "GRAPHSSL_PLUGINS": str(plugin), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "graphssl", *arguments], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my_method.py"
    path.write_text(SOURCE)
    return path


def test_a_users_file_is_listed_checked_and_trained(plugin: Path) -> None:
    listed = command("methods", "--json", plugin=plugin)
    assert "toy-reconstruction" in [row["name"] for row in json.loads(listed.stdout)], listed.stderr
    trained = command(
        "run", "toy-reconstruction", "karate", "--seeds", "1", "--max-steps", "2", "--json", plugin=plugin
    )
    assert trained.returncode == 0, trained.stderr
    rows = json.loads(trained.stdout)
    assert any(row["method"] == "toy-reconstruction" and row["n"] == 1 for row in rows)


def test_it_passes_the_public_contract_suite(plugin: Path) -> None:
    code = (
        "from graphssl.testing import check_method; check_method('toy-reconstruction', hidden_channels=8); print('ok')"
    )
    environment = {**os.environ, "GRAPHSSL_PLUGINS": str(plugin), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert result.stdout.strip() == "ok", result.stderr


def test_the_suite_finds_a_broken_method() -> None:
    import torch

    @graphssl.register("toy-broken", level="node", paper="none")
    class Broken(graphssl.Method):
        """Writes to its input."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def loss(self, graph):
            graph.x.mul_(0.5)
            return (graph.x * self.weight).sum()

        def embed(self, graph):
            return graph.x * self.weight

        @classmethod
        def from_options(cls, data):
            return cls()

    try:
        with pytest.raises(AssertionError, match=r"loss changed batch\.x"):
            graphssl.testing.check_method("toy-broken")
    finally:
        METHODS.remove("toy-broken")


def test_missing_plugin_file(tmp_path: Path) -> None:
    result = command("methods", plugin=tmp_path / "nothing.py")
    assert result.returncode in (1, 2)
    assert "nothing.py" in result.stderr
    assert "Traceback" not in result.stderr


def test_registry_names() -> None:
    registry = Registry("thing", "graphssl.errors")
    with pytest.raises(GraphSSLError, match="lower case with hyphens"):
        registry.register("Two_Words")
    registry.register("one-thing", size=1)(dict)
    assert registry.get("one-thing").info == {"size": 1}
    with pytest.raises(UnknownNameError, match="did you mean 'one-thing'"):
        registry.get("one-thng")


def test_list_methods_by_level_and_tag() -> None:
    assert {"dgi", "grace", "bgrl"} <= set(graphssl.list_methods(level="node"))
    assert set(graphssl.list_methods(level="graph")) >= {"infograph", "graphcl"}
    assert set(graphssl.list_methods(level="any")) >= {"byol", "simclr", "barlow-twins"}
    assert "dgi" in graphssl.list_methods(tag="contrastive")
    assert "bgrl" not in graphssl.list_methods(tag="contrastive")
    with pytest.raises(UnknownNameError, match="did you mean 'graph'"):
        graphssl.list_methods(level="grph")
    with pytest.raises(UnknownNameError, match="did you mean 'contrastive'"):
        graphssl.list_methods(tag="contrastiv")
