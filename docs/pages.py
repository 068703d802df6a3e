"""What the builders of pages share: parts between markers are made from the code, the rest is written by hand."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent


def replace_part(page: str, name: str, body: str) -> str:
    """The page with ``body`` between ``<!-- name: made by ... -->`` and ``<!-- end name -->``."""
    pattern = re.compile(rf"(<!-- {re.escape(name)}: [^>]*-->\n).*?(<!-- end {re.escape(name)} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"the page has no part {name!r} to fill")
    return pattern.sub(lambda found: f"{found[1]}\n{body.strip()}\n\n{found[2]}", page)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(value: Any) -> str:
    """A value in backticks, as it would be typed."""
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value!r}`"


def first_sentence(docstring: str | None) -> str:
    """The docstring's first sentence in plain Markdown."""
    paragraph = inspect.cleandoc(docstring or "").split("\n\n")[0].replace("\n", " ")
    paragraph = re.sub(r":math:`([^`]*)`", r"$\1$", paragraph)
    paragraph = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", paragraph).replace("``", "`")
    sentence = re.match(r"(.*?[.:;])(?= [A-Z`(]|$)", paragraph)
    return (sentence[1] if sentence else paragraph).rstrip(".:;") + "."


def write(path: Path, text: str) -> None:
    """Write a page, and say so when it changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"written: {path}")
