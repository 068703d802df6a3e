"""Typed errors: each says what was expected, what came, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigurationError",
    "CorruptFileError",
    "DownloadError",
    "GraphSSLError",
    "InvalidGraphError",
    "MissingExtraError",
    "MissingFileError",
    "NonFiniteLossError",
    "NotInductiveError",
    "StorageError",
    "UnknownNameError",
    "UnknownOptionError",
]


class GraphSSLError(ValueError):
    """Root of every error that graphssl raises on purpose."""


class ConfigurationError(GraphSSLError):
    """Options that are each valid but do not fit together, or a value out of its range."""


class InvalidGraphError(GraphSSLError):
    """A graph that cannot be used: wrong shapes or dtypes, indices out of range, NaN features, no nodes."""


class UnknownNameError(GraphSSLError, KeyError):
    """A method, data set, encoder or protocol that is not registered."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class UnknownOptionError(GraphSSLError, TypeError):
    """An option that the method does not have."""


class MissingFileError(GraphSSLError, FileNotFoundError):
    """A path that does not exist."""


class CorruptFileError(GraphSSLError):
    """A file that is truncated, fails its checksum, or holds something else than expected."""


class DownloadError(GraphSSLError, ConnectionError):
    """A download that failed, or is not allowed (``GRAPHSSL_OFFLINE=1``)."""


class StorageError(GraphSSLError, OSError):
    """A file could not be written; whatever stood there before is untouched."""


class MissingExtraError(GraphSSLError, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the optional package {package!r}: install it with  pip install 'graphssl-kit[{extra}]'"
        )


class NotInductiveError(GraphSSLError):
    """The fitted method cannot embed data it was not trained on."""


class NonFiniteLossError(GraphSSLError, ArithmeticError):
    """The training loss became NaN or infinite."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, or None when nothing is close."""
    lookup = {candidate.lower(): candidate for candidate in known}
    match = difflib.get_close_matches(str(name).lower().replace("_", "-"), list(lookup), n=1, cutoff=0.5)
    match = match or difflib.get_close_matches(str(name).lower(), list(lookup), n=1, cutoff=0.5)
    return lookup[match[0]] if match else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An :class:`UnknownNameError` that suggests the nearest name and lists all of them."""
    names = sorted(known)
    close = nearest(name, names)
    hint = f"did you mean {close!r}? " if close else ""
    return UnknownNameError(f"unknown {kind} {name!r}: {hint}known: {', '.join(names)}")
