"""Text and tables as LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "$": r"\$",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "Δ": r"\ensuremath{\Delta}",
    "µ": r"\ensuremath{\mu}",
    "°": r"\ensuremath{^\circ}",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "–": "--",
    "…": r"\dots{}",
}


def escaped(text: str) -> str:
    r"""The text with LaTeX's special characters escaped; ``$…$`` is left as the formula it is."""
    if len(re.findall(r"(?<!\\)\$", text)) % 2:
        return _plain(text)
    parts = re.split(r"((?<!\\)\$[^$]*(?<!\\)\$)", text)
    return "".join(part if part.startswith("$") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def booktabs(frame: DataFrame, *, numeric: set[str] | None = None) -> str:
    r"""A ``tabular`` with booktabs' rules; every cell is text and escaped.

    Args:
        frame: Texts; the columns' names are the header.
        numeric: Columns that stand to the right; None: those that are not text.
    """
    if numeric is None:
        numeric = {str(c) for c in frame.columns if frame[c].dtype.kind in "if"}
    text = frame.astype(object).map(lambda cell: escaped(str(cell)))
    text.columns = [escaped(str(name)) for name in frame.columns]
    form = "".join("r" if str(name) in numeric else "l" for name in frame.columns)
    return str(text.style.hide(axis="index").to_latex(hrules=True, column_format=form))
