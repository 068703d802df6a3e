"""Fill docs/speed.md and docs/kernels.md from the committed measurements, and draw their plots.

    python docs/build_speed.py

Every file of ``benchmarks/results/speed`` is shown on one of the two pages; nothing is typed by hand. A section holds
the files named after it (``contrast``, ``contrast_large``); sections follow ``LEADS``, and a file without a lead comes
last. What whole steps cost is on the first page (``FIRST``), single kernels are on the second.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib
from diagrams import STYLE
from matplotlib import pyplot as plt
from pages import DOCS, replace_part, table, write
from speed_plots import Row, draw, fingerprint, plotted

ROOT = DOCS.parent
RESULTS = ROOT / "benchmarks" / "results" / "speed"
IMAGES = DOCS / "images"
sys.path.append(str(ROOT / "benchmarks" / "speed"))

#: Title and lead of a section by the name of its files.
LEADS = {
    "dgi_step": (
        "DGI training step",
        "Loss, backward and Adam of DGI with 512 units, through `create_method`, beside PyG's own example of it.",
    ),
    "grace_epoch": (
        "GRACE training step",
        "The whole step (views, encoder, projector, loss, backward, Adam) with the recipe for PubMed; the dense form "
        "differs in its loss alone. In plain float32 the multiplications alone that a form without N x N matrices "
        "needs (`the products alone` of [the next section](#contrast-of-all-pairs)) take most of what five times as "
        "fast would leave for the whole step; `high` and `bfloat16` are how it goes faster. With 256 anchors the loss "
        "is that of all nodes on average only.",
    ),
    "contrast": (
        "Contrast of all pairs",
        "GRACE's loss, forward and backward, for rows of width 128 unless a column says otherwise. The dense form "
        "keeps N x N matrices; ours computes tiles of them twice and keeps none. `the products alone` are those of "
        "such tiles in float32 by `torch.mm`, without exponentials: no loss, but the limit of one.",
    ),
    "spmm": (
        "Sparse product",
        "Messages of a GCN layer: the normalised adjacency times the codes of the nodes; measured beside a training on "
        "the other core. Where these no longer fit "
        "into caches an entry takes two and a half times as long (a new result each time included); methods which do "
        "little else grow faster than their edges in the upper decade of [growth](speed.md#growth-with-the-graph). "
        "The rows `build` are the adjacency and its transpose "
        "from new edges, as views that drop edges need them at every step; PyG's `gcn_norm` weighs the edges and sorts "
        "nothing.",
    ),
    "segment": ("Segment reductions", "Sums, means and maxima over the neighbours of a node or the nodes of a graph."),
    "walks": (
        "Random walks and subgraphs",
        "Batches of 1,024 seeds on a power-law graph of ogbn-arxiv's shape, in the layout of a PyG batch: subgraphs of "
        "random walks with restart 0.8, ego nets, walks of node2vec. Runs differ by a tenth: three on one day gave "
        "230,000 to 256,000 subgraphs of 64 moves a second on one thread and 339,000 to 357,000 on two, and 88,000 to "
        "93,000 of 256 moves on one.",
    ),
    "neighbours": (
        "Neighbour sampling",
        "Batches of 1,024 seeds with fan-outs, on the same graph, in the layout of PyG's `NeighborLoader`. With "
        "torch-sparse 0.6.18 that loader is the baseline of `neighbours_peer.py`; it and "
        "torch-scatter 2.1.2 were compiled here (`pip wheel --no-build-isolation --no-deps`, one job) in 20 minutes of "
        "CPU time and 2.5 GB.",
    ),
    "positional": (
        "Positional embeddings",
        "The 32 leading eigenvectors of subgraphs of random walks of 64 moves, 1,024 at once.",
    ),
    "ppr": (
        "Personalised PageRank",
        "The diffusion that some views are made of: solved exactly, or pushed to the largest entries.",
    ),
    "logistic": (
        "Logistic regression",
        "The probe of most protocols: all splits and strengths of the penalty at once. What the rows of agreement hold "
        "is told in [logistic.py](../benchmarks/speed/logistic.py).",
    ),
    "linear_probes": ("Other linear probes", "One-vs-rest logistic regression, squared hinge and ridge, as above."),
    "growth": (
        "Growth with the graph",
        "A full-batch training step of width 64 on planted communities of mean degree 10. A slope is the exponent of "
        "growth: 1 is linear. It is fitted over all N, and over the upper decade, where fixed costs hide nothing. "
        "The criterion for both: at most 1.1, for time in the number of edges E (linear methods) "
        "and for memory in the number of nodes N (all methods); GRACE and GCA compare all pairs, so that their time "
        "grows with N² at best. Peak memory is what was alive at once; `train` holds more, since freed memory stays "
        "for the next step (`keep_memory`): without that arrays above 32 MiB are mapped and cleared anew for every "
        "use, and steps at 300,000 nodes take as long as the second record says. The third is of another processor, "
        "with sparse products that fetch rows of memory further ahead, and beside a training on the other core.",
    ),
    "large": (
        "Graphs on disk",
        "Training and embedding a graph that is never in memory: planted communities with 20 entries a node and 64 "
        "features, encoders of width 128, batches of 1,024 seeds, two threads. A batch and a step are CPU time, "
        "measured one after the other; training is CPU time of a step of `train`, batches included; steps a second are "
        "elapsed time. Memory is all anonymous memory of the process at its peak, with Python and "
        "torch, without the adding up of the degrees of all nodes, which happens once before "
        "([scale](scale.md) has it). Accuracy of logistic regression "
        "stands beside raw features "
        "and the same encoder before training; 40 steps are little training. The rows of 1,000 nodes were measured "
        "beside other work.",
    ),
    "cold_reads": (
        "Features from the disk",
        "A batch's rows of features, none of them in memory: with the disk's read-ahead, 8 MB on this machine, "
        "and page by page on sixteen threads (`random_reads`). Elapsed time; trainings ran beside it.",
    ),
    "papers_simulation": (
        "A hundred million nodes",
        "Parts of a batch, on graphs with the degrees and the width of ogbn-papers100M, and what [scale](scale.md) "
        "computes with.",
    ),
    "gpu": (
        "On a GPU",
        "Elapsed time of synchronised calls: plain torch and the Triton kernels. Memory is what tensors held on the "
        "device.",
    ),
}
#: Sections of the first page, in its order.
FIRST = ("growth", "large", "dgi_step", "grace_epoch", "contrast")
#: What the first table holds: title, file, what tells its rows, the usual way (if any) and ours.
GLANCE: tuple[tuple[str, str, Row, str | None, str], ...] = (
    ("DGI, a training step, Cora", "dgi_step", {"data": "cora"}, "PyG DeepGraphInfomax", "graphssl, cpp"),
    ("DGI, a training step, PubMed", "dgi_step", {"data": "pubmed"}, "PyG DeepGraphInfomax", "graphssl, cpp"),
    ("GRACE, a training step, PubMed", "grace_epoch", {}, "dense, autograd", "graphssl, cpp"),
    ("the same, `precision='high'`", "grace_epoch", {}, "dense, autograd", "graphssl, cpp, high"),
    ("the same, `precision='bfloat16'`", "grace_epoch", {}, "dense, autograd", "graphssl, cpp, bfloat16"),
    ("the same, `num_anchors=256`, on another processor", "grace_epoch_zen4", {}, "dense, autograd",
     "graphssl, cpp, 256 anchors"),
    ("GRACE's loss and gradient, 169,343 nodes", "contrast_large", {}, None, "cpp"),
    ("the same, `precision='bfloat16'`", "contrast_large", {}, None, "cpp, bfloat16"),
    ("16 batches of 1,024 seeds, 10 and 10 neighbours, features", "neighbours_peer", {"path": "loader [10, 10]"},
     "torch-sparse", "cpp"),
    ("the same, 15, 10 and 5 neighbours", "neighbours_peer", {"path": "loader [15, 10, 5]"}, "torch-sparse", "cpp"),
    ("1,024 subgraphs of 64 moves", "walks", {"path": "subgraphs, 64 steps"}, "torch", "cpp"),
    ("140 logistic regressions, PubMed", "logistic", {"data": "pubmed"}, "scikit-learn", "graphssl"),
    ("personalised PageRank, 64 entries a node, 169,343 nodes", "ppr", {"path": "arxiv", "threads": 1}, None, "ppr"),
)  # fmt: skip
MEASURED = {"seconds": "median", "min": "", "max": "", "repeats": "", "ratio": "times as fast", "bytes": "peak memory"}
HIDDEN = {"commit"}
PAGES = ("speed.md", "kernels.md")
NOTHING = "No measurements are committed yet."
PLOTTED = ("contrast", "growth", "large")  # where N is the only thing that differs between the rows of a variant


def section_of(name: str) -> str:
    """``contrast`` for contrast, contrast_large and contrast-large; the name itself where no lead fits."""
    return next((lead for lead in LEADS if re.fullmatch(rf"{lead}([_-].*)?", name)), name)


def records() -> dict[str, list[Row]]:
    """What was saved, by section, in the order of the page; a file without rows is left out."""
    found: dict[str, list[Row]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["rows"]:
            found.setdefault(section_of(file.stem), []).append({"name": file.stem, **record})
    order = list(LEADS)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    unit, size = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("µs", 0.0)) if seconds >= s)
    return f"{_digits(seconds / (size or 1e-6))} {unit}"


def memory(count: float) -> str:
    return f"{_digits(count / 1e9)} GB" if count >= 1e9 else f"{_digits(count / 1e6)} MB"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(key: str, row: Row) -> str:
    """A value as it stands in a table; a dash where the row has none."""
    value = row.get(key)
    if value is None:
        return "-"
    if key == "seconds":
        spread = f" ({duration(row['min'])} to {duration(row['max'])})" if row.get("repeats", 1) > 1 else ""
        return duration(value) + spread
    if key == "bytes":
        return memory(value)
    if key == "ratio":
        return f"{value:.2f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.4g}"
    return str(value)


def rows_tables(rows: list[Row]) -> str:
    """What tells the rows apart, then what was measured; rows without a time have a table of their own."""
    timed, others = [row for row in rows if "seconds" in row], [row for row in rows if "seconds" not in row]
    return "\n\n".join(_table(part) for part in (timed, others) if part)


def _table(rows: list[Row]) -> str:
    """A column that no row fills is left out; what is the same in all rows stands above the table, but for the path."""
    keys = dict.fromkeys(key for row in rows for key in row if row[key] is not None)
    labels = [key for key in keys if key not in MEASURED and key not in HIDDEN]
    same = [key for key in labels if len(rows) > 1 and len({str(row.get(key)) for row in rows}) == 1]
    labels = [key for key in labels if key not in same]
    values = [key for key, title in MEASURED.items() if title and key in keys]
    header = [*(label.replace("_", " ") for label in labels), *(MEASURED[key] for key in values)]
    shared = ", ".join(f"{key.replace('_', ' ')} {cell(key, rows[0])}" for key in same if key != "path")
    body = table(header, [[cell(key, row) for key in (*labels, *values)] for row in rows])
    return f"In all rows: {shared}.\n\n{body}" if shared else body


def at_a_glance(found: dict[str, list[Row]]) -> str:
    """What a few whole things cost beside the usual way; times are medians."""
    files = {record["name"]: record["rows"] for records in found.values() for record in records}
    body = []
    for title, name, what, usual, ours in GLANCE:
        rows = [row for row in files.get(name, []) if all(row.get(key) == value for key, value in what.items())]
        by = {row["variant"]: row for row in rows}
        if ours not in by:
            continue
        base, own = by.get(usual or ""), by[ours]
        cells = [cell("bytes", row) if row else "-" for row in (base, own)]
        ratio = f"{base['seconds'] / own['seconds']:.1f}" if base else "-"
        times = [duration(row["seconds"]) if row else "-" for row in (base, own)]
        body.append([title, usual or "-", times[0], cells[0], times[1], cells[1], ratio])
    header = ["what", "beside", "its time", "its memory", "graphssl", "memory", "times as fast"]
    return table(header, body) if body else ""


def growth_tables(rows: list[Row]) -> str:
    """Time and memory with a column for each N, then the slopes."""
    from growth import PARTS, slopes

    sizes = sorted({row["n"] for row in rows})
    by = {(row["variant"], row["n"]): row for row in rows}
    names = list(dict.fromkeys(row["variant"] for row in rows))
    parts = []
    kinds = ("time of a step", "seconds", duration), ("peak memory", "bytes", memory), ("held", "held", memory)
    for title, key, shown in kinds:
        found = {place: shown(row[key]) for place, row in by.items() if key in row}
        body = [[name, *(found.get((name, n), "-") for n in sizes)] for name in names]
        parts.append(table([title, *(f"N = {n:,}" for n in sizes)], body))
    said = {True: "met", False: "**not met**", None: "no criterion"}
    body = [
        [s["variant"], f"{s['smallest']:,}", *(f"{s[part]:.2f}, {said[s[f'{part}_met']]}" for part in PARTS)]
        for s in slopes(rows)
    ]
    header = ["slope", "from N", "time in E", "upper decade", "memory in N", "upper decade"]
    return "\n\n".join([*parts, table(header, body)])


def large_tables(rows: list[Row]) -> str:
    """Training, embedding and what was learned, then the slopes."""
    from large import slopes

    def seconds(key: str) -> Callable[[Row], str]:
        return lambda row: duration(row[key])

    def size(key: str) -> Callable[[Row], str]:
        return lambda row: memory(row[key])

    columns: dict[str, Callable[[Row], str]] = {
        "batch": seconds("sampling_seconds"),
        "step": seconds("step_seconds"),
        "training": seconds("seconds"),
        "steps a second": lambda row: _digits(1 / row["wall"]),
        "memory, training": size("bytes"),
        "embedding": seconds("embed_seconds"),
        "elapsed": seconds("embed_wall"),
        "memory, embedding": size("embed_bytes"),
    }
    said = ("raw", "untrained", "trained")
    body = [[row["variant"], f"{row['n']:,}", *(show(row) for show in columns.values())] for row in rows]
    parts = [table(["method", "N", *columns], body)]
    body = [[row["variant"], f"{row['n']:,}", *(f"{100 * row[key]:.1f}" for key in said)] for row in rows]
    parts.append(table(["accuracy (%)", "N", *said], body))
    keys = {"training": "seconds", "embedding": "embed_seconds", "memory, training": "bytes",
            "memory, embedding": "embed_bytes"}  # fmt: skip
    body = [[found["variant"], *(f"{found[key]:.2f}" for key in keys.values())] for found in slopes(rows)]
    return "\n\n".join([*parts, table(["slope in N", *keys], body)])


def made_by(record: Row) -> str:
    """The command and the machine, under a table."""
    machine = record["machine"]
    threads = machine.get("threads")
    commits = dict.fromkeys([machine.get("commit"), *(row.get("commit") for row in record["rows"])])
    facts = [
        machine.get("gpu"),
        machine.get("cpu"),
        f"{machine['cores']} cores" if "cores" in machine else None,
        " ".join(machine.get("simd", [])),
        f"torch {machine['torch']}" if "torch" in machine else None,
        f"{threads} thread{'s' if threads != 1 else ''}" if threads else None,
        "commit " + ", ".join(commit for commit in commits if commit),
        record.get("date"),
    ]
    return f"```\n{record['command']}\n```\n\n" + _filled("; ".join(fact for fact in facts if fact) + ".")


def plots(images: Path = IMAGES) -> None:
    """Draw the plot of every record that has sizes enough; remove those of records that are no more."""
    images.mkdir(exist_ok=True)
    wanted = {
        f"speed-{record['name']}.svg": record["rows"]
        for section, found in records().items()
        for record in found
        if section in PLOTTED and plotted(record["rows"])
    }
    for old in images.glob("speed-*.svg"):
        if old.name not in wanted:
            old.unlink()
    for name, rows in wanted.items():
        with matplotlib.rc_context(STYLE):
            figure = draw(rows)
            figure.savefig(images / name, metadata={"Date": None, "Description": f"rows {fingerprint(rows)}"})
            plt.close(figure)


TABLES = {"growth": growth_tables, "large": large_tables}


def _filled(text: str) -> str:
    """Lines of 120; a link stays whole."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def section(path: str, found: list[Row]) -> str:
    title, lead = LEADS.get(path, (path.replace("_", " ").capitalize(), ""))
    parts = [f"## {title}", _filled(lead)]
    for record in found:
        rows = record["rows"]
        if path in PLOTTED and plotted(rows):
            parts.append(f"![Time and memory against N](images/speed-{record['name']}.svg)")
        parts += [TABLES.get(path, rows_tables)(rows), made_by(record)]
    return "\n\n".join(part for part in parts if part)


def build(page: str, *, first: bool) -> str:
    """The first or the second page with its measurements made anew."""
    found = records()
    wanted = [path for path in FIRST if path in found] if first else [path for path in found if path not in FIRST]
    body = "\n\n".join(section(path, found[path]) for path in wanted)
    if first:
        page = replace_part(page, "glance", at_a_glance(found) or NOTHING)
    return replace_part(page, "measurements", body or NOTHING)


if __name__ == "__main__":
    matplotlib.use("agg")
    plots()
    for name in PAGES:
        path = DOCS / name
        write(path, build(path.read_text(encoding="utf-8"), first=name == PAGES[0]))
