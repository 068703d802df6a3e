"""The page of measured speed holds what was committed, and says it rightly."""

import json
import re

import build_scale
import build_speed
import matplotlib
import pytest
import speed_plots
from matplotlib import pyplot as plt
from pages_of_docs import DOCS

MACHINE = dict(cpu="A processor", cores=2, simd=["avx2"], torch="2.0", threads=1, commit="abc1234")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of this test's own, in place of those committed: a function that adds a file."""
    monkeypatch.setattr(build_speed, "RESULTS", tmp_path)

    def add(name, rows):
        record = dict(command=f"python benchmarks/speed/{name}.py", machine=MACHINE, date="2026-01-02", rows=rows)
        (tmp_path / f"{name}.json").write_text(json.dumps(record))

    return add


def page():
    """Both pages, one after the other."""
    return "\n".join(
        build_speed.build((DOCS / name).read_text(encoding="utf-8"), first=name == "speed.md")
        for name in build_speed.PAGES
    )


def growing(n, **values):
    return dict(
        path="growth", variant="dgi", kind="linear", n=n, edges=10 * n, seconds=n * 1e-6, bytes=n * 100, **values
    )


def test_the_pages_are_up_to_date():
    kept = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in build_speed.PAGES)
    assert page() == kept, "run python docs/build_speed.py"


def test_the_first_table_has_every_row_it_promises():
    shown = build_speed.at_a_glance(build_speed.records())
    assert [line for line in build_speed.GLANCE if f"| {line[0]} |" not in shown] == []


def test_the_first_table_compares_with_the_usual_way(results):
    row = dict(path="dgi_step", data="cora", n=2708)
    results("dgi_step", [{**row, "variant": "PyG DeepGraphInfomax", "seconds": 0.2, "bytes": 1e8},
                         {**row, "variant": "graphssl, cpp", "seconds": 0.05, "bytes": 2e7}])  # fmt: skip
    expected = "| DGI, a training step, Cora | PyG DeepGraphInfomax | 200 ms | 100 MB | 50 ms | 20 MB | 4.0 |"
    assert expected in page()


def test_the_page_of_scale_is_up_to_date():
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    assert build_scale.build(text) == text, "run python docs/build_scale.py"


def test_the_plots_were_drawn_from_the_committed_rows():
    wanted = {
        f"speed-{record['name']}.svg": speed_plots.fingerprint(record["rows"])
        for section, found in build_speed.records().items()
        for record in found
        if section in build_speed.PLOTTED and speed_plots.plotted(record["rows"])
    }
    drawn = {
        path.name: re.findall(r"rows (\w+)", path.read_text(encoding="utf-8"))
        for path in build_speed.IMAGES.glob("speed-*.svg")
    }
    assert drawn == {name: [mark] for name, mark in wanted.items()}, "run python docs/build_speed.py"


def test_a_row_is_shown_with_units_and_what_is_missing_as_a_dash(results):
    row = dict(
        path="sum", variant="plain", n=20_000, dtype=None, seconds=0.0123, min=0.01, max=0.5, repeats=3, ratio=1.0
    )
    results(
        "sum", [row, dict(path="sum", variant="ours", n=20_000, seconds=2.5e-5, ratio=492.0, bytes=3.2e9, fast=True)]
    )
    shown = page()
    assert "In all rows: n 20,000.\n\n| variant | fast | median | times as fast | peak memory |" in shown
    assert "| plain | - | 12.3 ms (10 ms to 500 ms) | 1.00 | - |" in shown
    assert "| ours | yes | 25 µs | 492.00 | 3.2 GB |" in shown
    assert "python benchmarks/speed/sum.py" in shown
    assert "A processor; 2 cores; avx2; torch 2.0; 1 thread; commit abc1234; 2026-01-02." in shown


def test_files_of_one_path_share_a_section_and_empty_ones_are_left_out(results):
    results("contrast_large", [dict(path="contrast", variant="cpp", n=10, seconds=1.0)])
    results("contrast", [dict(path="contrast", variant="dense", n=2, seconds=2.0)])
    results("unknown_thing", [dict(path="unknown_thing", variant="a", seconds=3.0)])
    results("spmm", [])
    mixed = [dict(path="cora", variant="LU", seconds=1.0), dict(path="arx", variant="push", seconds=2.0)]
    results("ppr", [*mixed, dict(path="arx", variant="push", share_equal=0.5)])
    shown = page()
    titles = re.findall(r"^## (.*)$", shown[shown.index("<!-- measurements") :], re.MULTILINE)
    assert titles == ["Contrast of all pairs", "Personalised PageRank", "Unknown thing"]
    assert "| path | variant | median |" in shown, "one file may hold several paths"
    assert "| variant | share equal |" in shown, "rows without a time stand apart"
    assert shown.index("dense") < shown.index("| cpp")


def test_without_results_the_page_says_so(results):
    assert "No measurements are committed yet." in page()


def test_growth_is_told_by_size_and_slope(results):
    rows = [growing(n, commit="def5678") for n in (1_000, 10_000, 100_000)]
    rows[2]["held"] = 2_000_000
    rows += [{**growing(1_000), "variant": "grace", "kind": "all pairs"}]
    results("growth", rows)
    shown = page()
    assert "| dgi | 1 ms | 10 ms | 100 ms |" in shown
    assert "| grace | 1 ms | - | - |" in shown
    assert "| dgi | - | - | 2 MB |" in shown, "what is held is told where it was measured"
    assert "| dgi | 1,000 | 1.00, met | 1.00, met | 1.00, met | 1.00, met |" in shown
    assert "| grace | 1,000 |" not in shown, "one size has no slope"
    assert "commit abc1234, def5678;" in shown


def test_a_plot_has_a_line_for_each_variant_and_number_of_threads(results, tmp_path):
    rows = [growing(n, threads=threads) for n in (10, 100, 1000) for threads in (1, 2)]
    assert speed_plots.series(rows, "bytes")["dgi, 2 threads"] == ([10, 100, 1000], [1_000, 10_000, 100_000])
    with matplotlib.rc_context(build_speed.STYLE):
        figure = speed_plots.draw(rows)
        lines = [len(axes.lines) for axes in figure.axes]
        plt.close(figure)
    assert lines == [2, 2]
    results("growth", rows)
    (tmp_path / "speed-old.svg").touch()
    build_speed.plots(tmp_path)
    assert [path.name for path in tmp_path.glob("*.svg")] == ["speed-growth.svg"]
    assert speed_plots.fingerprint(rows) in (tmp_path / "speed-growth.svg").read_text()
    assert not speed_plots.plotted(rows[:4])
