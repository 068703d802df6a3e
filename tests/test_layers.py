"""Import directions: a layer may import only what stands above it, or to its left."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import graphssl
from graphssl.registry import METHODS

PACKAGE = Path(graphssl.__file__).parent
BASE = {"", "errors", "checks", "registry", "sources", "method"}
TENSOR = ["ops", "pairs", "functional", "critics", "estimators", "agreements", "heads"]
GRAPH = ["ops", "data", "encoders", "readouts", "views", "samplers"]
ALLOWED = {name: set(TENSOR[: i + 1]) for i, name in enumerate(TENSOR)}
ALLOWED |= {name: set(GRAPH[: i + 1]) for i, name in enumerate(GRAPH)}
ALLOWED |= dict.fromkeys(BASE, BASE)
ALLOWED["methods"] = {*TENSOR, *GRAPH, "methods"}
ALLOWED["training"] = {"data", "encoders", "samplers", "training"}
ALLOWED["evaluation"] = {"ops", "data", "readouts", "training", "evaluation"}
ALLOWED["bench"] = ALLOWED["evaluation"] | {"bench"}
ALLOWED["testing"] = {*TENSOR, *GRAPH, "methods", "training", "evaluation", "bench", "testing"}
ALLOWED["embedder"] = ALLOWED["bench"]
ALLOWED["cli"] = ALLOWED["bench"] | {"embedder", "cli", "views", "encoders"}
ALLOWED["__main__"] = {"cli"}

FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    first = path.parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported_layers(path: Path) -> set[str]:
    tree = ast.parse((PACKAGE / path).read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [node.module] if node.module != "graphssl" else [f"graphssl.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    parts = [name.split(".") for name in names if name and name.split(".")[0] == "graphssl"]
    return {p[1] if len(p) > 1 and not p[1].startswith("__") else "" for p in parts}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_upwards(path: Path) -> None:
    layer = layer_of(path)
    forbidden = imported_layers(path) - ALLOWED[layer] - BASE
    assert not forbidden, f"{path} (layer {layer!r}) imports {sorted(forbidden)}"


@pytest.mark.parametrize("name", [e.name for e in METHODS if e.info["level"] == "any"])
def test_methods_of_level_any_know_no_graph(name: str) -> None:
    path = Path(METHODS.get(name).module.__file__).relative_to(PACKAGE)
    assert not imported_layers(path) & {"data", "encoders", "readouts", "views", "samplers"}
    assert "torch_geometric" not in (PACKAGE / path).read_text()


def test_no_public_name_is_a_module() -> None:
    modules = {path.parts[0].removesuffix(".py") for path in FILES}
    assert not modules & set(graphssl.__all__)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_graphssl_loads_no_heavy_package() -> None:
    heavy = "{'torch', 'torch_geometric', 'sklearn', 'scipy', 'networkx', 'transformers', 'matplotlib'}"
    assert run(f"import sys, graphssl; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_import_graphssl_adds_under_100_ms_to_torch() -> None:
    code = "import torch, time; t = time.perf_counter(); import graphssl; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(3)) < 0.1


def test_public_names_resolve_and_are_documented() -> None:
    for name in graphssl.__all__:
        value = getattr(graphssl, name)
        assert name == "__version__" or value.__doc__, f"{name} has no docstring"
