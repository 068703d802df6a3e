import csv
from pathlib import Path

import pytest

import graphssl.bench
from graphssl.bench import published_figure
from graphssl.bench.published import PREFERENCE, published_figures
from graphssl.data import list_datasets
from graphssl.registry import PROTOCOLS

OURS = ("dgi", "grace", "gca", "bgrl", "graph-barlow-twins", "cca-ssg", "ggd", "infograph", "graphcl")


def test_every_figure_has_a_source_that_was_read_and_names_that_exist():
    datasets = set(list_datasets())
    for figure in published_figures():
        assert figure.source_kind in PREFERENCE, figure
        assert figure.source.strip()
        assert figure.protocol in PROTOCOLS, figure
        assert figure.dataset in datasets, figure
        assert figure.metric in ("accuracy", "roc_auc", "average_precision"), figure
        assert figure.method == figure.method.lower().replace(" ", "-")


def test_figures_are_fractions_in_range():
    for figure in published_figures():
        assert 0.2 < figure.mean < 1, figure
        assert figure.std is None or 0 <= figure.std < 0.06, figure


def test_levels_agree():
    from graphssl.data import dataset_info

    for figure in published_figures():
        assert PROTOCOLS.get(figure.protocol).obj.level in (dataset_info(figure.dataset).level, "any"), figure


@pytest.mark.parametrize("method", OURS)
def test_each_method_of_the_package_has_figures(method):
    assert any(figure.method == method for figure in published_figures())


def test_a_paper_on_the_method_is_preferred_to_a_rerun():
    assert published_figure("grace", "cora", "public", "accuracy").source_kind == "secondary"
    assert published_figure("ggd", "cora", "public", "accuracy").source_kind == "rerun"  # nothing better was read
    assert published_figure("dgi", "cora", "tu-10fold", "accuracy") is None
    assert published_figure("nothing", "cora", "public", "accuracy") is None


def test_a_public_figure_is_not_one_of_random_splits():
    assert published_figure("grace", "cora", "public", "accuracy").mean == pytest.approx(0.819)
    assert published_figure("grace", "cora", "random-10-90", "accuracy").mean == pytest.approx(0.833)


def test_the_file_holds_percent_as_printed():
    with open(Path(graphssl.bench.__file__).with_name("published.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["method", "dataset", "protocol", "metric", "mean", "std", "source", "source_kind"]
    assert all(float(row["mean"]) > 1 for row in rows)
    assert len(rows) == len(published_figures())
