"""graphssl: self-supervised learning on graphs.

Public names are loaded when first used, so that ``import graphssl`` costs next to nothing:
neither torch-geometric nor scikit-learn is imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Linux: large tensors in pages of 2 MB, so that a step does not spend its time on page faults. Torch reads this at its
# first tensor; set it to 0 to keep small pages.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_HOME = {
    "Embedder": "graphssl.embedder",
    "GraphSSLError": "graphssl.errors",
    "Method": "graphssl.method",
    "MissingFileError": "graphssl.errors",
    "Recipe": "graphssl.method",
    "create_method": "graphssl.method",
    "evaluate": "graphssl.evaluation",
    "list_datasets": "graphssl.data",
    "list_methods": "graphssl.method",
    "load_dataset": "graphssl.data",
    "register": "graphssl.method",
    "train": "graphssl.training",
}
_MODULES = (
    "agreements", "critics", "data", "encoders", "estimators", "evaluation", "functional",
    "heads", "methods", "ops", "pairs", "readouts", "samplers", "testing", "training", "views",
)  # fmt: skip
__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from graphssl.data import list_datasets, load_dataset
    from graphssl.embedder import Embedder
    from graphssl.errors import GraphSSLError, MissingFileError
    from graphssl.evaluation import evaluate
    from graphssl.method import Method, Recipe, create_method, list_methods, register
    from graphssl.training import train


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"graphssl.{name}")
    raise AttributeError(f"module 'graphssl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
