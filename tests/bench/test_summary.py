import json
import math

import pytest
from bench_rows import failure, result

from graphssl.bench import ResultStore, published_figure, summarise, write_summary

FIELDS = [
    "method", "encoder", "dataset", "protocol", "probe", "metric", "mean", "std", "n", "failed", "paper_mean",
    "paper_std", "paper_source",
]  # fmt: skip


def test_numbers_equal_those_worked_out_by_hand():
    (row,) = summarise([result(seed=s, value=v) for s, v in enumerate((0.80, 0.82, 0.87))])
    assert list(row) == FIELDS
    assert row["mean"] == pytest.approx(0.83)
    # deviations -0.03, -0.01, 0.04: squares sum to 0.0026, divided by 3 - 1
    assert row["std"] == pytest.approx(math.sqrt(0.0013))
    assert (row["n"], row["failed"]) == (3, 0)


def test_one_seed_has_no_spread_and_none_has_no_mean():
    (one,) = summarise([result(value=0.7)])
    assert (one["mean"], one["std"], one["n"]) == (0.7, None, 1)
    (none,) = summarise([failure(seed=0), failure(seed=1, status="memory")])
    assert "mean" not in none
    assert (none["n"], none["failed"], none["metric"]) == (0, 2, None)


def test_failed_seeds_are_counted_beside_the_others():
    (row,) = summarise([result(seed=0, value=0.5), failure(seed=1), result(seed=2, value=0.7)])
    assert (row["n"], row["failed"]) == (2, 1)
    assert row["mean"] == pytest.approx(0.6)


def test_the_newest_attempt_of_a_seed_counts():
    again = [failure(seed=0), result(seed=0, value=0.6)]
    assert [(r["mean"], r["failed"]) for r in summarise(again)] == [(0.6, 0)]
    assert [(r["n"], r["failed"]) for r in summarise(again[::-1])] == [(0, 1)]
    assert [r["mean"] for r in summarise([result(value=0.1), result(value=0.3)])] == [0.3]


def test_two_configurations_are_never_averaged():
    old = [result(seed=s, value=0.1) for s in range(3)]
    new = [result(seed=s, value=0.9, config_hash="b" * 16) for s in range(2)]
    (row,) = summarise(old + new)
    assert (row["mean"], row["n"]) == (pytest.approx(0.9), 2)


def test_metrics_of_a_run_are_rows_of_their_own_and_controls_come_first():
    rows = [result(metric=m, value=v) for m, v in (("nmi", 0.4), ("ari", 0.3))] + [result("raw", value=0.2)]
    assert [(r["method"], r["metric"], r["mean"]) for r in summarise(rows)] == [
        ("raw", "accuracy", 0.2),
        ("dgi", "nmi", 0.4),
        ("dgi", "ari", 0.3),
    ]


def test_published_figures_stand_only_beside_their_protocol_probe_and_encoder():
    figure = published_figure("dgi", "cora", "public", "accuracy")
    (same,) = summarise([result()])
    assert same["paper_mean"] == figure.mean == pytest.approx(0.823)
    assert same["paper_std"] == pytest.approx(0.006)
    assert figure.source in same["paper_source"]
    for other in ({"protocol": "random-10-90"}, {"encoder": "gin"}, {"probe": "knn"}, {"metric": "nmi"}):
        (row,) = summarise([result(**other)])
        assert row["paper_mean"] is row["paper_std"] is row["paper_source"] is None


def test_summary_file_holds_what_is_returned(tmp_path):
    ResultStore(tmp_path).append([result(seed=s, value=0.5 + s / 10) for s in range(3)])
    returned = write_summary(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == returned
    assert returned[0]["mean"] == pytest.approx(0.6)
