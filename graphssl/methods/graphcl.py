"""GraphCL: SimCLR on whole graphs, with one of several graph augmentations drawn for each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from graphssl.data import num_features
from graphssl.encoders import build_encoder
from graphssl.errors import unknown_name
from graphssl.heads import Projector
from graphssl.method import Recipe, register
from graphssl.methods.simclr import SimCLR
from graphssl.readouts import PooledEncoder, make_readout
from graphssl.views import DropNodes, Identity, MaskNodes, PerturbEdges, RandomChoice, RandomWalkSubgraph, View


@register("graphcl", level="graph", paper="arXiv:2010.13902", tags=("contrastive", "two-view"))
def graphcl(
    data: Any,
    *,
    encoder: str | nn.Module = "gin",
    hidden_channels: int = 32,
    num_layers: int = 3,
    activation: str = "relu",
    norm: str | None = "batch",
    readout: str = "sum",
    encoder_options: Mapping[str, Any] | None = None,
    augmentations: Sequence[str] = ("drop-nodes", "perturb-edges", "mask-nodes", "subgraph"),
    ratio: float = 0.1,
    subgraph_ratio: float = 0.2,
    augment_both: bool = True,
    temperature: float = 0.2,
) -> SimCLR:
    """Graph contrastive learning with augmentations: :class:`~graphssl.methods.simclr.SimCLR` on pooled graph codes.

    Layers are concatenated (``jumping="cat"``) and pooled; candidates are the graphs of the other view.

    Parameters
    ----------
    data : list of Data
        Only the number of features is used.
    augmentations : names
        One is drawn for each batch and view, uniformly.
    ratio : float
        Part of the nodes, edges or feature rows that an augmentation changes.
    subgraph_ratio : float
        Part of the nodes that the subgraph augmentation keeps.
    augment_both : bool
        False contrasts each graph itself with one augmented view, as the authors' TU code does.

    Notes
    -----
    Differs from the authors' code:

    1. The positive pair stands in the denominator, as in the paper's cited NT-Xent; the code leaves it out, and its
       loss can be negative.
    2. The loss is averaged over both directions.
    3. Edge perturbation adds as many edges as it drops; the code only drops.
    4. The subgraph walk grows its neighbour set; in the code it does not, so samples are stars.

    References
    ----------
    .. [1] You, Chen, Sui, Chen, Wang, Shen. Graph Contrastive Learning with Augmentations. NeurIPS 2020. Equation 3.
    """
    choices: dict[str, View] = {
        "drop-nodes": DropNodes(ratio),
        "perturb-edges": PerturbEdges(ratio),
        "mask-nodes": MaskNodes(ratio, fill="noise"),
        "subgraph": RandomWalkSubgraph(subgraph_ratio),
    }
    for name in augmentations:
        if name not in choices:
            raise unknown_name("augmentation", name, choices)
    view = RandomChoice([choices[name] for name in augmentations])
    network = build_encoder(
        encoder, num_features(data), hidden_channels=hidden_channels, num_layers=num_layers,
        activation=activation, norm=norm, jumping="cat", further=encoder_options,
    )  # fmt: skip
    pooled = PooledEncoder(network, make_readout(readout, network.out_channels))
    projector = Projector(pooled.out_channels, pooled.out_channels, pooled.out_channels)
    return SimCLR(pooled, projector, view if augment_both else Identity(), view, temperature=temperature, intra=False)


def _recipe(features: str) -> Recipe:
    return Recipe(
        training=dict(epochs=20, lr=1e-2, batch_size=128),
        features=features,
        source="section 5.2 of the paper; unsupervised_TU of Shen-Lab/GraphCL (20 epochs, batch 128, GIN 3 x 32)",
    )


RECIPES = {
    "default": Recipe(training=dict(epochs=20, lr=1e-3, batch_size=128)),
    "mutag": _recipe("node-labels"),
    "proteins": _recipe("node-labels"),
    "nci1": _recipe("node-labels"),
    "imdb-binary": _recipe("constant"),
    "reddit-binary": _recipe("constant"),
    "collab": _recipe("constant"),
}
