"""Pieces of HTML and the whole page: escaped text, tables, sections, hatchings, styles, scripts.

Tables scroll in themselves; hatchings tell fillings apart in grey, the same in Plotly's bars and in
the page's own. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

HATCHES = ("", "/", ".", "\\", "x", "+", "-", "|")  # as Plotly writes them
_MARKS = {
    "/": '<path d="M0 6L6 0"/>',
    ".": '<circle cx="3" cy="3" r="1"/>',
    "\\": '<path d="M0 0L6 6"/>',
    "x": '<path d="M0 0L6 6M0 6L6 0"/>',
    "+": '<path d="M3 0V6M0 3H6"/>',
    "-": '<path d="M0 3H6"/>',
    "|": '<path d="M3 0V6"/>',
}


def hatchings_html() -> str:
    """The patterns ``hatch-0`` …, once for the whole page."""
    size = 'width="6" height="6" patternUnits="userSpaceOnUse"'
    patterns = "".join(
        f'<pattern id="hatch-{position}" {size}>{_MARKS.get(hatch, "")}</pattern>'
        for position, hatch in enumerate(HATCHES)
    )
    defs = f"<defs>{patterns}</defs>"
    return f'<svg class="defs" aria-hidden="true" width="0" height="0">{defs}</svg>'


@dataclass(frozen=True, slots=True)
class Html:
    """Text that is HTML already; ``sort`` is the number that a sortable column orders it by."""

    text: str
    sort: float | None = None


Cell = str | Html


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name for a screen reader, headings and rows; the first column names the row.

    ``sortable``: headings are buttons. ``words``: cells are sentences, not numbers.
    """

    name: str
    heading: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    words: bool = False


def html_of(cell: Cell) -> str:
    """A cell as HTML; plain text is escaped."""
    return cell.text if isinstance(cell, Html) else escape(cell)


def table_html(table: Table) -> str:
    """A table in a region of its own that scrolls and that the keyboard reaches."""
    kind = "sortable" if table.sortable else "words" if table.words else "plain"
    head = "".join(_heading(cell, table.sortable) for cell in table.heading)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in table.rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.name)}">'
        f'<table class="{kind}"><caption class="hidden">{escape(table.name)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _heading(cell: Cell, sortable: bool) -> str:
    if not sortable:
        return f'<th scope="col">{html_of(cell)}</th>'
    return f'<th scope="col" aria-sort="none"><button type="button">{html_of(cell)}</button></th>'


def _row(cells: Sequence[Cell]) -> str:
    first, *others = cells
    return f'<th scope="row"{_sort(first)}>{html_of(first)}</th>' + "".join(
        f"<td{_sort(cell)}>{html_of(cell)}</td>" for cell in others
    )


def _sort(cell: Cell) -> str:
    is_given = isinstance(cell, Html) and cell.sort is not None
    return f' data-sort="{cell.sort!r}"' if is_given and isinstance(cell, Html) else ""


def facts_html(pairs: Iterable[tuple[str, Cell]]) -> str:
    """Names and values, one under the other."""
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{html_of(v)}</dd></div>" for k, v in pairs)
    return f'<dl class="facts">{rows}</dl>'


def details_html(summary: str, body: str) -> str:
    """What a reader may open."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def section_html(name: str, title: str, body: str) -> str:
    """A part of the page under its own heading."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(title)}</h2>{body}</section>'
    )


def code_html(text: str, name: str) -> str:
    """A command or a file as it is, in a region that scrolls."""
    label = escape(name)
    return f'<pre tabindex="0" role="region" aria-label="{label}"><code>{escape(text)}</code></pre>'


# Also a promise that the browser keeps: a page under this policy cannot load anything.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the page: its anchor, heading and HTML."""

    name: str
    title: str
    body: str


def document(title: str, lead: str, parts: Sequence[Part]) -> str:
    """One HTML page; ``title`` and ``lead`` are text, the parts' bodies HTML.

    The same title, lead and parts give the same bytes.
    """
    items = "".join(f'<li><a href="#{part.name}">{escape(part.title)}</a></li>' for part in parts)
    sections = "".join(section_html(part.name, part.title, part.body) for part in parts)
    return (
        f'<!doctype html><html lang="en"><head>{_head(title)}</head><body>'
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header><p class="kind">{escape(lead)}</p><h1>{escape(title)}</h1></header>'
        f'<nav aria-label="Contents"><ul>{items}</ul></nav>'
        f"{hatchings_html()}"
        f'<main id="main" tabindex="-1">{sections}</main>'
        "<footer><p>Written by simsplit. This file stands alone: nothing is loaded.</p></footer>"
        f"<script>{_plotly()}</script><script>{_asset('report.js')}</script></body></html>\n"
    )


def _head(title: str) -> str:
    return (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · simsplit</title><style>{_asset('report.css')}</style>"
    )


def _asset(name: str) -> str:
    return (files("simsplit.pages") / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
