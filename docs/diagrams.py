"""Draw the diagram of every method: ``python docs/diagrams.py [--png FOLDER]``.

A diagram is a few boxes on a grid, the arrows between them, and the matrix of pairs that the loss sees, made by the
constructors of ``graphssl.pairs``. Cards are opaque, so that they read on light and on dark pages.
"""

# ruff: noqa: RUF001 (labels hold minus and multiplication signs)
from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path as Curve

from graphssl.pairs import Pairs, queue, real_versus_corrupt, same_graph, two_views, within_window

IMAGES = Path(__file__).with_name("methods") / "images"

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "graphssl",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the widest first: others leave room to spare
}
INK, LINE, PAPER = "#1a1a1a", "#555555", "#ffffff"
#: Border and filling of a box by its role (Okabe and Ito's colours, which most colour-blind readers tell apart).
ROLES = {
    "data": ("#777777", "#f2f2f2"),
    "view": ("#56b4e9", "#e3f3fc"),
    "corruption": ("#d55e00", "#fbe6d9"),
    "encoder": ("#0072b2", "#d6e8f4"),
    "head": ("#009e73", "#d9f2ea"),
    "target": ("#cc79a7", "#f8e8f1"),
    "loss": ("#e69f00", "#fdf1d6"),
}
POSITIVE, NEGATIVE, NEITHER = ("#0072b2", "+"), ("#f0b27f", "−"), ("#ececec", "")

WIDTH, GAP, ROW, HEIGHT = 1.34, 0.52, 0.92, 0.6  # inches
LINES = 18  # characters on a line of a box


@dataclass(frozen=True)
class Box:
    """A box in column ``col``; ``row`` may be fractional, ``rows`` is how many it spans."""

    key: str
    role: str
    title: str
    text: str
    col: float
    row: float = 0.0
    rows: int = 1


@dataclass(frozen=True)
class Arrow:
    """From a box to another; ``leave`` and ``enter`` are rows where a box spans several."""

    source: str
    target: str
    label: str = ""
    leave: float | None = None
    enter: float | None = None
    kind: str = "flow"  # or "stop": no gradient flows back; or "ema"


@dataclass(frozen=True)
class Matrix:
    """Beside the boxes: what a row is, what a column is, and a symbol for each cell ('+', '-', '' or '1', '0')."""

    title: str
    rows: str
    columns: str
    cells: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Diagram:
    """One method."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    matrix: Matrix | None
    note: str


def pair_cells(pairs: Pairs) -> list[list[str]]:
    """``+`` for a positive pair, ``-`` for a negative one, nothing for an ignored one."""
    symbol = {(True, False): "+", (False, True): "-", (False, False): ""}
    return [
        [symbol[bool(p), bool(n)] for p, n in zip(*row, strict=True)]
        for row in zip(pairs.positive, pairs.negative, strict=True)
    ]


IDENTITY = [["1" if i == j else "0" for j in range(4)] for i in range(4)]
ALIGNED = [["+" if i == j else "" for j in range(4)] for i in range(4)]


def two_view(
    title: str, *, source: str, views: tuple[str, str], encoder: str, heads: Sequence[tuple[str, str]] = (),
    loss: tuple[str, str], matrix: Matrix, note: str,
) -> Diagram:  # fmt: skip
    """Two views, one encoder, heads that both share, one loss."""
    boxes = [
        Box("x", "data", "input", source, 0, 0.5),
        Box("v1", "view", "view 1", views[0], 1, 0),
        Box("v2", "view", "view 2", views[1], 1, 1),
        Box("f", "encoder", "encoder f", encoder, 2, 0, 2),
    ]
    arrows = [Arrow("x", "v1"), Arrow("x", "v2"), Arrow("v1", "f", enter=0), Arrow("v2", "f", enter=1)]
    last = "f"
    for place, (name, text) in enumerate(heads, start=3):
        boxes.append(Box(name, "head", name, text, place, 0, 2))
        arrows += [Arrow(last, name, leave=row, enter=row) for row in (0, 1)]
        last = name
    boxes.append(Box("loss", "loss", *loss, 3 + len(heads), 0, 2))
    arrows += [Arrow(last, "loss", label, leave=row, enter=row) for row, label in enumerate(("z₁", "z₂"))]
    return Diagram(title, tuple(boxes), tuple(arrows), matrix, note)


def bootstrap(
    title: str, *, source: str, views: tuple[str, str], encoder: str, projector: str | None, predictor: str, note: str
) -> Diagram:
    """An online branch that predicts what the moving average of itself says about the other view."""
    boxes = [
        Box("x", "data", "input", source, 0, 0.5),
        Box("v1", "view", "view 1", views[0], 1, 0),
        Box("v2", "view", "view 2", views[1], 1, 1),
        Box("f", "encoder", "online encoder", encoder, 2, 0),
        Box("t", "target", "target encoder", "same shape", 2, 1),
    ]
    arrows = [Arrow("x", "v1"), Arrow("x", "v2"), Arrow("v1", "f"), Arrow("v2", "t")]
    arrows.append(Arrow("f", "t", "EMA", kind="ema"))
    online, target, col = "f", "t", 3
    if projector:
        boxes += [Box("g", "head", "projector g", projector, 3, 0), Box("gt", "target", "target g", "same shape", 3, 1)]
        arrows += [Arrow("f", "g"), Arrow("t", "gt"), Arrow("g", "gt", "EMA", kind="ema")]
        online, target, col = "g", "gt", 4
    boxes += [
        Box("q", "head", "predictor q", predictor, col, 0),
        Box("loss", "loss", "loss", "2 − 2 cos, mean over rows", col + 1, 0, 2),
    ]
    arrows += [Arrow(online, "q"), Arrow("q", "loss", "q₁", enter=0)]
    arrows += [Arrow(target, "loss", "stop-gradient", enter=1, kind="stop")]
    matrix = Matrix("aligned rows", "online", "target", ALIGNED)
    return Diagram(title, tuple(boxes), tuple(arrows), matrix, note)


def skip_gram(title: str, *, walks: str, note: str) -> Diagram:
    """Walks, and two tables whose rows are multiplied."""
    boxes = (
        Box("x", "data", "input", "graph A", 0, 0.5),
        Box("w", "view", "walks", walks, 1, 0),
        Box("n", "corruption", "negatives", "odds degree^(3/4)", 1, 1),
        Box("u", "encoder", "table u", "a row for each node", 2, 0),
        Box("v", "head", "table v", "the same, of contexts", 2, 1),
        Box("d", "head", "critic", "inner product", 3, 0, 2),
        Box("loss", "loss", "loss", "negative sampling", 4, 0.5),
    )
    arrows = (
        Arrow("x", "w"), Arrow("x", "n"), Arrow("w", "u"), Arrow("w", "v"), Arrow("n", "v"),
        Arrow("u", "d", enter=0), Arrow("v", "d", enter=1), Arrow("d", "loss", leave=0.5),
    )  # fmt: skip
    pairs = within_window(torch.tensor([4]), 4, window=1, negatives=4)
    return Diagram(
        title, boxes, arrows, Matrix("a walk, window 1", "places", "places | negatives", pair_cells(pairs)), note
    )


_DROP = ("drop edges, mask columns", "the same, other strength")
_INTRA = Matrix("pairs of 3 nodes", "anchors", "view 1 | view 2", pair_cells(two_views(3)))

DIAGRAMS = {
    "dgi": Diagram(
        "DGI: nodes against the summary of their graph",
        (
            Box("x", "data", "input", "graph X, A", 0, 1.5),
            Box("c", "corruption", "corruption", "permute rows of X", 1, 2),
            Box("f", "encoder", "encoder f", "GCN, shared", 2, 1, 2),
            Box("s", "head", "readout", "mean, then sigmoid", 3, 0),
            Box("d", "head", "critic", "bilinear: h W s", 4, 0, 3),
            Box("loss", "loss", "loss", "binary cross-entropy", 5, 1),
        ),
        (
            Arrow("x", "f", enter=1), Arrow("x", "c"), Arrow("c", "f", enter=2), Arrow("f", "s", leave=1),
            Arrow("s", "d", "s", enter=0), Arrow("f", "d", "h", leave=1, enter=1),
            Arrow("f", "d", "h of corrupted", leave=2, enter=2), Arrow("d", "loss", leave=1),
        ),
        Matrix(
            "pairs of 2 graphs", "graphs", "5 nodes | corrupted",
            pair_cells(real_versus_corrupt(torch.tensor([0, 0, 0, 1, 1]), 2)),
        ),
        "Embedding: h of the whole, uncorrupted graph.",
    ),
    "ggd": Diagram(
        "GGD: real nodes against nodes of a shuffled copy",
        (
            Box("x", "data", "input", "graph X, A", 0, 0),
            Box("v", "view", "view", "drop edges, mask columns", 1, 0),
            Box("c", "corruption", "corruption", "permute rows of X", 2, 1),
            Box("f", "encoder", "encoder f", "GCN, shared", 3, 0, 2),
            Box("head", "head", "head", "linear, entries summed", 4, 0, 2),
            Box("loss", "loss", "loss", "binary cross-entropy", 5, 0, 2),
        ),
        (
            Arrow("x", "v"), Arrow("v", "f", enter=0), Arrow("v", "c"), Arrow("c", "f", enter=1),
            Arrow("f", "head", leave=0, enter=0), Arrow("f", "head", leave=1, enter=1),
            Arrow("head", "loss", "y", leave=0, enter=0), Arrow("head", "loss", "y", leave=1, enter=1),
        ),
        Matrix("one label a node", "4 nodes", "real | corrupted", [["1", "0"]] * 4),
        "Embedding: h + Aⁿ h on the whole graph, with the normalised A and n = hops. No two nodes are ever compared.",
    ),
    "grace": two_view(
        "GRACE: each node against itself in another view", source="graph X, A", views=_DROP,
        encoder="GCN, shared", heads=[("projector g", "MLP with ELU")],
        loss=("InfoNCE", "cosines / τ, both directions"), matrix=_INTRA,
        note="Embedding: the encoder's output on the whole graph, without the projector.",
    ),
    "gca": two_view(
        "GCA: GRACE with views that spare what is central", source="graph X, A",
        views=("adaptive drop and masking", "the same, other strength"),
        encoder="GCN, shared", heads=[("projector g", "MLP with ELU")],
        loss=("InfoNCE", "cosines / τ, both directions"), matrix=_INTRA,
        note="Probabilities follow the centrality of nodes in the whole graph (degree, eigenvector or PageRank), "
        "computed once.",
    ),
    "bgrl": bootstrap(
        "BGRL: BYOL on the nodes of two graph views", source="graph X, A", views=_DROP,
        encoder="GCN, batch norm", projector=None, predictor="MLP with PReLU",
        note="The same with the views exchanged is added. The target starts from weights of its own and follows by "
        "EMA; no negatives.",
    ),
    "graph-barlow-twins": two_view(
        "Graph Barlow Twins: correlate coordinates of two graph views", source="graph X, A",
        views=("drop edges, mask columns", "the same, same strength"), encoder="GCN, shared",
        loss=("Barlow Twins", "D × D correlation"),
        matrix=Matrix("C is pulled to", "columns of z₁", "columns of z₂", IDENTITY),
        note="No projector, no negatives. Embedding: the encoder's output on the whole graph.",
    ),
    "cca-ssg": two_view(
        "CCA-SSG: views agree, coordinates decorrelate", source="graph X, A",
        views=("drop edges, mask columns", "the same, same strength"), encoder="GCN, shared",
        heads=[("standardise", "each column over the nodes")], loss=("CCA", "invariance + λ decorrelation"),
        matrix=Matrix("C₁, C₂ pulled to", "columns of z", "columns of z", IDENTITY),
        note="No projector, no negatives. Embedding: the encoder's output on the whole graph, not standardised.",
    ),
    "gcc": Diagram(
        "GCC: two walks' subgraphs of one node against other nodes' subgraphs",
        (
            Box("x", "data", "seed node", "of any graph, odds degree^(3/4)", 0, 0.5),
            Box("v1", "view", "walk 1", "with restart: its subgraph", 1, 0),
            Box("v2", "view", "walk 2", "drawn anew", 1, 1),
            Box("s", "data", "structure", "eigenvectors, degree, a mark on the seed", 2, 0, 2),
            Box("f", "encoder", "encoder q", "GIN, sum over nodes, unit length", 3, 0),
            Box("t", "target", "encoder k", "same shape", 3, 1),
            Box("m", "target", "queue", "latest K codes", 4, 2),
            Box("loss", "loss", "InfoNCE", "cosines / τ", 5, 0, 3),
        ),
        (
            Arrow("x", "v1"), Arrow("x", "v2"), Arrow("v1", "s", enter=0), Arrow("v2", "s", enter=1),
            Arrow("s", "f", leave=0), Arrow("s", "t", leave=1), Arrow("f", "t", "EMA", kind="ema"),
            Arrow("f", "loss", "q", enter=0), Arrow("t", "loss", "k, stop-gradient", enter=1, kind="stop"),
            Arrow("t", "m"), Arrow("m", "loss", enter=2),
        ),
        Matrix("3 nodes, queue of 3", "q", "k | queue", pair_cells(queue(3, 3))),
        "Embedding: q of a node, mean over walks. Features are not read. End to end (momentum=None): one encoder for "
        "both, no queue, the other nodes of the batch are negatives.",
    ),
    "deepwalk": skip_gram(
        "DeepWalk: nodes that random walks visit together", walks="uniform, from every node",
        note="Embedding: u. Features are not read.",
    ),
    "node2vec": skip_gram(
        "node2vec: DeepWalk on walks that return or lead away", walks="odds 1/p, 1, 1/q",
        note="Embedding: u. 1 / p: back to the node before; 1: to one of its neighbours; 1 / q: further away.",
    ),
    "infograph": Diagram(
        "InfoGraph: nodes against graphs of the batch",
        (
            Box("x", "data", "input", "batch of graphs", 0, 0.5),
            Box("f", "encoder", "encoder f", "GIN, layers concatenated", 1, 0, 2),
            Box("phi", "head", "node head φ", "MLP + short cut", 2, 0),
            Box("r", "head", "readout", "sum per graph", 2, 1),
            Box("psi", "head", "graph head ψ", "MLP + short cut", 3, 1),
            Box("d", "head", "critic", "inner product", 4, 0, 2),
            Box("loss", "loss", "loss", "Jensen-Shannon", 5, 0.5),
        ),
        (
            Arrow("x", "f", enter=0.5), Arrow("f", "phi", "h", leave=0), Arrow("f", "r", "h", leave=1),
            Arrow("r", "psi", "g"), Arrow("phi", "d", enter=0), Arrow("psi", "d", enter=1),
            Arrow("d", "loss", leave=0.5),
        ),
        Matrix(
            "7 nodes, 3 graphs", "nodes", "graphs",
            pair_cells(same_graph(torch.tensor([0, 0, 0, 1, 1, 2, 2]), 3)),
        ),
        "Embedding: g, the pooled codes, without the heads.",
    ),
    "graphcl": two_view(
        "GraphCL: whole graphs under two augmentations", source="batch of graphs",
        views=("one of four, drawn for each batch", "drawn anew"), encoder="GIN, layers concatenated",
        heads=[("readout", "sum per graph"), ("projector g", "MLP with ReLU")],
        loss=("InfoNCE", "cosines / τ, across views"),
        matrix=Matrix("pairs of 3 graphs", "anchors", "view 1 | view 2", pair_cells(two_views(3, intra=False))),
        note="Augmentations: drop nodes, perturb edges, mask nodes, random-walk subgraph. Embedding: pooled codes.",
    ),
    "byol": bootstrap(
        "BYOL: predict what a slow copy of yourself says", source="any batch", views=("any view", "any view"),
        encoder="any module", projector="MLP, batch norm", predictor="MLP, batch norm",
        note="The same with the views exchanged is added. Only the online branch is trained; no negatives.",
    ),
    "simclr": two_view(
        "SimCLR: each example's two views against all others", source="any batch", views=("any view", "any view"),
        encoder="any module, shared by both", heads=[("projector g", "MLP with ReLU")],
        loss=("NT-Xent", "cosines / τ"),
        matrix=Matrix("pairs of 3 examples", "anchors", "view 1 | view 2", pair_cells(two_views(3))),
        note="Embedding: the encoder's output, without the projector.",
    ),
    "barlow-twins": two_view(
        "Barlow Twins: correlate coordinates of two views", source="any batch", views=("any view", "any view"),
        encoder="any module, shared by both", heads=[("projector g", "MLP, batch norm")],
        loss=("Barlow Twins", "P × P correlation"),
        matrix=Matrix("C is pulled to", "columns of z₁", "columns of z₂", IDENTITY),
        note="No negatives. Embedding: the encoder's output, without the projector.",
    ),
}  # fmt: skip


def draw(diagram: Diagram) -> Figure:
    """A figure with one opaque card."""
    columns = max(box.col for box in diagram.boxes) + 1
    rows = max(box.row + box.rows for box in diagram.boxes)
    matrix_width = 2.1 if diagram.matrix else 0.0
    width = columns * WIDTH + (columns - 1) * GAP + 0.5 + matrix_width
    wrapped = textwrap.wrap(diagram.note, int(width * 14))
    foot = 0.55 + 0.2 * len(wrapped)
    body = max(rows * ROW, 1.95)
    height = 0.6 + body + foot
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    axes.add_patch(
        FancyBboxPatch((0.08, 0.08), width - 0.16, height - 0.16, boxstyle="round,pad=0,rounding_size=0.14",
                       facecolor=PAPER, edgecolor="#bbbbbb", linewidth=1, gid="card")
    )  # fmt: skip
    axes.text(0.28, 0.36, diagram.title, fontsize=11.5, fontweight="bold", color=INK, va="center")
    top = 0.62 + (body - rows * ROW) / 2
    places = {box.key: _draw_box(axes, box, top) for box in diagram.boxes}
    for arrow in diagram.arrows:
        _draw_arrow(axes, arrow, places, top)
    if diagram.matrix:
        _draw_matrix(axes, diagram.matrix, width - matrix_width, 0.62, body)
    for number, line in enumerate(wrapped):
        axes.text(0.28, 0.6 + body + 0.18 + 0.2 * number, line, fontsize=9, color=INK, va="center")
    _draw_legend(axes, diagram, height - 0.26)
    return figure


def _draw_box(axes: plt.Axes, box: Box, top: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom."""
    x = 0.28 + box.col * (WIDTH + GAP)
    y = top + box.row * ROW + (ROW - HEIGHT) / 2
    high = HEIGHT + (box.rows - 1) * ROW
    edge, fill = ROLES[box.role]
    style = "dashed" if box.role == "target" else "solid"
    axes.add_patch(
        FancyBboxPatch((x, y), WIDTH, high, boxstyle="round,pad=0,rounding_size=0.07", facecolor=fill,
                       edgecolor=edge, linewidth=1.6, linestyle=style, gid=f"box-{box.key}")
    )  # fmt: skip
    lines = textwrap.wrap(box.text, LINES)
    middle, step = y + high / 2, 0.165
    first = middle - step * len(lines) / 2
    axes.text(x + WIDTH / 2, first, box.title, ha="center", va="center", fontweight="bold", fontsize=9, color=INK,
              gid=f"text-{box.key}")  # fmt: skip
    for number, line in enumerate(lines, start=1):
        axes.text(x + WIDTH / 2, first + step * number, line, ha="center", va="center", fontsize=8.2, color=INK,
                  gid=f"text-{box.key}")  # fmt: skip
    return x, y, x + WIDTH, y + high


def _draw_arrow(axes: plt.Axes, arrow: Arrow, places: dict[str, tuple[float, ...]], top: float) -> None:
    a, b = places[arrow.source], places[arrow.target]
    if arrow.kind == "ema":
        x = (a[0] + a[2]) / 2
        axes.add_patch(
            FancyArrowPatch((x, a[3]), (x, b[1]), arrowstyle="-|>", mutation_scale=10, color=ROLES["target"][0],
                            linestyle=(0, (4, 2)), linewidth=1.5, shrinkA=0, shrinkB=0)
        )  # fmt: skip
        axes.text(x + 0.06, (a[3] + b[1]) / 2, arrow.label, fontsize=8.2, color=INK, va="center")
        return

    def height(box: tuple[float, ...], row: float | None) -> float:
        return (box[1] + box[3]) / 2 if row is None else top + (row + 0.5) * ROW

    (x1, y1), (x2, y2) = (a[2], height(a, arrow.leave)), (b[0], height(b, arrow.enter))
    bend = min(GAP, x2 - x1) * 0.42
    curve = Curve([(x1, y1), (x1 + bend, y1), (x1 + bend, y2), (x1 + 2 * bend, y2), (x2 - 0.02, y2)],
                  [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4, Curve.LINETO])  # fmt: skip
    stop = arrow.kind == "stop"
    color = ROLES["corruption"][0] if stop else LINE
    axes.add_patch(PathPatch(curve, facecolor="none", edgecolor=color, linewidth=1.3))
    axes.add_patch(
        FancyArrowPatch((x2 - 0.06, y2), (x2, y2), arrowstyle="-|>", mutation_scale=10, color=color, linewidth=1.3,
                        shrinkA=0, shrinkB=0)
    )  # fmt: skip
    if stop:  # two strokes across the line: nothing flows back here
        for shift in (-0.03, 0.03):
            x = (x1 + x2) / 2 + shift
            axes.plot([x - 0.03, x + 0.03], [y2 + 0.09, y2 - 0.09], color=color, linewidth=1.6)
    if arrow.label:
        at = x2 - (x2 - x1) / 2
        axes.text(at, y2 - (0.19 if stop else 0.11), arrow.label, fontsize=8.2, color=INK, ha="center", va="center",
                  gid="label")  # fmt: skip


def _draw_matrix(axes: plt.Axes, matrix: Matrix, left: float, top: float, body: float) -> None:
    rows, columns = len(matrix.cells), len(matrix.cells[0])
    side = min(1.3 / columns, (body - 0.62) / rows, 0.26)
    x0 = left + 0.5 + (1.3 - side * columns) / 2
    y0 = top + 0.44 + (body - 0.5 - side * rows) / 2
    middle = x0 + side * columns / 2
    axes.text(middle, y0 - 0.36, matrix.title, ha="center", va="center", fontsize=9, fontweight="bold", color=INK)
    axes.text(middle, y0 - 0.14, matrix.columns, ha="center", va="center", fontsize=8, color=INK)
    axes.text(x0 - 0.13, y0 + side * rows / 2, matrix.rows, ha="center", va="center", fontsize=8, rotation=90)
    looks = {"+": POSITIVE, "-": NEGATIVE, "": NEITHER, "1": (POSITIVE[0], "1"), "0": (NEITHER[0], "0")}
    for i, row in enumerate(matrix.cells):
        for j, symbol in enumerate(row):
            color, sign = looks[symbol]
            x, y = x0 + side * j, y0 + side * i
            axes.add_patch(Rectangle((x, y), side, side, facecolor=color, edgecolor=PAPER, linewidth=0.8))
            if sign:
                white = color == POSITIVE[0]
                axes.text(x + side / 2, y + side / 2, sign, ha="center", va="center", fontsize=min(8.5, 40 * side),
                          color=PAPER if white else INK)  # fmt: skip
    if "|" in matrix.columns:
        x = x0 + side * columns / 2
        axes.plot([x, x], [y0 - 0.04, y0 + side * rows + 0.04], color=INK, linewidth=1.1)


def _draw_legend(axes: plt.Axes, diagram: Diagram, y: float) -> None:
    names = {"data": "data", "view": "view", "corruption": "corruption", "encoder": "encoder", "head": "head",
             "target": "target (no gradient)", "loss": "loss"}  # fmt: skip
    used = {box.role for box in diagram.boxes}
    entries = [(names[role], *ROLES[role]) for role in names if role in used]
    symbols = {cell for row in diagram.matrix.cells for cell in row} if diagram.matrix else set()
    if "+" in symbols:
        entries.append(("+ positive", POSITIVE[0], POSITIVE[0]))
    if "-" in symbols:
        entries.append(("− negative", NEGATIVE[0], NEGATIVE[0]))
    if "" in symbols:
        entries.append(("in neither", "#bbbbbb", NEITHER[0]))
    x = 0.28
    for name, edge, fill in entries:
        axes.add_patch(Rectangle((x, y - 0.06), 0.15, 0.12, facecolor=fill, edgecolor=edge, linewidth=1.2))
        text = axes.text(x + 0.21, y, name, fontsize=7.8, color=INK, va="center")
        wide = text.get_window_extent(axes.figure.canvas.get_renderer()).width / axes.figure.dpi
        x += 0.21 + wide + 0.24


def problems(figure: Figure) -> list[str]:
    """Texts that leave their box or the card, and boxes that overlap: what a test asks for."""
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    drawn = {str(patch.get_gid()): patch.get_window_extent(renderer) for patch in axes.patches}
    boxes = {name.removeprefix("box-"): extent for name, extent in drawn.items() if name.startswith("box-")}
    card = drawn["card"]
    found = []
    for text in axes.texts:
        extent = text.get_window_extent(renderer)
        if not (card.x0 < extent.x0 and extent.x1 < card.x1 and card.y0 < extent.y0 and extent.y1 < card.y1):
            found.append(f"{text.get_text()!r} leaves the card")
        own = str(text.get_gid()).removeprefix("text-")
        if own in boxes and not (boxes[own].x0 <= extent.x0 and extent.x1 <= boxes[own].x1):
            found.append(f"{text.get_text()!r} leaves its box")
        others = [key for key, box in boxes.items() if key != own and box.overlaps(extent)]
        found += [f"{text.get_text()!r} lies on {key}" for key in others]
    keys = list(boxes)
    found += [f"{a} and {b} overlap" for i, a in enumerate(keys) for b in keys[i + 1 :] if boxes[a].overlaps(boxes[b])]
    plain = [t for t in axes.texts if t.get_text()]
    extents = [t.get_window_extent(renderer) for t in plain]
    found += [
        f"{plain[i].get_text()!r} and {plain[j].get_text()!r} overlap"
        for i in range(len(plain))
        for j in range(i + 1, len(plain))
        if extents[i].padded(-1).overlaps(extents[j].padded(-1))
    ]
    return found


def main() -> None:
    """Write every SVG, and PNGs where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path, help="also write PNG files into this folder, to look at")
    arguments = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, diagram in DIAGRAMS.items():
        with matplotlib.rc_context(STYLE):
            figure = draw(diagram)
            figure.canvas.draw()
            for problem in problems(figure):
                print(f"{name}: {problem}")
            figure.savefig(IMAGES / f"{name}.svg", transparent=True, metadata={"Date": None})
            if arguments.png:
                arguments.png.mkdir(parents=True, exist_ok=True)
                figure.savefig(arguments.png / f"{name}.png", dpi=110, facecolor="#0d1117")
            plt.close(figure)


if __name__ == "__main__":
    matplotlib.use("agg")
    main()
