"""What a figure was measured with: versions, commit, device, memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

import graphssl

__all__ = ["commit", "device_name", "machine", "peak_memory", "reset_peak_memory"]


@cache
def commit() -> str | None:
    """The commit of the checkout the package runs from; None for an installed package."""
    root = Path(graphssl.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the CUDA device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring anew. On CPU this cannot be done: see :func:`peak_memory`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Peak memory in bytes.

    On CUDA: allocated by tensors since :func:`reset_peak_memory`. On CPU: the largest resident size of the
    process since it started, so in a run of many jobs a small one shows the peak of a larger one before it.
    None where the system does not tell.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def machine() -> dict[str, Any]:
    """Versions, processor and threads, as plain values."""
    import torch_geometric

    return {
        "graphssl": graphssl.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_geometric": torch_geometric.__version__,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
