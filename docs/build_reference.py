"""Make ``reference.md`` from ``__all__``, and the tables of ``evaluation.md``: ``python docs/build_reference.py``."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from pages import DOCS, first_sentence, replace_part, table, write

from graphssl.evaluation import PROBES
from graphssl.registry import METHODS, PROTOCOLS, Registry

MODULES = (
    "graphssl", "graphssl.embedder", "graphssl.method", "graphssl.training", "graphssl.evaluation", "graphssl.bench",
    "graphssl.bench.published", "graphssl.data", "graphssl.sources", "graphssl.encoders", "graphssl.readouts",
    "graphssl.views", "graphssl.pairs", "graphssl.critics", "graphssl.estimators", "graphssl.agreements",
    "graphssl.heads", "graphssl.functional", "graphssl.ops", "graphssl.samplers", "graphssl.testing",
    "graphssl.registry", "graphssl.errors",
)  # fmt: skip


def public_names() -> Iterator[tuple[ModuleType, str]]:
    """Every name of every ``__all__`` on the page."""
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            yield module, name


def line(module: ModuleType, name: str) -> str:
    """What a public name is, in one sentence; empty when nobody wrote it down."""
    value = getattr(module, name)
    if isinstance(value, Registry):
        return f"The registry of each {value.kind}."
    if inspect.isclass(value) or inspect.isroutine(value):
        return first_sentence(value.__doc__) if value.__doc__ else ""
    if get_origin(value) is Literal:
        return f"One of {', '.join(f'`{choice!r}`' for choice in get_args(value))}."
    return _comment(module, name)


def _comment(module: ModuleType, name: str) -> str:
    """The ``#:`` comment above a constant, in the module or in the one it is imported from."""
    if name == "__version__":
        return "The version of the package."
    path = Path(module.__file__ or "")
    files = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    for file in files:
        found = re.search(rf"((?:^#:.*\n)+){re.escape(name)}\b.*=", file.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return first_sentence(" ".join(part.removeprefix("#:").strip() for part in found[1].splitlines()))
    return ""


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return "error" if issubclass(value, Exception) else "class"
    return "function" if inspect.isroutine(value) else "constant"


def build_reference() -> str:
    """The whole page."""
    parts = [
        "# Reference",
        "Every public name, one line each; the docstring says the rest (`help(name)` in Python). This page is made by "
        "`python docs/build_reference.py`; a test compares it with the code.",
    ]
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        rows = [[f"`{name}`", _kind(getattr(module, name)), line(module, name)] for name in module.__all__]
        parts += [f"## {module_name}", first_sentence(module.__doc__), table(["name", "kind", "what it is"], rows)]
    methods = [[f"[{e.name}](methods/{e.name}.md)", f"`{e.module.__name__}.{e.obj.__name__}`"] for e in METHODS]
    parts += ["## graphssl.methods", "One file per method.", table(["method", "object"], methods)]
    return "\n\n".join(parts) + "\n"


def protocols() -> str:
    """What each protocol prints about itself."""
    rows = [
        [f"`{p.name}`", p.level, str(p.splits), str(p.probe), p.metric, p.selection, p.spread, p.source]
        for p in (entry.obj for entry in PROTOCOLS)
    ]
    return table(["protocol", "level", "splits", "probe", "metric", "chosen by", "std is over", "after"], rows)


def probes() -> str:
    """What each probe prints about itself."""
    return table(["probe", "what it is"], [[f"`{name}`", str(make())] for name, make in sorted(PROBES.items())])


def build_evaluation(page: str) -> str:
    """The evaluation page with its tables made anew."""
    return replace_part(replace_part(page, "protocols", protocols()), "probes", probes())


def main() -> None:
    """Write what changed."""
    nameless = [f"{module.__name__}.{name}" for module, name in public_names() if not line(module, name)]
    if nameless:
        raise SystemExit(f"no docstring or #: comment: {', '.join(nameless)}")
    write(DOCS / "reference.md", build_reference())
    path = DOCS / "evaluation.md"
    write(path, build_evaluation(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
