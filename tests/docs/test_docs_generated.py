"""Generated pages are up to date, every public name is on them, and diagrams are legible."""

import re

import build_methods
import build_reference
import build_results
import diagrams
import matplotlib
import pytest
from matplotlib import pyplot as plt
from pages_of_docs import DOCS

from graphssl.registry import METHODS

NAMES = METHODS.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_method_page_is_up_to_date(name):
    page = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
    assert build_methods.build(page, name) == page, "run python docs/build_methods.py"
    for part in ("## Equation", "$$", "## Deviations", f"(images/{name}.svg)", "../../benchmarks/results/"):
        assert part in page


def test_the_list_of_methods_is_up_to_date():
    page = (DOCS / "methods" / "index.md").read_text(encoding="utf-8")
    assert build_methods.build_index(page) == page, "run python docs/build_methods.py"
    assert sorted(path.stem for path in (DOCS / "methods").glob("*.md")) == sorted([*NAMES, "index"])


@pytest.mark.parametrize(
    ("module", "name"), [pytest.param(m, n, id=f"{m.__name__}.{n}") for m, n in build_reference.public_names()]
)
def test_a_public_name_is_documented_and_listed(module, name):
    described = build_reference.line(module, name)
    assert described, f"{module.__name__}.{name} has neither a docstring nor a #: comment"
    section = (
        (DOCS / "reference.md").read_text(encoding="utf-8").split(f"\n## {module.__name__}\n")[1].split("\n## ")[0]
    )
    assert f"| `{name}` |" in section, "run python docs/build_reference.py"


def test_reference_and_protocols_are_up_to_date():
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == build_reference.build_reference(), (
        "run python docs/build_reference.py"
    )
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    assert build_reference.build_evaluation(page) == page, "run python docs/build_reference.py"


@pytest.mark.parametrize("path", build_results.PAGES, ids=lambda path: path.name)
def test_the_shown_results_are_those_committed(path):
    page = path.read_text(encoding="utf-8")
    assert build_results.build(page, path) == page, "run python docs/build_results.py"


def test_there_is_a_diagram_of_every_method():
    assert sorted(diagrams.DIAGRAMS) == NAMES
    assert sorted(path.stem for path in diagrams.IMAGES.glob("*.svg")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_diagram_is_legible_and_drawn_from_its_description(name):
    with matplotlib.rc_context(diagrams.STYLE):
        figure = diagrams.draw(diagrams.DIAGRAMS[name])
        figure.canvas.draw()
        found = diagrams.problems(figure)
        words = [text.get_text() for text in figure.axes[0].texts]
        plt.close(figure)
    assert not found
    svg = (diagrams.IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert len(svg.encode()) < 60_000
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert sorted(drawn) == sorted(words), "run python docs/diagrams.py"


def test_problems_of_a_diagram_are_found():
    box = diagrams.Box("a", "data", "input", "", 0)
    crowded = diagrams.Diagram(
        "x", (box, diagrams.Box("b", "view", "a title that is far too long", "", 0)), (), None, ""
    )
    with matplotlib.rc_context(diagrams.STYLE):
        figure = diagrams.draw(crowded)
        figure.canvas.draw()
        found = diagrams.problems(figure)
        plt.close(figure)
    assert "a and b overlap" in found
    assert "'a title that is far too long' leaves its box" in found
