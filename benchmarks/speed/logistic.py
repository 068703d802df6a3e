"""Linear probes on frozen embeddings: every C of a split at once against scikit-learn's one fit after the other.

Embeddings of width 512 from DGI after a few steps, unit rows, random splits with 10 % of the nodes for training, C from
1e-3 to 1e3, both at their default tolerances (1e-4). For each C the script then says which share of the test rows is
predicted alike, on the first splits how often either agrees with scikit-learn run to a tolerance of 1e-8, and how far
its objective lies above that one. Four kinds: ``multinomial``, ``one-vs-rest`` (GRACE's protocol: liblinear, penalised
intercept), ``squared-hinge`` (LinearSVC) and ``ridge``. Where a data set cannot be had, rows from as many Gaussians as
it has classes take its place, and the row says so.

    python benchmarks/speed/logistic.py
    python benchmarks/speed/logistic.py --kinds one-vs-rest,squared-hinge,ridge --splits 2 --name linear_probes
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import measure
import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from graphssl import GraphSSLError, load_dataset
from graphssl.evaluation import RandomSplit, logistic_path, ridge_path, squared_hinge_path
from graphssl.training import fit

SHAPES = {"cora": (2_708, 7), "pubmed": (19_717, 3)}  # nodes, classes
GRID = tuple(10.0**k for k in range(-3, 4))
PEER, OURS = "scikit-learn", "graphssl"
CONVERGED_SPLITS = 3

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # training rows (n, D) and labels (n,), test rows (m, D)


def _logistic(C: float, **options: Any) -> LogisticRegression:
    return LogisticRegression(C=C, **{"max_iter": 1000, **options})


def _one_vs_rest(C: float, **options: Any) -> OneVsRestClassifier:
    return OneVsRestClassifier(LogisticRegression(C=C, solver="liblinear", **options))


#: Kind: our path of weights, scikit-learn's estimator for one C, and the options with which that one converges.
KINDS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., Any], dict[str, Any]]] = {
    "multinomial": (logistic_path, _logistic, dict(tol=1e-8, max_iter=20_000)),
    "one-vs-rest": (
        partial(logistic_path, loss="one-vs-rest", penalise_bias=True), _one_vs_rest, dict(tol=1e-8, max_iter=2000),
    ),
    "squared-hinge": (squared_hinge_path, lambda C, **options: LinearSVC(C=C, **options), dict(tol=1e-8, dual=False)),
    "ridge": (ridge_path, lambda C: RidgeClassifier(alpha=1 / C), {}),
}  # fmt: skip


def embedding(name: str, steps: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Unit rows (N, 512) float64, labels (N,), and what they are."""
    try:
        data = load_dataset(name)
    except GraphSSLError as error:
        print(f"{name}: Gaussian rows of its shape, since it cannot be loaded ({type(error).__name__})")
        nodes, classes = SHAPES[name]
        random = np.random.RandomState(0)
        y = random.randint(classes, size=nodes)
        decay = 1 / np.sqrt(1 + np.arange(512))
        Z, source = decay * (random.randn(classes, 512)[y] + 3 * random.randn(nodes, 512)), f"synthetic, {name}'s shape"
    else:
        made = fit("dgi", data, dataset=name, max_steps=steps, device="cpu").embed()
        Z, y, source = np.asarray(made, dtype=np.float64), np.asarray(data.y), name
    return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-30), y, source


def splits(Z: np.ndarray, y: np.ndarray, count: int) -> Iterator[Rows]:
    for seed in range(count):
        split = RandomSplit(0.1, 0.1)(None, y, seed)[0]
        yield Z[split.train], y[split.train], Z[split.test]


def ours(kind: str, problems: list[Rows], classes: int) -> list[np.ndarray]:
    """Paths of weights, (C, D + 1, K) for each split."""
    return [KINDS[kind][0](X, np.eye(classes)[y], GRID) for X, y, _ in problems]


def theirs(kind: str, problems: list[Rows], **options: Any) -> list[list[Any]]:
    """Fitted models, for each split one per C."""
    return [[KINDS[kind][1](C, **options).fit(X, y) for C in GRID] for X, y, _ in problems]


def multinomial_objective(weights: np.ndarray, X: np.ndarray, y: np.ndarray, C: float) -> float:
    scores = torch.from_numpy(X @ weights[:-1] + weights[-1])
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(y), reduction="sum")
    return float(0.5 * (weights[:-1] ** 2).sum() + C * loss)


def agreement(kind: str, problems: list[Rows], classes: int, **labels: Any) -> list[dict[str, Any]]:
    """For each C: share of equal predictions, and for ``multinomial`` how far the objectives are above the least."""
    mine, peers = ours(kind, problems, classes), theirs(kind, problems)
    converged = theirs(kind, problems[:CONVERGED_SPLITS], **KINDS[kind][2])
    rows = []
    for i, C in enumerate(GRID):
        same, close, peer_close, excess, peer_excess = [], [], [], [], []
        for s, (X, y, test) in enumerate(problems):
            labels_ours = (test @ mine[s][i][:-1] + mine[s][i][-1]).argmax(axis=1)
            labels_theirs = peers[s][i].predict(test)
            same.append(np.mean(labels_ours == labels_theirs))
            if s >= CONVERGED_SPLITS:
                continue
            exact = converged[s][i]
            close.append(np.mean(labels_ours == exact.predict(test)))
            peer_close.append(np.mean(labels_theirs == exact.predict(test)))
            if kind == "multinomial":
                weights = [np.vstack([m.coef_.T, m.intercept_]) for m in (exact, peers[s][i])]
                least, other = (multinomial_objective(W, X, y, C) for W in weights)
                excess.append(multinomial_objective(mine[s][i], X, y, C) / least - 1)
                peer_excess.append(other / least - 1)
        row = dict(
            **labels, variant="agreement", C=C, equal=float(np.mean(same)), equal_converged=float(np.mean(close)),
            peer_equal_converged=float(np.mean(peer_close)),
        )  # fmt: skip
        if excess:
            row.update(objective_excess=float(np.max(excess)), peer_objective_excess=float(np.max(peer_excess)))
        rows.append(row)
        above = f"  objective above it {max(excess):.0e}, {PEER}'s {max(peer_excess):.0e}" if excess else ""
        print(
            f"  C = {C:<6g} predictions equal {row['equal']:.4f}; with the converged {row['equal_converged']:.4f}, "
            f"{PEER} {row['peer_equal_converged']:.4f}{above}"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="cora,pubmed")
    parser.add_argument("--kinds", default="multinomial", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50, help="training steps of DGI; 0: untrained")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--name", default="logistic", help="name of the results file; empty: none is written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)

    rows = []
    with threadpool_limits(1):
        for name in args.datasets.split(","):
            Z, y, source = embedding(name, args.steps)
            problems, classes = list(splits(Z, y, args.splits)), int(y.max()) + 1
            for kind in args.kinds.split(","):
                labels = dict(
                    path="logistic", model=kind, data=source, n=len(problems[0][0]), splits=args.splits, grid=len(GRID)
                )
                variants = {PEER: partial(theirs, kind, problems), OURS: partial(ours, kind, problems, classes)}
                samples = measure.interleave(variants, repeats=args.repeats, warmup=args.warmup)
                rows += measure.compare(samples, baseline=PEER, **labels)
                rows += agreement(kind, problems, classes, **labels)
    if args.name:
        options = f"--kinds {args.kinds} --splits {args.splits} --steps {args.steps} --name {args.name}"
        measure.save(args.name, rows, command=f"python benchmarks/speed/logistic.py {options}")


if __name__ == "__main__":
    main()
