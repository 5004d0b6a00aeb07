"""What a reader must know before believing the numbers."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

NONE = '<p class="fine">No warnings.</p>'


def warnings_html(items: Iterable[tuple[str, str]]) -> str:
    """A list of (code, message); a line that says so if there are none."""
    lines = "".join(
        f"<li><strong>{escape(code)}</strong> {escape(message)}</li>" for code, message in items
    )
    return f'<ul class="warnings">{lines}</ul>' if lines else NONE
