"""Memory that stays with the process between the steps of a training."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of mallopt(3)
_LOCK, _inside = threading.Lock(), 0


@contextmanager
def keep_memory() -> Iterator[None]:
    """Inside the block, memory that is freed stays with the process for the next arrays; at its end it goes back.

    A step of training makes and frees the same arrays as the one before. The C library of Linux returns arrays above
    32 MiB to the system at once, which has to clear every page of the next one: with 64 features, from 131,072 nodes on
    a step takes up to twice as long (``benchmarks/speed/growth.py``). Blocks may be nested and run on several threads;
    the last one to end gives the memory back. Without glibc nothing happens.
    """
    global _inside
    with _LOCK:
        _inside += 1
        if _inside == 1 and (libc := _glibc()):
            libc.mallopt(_MMAP_MAX, 0)
            libc.mallopt(_TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0 and (libc := _glibc()):
                libc.mallopt(_MMAP_MAX, 2**16)  # the default
                # Setting any of these ends their adaptation: they stay where it leads, once large arrays were freed.
                libc.mallopt(_MMAP_THRESHOLD, 2**25)
                libc.mallopt(_TRIM_THRESHOLD, 2**26)
                libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it has these functions."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
