"""Is an accuracy table unchanged? Two runs of it side by side: means, standard errors, and the difference between them.

    python benchmarks/accuracy.py public --out benchmarks/results/fast-paths
    python benchmarks/unchanged.py benchmarks/results/accuracy benchmarks/results/fast-paths public

Writes NEW/TABLE/unchanged.md and prints it. A difference is told in its own standard error,
sqrt(se_old^2 + se_new^2): about a third of all unchanged rows lie beyond 1, and one in twenty beyond 2. The same seed
on another device or version of torch is another draw; equal seeds have the same accuracy to the last digit.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

Key = tuple[str, str | None, str]


def accuracies(folder: Path) -> dict[Key, dict[int, float]]:
    """Test accuracy in percent of every seed, by method, encoder and data set."""
    found: dict[Key, dict[int, float]] = defaultdict(dict)
    for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["status"] == "ok":
            found[row["method"], row["encoder"], row["dataset"]][row["seed"]] = 100 * row["value"]
    return found


def error(values: list[float]) -> float:
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def table(old: dict[Key, dict[int, float]], new: dict[Key, dict[int, float]]) -> str:
    header = ["method", "encoder", "data set", "seeds", "before", "after", "difference", "in its error", "equal seeds"]
    lines = ["| " + " | ".join(header) + " |", "| --- " * len(header) + "|"]
    for key in sorted(old.keys() & new.keys(), key=lambda key: (key[2], key[0], key[1] or "")):
        before, after = list(old[key].values()), list(new[key].values())
        equal = sum(abs(old[key][seed] - value) < 1e-9 for seed, value in new[key].items() if seed in old[key])
        difference, spread = mean(after) - mean(before), (error(before) ** 2 + error(after) ** 2) ** 0.5
        told = f"{difference / spread:+.1f}" if spread > 0 else "0" if difference == 0 else "not random"
        cells = [key[0], key[1] or "", key[2], f"{len(before)} and {len(after)}"]
        cells += [f"{mean(values):.2f} ± {error(values):.2f}" for values in (before, after)]
        lines.append("| " + " | ".join([*cells, f"{difference:+.2f}", told, str(equal)]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("table")
    args = parser.parse_args()
    text = table(accuracies(args.old / args.table), accuracies(args.new / args.table))
    note = "Test accuracy in percent, mean ± standard error over retrained seeds; made by benchmarks/unchanged.py.\n\n"
    (args.new / args.table / "unchanged.md").write_text(f"# {args.table}\n\n{note}{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
