"""GRACE on Cora from the initial weights that seeds gave while GCN layers kept their weights as (out, in).

    python benchmarks/earlier_draws.py --seeds 0,6

Each row has the accuracy, the losses of the first steps, and the largest difference of these losses from those that
commit c80d13e wrote for the same seed on a CPU. Rows go to
benchmarks/results/fast-paths/other-draws/earlier-layout.jsonl.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import nn

import graphssl
from graphssl.encoders.gcn import GCNLayer
from graphssl.evaluation import evaluate_embedding
from graphssl.training import fit

RESULTS = Path(__file__).resolve().parent / "results" / "fast-paths" / "other-draws"
FIRST = 6


def draw_transposed(layer: GCNLayer) -> None:
    """Draw (out, in), keep (in, out)."""
    drawn = torch.empty(layer.weight.shape[::-1])
    nn.init.xavier_uniform_(drawn)
    with torch.no_grad():
        layer.weight.copy_(drawn.t())
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def train_seed(seed: int) -> dict:
    """Train and judge one seed by the recipe of the table `public`."""
    data = graphssl.load_dataset("cora")
    fitted = fit("grace", data, dataset="cora", protocol="public", seed=seed, device="cpu")
    row = evaluate_embedding(fitted.embed(), data, "public", seed)[0]
    earlier = json.loads(next((RESULTS / "c80d13e" / "history").glob(f"*_s{seed}.json")).read_text())["loss"]
    losses = fitted.history.loss
    return {
        "method": "grace", "dataset": "cora", "protocol": "public", "seed": seed, "torch": torch.__version__,
        "value": row["value"], "valid_value": row["valid_value"], "losses": losses[:FIRST],
        "largest_difference": max(abs(a - b) for a, b in zip(losses[:FIRST], earlier[:FIRST], strict=True)),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,6")
    args = parser.parse_args()
    torch.set_num_threads(1)
    GCNLayer.reset_parameters = draw_transposed
    for number in args.seeds.split(","):
        with (RESULTS / "earlier-layout.jsonl").open("a") as file:
            file.write(json.dumps(train_seed(int(number))) + "\n")
