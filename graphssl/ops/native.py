"""The library of C++ kernels: found or not, for which instruction set, and how it is called."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, unknown_name

__all__ = [
    "call", "has_kernel", "instruction_set", "instruction_sets", "room", "threads", "use_instruction_set",
    "why_missing",
]  # fmt: skip

T = TypeVar("T")

_FILE = Path(__file__).parent / "cpp" / "kernels.so"
_INTERFACE = 5  # of cpp/cpu.cpp: a library from other sources would read its arguments wrongly
_LEVELS = ("base", "avx2", "avx512", "avx512_bf16", "amx_bf16")
_chosen: list[str] = []  # by use_instruction_set, the last one counts


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    """The library, or None and the reason."""
    if not _FILE.is_file():
        return None, "not built: no C++ compiler was there at installation"
    try:
        library = ctypes.CDLL(str(_FILE))
        if library.graphssl_interface() != _INTERFACE:
            return None, "built from other sources: install the package again (pip install -e .)"
    except (OSError, AttributeError) as error:
        return None, f"cannot be loaded: {error}"
    return library, ""


def why_missing() -> str:
    """Why there are no C++ kernels; empty when there are."""
    return _load()[1]


@functools.cache
def instruction_sets() -> tuple[str, ...]:
    """What this processor can run, the plainest first; empty without a library."""
    library, _ = _load()
    if library is None:
        return ()
    return _LEVELS[: int(library.graphssl_cpu_level()) + 1]


def instruction_set() -> str:
    """The one in use: the best there is, unless ``GRAPHSSL_ISA`` or :func:`use_instruction_set` names another.

    Raises
    ------
    ConfigurationError
        If the one that was named is not available here.
    """
    name = _chosen[-1] if _chosen else os.environ.get("GRAPHSSL_ISA", "")
    if not name:
        return instruction_sets()[-1]
    if name not in instruction_sets():
        raise unknown_name("instruction set of this machine", name, instruction_sets())
    return name


@contextlib.contextmanager
def use_instruction_set(name: str) -> Iterator[None]:
    """Run the kernels of one instruction set inside the block (for tests and benchmarks)."""
    _chosen.append(name)
    try:
        instruction_set()  # an unknown name is told here
        yield
    finally:
        _chosen.pop()


def has_kernel(name: str) -> bool:
    """Is there a kernel of that name for the instruction set in use, or for a plainer one?"""
    return bool(instruction_sets()) and _function(name, instruction_set()) is not None


@functools.cache
def _function(name: str, isa: str) -> Callable[..., int] | None:
    library, _ = _load()
    for level in reversed(_LEVELS[: _LEVELS.index(isa) + 1]):
        function = getattr(library, f"{name}_{level}", None)
        if function is not None:
            function.restype = ctypes.c_int64
            return function
    return None


def call(name: str, *args: Tensor | float | None) -> None:
    """Run a kernel on the memory of tensors; the interpreter's lock is released meanwhile.

    Parameters
    ----------
    name : str
        Without the suffix of the instruction set.
    *args
        In the order of the C function. A tensor, which must be contiguous and on the CPU, is passed as a pointer to its
        first entry, None as a null pointer, an int or a bool as int64_t, a float as double.

    Raises
    ------
    ConfigurationError
        If there is no such kernel, or it reports a failure (no memory).
    """
    function = _function(name, instruction_set()) if instruction_sets() else None
    if function is None:
        raise ConfigurationError(f"there is no C++ kernel {name!r}: {why_missing() or 'rebuild the package'}")
    status = function(*map(_argument, args))
    if status != 0:
        raise ConfigurationError(f"the C++ kernel {name!r} failed with status {status}: is there enough memory?")


def room(name: str, handle: int, make: Callable[[], T]) -> T:
    """Tensors for a result that the kernel ``name`` holds; where there is no room, its memory is given back."""
    try:
        return make()
    except BaseException:
        call(f"{name}_free", handle)
        raise


def _argument(value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.device.type != "cpu" or not value.is_contiguous():
            raise ConfigurationError(
                f"kernels read contiguous CPU memory, got {value.device}, strides {value.stride()}"
            )
        if value.numel() and not value.data_ptr():
            raise ConfigurationError(f"kernels read memory, and a {type(value).__name__} has none of its own")
        return ctypes.c_void_p(value.data_ptr())
    if value is None:
        return ctypes.c_void_p(None)
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(int(value))


def threads() -> int:
    """How many threads a kernel may use: as many as torch does."""
    return torch.get_num_threads()
