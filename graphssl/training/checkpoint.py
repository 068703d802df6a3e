"""Checkpoints without pickle: every tensor in one safetensors file, everything else as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graphssl.errors import ConfigurationError, CorruptFileError, MissingFileError
from graphssl.sources import atomic_write

__all__ = ["load_checkpoint", "save_checkpoint"]

FORMAT = 1


def save_checkpoint(
    path: str | Path,
    *,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor] | None,
    facts: dict[str, Any],
    device: torch.device,
) -> None:
    """Write the whole state of a run atomically; a full disk leaves the previous checkpoint in place."""
    tensors = {f"method/{name}": value for name, value in method.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in (best or {}).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in state.items() if value is not None
        }
    tensors["random/cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    # clone(): safetensors refuses tensors that share memory (tied weights)
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(tensors, str(temporary), metadata={"facts": json.dumps(facts), "format": str(FORMAT)})


def load_checkpoint(
    path: str | Path,
    *,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    check: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
    """Restore a run in place, random streams included; returns its facts and its best weights, if any.

    Before anything is restored, ``check`` is called with the facts, and may raise.

    Raises
    ------
    MissingFileError, CorruptFileError
    ConfigurationError
        If the parameters are those of another method.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no checkpoint at {path}")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CorruptFileError(f"{path} is not a complete checkpoint ({error}): delete it to start again") from error
    check(facts)
    groups: dict[str, dict[str, Tensor]] = {"method": {}, "best": {}, "optimizer": {}, "random": {}}
    for name, value in tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = value
    try:
        method.load_state_dict(groups["method"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"{path} was made with another method: delete it, or train that one ({reason})"
        ) from error
    state = optimizer.state_dict()
    state["state"] = {}
    for name, value in groups["optimizer"].items():
        index, _, key = name.partition("/")
        state["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(state)
    torch.set_rng_state(groups["random"]["cpu"])
    if device.type == "cuda" and "cuda" in groups["random"]:
        torch.cuda.set_rng_state(groups["random"]["cuda"], device)
    return facts, groups["best"] or None
