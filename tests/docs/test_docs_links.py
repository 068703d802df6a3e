"""Links between pages, files and sections resolve."""

import re

import pytest
from pages_of_docs import DOCS, PAGES, ROOT, page_name

# results are committed after the runs that make them
MAY_COME_LATER = ROOT / "benchmarks" / "results"


def links(page):
    text = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)]*)\)", text)
    assert all(re.fullmatch(r"\S+", link) for link in found), f"a link with white space: {found}"
    return found


def anchors(page):
    titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_links_resolve(path):
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"(https?|mailto):", link):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists() or found.is_relative_to(MAY_COME_LATER), f"{page_name(path)} links to {link}"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{page_name(path)} links to {link}"


def test_every_page_is_reached_from_the_first():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        found = [(path.parent / link.partition("#")[0]).resolve() for link in links(path.read_text(encoding="utf-8"))]
        waiting += [page for page in found if page.suffix == ".md" and page not in reached]
    assert {page for page in PAGES if page.is_relative_to(DOCS)} <= reached
