"""The whole page: parts under headings, styles, scripts; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from simsplit.report.hatching import hatchings_html
from simsplit.report.markup import section_html

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
    return (files("simsplit.report") / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
