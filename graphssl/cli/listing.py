"""``graphssl methods`` and ``graphssl datasets``."""

from __future__ import annotations

import inspect
import re
from typing import Any

from graphssl.cli.output import print_json, print_table
from graphssl.data import dataset_info, list_datasets
from graphssl.method import method_options, method_recipes
from graphssl.registry import METHODS

__all__ = ["show_datasets", "show_methods"]

_ROLE = re.compile(r":\w+:`~?(?:\w+\.)*(\w+)`")  # :class:`~package.Name` reads as Name


def show_methods(*, as_json: bool) -> None:
    """Print the registered methods."""
    found = [
        {
            "name": entry.name,
            "level": entry.info["level"],
            "tags": list(entry.info["tags"]),
            "paper": entry.info["paper"],
            "summary": _ROLE.sub(r"\1", entry.summary),
            "options": {name: _default(p) for name, p in method_options(entry.name).items()},
            "recipes": sorted(method_recipes(entry.name)),
        }
        for entry in METHODS
    ]
    if as_json:
        print_json(found)
        return
    print_table(
        ["method", "level", "tags", "paper", "recipes", "summary"],
        [
            [m["name"], m["level"], ", ".join(m["tags"]), m["paper"], ", ".join(m["recipes"]), m["summary"]]
            for m in found
        ],
    )


def show_datasets(*, as_json: bool) -> None:
    """Print the named data sets."""
    found = [dataset_info(name).to_dict() for name in list_datasets()]
    if as_json:
        print_json(found)
        return
    print_table(
        ["data set", "level", "nodes or graphs", "features", "classes", "default protocol", "family"],
        [
            [
                d["name"], d["level"], str(d["num_nodes"] if d["level"] == "node" else d["num_graphs"]),
                str(d["num_features"]), str(d["num_classes"]), d["protocol"], d["family"],
            ]
            for d in found
        ],
    )  # fmt: skip


def _default(parameter: inspect.Parameter) -> Any:
    """The default as a plain value; what JSON cannot hold as text, and ``required`` where there is none."""
    if parameter.default is parameter.empty:
        return "required"
    plain = isinstance(parameter.default, str | int | float | bool | list | type(None))
    if isinstance(parameter.default, tuple):
        return list(parameter.default)
    return parameter.default if plain else repr(parameter.default)
