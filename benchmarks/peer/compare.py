"""graphssl-kit beside `graphssl` 0.2.0, the package of that name on PyPI: accuracy, time a step, peak memory.

    python -m venv peer && peer/bin/pip install torch==2.13.0 graphssl==0.2.0
    python benchmarks/peer/compare.py peer/bin/python
    python benchmarks/peer/table.py

Run it with the interpreter that holds graphssl-kit. Each training is a process of its own, theirs then ours for every
(seed, data set, method); what is in results.json is not run again. This file imports neither library: a process starts
with its parent's peak memory, which has to be small.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import settings

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "peer" / "results.json"
KEY = ("dataset", "method", "seed", "side")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", help="python of the environment that holds the peer")
    parser.add_argument("--datasets", nargs="+", default=settings.DATASETS)
    parser.add_argument("--methods", nargs="+", default=settings.METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(settings.SEEDS))
    parser.add_argument("--workers", type=int, default=1, help="trainings at once; 1 for undisturbed times")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    pythons = {"peer": args.peer, "ours": sys.executable}
    store = Store(args.out)
    with tempfile.TemporaryDirectory() as folder:
        graphs = {name: Path(folder) / f"{name}.npz" for name in args.datasets}
        for name, path in graphs.items():
            run(sys.executable, "prepare.py", name, str(path))

        def pair(job: tuple[int, str, str]) -> None:
            seed, dataset, method = job
            for side, python in pythons.items():
                key = dict(zip(KEY, (dataset, method, seed, side), strict=True))
                if seed < settings.budget(method, dataset)[1] and not store.has(key):
                    facts = train(python, graphs[dataset], **key)
                    store.add({**key, **facts})
                    print(*key.values(), facts.get("test", facts.get("error")), flush=True)

        jobs = itertools.product(args.seeds, args.datasets, args.methods)
        with ThreadPoolExecutor(args.workers) as pool:
            list(pool.map(pair, jobs))


def train(python: str, graph: Path, *, dataset: str, method: str, seed: int, side: str) -> dict:
    """The facts of one training and the accuracy of its embedding, or the error it ended in."""
    steps, _ = settings.budget(method, dataset)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "z.npz"
        options = ("--graph", graph, "--out", out, "--method", method, "--steps", steps, "--seed", seed)
        try:
            run(python, f"train_{side}.py", *map(str, options))
            facts = json.loads(out.with_suffix(".json").read_text())
            return {"steps": steps, **json.loads(run(sys.executable, "score.py", dataset, str(out))), **facts}
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or "no message").splitlines()[-1]
            return dict(steps=steps, error=f"exit {error.returncode}: {last}")


def run(python: str, script: str, *options: str) -> str:
    """Run a script of this folder on one thread; its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [python, str(HERE / script), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


class Store:
    """Results on disk, written whole after each training."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()
        self.runs = json.loads(path.read_text())["runs"] if path.exists() else []

    def has(self, key: dict) -> bool:
        return any({name: known[name] for name in KEY} == key and "error" not in known for known in self.runs)

    def add(self, facts: dict) -> None:
        with self.lock:
            same = [facts[name] for name in KEY]
            self.runs = [known for known in self.runs if [known[name] for name in KEY] != same] + [facts]
            content = dict(date=f"{datetime.date.today()}", machine=machine(), runs=self.runs)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps(content, indent=1).replace("\n    ", " ") + "\n")
            part.replace(self.path)


def machine() -> dict:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return dict(cpu=names[0] if names else "unknown", cores=os.cpu_count(), python=sys.version.split()[0], threads=1)


if __name__ == "__main__":
    main()
