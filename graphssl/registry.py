"""Names for parts: what is registered is listed, tested, documented and reachable from the command line."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from graphssl.errors import GraphSSLError, MissingFileError, unknown_name

__all__ = [
    "AGREEMENTS",
    "CRITICS",
    "ENCODERS",
    "ESTIMATORS",
    "METHODS",
    "PROTOCOLS",
    "READOUTS",
    "SAMPLERS",
    "VIEWS",
    "Entry",
    "Registry",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One registered object: its name, the object, and free-form facts about it (``info``)."""

    name: str
    obj: Any
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        """The module that registered the object."""
        return sys.modules[self.obj.__module__]

    @property
    def summary(self) -> str:
        """First line of the object's docstring."""
        return (self.obj.__doc__ or "").strip().partition("\n")[0]


class Registry:
    """A mapping of lower-case, hyphenated names to parts.

    Parameters
    ----------
    kind : str
        What is registered, for messages: ``"method"``.
    package : str
        The package (or module) whose import registers the built-in parts. It is imported
        when a name is first asked for, together with the user's plugins.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry] = {}

    def register(self, name: str, **info: Any) -> Callable[[T], T]:
        """Decorator that files a class or function under ``name``.

        Raises
        ------
        GraphSSLError
            If the name is taken by an object from another module, or is not lower case with hyphens.
        """
        if name != name.lower() or "_" in name or " " in name:
            raise GraphSSLError(f"{self.kind} names are lower case with hyphens, got {name!r}")

        def decorate(obj: T) -> T:
            taken = self._entries.get(name)
            if taken is not None and taken.obj.__module__ != obj.__module__:
                raise GraphSSLError(f"{self.kind} {name!r} is already registered by {taken.obj.__module__}")
            self._entries[name] = Entry(name, obj, dict(info))
            return obj

        return decorate

    def get(self, name: str) -> Entry:
        """The entry of that name; an unknown one raises an error that suggests the nearest."""
        self._discover()
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def remove(self, name: str) -> None:
        """Forget an entry (for tests and interactive redefinition)."""
        self._entries.pop(name, None)

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._discover()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter([self._entries[name] for name in self.names()])

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        _import_all(self.package)
        _load_plugins(os.environ.get("GRAPHSSL_PLUGINS", ""))


@cache
def _import_all(package: str) -> None:
    module = importlib.import_module(package)
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not found.name.startswith("_"):
            importlib.import_module(f"{package}.{found.name}")


@cache
def _load_plugins(names: str) -> None:
    """Import what ``GRAPHSSL_PLUGINS`` names (modules or .py files, comma separated) and installed entry points."""
    for plugin in entry_points(group="graphssl.plugins"):
        plugin.load()
    for name in filter(None, (part.strip() for part in names.split(","))):
        if not name.endswith(".py"):
            importlib.import_module(name)
            continue
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise MissingFileError(f"GRAPHSSL_PLUGINS names {name!r}, which does not exist")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)


METHODS = Registry("method", "graphssl.methods")
ENCODERS = Registry("encoder", "graphssl.encoders")
READOUTS = Registry("readout", "graphssl.readouts")
VIEWS = Registry("view", "graphssl.views")
SAMPLERS = Registry("sampler", "graphssl.samplers")
CRITICS = Registry("critic", "graphssl.critics")
ESTIMATORS = Registry("estimator", "graphssl.estimators")
AGREEMENTS = Registry("agreement", "graphssl.agreements")
PROTOCOLS = Registry("protocol", "graphssl.evaluation")
