"""What the two training scripts share: arguments, the graph, clocks and memory. Imports nothing of either library."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import settings
import torch
from torch_geometric.data import Data

LIMIT_BYTES = 12 * 2**30  # of data a process may hold


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--graph", type=Path, required=True, help="npz with x (N, F) and edge_index (2, E)")
    parser.add_argument("--out", type=Path, required=True, help="npz for z (N, D); facts go to the same name, .json")
    parser.add_argument("--method", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    torch.set_num_threads(1)
    return args


def read_graph(path: Path) -> Data:
    with np.load(path) as arrays:
        return Data(x=torch.from_numpy(arrays["x"]), edge_index=torch.from_numpy(arrays["edge_index"]))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _quartiles(times: list[float]) -> list[float]:
    """First quartile, median, third quartile; the first steps warm caches up and do not count."""
    return [round(t, 2) for t in np.percentile(times[settings.WARM :], (25, 50, 75)).tolist()]


class Clock:
    """Wall and CPU time of each step, and what training added to the peak memory.

    Make it when libraries and data are loaded; call :meth:`tick` after each step.
    """

    def __init__(self) -> None:
        self.loaded = peak_mib()
        self.load = os.getloadavg()[0]
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.restart()

    def restart(self) -> None:
        self._last = self._first = time.perf_counter(), time.process_time()

    def tick(self) -> None:
        now = time.perf_counter(), time.process_time()
        self.wall.append(1e3 * (now[0] - self._last[0]))
        self.cpu.append(1e3 * (now[1] - self._last[1]))
        self._last = now

    def save(self, out: Path, embed: Any, losses: list[float], versions: dict[str, str]) -> None:
        """Write the facts of a finished training, then the embedding that ``embed()`` gives."""
        facts = dict(
            wall_ms=_quartiles(self.wall),
            cpu_ms=_quartiles(self.cpu),
            seconds=round(time.perf_counter() - self._first[0], 3),
            peak_mib=round(peak_mib(), 1),
            added_mib=round(peak_mib() - self.loaded, 1),
            load=[round(self.load, 2), round(os.getloadavg()[0], 2)],
            loss=[losses[0], losses[-1]],
            versions=versions,
        )
        np.savez(out, z=embed().detach().numpy())
        out.with_suffix(".json").write_text(json.dumps(facts))
