"""``--set key=value``: text to the type that the option's signature asks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

from graphssl.bench import TRAINING_OPTIONS
from graphssl.errors import ConfigurationError, UnknownOptionError, nearest
from graphssl.method import method_options
from graphssl.training import train

__all__ = ["parse_settings", "parse_value"]


def parse_settings(method: str, assignments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort ``key=value`` texts into options of a method and options of its training, with their types.

    Raises
    ------
    UnknownOptionError
        For an unknown key, with the nearest known one.
    ConfigurationError
        For a text without ``=`` or a value of the wrong type.
    """
    known = method_options(method)
    loop = {name: p for name, p in inspect.signature(train).parameters.items() if name in TRAINING_OPTIONS}
    options: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ConfigurationError(f"--set expects key=value, got {assignment!r}")
        if key in known:
            options[key] = parse_value(key, text.strip(), known[key])
        elif key in loop:
            training[key] = parse_value(key, text.strip(), loop[key])
        else:
            close = nearest(key, [*known, *loop])
            hint = f"did you mean {close!r}? " if close else ""
            raise UnknownOptionError(
                f"--set: {method!r} has no option {key!r}: {hint}its options: {', '.join(known)}; "
                f"of the training: {', '.join(loop)}"
            )
    return options, training


def parse_value(key: str, text: str, parameter: inspect.Parameter) -> Any:
    """The value of an option from text, by the parameter's annotation, or by its default where it has none.

    ``none`` is None where the annotation allows it, ``a,b`` a list where it allows several values.
    """
    kinds = _kinds(parameter)
    if "None" in kinds and text.lower() in ("none", "null", ""):
        return None
    if "bool" in kinds and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    several = kinds & {"Sequence", "list", "tuple", "Iterable"}
    if several and "," in text:
        return [_number_or_text(part.strip(), kinds) for part in text.split(",") if part.strip()]
    if kinds & {"Mapping", "dict"} and text.startswith("{"):
        import json

        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"--set {key}: expected a JSON object, got {text!r}") from error
    value = _number_or_text(text, kinds)
    kind = type(value).__name__
    if kind not in kinds and not (kind == "int" and "float" in kinds):
        typed = sorted(kinds & {"int", "float", "bool", "str", "None", "Mapping"})
        expected = ", ".join(typed) or "an object that only Python can give"
        raise ConfigurationError(f"--set {key}: expected {expected}, got {text!r}")
    return value


def _kinds(parameter: inspect.Parameter) -> set[str]:
    """Names of the types an option takes, such as ``{"float", "None"}``."""
    if parameter.annotation is parameter.empty:
        plain = {"None", "int", "float", "bool", "str"}
        return plain if parameter.default is None else {type(parameter.default).__name__}
    text = parameter.annotation
    kinds = set(re.findall(r"\w+", text if isinstance(text, str) else inspect.formatannotation(text)))
    return kinds | {"str"} if "Literal" in kinds else kinds


def _number_or_text(text: str, kinds: set[str]) -> Any:
    for kind, convert in (("int", int), ("float", float)):
        if kind in kinds:
            try:
                return convert(text)
            except ValueError:
                continue
    return text
