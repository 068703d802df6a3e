"""Which tier computes an op: plain torch, the C++ kernels on a CPU, or Triton kernels on a GPU."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import torch
from torch import Tensor

from graphssl.errors import ConfigurationError, unknown_name
from graphssl.ops import native

__all__ = ["TIERS", "choose", "declare", "ops", "report", "use"]

TIERS = ("torch", "cpp", "triton")


@dataclass(frozen=True)
class _Op:
    """The dtypes that a tier's kernel takes; a tier without an entry has no kernel.

    ``capabilities``: the GPUs that its Triton kernel is for, as major numbers of compute capability; with none, all.
    """

    kernels: dict[str, frozenset[torch.dtype]]
    capabilities: tuple[int, ...] = ()


_OPS: dict[str, _Op] = {}
_used: list[str] = []  # by use(), the last one counts


def declare(op: str, *, capabilities: tuple[int, ...] = (), **tiers: frozenset[torch.dtype] | set[torch.dtype]) -> None:
    """Say which tiers beside torch have a kernel for ``op``, for which dtypes, and on which GPUs."""
    _OPS[op] = _Op({tier: frozenset(dtypes) for tier, dtypes in tiers.items()}, capabilities)


def ops() -> tuple[str, ...]:
    """The names of all declared ops."""
    return tuple(sorted(_OPS))


def choose(op: str, x: Tensor) -> str:
    """The tier that computes ``op`` for data like ``x``.

    The C++ tier on a CPU and Triton on CUDA, wherever there is a kernel for the dtype; else torch.
    ``GRAPHSSL_BACKEND`` or :func:`use` name one tier for all ops (``torch``) or for some
    (``spmm=torch,segment_reduce=cpp``); where it has no kernel for this op, device or dtype, torch computes.

    Raises
    ------
    ConfigurationError
        If the setting has unknown names, or a tier that this machine does not have.
    """
    wanted = _wanted(_used[-1] if _used else os.environ.get("GRAPHSSL_BACKEND", ""), op)
    return _choose(op, x.device.type, x.dtype, wanted)


def _choose(op: str, device: str, dtype: torch.dtype, wanted: str | None) -> str:
    kernels = _OPS[op].kernels
    if wanted == "torch":
        return "torch"
    if wanted is not None and (reason := _missing(wanted)):
        raise ConfigurationError(
            f"the tier {wanted!r} was asked for, but {reason}: use torch, or leave the choice open"
        )
    tier = wanted or ("cpp" if device == "cpu" else "triton")
    if dtype not in kernels.get(tier, frozenset()) or _missing(tier) or _unfit(tier, op):
        return "torch"
    fits = device == "cpu" if tier == "cpp" else device == "cuda" or (device == "cpu" and _interpreted())
    return tier if fits else "torch"


@functools.lru_cache(maxsize=64)
def _wanted(setting: str, op: str) -> str | None:
    """The tier that a setting names for an op, or None."""
    found = None
    for part in filter(None, (part.strip() for part in setting.split(","))):
        name, _, tier = part.rpartition("=")
        if tier not in TIERS:
            raise unknown_name("tier in GRAPHSSL_BACKEND", tier, TIERS)
        if name and name not in _OPS:
            raise unknown_name("op in GRAPHSSL_BACKEND", name, ops())
        if name in ("", op):
            found = tier
    return found


@contextlib.contextmanager
def use(setting: str) -> Iterator[None]:
    """Inside the block, what ``GRAPHSSL_BACKEND=setting`` would mean."""
    for op in ops():
        _wanted(setting, op)  # an unknown name is told here
    _used.append(setting)
    try:
        yield
    finally:
        _used.pop()


def _missing(tier: str) -> str:
    """Why a tier cannot be used on this machine; empty when it can."""
    if tier == "cpp":
        return native.why_missing()
    if tier == "triton":
        return _triton_missing(_interpreted())
    return ""


@functools.cache
def _triton_missing(interpreted: bool) -> str:
    if util.find_spec("triton") is None:
        return "triton is not installed"
    if interpreted:
        return ""
    return _no_compiler() if torch.cuda.is_available() else "torch sees no CUDA device"


def _no_compiler() -> str:
    """Triton compiles what loads its kernels, in C, when the first one is launched."""
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "triton needs a C compiler, and there is neither gcc nor clang"
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        return "triton needs Python.h, and the headers of Python are not installed"
    return ""


def _unfit(tier: str, op: str) -> str:
    """Why a kernel is not for this GPU; empty when it is."""
    wanted = _OPS[op].capabilities
    if tier != "triton" or not wanted or _interpreted():
        return ""
    major, minor = _capability()
    if major in wanted:
        return ""
    made_for = " and ".join(f"{number}.x" for number in wanted)
    return f"the triton kernel is for GPUs of compute capability {made_for}, this one has {major}.{minor}"


@functools.cache
def _capability() -> tuple[int, int]:
    return torch.cuda.get_device_capability()


def _interpreted() -> bool:
    """Triton's interpreter runs its kernels on the CPU, slowly: for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def report() -> list[dict[str, str]]:
    """For every op and device the tier of its main dtype: dicts of ``op``, ``device``, ``tier``, ``reason``.

    That is float32 where a kernel takes it, else what the kernels are for: node ids (int32), or float64.
    """
    rows = []
    for op in ops():
        wanted = _wanted(os.environ.get("GRAPHSSL_BACKEND", ""), op)
        taken = frozenset().union(*_OPS[op].kernels.values())
        dtype = torch.float32 if torch.float32 in taken or not taken else min(taken, key=str)
        for device, fast in (("cpu", "cpp"), ("cuda", "triton")):
            tier = _choose(op, device, dtype, wanted)
            if wanted is not None:
                reason = "GRAPHSSL_BACKEND"
            elif tier == "cpp":
                reason = f"C++ kernel, processor with {native.instruction_set()}"
            elif tier == "triton":
                reason = "Triton kernel"
            elif fast not in _OPS[op].kernels:
                reason = f"torch was not slower: no {fast} kernel"
            else:
                reason = _missing(fast) or _unfit(fast, op) or f"the {fast} kernel is for other dtypes"
            rows.append({"op": op, "device": device, "tier": tier, "reason": reason})
    return rows
