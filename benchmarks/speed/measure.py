"""What the speed scripts share: variants timed in turns, peak memory of a subprocess, the machine, results on disk.

Only ratios within one run are meant: machines differ and are shared, so variants take turns in one process, and the
clock is by default the process's own CPU time. Memory protocol: the parent starts a child with :func:`peak_memory`;
the child imports, builds its inputs, then calls :func:`report_peak` around the work, which prints one line that the
parent reads back. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import torch

__all__ = [
    "Peak", "anonymous", "child", "command", "compare", "in_tier", "interleave", "machine", "median",
    "memory_available", "peak_memory", "report", "report_peak", "save", "saved", "tiers", "watch_memory",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed"
CLOCKS: dict[str, Callable[[], float]] = {"process": time.process_time, "wall": time.perf_counter}
SIMD = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
median = statistics.median
_MARK = "measured: "
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
T = TypeVar("T")


def interleave(
    variants: Mapping[str, Callable[[], object]], *, repeats: int = 7, warmup: int = 2, clock: str = "process"
) -> dict[str, list[float]]:
    """Seconds of every call: ``warmup`` rounds unmeasured, then ``repeats`` rounds in which each variant runs once.

    ``process`` is CPU time of all threads of this process, ``wall`` elapsed time (for several threads, or a GPU: then
    a variant has to synchronise by itself). The garbage collector runs between the measurements, never inside one.
    """
    read = CLOCKS[clock]
    samples: dict[str, list[float]] = {name: [] for name in variants}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(warmup + repeats):
            for name, variant in variants.items():
                gc.collect()
                start = read()
                variant()
                seconds = read() - start
                if turn >= warmup:
                    samples[name].append(seconds)
    finally:
        if collecting:
            gc.enable()
    return samples


def compare(samples: Mapping[str, Sequence[float]], *, baseline: str, **labels: Any) -> list[dict[str, Any]]:
    """Print median, min and max of each variant and how many times as fast as the baseline it is; return the rows.

    A row holds ``labels`` (path, n, ...), ``variant``, ``seconds`` (the median), ``min``, ``max``, ``repeats`` and
    ``ratio``: the baseline's median over the variant's, above 1 when the variant is faster.
    """
    reference = median(samples[baseline])
    print("  ".join(f"{key}={value}" for key, value in labels.items()) or "times")
    rows = []
    for name, times in samples.items():
        middle = median(times)
        row = dict(
            **labels, variant=name, seconds=middle, min=min(times), max=max(times), repeats=len(times),
            ratio=reference / middle if middle > 0 else float("nan"),
        )  # fmt: skip
        print(
            f"  {name:32s} {middle * 1e3:12.3f} ms  ({row['min'] * 1e3:.3f} to {row['max'] * 1e3:.3f})"
            f"  {row['ratio']:8.2f} x {baseline}"
        )
        rows.append(row)
    return rows


def tiers(*ops: str) -> tuple[str, ...]:
    """The tiers that can run on this machine's CPU: ``torch``, and ``cpp`` where its kernels were built.

    With names of ops, ``cpp`` only if it has a kernel for one of them.
    """
    from graphssl.ops import backend

    fast = {row["op"] for row in backend.report() if row["tier"] == "cpp"}
    return ("torch", "cpp") if fast & set(ops or fast) else ("torch",)


def in_tier(tier: str, work: Callable[[], T]) -> Callable[[], T]:
    """``work`` computed by one tier, wherever that tier has a kernel."""
    from graphssl.ops import backend

    def run() -> T:
        with backend.use(tier):
            return work()

    return run


class Peak:
    """What :func:`watch_memory` saw: ``bytes``, once its block has ended."""

    bytes: int = 0


@contextmanager
def watch_memory() -> Iterator[Peak]:
    """The peak of this process's anonymous memory in a block, above what it held when the block began, in bytes.

    The kernel's own high-water mark of resident memory is reset at the start (``/proc/self/clear_refs``), so nothing
    short-lived is missed; pages of files (libraries, mapped data) are taken off as they stand at the end. Inside the
    block every array has pages of its own (glibc's ``M_MMAP_THRESHOLD``) and freed pages go back to the system, so that
    the peak is what was alive at once, not what the allocator happened to keep, which wanders by tens of MB. That costs
    time: measure seconds outside the block.
    """
    gc.collect()
    with _pages_of_their_own():
        Path("/proc/self/clear_refs").write_text("5")
        start = _status()["RssAnon"]
        peak = Peak()
        yield peak
        now = _status()
    peak.bytes = max(0, now["VmHWM"] - now["RssFile"] - now["RssShmem"] - start)


@contextmanager
def _pages_of_their_own() -> Iterator[None]:
    """Arrays above 64 KiB come straight from the system and go back to it when freed. Without glibc: no change."""
    libc = ctypes.CDLL(None)
    if not (hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")):
        yield
        return
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    libc.malloc_trim(0)
    libc.mallopt(_MMAP_THRESHOLD, 2**16)
    taken = []  # places of earlier arrays, which would be used before the system is asked; untouched they take no page
    for size in (2**power for power in range(30, 15, -1)):
        while (place := libc.malloc(size)) and not _is_mapped(place):
            taken.append(place)
        libc.free(place)
    try:
        yield
    finally:  # where glibc's own adaptation ends up once large arrays were freed
        for place in taken:
            libc.free(place)
        libc.mallopt(_MMAP_THRESHOLD, 2**25)
        libc.mallopt(_TRIM_THRESHOLD, 2**26)


def _is_mapped(place: int) -> bool:
    """Has glibc got this array straight from the system? A flag in front of it tells."""
    return bool(ctypes.c_size_t.from_address(place - ctypes.sizeof(ctypes.c_size_t)).value & 2)


def anonymous() -> int:
    """RssAnon of this process: its own memory, without pages of files, in bytes."""
    return _status()["RssAnon"]


def memory_available() -> int:
    """Bytes that the system could give to new work now."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _status() -> dict[str, int]:
    """Memory fields of /proc/self/status, in bytes."""
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) * 1024 for name, value, _ in fields}


def report(**values: Any) -> None:
    """In a child: hand values back to :func:`child` in the parent."""
    print(_MARK + json.dumps(values), flush=True)


def report_peak(work: Callable[[], object]) -> None:
    """In a child: run ``work`` and hand its peak of memory back to :func:`peak_memory` in the parent."""
    with watch_memory() as peak:
        work()
    report(bytes=peak.bytes)


def child(
    argv: Sequence[str], *, timeout: float | None = None, threads: int = 1, memory: bool = False
) -> dict[str, Any]:
    """Run a Python script in a process of its own and return what it handed back by :func:`report`.

    Parameters
    ----------
    argv : script and its arguments
    timeout : seconds of wall time; subprocess.TimeoutExpired beyond it
    threads : OMP_NUM_THREADS of the child
    memory : whether it measures memory: then torch asks for no pages of 2 MB, whose alignment lets the allocator put
        equal arrays beside each other's freed places, which it keeps

    Raises
    ------
    RuntimeError
        If the child failed or handed nothing back, with the end of what it printed.
    """
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    if memory:
        env["THP_MEM_ALLOC_ENABLE"] = "0"
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=timeout, env=env)
    found = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not found:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    values: dict[str, Any] = json.loads(found[-1].removeprefix(_MARK))
    return values


def peak_memory(argv: Sequence[str], *, timeout: float | None = None, threads: int = 1) -> int:
    """Peak anonymous memory in bytes of a Python script that calls :func:`report_peak`."""
    return int(child(argv, timeout=timeout, threads=threads, memory=True)["bytes"])


def machine() -> dict[str, Any]:
    """What a figure depends on: processor, cores, SIMD flags, torch, threads, commit. No names of hosts, no paths."""
    cpu, flags = "unknown", set[str]()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            cpu = value
        elif key in ("flags", "Features"):
            flags = set(value.split())
    return dict(
        cpu=cpu,
        cores=os.cpu_count(),
        simd=[flag for flag in SIMD if flag in flags],
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        commit=commit(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
    )


def commit() -> str:
    """The short commit of the checkout, ``-dirty`` if anything but results differs from it; ``unknown`` without git."""
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", ".", ":!benchmarks/results"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def command() -> str:
    """This script and its options, as typed."""
    script = Path(sys.argv[0]).resolve().relative_to(ROOT).as_posix()
    return shlex.join(["python", script, *sys.argv[1:]])


def save(name: str, rows: Sequence[Mapping[str, Any]], *, command: str) -> Path:
    """Write ``benchmarks/results/speed/<name>.json``, in place of an earlier one: command, machine, date, rows."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = dict(command=command, machine=machine(), date=date.today().isoformat(), rows=[dict(row) for row in rows])
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def saved(name: str) -> list[dict[str, Any]]:
    """The rows of an earlier :func:`save`; none if there was none."""
    path = RESULTS / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return rows
