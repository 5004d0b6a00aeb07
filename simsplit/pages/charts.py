"""An interactive chart: what ``report.js`` draws, and the numbers in it as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from simsplit.pages.page import HATCHES, Table, details_html, table_html

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "x", "cross", "star")
COLOURS = 8  # --c0 … --c7 in report.css


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a report.

    Attributes:
        name: Its anchor.
        title: What it shows, in words.
        kind: ``figure``: ``content`` is Plotly's data and layout; ``trend``, ``scatter``: a table
            whose columns the reader chooses from.
        content: What is drawn. Colours are ``@0`` … ``@7``, ``@ink``, ``@surface``; ``@0/0.2`` is
            translucent. The page's style says what they are in the light and in the dark.
        numbers: The same as text.
        note: One line below.
        height_px: On the screen.
    """

    name: str
    title: str
    kind: Literal["figure", "trend", "scatter"]
    content: Mapping[str, Any]
    numbers: Table
    note: str = ""
    height_px: int = 380


def chart_html(chart: Chart) -> str:
    """The figure: its place, its data, and its numbers for those who read them."""
    name, title = chart.name, escape(chart.title)
    note = f"<p>{escape(chart.note)}</p>" if chart.note else ""
    return (
        f'<figure class="chart" id="{name}" data-kind="{chart.kind}">'
        f'<figcaption><h3 id="{name}-title">{title}</h3>{note}</figcaption>'
        "<noscript><p>The figure needs JavaScript; its numbers are below.</p></noscript>"
        f'<div class="controls"></div><div class="legend"></div>'
        f'<div class="plot" role="group" aria-label="{title}; the numbers are in the table below" '
        f'style="height:{chart.height_px}px"></div>'
        f'<script type="application/json">{script_json(chart.content)}</script>'
        f"{details_html('The numbers', table_html(chart.numbers))}</figure>"
    )


def script_json(content: object) -> str:
    """JSON that may stand inside ``<script>``: no ``<``; NaN and infinity are null."""
    text = json.dumps(_plain(content), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def plain(text: object) -> str:
    """Text that Plotly shall draw as it is: it reads some HTML."""
    return escape(str(text), quote=False)


def short(text: object, limit: int = 18) -> str:
    """Text for the edge of a chart."""
    whole = str(text)
    return plain(whole if len(whole) <= limit else whole[: limit - 1] + "…")


def look(position: int) -> dict[str, Any]:
    """Line and marker of a curve: colour, dash and symbol differ, and again in the next round."""
    turn = position // COLOURS
    colour = f"@{position % COLOURS}"
    line = {"color": colour, "width": 2.5, "dash": DASHES[(position + turn) % len(DASHES)]}
    symbol = SYMBOLS[(position + 3 * turn) % len(SYMBOLS)]
    return {
        "line": line,
        "marker": {"color": colour, "symbol": symbol, "size": 9, "line": _outline()},
    }


def bar_look(position: int) -> dict[str, Any]:
    """Fill of a bar's part: colour and hatching."""
    hatch = HATCHES[(position + position // COLOURS) % len(HATCHES)]
    pattern = {
        "shape": hatch,
        "fillmode": "overlay",
        "fgcolor": "@hatch",
        "size": 7,
        "solidity": 0.2,
    }
    return {"color": f"@{position % COLOURS}", "pattern": pattern, "line": _outline()}


def _outline() -> dict[str, Any]:
    return {"color": "@ink", "width": 1}


def number(value: float | None, form: str = ".4g") -> str:
    """A number of a table; – where there is none."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)
