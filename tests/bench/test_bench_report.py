import builtins
import csv
import json
import re

import numpy as np
import pytest
from bench_rows import failure, result

from graphssl.bench import ResultStore, write_report
from graphssl.bench import plots as drawing
from graphssl.bench.store import run_name
from graphssl.errors import MissingFileError

PNG = b"\x89PNG\r\n"


@pytest.fixture
def folder(tmp_path):
    rows = [result("raw", s, 0.58) for s in range(3)]
    rows += [result("dgi", s, 0.81 + s / 100) for s in range(3)]
    rows += [result("grace", 0, 0.80), failure("grace", 1, "memory", reason="MemoryError: <no & more>")]
    rows += [result("grace", 0, 0.70, dataset="citeseer")]
    ResultStore(tmp_path).append(rows)
    for kind in ("history", "embeddings"):
        (tmp_path / kind).mkdir()
    rng = np.random.default_rng(0)
    for row in rows:
        if row["status"] != "ok":
            continue
        final = {"effective_rank": 7.25, "feature_std": 0.9, "columns": 8}
        history = {"rows": 1, "loss": [3.0, 2.0, 1.0] if row["method"] != "raw" else [], "final": final}
        (tmp_path / "history" / f"{run_name(row)}.json").write_text(json.dumps(history))
        if row["seed"] == 0:
            path = tmp_path / "embeddings" / f"{run_name(row)}.npz"
            np.savez(path, embedding=rng.normal(size=(40, 8)), ids=np.arange(40), y=np.arange(40) % 3)
    run = {"command": "graphssl compare --methods dgi,grace", "python": "3.11", "torch_geometric": "2.8"}
    run |= {"platform": "Linux", "cpus": 2, "threads": 1}
    (tmp_path / "runs.jsonl").write_text(json.dumps(run) + "\n")
    return tmp_path


def test_every_file_is_written_and_says_the_numbers(folder):
    assert write_report(folder) == folder / "report.html"
    markdown, page = ((folder / name).read_text() for name in ("report.md", "report.html"))
    for text in (markdown, page):
        for part in ("82.0 ± 1.0", "58.0 ± 0.0", "80.0 (n=1, 1 failed)", "82.3 ± 0.6 [1]", "not run", "7.2"):
            assert part in text, part
        assert "graphssl compare --methods dgi,grace" in text
        assert "Not run on citeseer (public): raw; dgi, gcn" in text
    assert "MemoryError: <no & more>" in markdown
    assert "MemoryError: &lt;no &amp; more&gt;" in page
    assert json.loads((folder / "summary.json").read_text())[0]["method"] == "raw"


def test_the_page_is_self_contained(folder):
    page = write_report(folder).read_text()
    assert "<script" not in page
    assert "<link" not in page
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:|//)""", page)
    images = re.findall(r'<img [^>]*src="([^"]{0,30})', page)
    assert len(images) == 1 + 2 + 2  # bars, losses and maps of two data sets
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert "prefers-color-scheme: dark" in page


def test_plots_and_tables_lie_beside_it(folder):
    write_report(folder)
    plots = sorted(path.name for path in (folder / "plots").iterdir())
    assert plots == [
        "comparison_public_logistic_accuracy.png",
        "loss_citeseer_public.png",
        "loss_cora_public.png",
        "tsne_citeseer_public.png",
        "tsne_cora_public.png",
    ]
    assert all((folder / "plots" / name).read_bytes().startswith(PNG) for name in plots)
    for name in plots:
        assert f"plots/{name}" in (folder / "report.md").read_text()
    tables = folder / "tables"
    with open(tables / "public_logistic_accuracy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["mean"]) for r in rows if r["method"] == "dgi"] == [pytest.approx(0.82)]
    assert json.loads((tables / "public_logistic_accuracy.json").read_text())[0]["method"] == "raw"
    assert (tables / "failures.md").is_file()


def test_the_best_method_is_marked_and_controls_stand_first(folder):
    write_report(folder)
    lines = [x for x in (folder / "tables" / "public_logistic_accuracy.md").read_text().splitlines() if x[:1] == "|"]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["raw", "dgi, gcn", "grace, gcn"]
    assert "**82.0 ± 1.0**" in lines[3]
    assert "**" not in lines[2] + lines[4]


def test_without_matplotlib_tables_are_still_written_and_the_extra_is_named(folder, monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    write_report(folder)
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert "82.0 ± 1.0" in text
        assert "graphssl-kit[plot]" in text
    assert not (folder / "plots").exists()


def test_a_report_of_failures_only(tmp_path):
    ResultStore(tmp_path).append([failure(seed=s) for s in range(2)])
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "Nothing was measured by public" in text
    assert "ValueError: no" in text


def test_a_folder_without_results(tmp_path):
    with pytest.raises(MissingFileError):
        write_report(tmp_path)


@pytest.mark.parametrize("Z", [np.ones((30, 4)), np.zeros((3, 2)), np.full((50, 3), 1e30)])
def test_a_collapsed_embedding_has_a_map(Z):
    points = drawing.tsne(Z)
    assert points.shape == (len(Z), 2)
    assert np.isfinite(points).all()
    assert drawing.tsne_plot({"collapsed": (points, None)}).startswith(PNG)


def test_many_classes_and_missing_labels_are_drawn():
    points = np.random.default_rng(0).normal(size=(60, 2))
    maps = {"many": (points, np.arange(60) % 40), "unknown": (points, np.full(60, -1))}
    assert drawing.tsne_plot(maps).startswith(PNG)
