"""GRACE on PubMed, every pair of 2 x 19,717 rows in every step: one training a seed, judged under two protocols.

    python benchmarks/grace_pubmed.py steps --lr 1e-3          # validation accuracy along a training: how many steps?
    python benchmarks/grace_pubmed.py steps --steps 1500       # along the recipe's whole training
    python benchmarks/grace_pubmed.py train --seeds 0,1,2      # several such commands may run side by side
    python benchmarks/grace_pubmed.py judge                    # rows of the tables `public` and `random-10-90`

A step takes 4 s on one core with AMX (bfloat16 tiles), so trainings go on from checkpoints when killed. `steps`
appends to benchmarks/results/accuracy/grace-pubmed-steps.csv; no test label is read.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from pathlib import Path

import torch

import graphssl
from graphssl.bench import plan, run
from graphssl.bench.jobs import CONTROLS, config_hash
from graphssl.bench.store import run_name
from graphssl.data import with_features
from graphssl.evaluation import evaluate_embedding
from graphssl.method import create_method
from graphssl.training import embed_data, fit, resolve_settings, train

RESULTS = Path(__file__).resolve().parent / "results" / "accuracy"
OPTIONS = {"precision": "bfloat16"}
PROTOCOLS = ("public", "random-10-90")
SEEDS = 10
STEPS = 200  # of the recipe's 1,500: see README.md beside the results
LOOKED_AT = (25, 50, 75, 100, 150, 200, 300, 500, 700, 900, 1100, 1300, 1500)


def look(lr: float, steps: int, checkpoints: Path) -> None:
    """Validation accuracy of seed 0 (public), and that of inner folds of its training nodes (10/90)."""
    data = graphssl.load_dataset("pubmed")
    settings = resolve_settings(
        "grace", dataset="pubmed", protocol="public", options=OPTIONS, training={"lr": lr}, max_steps=steps
    )
    graph = with_features(data, settings.features)
    method = create_method("grace", graph, seed=0, **settings.options)

    def note(step: int, loss: float) -> None:
        if step not in LOOKED_AT:
            return
        method.eval()
        Z = embed_data(method, graph, device="cpu")
        method.train()
        values = [evaluate_embedding(Z, data, protocol, 0)[0]["valid_value"] for protocol in PROTOCOLS]
        path = RESULTS / "grace-pubmed-steps.csv"
        head = [] if path.exists() else [["lr", "step", "loss", *(f"{name}: validation" for name in PROTOCOLS)]]
        with path.open("a", newline="") as file:
            csv.writer(file).writerows([*head, [lr, step, f"{loss:.4f}", *(f"{value:.4f}" for value in values)]])

    checkpoint = checkpoints / f"steps-{steps}-{lr:g}.safetensors"
    train(
        method, graph, seed=0, device="cpu", checkpoint=checkpoint, checkpoint_every=25, on_step=note,
        **settings.training,
    )  # fmt: skip


def train_seed(seed: int, checkpoints: Path) -> None:
    """Train to the end, or go on where a killed training was."""
    data = graphssl.load_dataset("pubmed")
    fitted = fit(
        "grace", data, dataset="pubmed", protocol=PROTOCOLS[0], options=OPTIONS, max_steps=STEPS, seed=seed,
        device="cpu", checkpoint=checkpoints / f"{seed}.safetensors",
    )  # fmt: skip
    print(f"seed {seed}: {fitted.history.steps} steps, {fitted.history.seconds:.0f} s", flush=True)


def judge(checkpoints: Path) -> None:
    """Evaluate the trained encoders: the runner finds each training as a finished checkpoint."""
    for protocol in PROTOCOLS:
        folder = RESULTS / protocol
        jobs = plan(
            ["grace"], {"pubmed": protocol}, seeds=SEEDS, options=OPTIONS, max_steps=STEPS, device="cpu",
        )  # fmt: skip
        if protocol == "public":  # the table has PubMed's controls, with DGI's encoder
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
        print(outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("steps", "train", "judge"))
    parser.add_argument("--lr", type=float, default=1e-3, help="of `steps`")
    parser.add_argument("--steps", type=int, default=300, help="of `steps`")
    parser.add_argument("--seeds", default=",".join(map(str, range(SEEDS))))
    parser.add_argument("--checkpoints", type=Path, default=RESULTS / "grace-pubmed")
    args = parser.parse_args()
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if args.part == "steps":
        look(args.lr, args.steps, args.checkpoints)
    elif args.part == "train":
        for number in args.seeds.split(","):
            train_seed(int(number), args.checkpoints)
    else:
        judge(args.checkpoints)
