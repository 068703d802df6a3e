"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from graphssl.errors import unknown_name
from graphssl.ops import PReLU

__all__ = ["make_activation"]


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky-relu": nn.LeakyReLU,
    "prelu": PReLU,
    "relu": nn.ReLU,
    "rrelu": nn.RReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(name: str) -> nn.Module:
    """A new activation with torch's default settings.

    Parameters
    ----------
    name : str
        ``elu``, ``gelu``, ``identity``, ``leaky-relu``, ``prelu`` (one learnt slope for all channels, starting at
        0.25), ``relu``, ``rrelu`` (random slopes while training), ``sigmoid``, ``silu`` or ``tanh``.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    """
    if name not in _ACTIVATIONS:
        raise unknown_name("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()
