"""A report as one HTML file: no scripts, nothing loaded from elsewhere, light and dark."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphssl.bench.tables import Table

__all__ = ["Section", "render"]

_CSS = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5f6872; --line: #dfe3e8; --paper: #ffffff;
  --band: #f6f7f9; --accent: #0b62a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa4af; --line: #30363d; --paper: #14171a;
  --band: #1c2126; --accent: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.35rem; margin: 2.75rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem; }
p, li { max-width: 48rem; } .soft, figcaption, .notes { color: var(--soft); font-size: .9rem; }
nav a { color: var(--accent); margin-right: 1.1rem; text-decoration: none; white-space: nowrap; }
nav a:hover, nav a:focus { text-decoration: underline; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td { white-space: nowrap; } td.long { white-space: normal; min-width: 20rem; }
td.paper { color: var(--soft); }
tbody tr:hover { background: var(--band); }
figure { margin: 1rem 0 1.5rem; }
img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px;
  padding: 6px; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .7rem 1rem; overflow-x: auto;
  font-size: .87rem; } ol.notes { padding-left: 1.4rem; }
"""


@dataclass
class Section:
    """A part of the report.

    Attributes
    ----------
    title : str
        Headline.
    text : list of str
        Paragraphs, plain text.
    code : list of str
        Lines to be shown as typed.
    tables : list of Table
    figures : list of (str, str, bytes)
        File name, caption, PNG.
    """

    title: str
    text: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[tuple[str, str, bytes]] = field(default_factory=list)


def render(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page."""
    links = "".join(f'<a href="#{_anchor(s.title)}">{_text(s.title)}</a>' for s in sections)
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_CSS}</style></head>\n<body><main>\n"
        f'<h1>{_text(title)}</h1><p class="soft">{_text(lead)}</p><nav>{links}</nav>\n{body}</main></body></html>\n'
    )


def _section(section: Section) -> str:
    parts = [f'<section id="{_anchor(section.title)}"><h2>{_text(section.title)}</h2>']
    parts += [f"<p>{_text(paragraph)}</p>" for paragraph in section.text]
    if section.code:
        parts.append(f"<pre>{_text(chr(10).join(section.code))}</pre>")
    parts += [_table(table) for table in section.tables]
    for _, caption, png in section.figures:
        source = base64.b64encode(png).decode()
        parts.append(
            f'<figure><img alt="{_text(caption)}" src="data:image/png;base64,{source}">'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
        )
    return "\n".join([*parts, "</section>\n"])


def _table(table: Table) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in table.header)
    lines = []
    for i, row in enumerate(table.rows):
        cells = []
        for j, cell in enumerate(row):
            kind = ' class="paper"' if table.header[j] == "published" else ' class="long"' if len(cell) > 60 else ""
            text = f"<strong>{_text(cell)}</strong>" if (i, j) in table.best else _text(cell)
            cells.append(f"<td{kind}>{text}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    notes = "".join(f"<li>{_text(note)}</li>" for note in table.notes)
    return (
        f'<h3>{_text(table.title)}</h3><p class="soft">{_text(table.caption)}</p>'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
        + (f'<ol class="notes">{notes}</ol>' if notes else "")
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _text(text: str) -> str:
    return html.escape(text)
