"""From a name and its options to an encoder."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from torch import nn

from graphssl.checks import whole_number
from graphssl.encoders.base import Encoder
from graphssl.encoders.external import as_encoder
from graphssl.encoders.stack import Stack
from graphssl.errors import ConfigurationError, UnknownOptionError, nearest
from graphssl.registry import ENCODERS

__all__ = ["build_encoder", "encoder_options"]


def build_encoder(
    encoder: str | nn.Module,
    in_channels: int,
    *,
    hidden_channels: int = 256,
    out_channels: int | None = None,
    num_layers: int = 2,
    activation: str = "prelu",
    norm: str | None = None,
    norm_momentum: float = 0.1,
    dropout: float = 0.0,
    skip: bool = False,
    jumping: str | None = None,
    final_activation: bool = True,
    options: Mapping[str, Any] | None = None,
    further: Mapping[str, Any] | None = None,
) -> Encoder:
    """Build an encoder of ``num_layers`` layers: widths F, hidden, ..., hidden, out.

    Parameters
    ----------
    encoder : str or nn.Module
        A registered name (``gcn``, ``gin``, ``sage``, ``gat``, ``mlp``), or any PyG module, which is wrapped by
        :func:`as_encoder`; the other arguments are then its own affair and not used.
    in_channels : int
        F.
    hidden_channels : int
        Width of all layers but the last.
    out_channels : int, optional
        Width of the last layer; default ``hidden_channels``. With ``jumping="cat"`` the encoder's own
        ``out_channels`` is the sum of all widths.
    num_layers : int
        At least 1.
    activation, norm, norm_momentum, dropout, skip, jumping, final_activation
        See :class:`Stack`.
    options : mapping, optional
        Arguments of the layer itself, such as ``{"heads": 8}`` for gat; see the layer's class.
    further : mapping, optional
        The arguments above by name, where they shall be others: the ``encoder_options`` of methods.

    Returns
    -------
    Encoder
        With ``in_channels`` and ``out_channels``; ``encoder(data)`` has shape (N, out_channels).

    Raises
    ------
    UnknownNameError, UnknownOptionError
        With the nearest known name.
    ConfigurationError
        If the values do not fit together.

    Examples
    --------
    >>> build_encoder("gcn", 1433, hidden_channels=256, out_channels=128).out_channels
    128
    """
    given = {name: value for name, value in locals().items() if name not in ("encoder", "in_channels", "further")}
    if further:
        _check_known("build_encoder", further, given)
        return build_encoder(encoder, in_channels, **{**given, **further})
    if not isinstance(encoder, str):
        wrapped = as_encoder(encoder)
        if wrapped.in_channels not in (-1, in_channels):
            raise ConfigurationError(
                f"the encoder takes {wrapped.in_channels} features, but the graph has {in_channels}"
            )
        return wrapped
    layer = ENCODERS.get(encoder).obj
    options = dict(options or {})
    _check_known(f"encoder {encoder!r}", options, encoder_options(encoder))
    first, hidden = whole_number("in_channels", in_channels, 1), whole_number("hidden_channels", hidden_channels, 1)
    last = hidden if out_channels is None else whole_number("out_channels", out_channels, 1)
    widths = [first, *[hidden] * (whole_number("num_layers", num_layers, 1) - 1), last]
    return Stack(
        [layer(width_in, width_out, **options) for width_in, width_out in pairwise(widths)],
        widths,
        activation=activation,
        norm=norm,
        norm_momentum=norm_momentum,
        dropout=dropout,
        skip=skip,
        jumping=jumping,
        final_activation=final_activation,
    )


def _check_known(what: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    for option in options:
        if option not in known:
            close = nearest(option, known)
            hint = f"did you mean {close!r}? " if close else ""
            raise UnknownOptionError(f"{what} has no option {option!r}: {hint}known: {', '.join(known)}")


def encoder_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a registered encoder's layer, by name: what ``options=`` may hold."""
    parameters = inspect.signature(ENCODERS.get(name).obj).parameters
    return {key: parameter for key, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
