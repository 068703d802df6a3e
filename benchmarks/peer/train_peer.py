# ruff: noqa: I001  (this graphssl is not the one in this repository)
"""Train one of the peer's models (graphssl 0.2.0), by its own trainer, full batch. Called by compare.py."""

from __future__ import annotations

import settings
import torch
import torch_geometric
from measured import Clock, arguments, read_graph

import graphssl  # the peer's: this file runs in the environment that holds it
from graphssl.core.callback import Callback
from graphssl.data import DataModule
from graphssl.evaluation import extract_embeddings
from graphssl.models import BGRL, DGI, BarlowTwins, GraphCL
from graphssl.training import DINOTrainer

MODELS = {"dgi": DGI, "dgi-no-norm": DGI, "graphcl": GraphCL, "bgrl": BGRL, "barlow-twins": BarlowTwins}


def config(method: str, steps: int) -> dict:
    encoder = dict(
        name="gcn", hidden_dim=settings.WIDTH, num_layers=settings.LAYERS, norm_type=settings.norm(method) or "none",
        pool=False,
    )  # fmt: skip
    views = [dict(name="edge_drop", p=settings.DROP_EDGES), dict(name="feat_mask", p=settings.MASK_FEATURES)]
    options = {
        "graphcl": dict(augment=views, proj_dim=settings.PROJECTION, tau=settings.TEMPERATURE),
        "bgrl": dict(
            augment=views, pred_hidden=settings.WIDTH, ema_tau=settings.MOMENTUM, ema_tau_end=1.0, total_steps=steps
        ),
        "barlow-twins": dict(augment=views, proj_dim=settings.WIDTH),
    }
    return dict(encoder=encoder, **options.get(method, {}))


class Ticks(Callback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_batch_end(self, trainer, model, loss, batch) -> None:
        self.clock.tick()


def main() -> None:
    args = arguments()
    graph = read_graph(args.graph)
    clock = Clock()
    torch.manual_seed(args.seed)
    model = MODELS[args.method](config(args.method, args.steps), in_channels=graph.num_features)
    optimizer = torch.optim.AdamW(model.student_parameters(), lr=settings.LR, weight_decay=settings.WEIGHT_DECAY)
    trainer = DINOTrainer(grad_clip_norm=None, device="cpu", callbacks=[Ticks(clock)])
    data = DataModule(data=graph, labels=torch.zeros(graph.num_nodes))  # labels are not read in training
    clock.restart()
    losses = trainer.train(model, data.train_dataloader(), optimizer, num_epochs=args.steps)
    versions = dict(graphssl=graphssl.__version__, torch=torch.__version__, torch_geometric=torch_geometric.__version__)
    clock.save(args.out, lambda: extract_embeddings(model, data, device="cpu")[0], losses, versions)


if __name__ == "__main__":
    main()
