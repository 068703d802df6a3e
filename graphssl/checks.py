"""Numbers that a caller gives, looked at before anything is done with them."""

from __future__ import annotations

import operator
from typing import Any

from graphssl.errors import ConfigurationError

__all__ = ["whole_number"]


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """``value`` as an int; 3.0 is one, True is none.

    Raises
    ------
    ConfigurationError
        If it is no whole number, or less than ``least``.
    """
    try:
        number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except TypeError:  # a tensor or array has an index, but not every one tells it
        number = None
    if number is None or isinstance(value, bool) or (least is not None and number < least):
        bound = "" if least is None else f" >= {least}"
        raise ConfigurationError(f"expected {name}{bound} as a whole number, got {value!r:.80}")
    return number
