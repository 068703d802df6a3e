"""What can be checked before anything runs, so that a typing mistake costs no time."""

from __future__ import annotations

from collections.abc import Sequence

from graphssl.data import dataset_info
from graphssl.errors import ConfigurationError, unknown_name
from graphssl.method import method_options, method_recipes
from graphssl.registry import ENCODERS, METHODS, PROTOCOLS
from graphssl.training import resolve_device

__all__ = ["check_device", "check_encoders", "check_method", "choose_protocol", "fits", "resolve_recipe"]


def check_method(name: str) -> None:
    """Refuse an unknown method, or one whose parts can only be given in Python."""
    METHODS.get(name)
    missing = [p.name for p in method_options(name).values() if p.default is p.empty]
    if missing:
        raise ConfigurationError(
            f"method {name!r} takes parts that only Python can give ({', '.join(missing)}): "
            "use it through its class, or choose another method, see: graphssl methods"
        )


def check_encoders(names: Sequence[str]) -> None:
    """Refuse an unknown encoder."""
    for name in names:
        ENCODERS.get(name)


def check_device(name: str) -> None:
    """Refuse a device that does not exist here."""
    resolve_device(name)


def resolve_recipe(name: str, methods: Sequence[str]) -> str | None:
    """``--recipe``'s value for the runner; refuses a recipe that none of the methods has."""
    if name == "none":
        return None
    recipes = sorted({recipe for method in methods for recipe in method_recipes(method)})
    if name != "auto" and name not in recipes:
        raise unknown_name("recipe", name, [*recipes, "auto", "none"])
    return name


def choose_protocol(dataset: str, protocol: str | None) -> str:
    """The protocol asked for, checked against the data set's level; else the data set's own."""
    info = dataset_info(dataset)
    if protocol is None:
        return info.protocol
    level = PROTOCOLS.get(protocol).obj.level
    if level not in (info.level, "any"):
        usable = [entry.name for entry in PROTOCOLS if entry.obj.level in (info.level, "any")]
        raise ConfigurationError(
            f"protocol {protocol!r} is for {level} level and {dataset!r} is at {info.level} level: "
            f"use one of {', '.join(usable)}"
        )
    return protocol


def fits(method: str, dataset: str) -> bool:
    """Does the method embed what the data set labels, nodes or graphs?"""
    return METHODS.get(method).info["level"] in (dataset_info(dataset).level, "any")
