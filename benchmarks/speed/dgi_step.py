"""A whole DGI training step (forward, backward, Adam): what a user gets here against what a user gets from PyG.

Ours is ``create_method("dgi", data)``, in each tier that this machine has. PyG's is its own example's:
``DeepGraphInfomax`` around ``GCNConv(cached=True)`` and PReLU, rows of the features permuted, the summary a sigmoid of
the mean. Cora and PubMed with row-normalised features, width 512; where a data set cannot be had, a random graph of the
same shape takes its place and the row says so. Both encoders give the same output from the same weights (checked).

    python benchmarks/speed/dgi_step.py [--datasets cora,pubmed] [--channels 512] [--repeats 9] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import measure
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import DeepGraphInfomax, GCNConv
from torch_geometric.utils import to_undirected

from graphssl import GraphSSLError, create_method, load_dataset
from graphssl.data import with_features

#: Nodes, undirected edges, features, share of the features that is not zero.
SHAPES = {"cora": (2_708, 5_278, 1_433, 0.0127), "pubmed": (19_717, 44_324, 500, 0.1)}
PEER = "PyG DeepGraphInfomax"


def graph_of(name: str) -> tuple[Data, str]:
    """The data set with row-normalised features and its name, or a random graph of its shape."""
    try:
        data, source = load_dataset(name), name
    except GraphSSLError as error:
        print(f"{name}: a random graph of its shape, since it cannot be loaded ({type(error).__name__})")
        nodes, edges, features, density = SHAPES[name]
        generator = torch.Generator().manual_seed(0)
        edge_index = to_undirected(torch.randint(nodes, (2, edges), generator=generator), num_nodes=nodes)
        x = (torch.rand(nodes, features, generator=generator) < density).float()
        data, source = Data(x=x, edge_index=edge_index), f"random graph shaped as {name}"
    data = with_features(data, "row-normalized")
    return Data(x=data.x, edge_index=data.edge_index), source


class Encoder(nn.Module):
    """The encoder of PyG's example."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = GCNConv(in_channels, channels, cached=True)
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.activation(self.conv(x, edge_index))


def peer(data: Data, channels: int) -> DeepGraphInfomax:
    return DeepGraphInfomax(
        hidden_channels=channels,
        encoder=Encoder(data.num_features, channels),
        summary=lambda z, *_: z.mean(dim=0).sigmoid(),
        corruption=lambda x, edge_index: (x[torch.randperm(x.size(0))], edge_index),
    )


def training_step(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def build(data: Data, channels: int) -> dict[str, Callable[[], None]]:
    """The training step of each variant."""
    theirs = peer(data, channels)
    steps = {PEER: training_step(theirs, lambda: theirs.loss(*theirs(data.x, data.edge_index)))}
    for tier in measure.tiers():
        ours = create_method("dgi", data, hidden_channels=channels)
        step = training_step(ours, lambda ours=ours: ours.loss(data))
        steps[f"graphssl, {tier}"] = measure.in_tier(tier, step)
    return steps


@torch.no_grad()
def check(data: Data, channels: int) -> None:
    """The same weights give the same representations."""
    theirs, ours = peer(data, channels).encoder, create_method("dgi", data, hidden_channels=channels)
    ours.encoder.layers[0].weight.copy_(theirs.conv.lin.weight.T)
    for tier in measure.tiers():
        mine = measure.in_tier(tier, lambda: ours.embed(data))()
        torch.testing.assert_close(mine, theirs(data.x, data.edge_index), atol=1e-5, rtol=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="cora,pubmed")
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="dgi_step", help="name of the results file; empty: none is written")
    parser.add_argument("--peak", nargs=2, metavar=("DATASET", "VARIANT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.peak:  # in a process of its own
        step = build(graph_of(args.peak[0])[0], args.channels)[args.peak[1]]
        measure.report_peak(lambda: [step() for _ in range(3)])
        return

    rows = []
    for name in args.datasets.split(","):
        data, source = graph_of(name)
        check(data, args.channels)
        samples = measure.interleave(build(data, args.channels), repeats=args.repeats)
        compared = measure.compare(samples, baseline=PEER, path="dgi_step", data=source, n=data.num_nodes)
        for row in compared:
            argv = [__file__, "--channels", str(args.channels), "--peak", name, row["variant"]]
            row["bytes"] = measure.peak_memory(argv, threads=args.threads)
            print(f"  {row['variant']:32s} peak {row['bytes'] / 1e6:.0f} MB")
        rows += compared
    if args.name:
        measure.save(args.name, rows, command=measure.command())


if __name__ == "__main__":
    main()
