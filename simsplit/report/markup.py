"""Pieces of HTML: escaped text, tables that scroll in themselves, sections, details."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


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
    known = isinstance(cell, Html) and cell.sort is not None
    return f' data-sort="{cell.sort!r}"' if known and isinstance(cell, Html) else ""


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
