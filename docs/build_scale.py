"""Fill docs/scale.md from the committed measurements: python docs/build_scale.py"""

from __future__ import annotations

import json
import sys
from typing import Any

from pages import DOCS, replace_part, table, write

ROOT = DOCS.parent
sys.path.append(str(ROOT / "benchmarks" / "speed"))


def measured() -> list[dict[str, Any]]:
    """What papers_simulation.py saved: for each size its facts, with the seconds of the parts."""
    path = ROOT / "benchmarks" / "results" / "speed" / "papers_simulation.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    facts = [row for row in rows if row["variant"] == "facts"]
    for fact in facts:
        fact["seconds"] = {row["variant"]: row["seconds"] for row in rows if row["n"] == fact["n"] and row is not fact}
    return facts


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"


def _gb(count: float) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.2f} MB"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds:,.1f} s"


def measured_table(facts: list[dict[str, Any]]) -> str:
    """A column for each size."""
    lines: list[tuple[str, list[str]]] = [
        ("entries of the topology", [f"{f['edges']:,}" for f in facts]),
        ("nodes of a batch", [f"{f['batch_nodes']:,}" for f in facts]),
        ("of these, whose neighbours were sampled", [f"{f['expanded']:,}" for f in facts]),
    ]
    lines += [(f"CPU: {part}", [_ms(f["seconds"][part]) for f in facts]) for part in facts[0]["seconds"]]
    lines += [
        ("CPU: a layer of embedding, per entry", [f"{f['layer_seconds'] * 1e9:,.0f} ns" for f in facts]),
        ("files not cached: read by a batch", [_gb(f["cold_bytes"]) for f in facts]),
        ("files not cached: elapsed for it", [_ms(f["cold_wall"]) for f in facts]),
        ("the same, maps declared random: read", [_gb(f["random_bytes"]) for f in facts]),
        ("the same, maps declared random: elapsed", [_ms(f["random_wall"]) for f in facts]),
        ("anonymous memory, training", [_gb(f["bytes"]) for f in facts]),
        ("anonymous memory, adding up degrees", [_gb(f["degree_bytes"]) for f in facts]),
        ("parameters", [f"{f['parameters']:,}" for f in facts]),
    ]
    return table(["measured", *(f"N = {f['n']:,}" for f in facts)], [[name, *cells] for name, cells in lines])


def computed_tables(fact: dict[str, Any]) -> str:
    """The arithmetic for the large graph, from the largest that was measured."""
    from papers_simulation import BATCH, EDGES, FEATURES, NODES, READ_SECONDS, READS_PER_SECOND, WIDTH, costs

    c = costs(fact)
    disk = [
        ["features, float16", f"2 x {NODES:,} x {FEATURES}", _gb(c["features_float16"])],
        ["features, float32", f"4 x {NODES:,} x {FEATURES}", _gb(c["features_float32"])],
        ["topology, undirected", f"8 (N + 1) + 4 x 2 x {EDGES:,}", _gb(c["topology_undirected"])],
        ["topology, directed", "2 x 8 (N + 1) + (4 + 4 + 8) E", _gb(c["topology_directed"])],
        [f"an embedding of width {WIDTH}, float32", f"4 N x {WIDTH}", _gb(c["embedding"])],
    ]
    anonymous = [
        ["order of an epoch, and the seeds", "2 x 8 N", _gb(c["order"])],
        ["degrees, while they are added up", "4 N, and a block as measured", _gb(c["degrees"] + fact["degree_bytes"])],
        ["batches, method, torch", "as measured", _gb(fact["bytes"])],
    ]
    epoch = [
        ["steps", f"N / {BATCH:,}", f"{c['steps']:,}"],
        ["CPU of a batch", "as measured", _ms(c["batch_seconds"])],
        ["CPU of a step", "as measured", _ms(c["step_seconds"])],
        ["CPU of an epoch", "steps x (batch + step)", _hours(c["epoch_seconds"])],
        ["the same on eight machines", "steps / 8", _hours(c["epoch_seconds"] / 8)],
        ["adding up degrees, once", "measured seconds an entry x 2 E", _hours(c["degree_seconds"])],
        ["embedding, two layers", "2 x measured seconds an entry x 2 E", _hours(c["embed_seconds"])],
    ]
    reads = [
        ["random reads of a batch, nothing cached", "rows + pointers + neighbour lists", f"{c['reads']:,.0f}"],
        [f"one by one, {READ_SECONDS * 1e6:.0f} µs each", "", _hours(c["one_by_one_seconds"])],
        [f"many at once, {READS_PER_SECOND:,} a second", "", _ms(c["at_once_seconds"])],
    ]
    sent = 2 * 7 / 8 * c["gradient_bytes"]
    machines = [
        ["gradients", f"4 x {fact['parameters']:,} parameters", _gb(c["gradient_bytes"])],
        ["sent and received by each machine in a step (ring)", "2 x 7/8 of that", _gb(sent)],
        ["feature rows of a batch, float16", f"{fact['batch_nodes']:,} x {2 * FEATURES}", _gb(c["feature_bytes"])],
        ["of these from elsewhere, nodes dealt at random", "7/8", _gb(7 / 8 * c["feature_bytes"])],
        ["features a machine keeps, dealt", "1/8", _gb(c["features_float16"] / 8)],
    ]
    titles = ("on disk", "anonymous memory", "an epoch, files cached", "reads, files not cached", "eight machines")
    parts = zip(titles, (disk, anonymous, epoch, reads, machines), strict=True)
    return "\n\n".join(table([title, "from", "computed"], rows) for title, rows in parts)


def build(page: str) -> str:
    """The page with its tables made anew."""
    facts = measured()
    page = replace_part(page, "measured", measured_table(facts))
    return replace_part(page, "computed", computed_tables(facts[-1]))


if __name__ == "__main__":
    path = DOCS / "scale.md"
    write(path, build(path.read_text(encoding="utf-8")))
