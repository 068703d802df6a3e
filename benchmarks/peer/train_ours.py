"""Train one of our methods, by the library's own loop, with the settings of both. Called by compare.py."""

from __future__ import annotations

import settings
import torch
import torch_geometric
from measured import Clock, arguments, read_graph
from torch_geometric.data import Data

import graphssl
from graphssl import Method, create_method, train
from graphssl.encoders import build_encoder
from graphssl.training import embed_data
from graphssl.views import Compose, DropEdges, MaskFeatureColumns


def make(method: str, graph: Data, seed: int) -> Method:
    network = dict(hidden_channels=settings.WIDTH, num_layers=settings.LAYERS, norm=settings.norm(method))
    views = dict(drop_edges=settings.DROP_EDGES, mask_features=settings.MASK_FEATURES)
    if method.startswith("dgi"):
        return create_method("dgi", graph, seed=seed, **network)
    if method == "bgrl":
        predictor = dict(predictor_channels=settings.WIDTH, momentum=settings.MOMENTUM)
        return create_method("bgrl", graph, seed=seed, **predictor, **network, **views)
    if method == "barlow-twins":
        return create_method("graph-barlow-twins", graph, seed=seed, out_channels=settings.WIDTH, **network, **views)
    # The peer's GraphCL of one graph contrasts nodes by NT-Xent; with us that is SimCLR on node views.
    torch.manual_seed(seed)
    view = Compose([DropEdges(settings.DROP_EDGES), MaskFeatureColumns(settings.MASK_FEATURES)])
    encoder = build_encoder("gcn", graph.num_features, **network)
    return create_method(
        "simclr", graph, seed=seed, encoder=encoder, view1=view, view2=view,
        projector_channels=settings.PROJECTION, temperature=settings.TEMPERATURE,
    )  # fmt: skip


def main() -> None:
    args = arguments()
    graph = read_graph(args.graph)
    clock = Clock()
    method = make(args.method, graph, args.seed)
    clock.restart()
    history = train(
        method, graph, steps=args.steps, lr=settings.LR, weight_decay=settings.WEIGHT_DECAY, optimizer="adamw",
        seed=args.seed, device="cpu", on_step=lambda step, loss: clock.tick(),
    )  # fmt: skip
    versions = dict(graphssl=graphssl.__version__, torch=torch.__version__, torch_geometric=torch_geometric.__version__)
    clock.save(args.out, lambda: embed_data(method, graph, device="cpu"), history.loss, versions)


if __name__ == "__main__":
    main()
