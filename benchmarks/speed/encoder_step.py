"""One GCN training step (forward and backward): our encoder against PyG's GCNConv(cached=True).

A random graph of Cora's shape, one layer with PReLU. The two run in turns in one process, so that only the
ratio of their medians is meant; clocks are process CPU time. Usage:

    python benchmarks/speed/encoder_step.py [--channels 512] [--repeats 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv
from torch_geometric.utils import to_undirected

from graphssl.encoders import build_encoder

NODES, PAIRS, FEATURES = 2708, 5278, 1433


def cora_shaped(seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(NODES, FEATURES, generator=generator) < 0.0127).float()
    edge_index = to_undirected(torch.randint(NODES, (2, PAIRS), generator=generator), num_nodes=NODES)
    return Data(x=x, edge_index=edge_index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    data = cora_shaped()
    ours = build_encoder("gcn", FEATURES, hidden_channels=args.channels, num_layers=1)
    conv, activation = GCNConv(FEATURES, args.channels, cached=True), nn.PReLU()
    with torch.no_grad():
        conv.lin.weight.copy_(ours.layers[0].weight)

    def step(forward: Callable[[], Tensor], module: nn.Module) -> tuple[float, Tensor]:
        module.zero_grad()
        start = time.process_time()
        out = forward()
        out.square().mean().backward()
        return (time.process_time() - start) * 1e3, out.detach()

    times: dict[str, list[float]] = {"graphssl": [], "GCNConv": []}
    for repeat in range(args.repeats + 2):
        mine, h = step(lambda: ours(data), ours)
        theirs, h_pyg = step(lambda: activation(conv(data.x, data.edge_index)), conv)
        torch.testing.assert_close(h, h_pyg, atol=1e-5, rtol=1e-4)
        if repeat >= 2:  # two rounds to warm up
            times["graphssl"].append(mine)
            times["GCNConv"].append(theirs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        low, high = min(times[name]), max(times[name])
        print(f"{name:9s} {median:7.1f} ms a step  (min {low:.1f}, max {high:.1f})")
    print(f"ratio     {medians['GCNConv'] / medians['graphssl']:.2f} times GCNConv(cached=True)")


if __name__ == "__main__":
    main()
