"""Any PyTorch Geometric module as an encoder."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from graphssl.data import NodeBlocks, graph_of_node
from graphssl.encoders.base import Encoder, node_features
from graphssl.encoders.sampled import num_seeds
from graphssl.errors import ConfigurationError

__all__ = ["External", "as_encoder"]


class External(Encoder):
    """A module of the user's, called with the parts of the graph that its ``forward`` names.

    Parameters
    ----------
    module : nn.Module
        Its ``forward`` takes ``x`` and, as it likes, ``edge_index``, ``edge_weight``, ``edge_attr``, ``batch``;
        or a single argument named ``data``, ``graph`` or ``batch``: the :class:`~torch_geometric.data.Data` itself.
    in_channels, out_channels : int
        F (-1: any) and D.
    """

    def __init__(self, module: nn.Module, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.module = module
        self.in_channels, self.out_channels = in_channels, out_channels
        self.takes = _parameters(module)

    @property
    def whole_graph_reason(self) -> str:
        """A module of the user's always does."""
        return (
            f"{type(self.module).__name__} cannot be taken apart into layers, which embedding in blocks needs: "
            "use an encoder by name (gcn, gin, sage, gat, mlp), or embed the whole graph, without batch_size"
        )

    def reset_parameters(self) -> None:
        """Draw the module's parameters anew."""
        reset = getattr(self.module, "reset_parameters", None)
        if reset is None:
            raise ConfigurationError(f"{type(self.module).__name__} has no reset_parameters()")
        reset()

    def forward(self, data: Data | NodeBlocks) -> Tensor:
        """Representations of all nodes, shape ``(N, out_channels)``; of a sampled batch, of its seeds.

        Raises
        ------
        ConfigurationError
            If the module returns anything but one tensor of that shape, or is to go through blocks of nodes.
        """
        if isinstance(data, NodeBlocks):
            raise ConfigurationError(self.whole_graph_reason)
        out = self.module(data) if self.takes == ("data",) else self._call(data)
        name = type(self.module).__name__
        if not isinstance(out, Tensor):
            raise ConfigurationError(
                f"an encoder returns one tensor (N, {self.out_channels}), but {name} returned "
                f"{type(out).__name__}: wrap it in a module that returns the node representations only"
            )
        if out.shape != (data.num_nodes, self.out_channels):
            raise ConfigurationError(
                f"expected {name} to return ({data.num_nodes}, {self.out_channels}), got {tuple(out.shape)}; "
                "set its attribute out_channels to the width it returns"
            )
        return out[: num_seeds(data)]

    def _call(self, data: Data) -> Any:
        x = node_features(data, self.in_channels)
        if "edge_index" not in self.takes:
            return self.module(x)
        optional: dict[str, Any] = {}
        for name in ("edge_weight", "edge_attr"):
            if name in self.takes and data.get(name) is not None and getattr(self.module, f"supports_{name}", True):
                optional[name] = data[name]
        if "batch" in self.takes:
            optional["batch"] = graph_of_node(data)
        return self.module(x, data.edge_index, **optional)


def as_encoder(module: nn.Module, *, in_channels: int | None = None, out_channels: int | None = None) -> Encoder:
    """Make an encoder of any PyG module; an :class:`Encoder` is returned as it is.

    Parameters
    ----------
    module : nn.Module
        See :class:`External`.
    in_channels, out_channels : int, optional
        F and D; default the module's attributes of that name (times the heads, for attention layers
        that concatenate them). Without ``in_channels`` any number of features is taken.

    Raises
    ------
    ConfigurationError
        If the width of the output is unknown, or the module cannot be called with a graph.

    Examples
    --------
    >>> from torch_geometric.nn import GraphSAGE
    >>> as_encoder(GraphSAGE(16, 32, num_layers=2)).out_channels
    32
    """
    if isinstance(module, Encoder):
        return module
    if not isinstance(module, nn.Module):
        raise ConfigurationError(f"an encoder is a registered name or a torch module, got {type(module).__name__}")
    if out_channels is None:
        out_channels = _width(module)
    if in_channels is None:
        given = getattr(module, "in_channels", -1)
        in_channels = given if isinstance(given, int) else -1
    return External(module, in_channels=in_channels, out_channels=out_channels)


def _width(module: nn.Module) -> int:
    width = getattr(module, "out_channels", None)
    if width is None:
        width = getattr(module, "out_features", None)
    if not isinstance(width, int):
        raise ConfigurationError(
            f"the width of {type(module).__name__}'s output is unknown: set its attribute out_channels, "
            "or call as_encoder(module, out_channels=...)"
        )
    if getattr(module, "concat", False) is True and isinstance(getattr(module, "heads", None), int):
        return width * int(module.heads)  # type: ignore[arg-type]
    return width


def _parameters(module: nn.Module) -> tuple[str, ...]:
    """Names that ``forward`` takes; ``("data",)`` when it takes the graph itself."""
    parameters = inspect.signature(module.forward).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return ("x", "edge_index")  # torch_geometric.nn.Sequential and its like
    names = tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
    if names and names[0] in ("data", "graph", "batch"):
        return ("data",)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    known = ("edge_index", "edge_weight", "edge_attr", "batch")
    unknown = [name for name in needed[1:] if name not in known]
    if not names or unknown:
        raise ConfigurationError(
            f"cannot call {type(module).__name__}.forward({', '.join(names)}): expected (x, edge_index) and, as "
            "wanted, edge_weight, edge_attr, batch; or (data)"
        )
    return names
