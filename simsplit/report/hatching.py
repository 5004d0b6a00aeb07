"""Hatchings that tell fillings apart in grey: the same in Plotly's bars and in the page's own."""

from __future__ import annotations

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
