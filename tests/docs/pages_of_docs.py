"""The pages, and what stands in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((DOCS / "methods").glob("*.md"))]


class Block(NamedTuple):
    language: str
    text: str
    line: int


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[Block]:
    """The fenced blocks of a language, with the line of the page at which each begins."""
    page = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    every = [Block(m[1], m[2], page.count("\n", 0, m.start(2)) + 1) for m in found]
    return [block for block in every if block.language == language]
