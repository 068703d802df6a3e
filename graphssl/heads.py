"""What stands between an encoder and its loss: projector, predictor, a moving-average copy, a queue."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphssl.errors import ConfigurationError, unknown_name
from graphssl.ops import PReLU

__all__ = ["EMA", "Predictor", "Projector", "Queue", "output_width"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": nn.LeakyReLU,
    "prelu": PReLU,
    "relu": nn.ReLU,
    "rrelu": nn.RReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Projector(nn.Sequential):
    """A network from representations to the space of the loss, discarded after training: (N, D) -> (N, P).

    Linear layers with norm and activation after each but the last.

    Parameters
    ----------
    in_channels, hidden_channels, out_channels : int
        Widths of input, hidden layers and output.
    num_layers : int
        Number of linear layers; 1 has no hidden layer.
    norm : {"batch"}, optional
        Normalisation of hidden layers (needs at least two rows in training).
    activation : str
        relu, prelu, elu, gelu, leaky-relu, rrelu, silu or tanh.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        *,
        num_layers: int = 2,
        norm: Literal["batch"] | None = None,
        activation: str = "relu",
    ) -> None:
        super().__init__(*_layers(in_channels, hidden_channels, out_channels, num_layers, norm, activation))


class Predictor(Projector):
    """A network that predicts a target's projections from the online ones: (N, P) -> (N, P).

    Built as :class:`Projector` is; a name of its own because a predictor stands on one side of the loss only.
    """


def _layers(
    in_channels: int, hidden_channels: int, out_channels: int, num_layers: int, norm: str | None, activation: str
) -> list[nn.Module]:
    if num_layers < 1:
        raise ConfigurationError(f"num_layers must be at least 1, got {num_layers}")
    if norm not in (None, "batch"):
        raise ConfigurationError(f"norm must be 'batch' or None, got {norm!r}")
    if activation not in _ACTIVATIONS:
        raise unknown_name("activation", activation, _ACTIVATIONS)
    layers: list[nn.Module] = []
    for _ in range(num_layers - 1):
        layers.append(nn.Linear(in_channels, hidden_channels))
        if norm == "batch":
            layers.append(nn.BatchNorm1d(hidden_channels))
        layers.append(_ACTIVATIONS[activation]())
        in_channels = hidden_channels
    return [*layers, nn.Linear(in_channels, out_channels)]


class EMA(nn.Module):
    r"""A copy of a module whose parameters follow it as an exponential moving average.

    .. math::
        \xi \leftarrow m \xi + (1 - m) \theta

    ``self.target`` is the copy; calling the EMA calls it, without gradient. The module itself is not
    registered here: its parameters appear once in the ``state_dict`` of a method that holds both.

    Parameters
    ----------
    module : Module
        The online network, :math:`\theta`; copied at once, with its devices and types.
    momentum : float, in [0, 1]
        The paper's m (or :math:`\tau`): 1 never moves, 0 copies.
    reinitialize : bool
        Draw the copy's parameters anew, as BGRL does, instead of starting from the module's.

    Raises
    ------
    ConfigurationError
        If the momentum is outside [0, 1], or ``reinitialize`` meets a module that has parameters but no
        ``reset_parameters()``.

    Notes
    -----
    Parameters are averaged, buffers are the target's own: batch normalisation in the target keeps the
    running statistics of what the target itself computes in training mode, which are those of its
    own parameters. ``update`` touches no buffer. (So do the released codes of BYOL and BGRL, by omission.)

    References
    ----------
    .. [1] Grill et al. Bootstrap Your Own Latent. 2020. arXiv:2006.07733, equation 1.
    .. [2] Thakoor et al. Large-Scale Representation Learning on Graphs via Bootstrapping. 2022.
       arXiv:2102.06514.
    """

    def __init__(self, module: nn.Module, momentum: float = 0.99, reinitialize: bool = False) -> None:
        super().__init__()
        self.momentum = _momentum(momentum)
        self._online = (module,)  # in a tuple, so that it is not registered as a submodule
        self.target = copy.deepcopy(module)
        if reinitialize:
            _reset(self.target)
        self.target.requires_grad_(False)

    @torch.no_grad()
    def forward(self, *args: Any) -> Any:
        """The target's output, detached."""
        return self.target(*args)

    @torch.no_grad()
    def update(self, momentum: float | None = None) -> None:
        """Move the target one step towards the module; call it after the optimiser's step.

        Parameters
        ----------
        momentum : float, optional
            For this step, where a schedule gives it; the constructor's unless given.
        """
        weight = 1 - (self.momentum if momentum is None else _momentum(momentum))
        for slow, fast in zip(self.target.parameters(), self._online[0].parameters(), strict=True):
            slow.lerp_(fast.to(slow), weight)


def _momentum(value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigurationError(f"momentum must be in [0, 1], got {value}")
    return value


def _reset(module: nn.Module) -> None:
    """Draw all parameters anew; a module with ``reset_parameters`` answers for what it holds."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    if any(True for _ in module.parameters(recurse=False)):
        raise ConfigurationError(
            f"{type(module).__name__} has parameters but no reset_parameters(): add one, or use reinitialize=False"
        )
    for child in module.children():
        _reset(child)


class Queue(nn.Module):
    """The latest keys of earlier batches, first in, first out: negatives beyond the batch.

    Kept in the ``state_dict``, together with how full it is.

    Parameters
    ----------
    size : int
        K, the number of rows kept once it is full.
    dim : int
        P, the length of a row.

    References
    ----------
    .. [1] He, Fan, Wu, Xie, Girshick. Momentum Contrast for Unsupervised Visual Representation Learning.
       2020. arXiv:1911.05722, section 3.2. Deviation: it starts empty, not with random rows.
    """

    rows: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ConfigurationError(f"size and dim must be at least 1, got {size} and {dim}")
        self.register_buffer("rows", torch.zeros(size, dim))  # (K, P)
        self._pushed = 0  # a Python number: reading it waits for no device

    def __len__(self) -> int:
        return min(self._pushed, self.rows.size(0))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Store rows, (N, P), detached, in place of the oldest; of more than K rows the last K."""
        if keys.dim() != 2 or keys.size(1) != self.rows.size(1):
            raise ConfigurationError(f"keys must have shape (rows, {self.rows.size(1)}), got {tuple(keys.shape)}")
        size = self.rows.size(0)
        skipped = max(0, keys.size(0) - size)  # two rows for one place would race on a GPU
        place = torch.arange(self._pushed + skipped, self._pushed + keys.size(0), device=self.rows.device) % size
        self.rows[place] = keys[skipped:].to(self.rows)
        self._pushed += keys.size(0)

    def values(self) -> Tensor:
        """A copy of the stored rows, (len(self), P), in no particular order; no gradient."""
        return self.rows[: len(self)].clone()  # a later push must not change what autograd kept

    def get_extra_state(self) -> Tensor:
        """How many rows were ever pushed, as a tensor on the CPU, for the ``state_dict``."""
        return torch.tensor(self._pushed)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` gave."""
        self._pushed = int(state)


def output_width(encoder: nn.Module) -> int:
    """D of an encoder: its ``out_channels``.

    Raises
    ------
    ConfigurationError
        If it has none.
    """
    width = getattr(encoder, "out_channels", None)
    if not isinstance(width, int):
        raise ConfigurationError(
            f"{type(encoder).__name__} does not say how wide its output is: give it an attribute out_channels"
        )
    return width
