"""GRACE on PubMed: one training a seed, judged under two protocols.

    python benchmarks/grace_pubmed.py steps --lr 1e-3          # validation accuracy along a training: how many steps?
    python benchmarks/grace_pubmed.py train --seeds 0,1,2      # several such commands may run side by side
    python benchmarks/grace_pubmed.py judge                    # rows of the tables `public` and `random-10-90`

Every step compares each of 2 x 19,717 rows with all others: 4 s on one core with AMX (bfloat16 tiles), 13 s without.
With `--anchors 256` only that many nodes, drawn anew at each step, are compared with all, 1.5 s on any core: the whole
recipe of 1,500 steps. Trainings go on from checkpoints when killed. `steps` appends to grace-pubmed-steps.csv (or
grace-pubmed-256-anchors-steps.csv) in benchmarks/results/accuracy; no test label is read there.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import graphssl
from graphssl.bench import plan, run, write_report
from graphssl.bench.jobs import CONTROLS, config_hash
from graphssl.bench.store import run_name
from graphssl.data import with_features
from graphssl.evaluation import evaluate_embedding
from graphssl.method import create_method, method_recipes
from graphssl.training import embed_data, fit, resolve_settings, train

RECIPE = method_recipes("grace")["pubmed"]
RESULTS = Path(__file__).resolve().parent / "results" / "accuracy"
PROTOCOLS = ("public", "random-10-90")
SEEDS = 10
ALL_ANCHORS_STEPS = 200  # of the recipe's 1,500: see README.md beside the results
LOOKED_AT = (25, 50, 75, 100, 150, 200, 300, 500, 700, 900, 1100, 1300, 1500)


@dataclass(frozen=True)
class Variant:
    """What is trained, and where it is kept."""

    anchors: int | None
    steps: int

    @property
    def name(self) -> str:
        return "grace-pubmed" if self.anchors is None else f"grace-pubmed-{self.anchors}-anchors"

    @property
    def options(self) -> dict[str, Any]:
        return {"precision": "bfloat16"} if self.anchors is None else {"num_anchors": self.anchors}


def look(variant: Variant, lr: float, seed: int, checkpoint: Path) -> None:
    """Validation accuracy (public), and that of inner folds of the training nodes (10/90), along a training."""
    data = graphssl.load_dataset("pubmed")
    settings = resolve_settings(
        "grace", dataset="pubmed", protocol="public", options=variant.options, training={"lr": lr},
        max_steps=variant.steps,
    )  # fmt: skip
    graph = with_features(data, settings.features)
    method = create_method("grace", graph, seed=seed, **settings.options)

    def note(step: int, loss: float) -> None:
        if step not in LOOKED_AT:
            return
        method.eval()
        Z = embed_data(method, graph, device="cpu")
        method.train()
        values = [evaluate_embedding(Z, data, protocol, seed)[0]["valid_value"] for protocol in PROTOCOLS]
        path = RESULTS / f"{variant.name}-steps.csv"
        head = [] if path.exists() else [["seed", "lr", "step", "loss", *(f"{name}: validation" for name in PROTOCOLS)]]
        with path.open("a", newline="") as file:
            csv.writer(file).writerows([*head, [seed, lr, step, f"{loss:.4f}", *(f"{value:.4f}" for value in values)]])

    train(
        method, graph, seed=seed, device="cpu", checkpoint=checkpoint, checkpoint_every=25, on_step=note,
        **settings.training,
    )  # fmt: skip


def train_seed(variant: Variant, seed: int, checkpoint: Path) -> None:
    """Train to the end, or go on where a killed training was."""
    data = graphssl.load_dataset("pubmed")
    fitted = fit(
        "grace", data, dataset="pubmed", protocol=PROTOCOLS[0], options=variant.options, max_steps=variant.steps,
        seed=seed, device="cpu", checkpoint=checkpoint,
    )  # fmt: skip
    print(f"seed {seed}: {fitted.history.steps} steps, {fitted.history.seconds:.0f} s", flush=True)


def judge(variant: Variant, seeds: list[int], checkpoints: Path) -> None:
    """Evaluate the trained encoders: the runner finds each training as a finished checkpoint."""
    for protocol in PROTOCOLS:
        folder = RESULTS / protocol if variant.anchors is None else RESULTS / variant.name / protocol
        jobs = plan(
            ["grace"], {"pubmed": protocol}, seeds=SEEDS, options=variant.options, max_steps=variant.steps,
            device="cpu",
        )  # fmt: skip
        jobs = [job for job in jobs if job.seed in seeds]
        if folder == RESULTS / "public":  # the table has PubMed's controls, with DGI's encoder
            jobs = [job for job in jobs if job.method not in CONTROLS]
        for job in jobs:
            if job.method in CONTROLS:
                continue
            config = job.config()
            facts = {"method": job.method, "encoder": job.label(), "dataset": job.dataset, "protocol": job.protocol}
            slug = run_name({**facts, "seed": job.seed, "config_hash": config_hash(config)})
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            shutil.copy(checkpoints / f"{job.seed}.safetensors", folder / "checkpoints" / f"{slug}.safetensors")
        outcome = run(jobs, folder, command="python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                      report=print)  # fmt: skip
        print(outcome, write_report(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("steps", "train", "judge"))
    parser.add_argument("--anchors", type=int, help="nodes a step that are compared with all; without it all are")
    parser.add_argument("--steps", type=int, help=f"{ALL_ANCHORS_STEPS} without --anchors, else the recipe's")
    parser.add_argument("--lr", type=float, default=RECIPE.training["lr"], help="of `steps`")
    parser.add_argument("--seeds", default=",".join(map(str, range(SEEDS))), help="of `steps` the first one")
    parser.add_argument("--checkpoints", type=Path, help="a folder for them")
    args = parser.parse_args()
    steps = args.steps or (RECIPE.training["epochs"] if args.anchors else ALL_ANCHORS_STEPS)
    variant = Variant(args.anchors, steps)
    checkpoints = args.checkpoints or RESULTS / variant.name / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    if args.part == "steps":
        look(variant, args.lr, seeds[0], checkpoints / f"steps-{steps}-{args.lr:g}-{seeds[0]}.safetensors")
    elif args.part == "train":
        for seed in seeds:
            train_seed(variant, seed, checkpoints / f"{seed}.safetensors")
    else:
        judge(variant, seeds, checkpoints)


if __name__ == "__main__":
    main()
