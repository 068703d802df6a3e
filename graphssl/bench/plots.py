"""Plots of a report, as PNG bytes: comparison bars, loss curves, t-SNE maps."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphssl.bench.jobs import CONTROLS
from graphssl.bench.tables import row_name
from graphssl.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PALETTE", "comparison_plot", "loss_plot", "tsne", "tsne_plot"]

#: Colours that people with any of the usual colour-vision deficiencies can tell apart (Okabe and Ito, 2008).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#6A3D9A", "#444444")
_GREY = "#A6ABB2"
_COLUMNS = 4
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#222222",
    "figure.facecolor": "white",
}


def _figure(panels: int, width: float, height: float, columns: int = _COLUMNS) -> tuple[Figure, list[Any]]:
    """A grid of panels; sizes are inches a panel. Drawn off screen, without touching pyplot's state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    columns = min(panels, columns)
    lines = math.ceil(panels / columns)
    figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in grid[panels:]:
        unused.set_visible(False)
    return figure, list(grid[:panels])


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    return buffer.getvalue()


def _styled() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    return matplotlib.rc_context(_STYLE)


def _colours(methods: Sequence[str]) -> dict[str, str]:
    own = [method for method in dict.fromkeys(methods) if method not in CONTROLS]
    colours = {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(own)}
    return colours | dict.fromkeys(CONTROLS, _GREY)


def comparison_plot(rows: Sequence[dict[str, Any]]) -> bytes:
    """Bars of the mean with the standard deviation, one panel a data set; published figures as diamonds.

    Parameters
    ----------
    rows : sequence of dict
        Summary rows of one protocol, probe and metric.
    """
    rows = [row for row in rows if row["n"]]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    names = list(dict.fromkeys(row_name(row) for row in rows))
    colours = _colours([row["method"] for row in rows])
    with _styled():
        columns = min(3, len(datasets))
        longest = max(map(len, names)) * 0.075
        figure, axes = _figure(len(datasets), 3.3 + longest / columns, 0.75 + 0.34 * len(names), columns)
        diamond = None
        for place, (axis, dataset) in enumerate(zip(axes, datasets, strict=True)):
            here = {row_name(row): row for row in rows if row["dataset"] == dataset}
            for y, name in enumerate(names):
                row = here.get(name)
                if row is None:
                    axis.text(0.01, y, "not run", va="center", fontsize=8.5, color="#777777",
                              transform=axis.get_yaxis_transform())  # fmt: skip
                    continue
                mean, std = 100 * row["mean"], 100 * (row["std"] or 0)
                published = row["paper_mean"] is not None  # the two markers stand one above the other
                axis.barh(y, mean, height=0.68, color=colours[row["method"]], zorder=2)
                if std:
                    axis.errorbar(
                        mean, y - 0.14 * published, xerr=std, color="#222222", capsize=2.5, lw=1, capthick=1, zorder=3
                    )
                right = mean + std
                if published:
                    paper, spread = 100 * row["paper_mean"], 100 * (row["paper_std"] or 0)
                    diamond = axis.errorbar(
                        paper, y + 0.16, xerr=spread or None, fmt="D", ms=4, mfc="white", mec="black", ecolor="black",
                        lw=0.8, zorder=4,
                    )  # fmt: skip
                    right = max(right, paper + spread)
                text = f"{mean:.1f}" if row["std"] is None else f"{mean:.1f} ± {std:.1f}"
                axis.annotate(text, (right, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5,
                              color="#333333")  # fmt: skip
            tops = [100 * (row["mean"] + (row["std"] or 0)) for row in here.values()]
            tops += [100 * (row["paper_mean"] + (row["paper_std"] or 0)) for row in here.values() if row["paper_mean"]]
            lows = [min(0.0, 100 * (row["mean"] - (row["std"] or 0))) for row in here.values()]
            axis.set_xlim(min(lows), max(*tops, 1e-9) * 1.34)
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.set_yticks(range(len(names)), names if place % columns == 0 else [""] * len(names))
            axis.tick_params(axis="y", length=0)
            axis.set_xticks(
                [tick for tick in (-50, -25, 0, 25, 50, 75, 100) if min(lows) <= tick <= axis.get_xlim()[1]]
            )
            axis.set_title(dataset, loc="left", fontweight="bold")
            axis.grid(axis="x", color="#E3E5E8", lw=0.8, zorder=0)
            axis.set_xlabel(f"{rows[0]['metric']} (%)")
        if diamond is not None:
            figure.legend([diamond], ["published, same protocol"], loc="outside lower right", frameon=False, fontsize=9)
        return _png(figure)


def loss_plot(
    curves: Mapping[str, Sequence[Sequence[float]]], methods: Mapping[str, str], order: Sequence[str] = ()
) -> bytes:
    """Training loss over steps: one panel a method and encoder, one line a seed.

    Parameters
    ----------
    curves : mapping of str to lists of float
        Losses of each seed, by panel title.
    methods : mapping of str to str
        Method of each title; gives the colour.
    order : sequence of str
        All methods of a report: each then has one colour on every plot.
    """
    colours = _colours([*order, *methods.values()])
    with _styled():
        figure, axes = _figure(len(curves), 2.9, 2.2)
        for axis, (title, seeds) in zip(axes, curves.items(), strict=True):
            faint = 1.0 if len(seeds) == 1 else max(0.25, 0.8 / math.sqrt(len(seeds)))
            for losses in seeds:
                stride = max(1, len(losses) // 1000)
                steps = np.arange(1, len(losses) + 1)[::stride]
                marker = "o" if len(losses) < 3 else None
                axis.plot(
                    steps, losses[::stride], color=colours[methods[title]], lw=1.2, alpha=faint, marker=marker, ms=3
                )
            axis.set_title(title, loc="left")
            axis.grid(color="#E3E5E8", lw=0.8)
            axis.locator_params(axis="both", nbins=5)
            axis.locator_params(axis="x", integer=True)
        figure.supxlabel("optimiser step", fontsize=10)
        figure.supylabel("training loss", fontsize=10)
        return _png(figure)


def tsne(Z: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Two-dimensional map of an embedding, shape (n, D) to (n, 2): openTSNE if installed, else scikit-learn's.

    Columns are reduced to 50 principal components first. A constant embedding is mapped to one point.
    """
    Z = np.asarray(Z, dtype=np.float64)
    Z = Z - Z.mean(axis=0)
    scale = np.abs(Z).max(initial=0.0)
    if len(Z) < 5 or scale == 0:
        return np.zeros((len(Z), 2))
    left, singular, _ = np.linalg.svd(Z / scale, full_matrices=False)
    Z = (left * singular)[:, :50]
    perplexity = min(30.0, (len(Z) - 1) / 3)
    try:
        from openTSNE import TSNE
    except ImportError:
        from sklearn.manifold import TSNE as SklearnTSNE

        return np.asarray(SklearnTSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(Z))
    return np.asarray(TSNE(perplexity=perplexity, random_state=seed, n_jobs=1).fit(Z))


def tsne_plot(maps: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> bytes:
    """Maps side by side, coloured by label.

    Parameters
    ----------
    maps : mapping of str to (array (n, 2), array (n,) of int or None)
        Points and labels by panel title.
    """
    labels = sorted({int(v) for _, y in maps.values() if y is not None for v in np.unique(y) if v >= 0})
    with _styled():
        figure, axes = _figure(len(maps), 2.7, 2.75)
        colours = _class_colours(labels)
        for axis, (title, (points, y)) in zip(axes, maps.items(), strict=True):
            order = np.random.RandomState(0).permutation(len(points))  # no class is drawn on top of all others
            shades = [_GREY if y is None else colours.get(int(y[i]), _GREY) for i in order]
            size = float(np.clip(3000 / max(1, len(points)), 3, 24))
            axis.scatter(points[order, 0], points[order, 1], s=size, c=shades, lw=0, alpha=0.85)
            axis.set_title(title, loc="left")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_box_aspect(1)
            for spine in axis.spines.values():
                spine.set_visible(True)
                spine.set_color("#D5D8DC")
        if 1 < len(labels) <= len(PALETTE) + 1:
            from matplotlib.lines import Line2D

            handles = [Line2D([], [], marker="o", ls="", ms=6, color=colours[label]) for label in labels]
            names = [f"class {label}" for label in labels]
            columns = min(len(labels), 3 * min(len(maps), _COLUMNS))
            figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9,
                          handletextpad=0.1, columnspacing=1.0)  # fmt: skip
        return _png(figure)


def _class_colours(labels: Sequence[int]) -> dict[int, Any]:
    if len(labels) <= len(PALETTE) + 1:
        return dict(zip(labels, (*PALETTE, "#B15928"), strict=False))
    import matplotlib

    shades = matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, len(labels)))
    return dict(zip(labels, shades, strict=True))
