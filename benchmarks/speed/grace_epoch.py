"""A whole training step of GRACE on PubMed (an epoch is one step): with our loss, and with the matrices of all pairs.

Model, views, temperature and Adam are those of the recipe for PubMed; the dense variant differs in the loss alone (see
contrast.py for it) and keeps about 8 matrices of N x N, 12 GB on PubMed. It is left out, and said so, where that does
not fit into the memory free at the start. ``--subgraph N`` takes a planted-community graph of N nodes and 500 features.

    python benchmarks/speed/grace_epoch.py [--repeats 5] [--threads 1] [--subgraph 4000] [--variants 'a;b']
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import contrast
import measure
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphssl import create_method, load_dataset
from graphssl.data import planted_communities, with_features
from graphssl.method import method_recipes

RECIPE = method_recipes("grace")["pubmed"]
ANCHORS = 256


def graph_of(subgraph: int | None) -> tuple[Data, str]:
    if subgraph:
        data, source = planted_communities(subgraph, 3, num_features=500, average_degree=4.5), "planted communities"
    else:
        data, source = with_features(load_dataset("pubmed"), RECIPE.features), "pubmed"
    return Data(x=data.x, edge_index=data.edge_index), source


def build(data: Data) -> dict[str, Callable[[], None]]:
    """The training step of each variant."""

    def dense(method: torch.nn.Module) -> Tensor:
        u, v = (method.projector(method.encoder(view(data))) for view in (method.view1, method.view2))
        return contrast.dense_loss(u, v, RECIPE.options["temperature"])

    def ours(method: torch.nn.Module) -> Tensor:
        return method.loss(data)

    def step(loss: Callable[[torch.nn.Module], Tensor], tier: str, **options: Any) -> Callable[[], None]:
        method = create_method("grace", data, **RECIPE.options, **options)
        training = {key: RECIPE.training[key] for key in ("lr", "weight_decay")}
        optimizer = torch.optim.Adam(method.parameters(), **training)

        def run() -> None:
            optimizer.zero_grad()
            loss(method).backward()
            optimizer.step()

        return measure.in_tier(tier, run)

    steps = {contrast.DENSE: step(dense, "torch")}
    for tier in measure.tiers():
        steps[f"graphssl, {tier}"] = step(ours, tier)
        if tier == "cpp":
            for precision in contrast.PRECISIONS:
                steps[f"graphssl, cpp, {precision}"] = step(ours, tier, precision=precision)
            steps[f"graphssl, cpp, {ANCHORS} anchors"] = step(ours, tier, num_anchors=ANCHORS)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subgraph", type=int, help="nodes of a planted graph in place of PubMed")
    parser.add_argument("--repeats", type=int, default=5, help="steps of ours; of the dense form 2")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="grace_epoch", help="name of the results file; empty: none is written")
    parser.add_argument("--variants", help="only these, separated by semicolons")
    parser.add_argument("--peak", metavar="VARIANT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data, source = graph_of(args.subgraph)
    if args.peak:  # in a process of its own
        step = build(data)[args.peak]
        measure.report_peak(lambda: [step() for _ in range(2)])
        return

    steps = build(data)
    if args.variants:
        steps = {name: steps[name] for name in args.variants.split(";")}
    if contrast.DENSE in steps and not contrast.fits(contrast.DENSE, data.num_nodes):
        print(f"dense form left out: it needs about {contrast.DENSE_MATRICES * 4e-9 * data.num_nodes**2:.0f} GB")
        del steps[contrast.DENSE]
    samples = measure.interleave(steps, repeats=min(2, args.repeats), warmup=args.warmup)
    steps.pop(contrast.DENSE, None)
    for name, more in measure.interleave(steps, repeats=max(0, args.repeats - 2), warmup=0).items():
        samples[name] += more
    rows = measure.compare(samples, baseline=next(iter(samples)), path="grace_epoch", data=source, n=data.num_nodes)
    of_graph = ["--subgraph", str(args.subgraph)] if args.subgraph else []
    for row in rows:
        row["bytes"] = measure.peak_memory([__file__, *of_graph, "--peak", row["variant"]], threads=args.threads)
        print(f"  {row['variant']:32s} peak {row['bytes'] / 1e6:.0f} MB")
    if args.name:
        measure.save(args.name, rows, command=measure.command())


if __name__ == "__main__":
    main()
