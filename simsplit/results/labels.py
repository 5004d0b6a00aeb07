"""What a column of a table is called in print, in which unit its numbers read well, and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.metrics import METRICS, POOLED, SCORE, metric
from simsplit.units import UNIT_OF_ENDING, ending_of

if TYPE_CHECKING:
    from pandas import DataFrame


_SETTINGS = {"operating_point": "operating point", "resource_blocks": "resource blocks"}
_NAMES: dict[str, tuple[str, str]] = {  # name in print, unit
    **{metric.name: (metric.label, metric.unit.replace("1", "")) for metric in METRICS},
    **{setting: (name, "") for setting, name in _SETTINGS.items()},
}
_COUNT = "count"  # of the devices of a group
_VAGUE = {
    "rate_hz",
    "split",
    "policy",
    "kind",
    "index",
    "bits",
    "period_s",
    "source",
    "operating_point",
}
_SMALL = ("s", "J", "W")
_LARGE = ("bit", "bit/s", "Hz")


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a column is printed: its number times ``factor`` under ``label``."""

    label: str
    factor: float = 1.0


def name_and_unit(column: str) -> tuple[str, str]:
    """Name in print and unit of a KPI or an axis (``cell.channel.snr_db``).

    An unknown name is read from its ending: ``rate_hz`` is in Hz.
    """
    last = column.rpartition(".")[2]
    if last == _COUNT and _owner(column):
        return f"number of {_owner(column).strip()}", ""
    ending = ending_of(last)
    words = last.removesuffix(ending).replace("_", " ")
    name, unit = _NAMES.get(last) or _of_answer(last) or (words, UNIT_OF_ENDING.get(ending, ""))
    needs_owner = last in _VAGUE and column.split(".")[-2:-1] != ["operating_point"]
    return (_owner(column) + name if needs_owner else name), unit


def _of_answer(name: str) -> tuple[str, str] | None:
    """Of a score of a named answer: ``score_accuracy_shape``."""
    about = metric(name) if name.startswith((SCORE, *POOLED)) else None
    return None if about is None else (about.label, about.unit.replace("1", ""))


def _owner(column: str) -> str:
    """Device group or part that a setting belongs to: ``phones`` of ``devices.phones.count``."""
    parts = column.split(".")
    if len(parts) < 2:
        return ""
    named = parts[1] if parts[0] in ("devices", "networks") else parts[-2]
    return named.replace("_", " ") + " "


def distinct_labels(columns: Sequence[str]) -> list[str]:
    """The columns' labels, in their order, no two alike.

    Settings that share a label (``cell.channel.snr_db``, ``cloud.snr_db``) are told apart by what
    they belong to, and if that does not do, by their whole path.
    """
    plain = [label(column) for column in columns]
    owned = [_owner(column) + text for column, text in zip(columns, plain, strict=True)]
    texts = [o if plain.count(p) > 1 else p for o, p in zip(owned, plain, strict=True)]
    return [c if texts.count(t) > 1 else t for c, t in zip(columns, texts, strict=True)]


def label(column: str, prefix: str = "") -> str:
    """``name [unit]``, with a prefix of the unit (m, µ, k, M)."""
    name, unit = name_and_unit(column)
    return f"{name} [{prefix}{unit}]" if unit else name


def quantity(column: str, values: Iterable[float]) -> Quantity:
    """The label whose unit's prefix makes the largest of the values read between 1 and 1000.

    Seconds, joules and watts below 1 get milli or micro, bits and hertz from 10 000 kilo or mega.
    """
    _, unit = name_and_unit(column)
    numbers = np.abs(np.fromiter(values, float))
    largest = float(numbers[np.isfinite(numbers)].max(initial=0.0))
    factor, prefix = 1.0, ""
    if unit in _SMALL and 0 < largest < 1:
        factor, prefix = (1e3, "m") if largest >= 1e-3 else (1e6, "µ")
    elif unit in _LARGE and largest >= 1e4:
        factor, prefix = (1e-3, "k") if largest < 1e6 else (1e-6, "M")
    return Quantity(label(column, prefix), factor)


def value_text(value: object) -> str:
    """A value of an axis: numbers short, a policy's or variant's YAML without its braces."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return f"{float(value):g}".replace("-", "\N{MINUS SIGN}")
    text = str(value).strip("{} ")
    return text.removeprefix("kind: ").replace("point: ", "")


def setting_text(column: str, value: object) -> str:
    """What tells a curve apart: ``entropy``, ``8 dB``, ``4 phones``, ``phones: jpeg``."""
    group = re.fullmatch(r"devices\.(.+)\.operating_point", column)
    if group is not None:  # another word than that of the curve's own operating point
        return f"{group[1]}: {value_text(value)}"
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return value_text(value)
    if column.endswith(f".{_COUNT}") and _owner(column):
        return f"{value_text(value)} {_owner(column).strip()}"
    name, unit = name_and_unit(column)
    return f"{value_text(value)} {unit}" if unit else f"{name} {value_text(value)}"


LABELS = {column: label(column) for column in _NAMES}


def check_labels(labels: Mapping[str, str], choices: Sequence[str]) -> None:
    """Nothing, if every label is of one of the choices.

    Raises:
        ScenarioError: One is not.
    """
    for name in labels:
        if name not in choices:
            choices = list(dict.fromkeys(choices))
            raise ScenarioError("a label for nothing", path="label", value=name, choices=choices)


def named(frame: DataFrame, columns: Sequence[str], labels: Mapping[str, str]) -> DataFrame:
    """The table whose settings in these columns are called as ``labels`` say.

    Raises:
        ScenarioError: Two would be called the same.
    """
    called = {column: frame[column].map(lambda v: labels.get(v, v)) for column in columns}
    for column, values in called.items():
        if values.nunique() < frame[column].nunique():
            twice = sorted(values[values.duplicated()].unique())
            message = f"two of {column} would be called the same"
            raise ScenarioError(message, path="label", value=", ".join(map(str, twice)))
    made = frame.assign(**called)
    made.attrs = dict(frame.attrs)
    return made


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
