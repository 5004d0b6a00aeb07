"""A sweep's tidy table as figures and tables want it: axes, curves, KPIs, rows picked out.

The table (`simsplit.sweep.load_results`) has a column per axis, then ``operating_point``, then
every KPI with ``<kpi>_ci_low`` and ``<kpi>_ci_high``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simsplit.errors import ScenarioError
from simsplit.kpis import COMPLEMENTS, kpi_column
from simsplit.plots.labels import setting_text, value_text
from simsplit.sweep import load_results

if TYPE_CHECKING:
    from pandas import DataFrame, Series

POINT = "operating_point"


def sweep_table(folder: Path, where_texts: Sequence[str] = ()) -> DataFrame:
    """The tidy table of a sweep, perhaps only some of its rows.

    Raises:
        ArtefactError: No sweep there.
        ScenarioError: A filter that cannot be read or leaves nothing.
    """
    return where(load_results(Path(folder)), where_texts)


def where(frame: DataFrame, texts: Sequence[str]) -> DataFrame:
    """The rows that meet every ``column == value[, value …]``.

    Numbers are compared as numbers, anything else as text; the column may be an axis' last name.

    Raises:
        ScenarioError: Not of that form, no such column, or no row left.
    """
    for text in texts:
        column, values = _filter(frame, text)
        kept = frame[frame[column].map(lambda cell, v=values: _among(cell, v))]
        if kept.empty:
            choices = [str(value) for value in frame[column].unique()[:20]]
            raise ScenarioError("no row of the table has that", value=text, choices=choices)
        frame = kept
    return frame.reset_index(drop=True)


def _filter(frame: DataFrame, text: str) -> tuple[str, list[str]]:
    name, equals, right = text.partition("==")
    values = [value.strip().strip("'\"") for value in right.split(",")]
    if not (name.strip() and equals and all(values)):
        raise ScenarioError("a filter reads column == value[, value …]", value=text)
    return named_column(frame, name.strip()), values


def _among(cell: Any, values: Sequence[str]) -> bool:
    if isinstance(cell, str | bool):
        return str(cell) in values
    try:
        return any(float(cell) == float(value) for value in values)
    except (TypeError, ValueError):
        return str(cell) in values


def axes_of(frame: DataFrame) -> list[str]:
    """Names of the sweep's axes."""
    columns = [str(name) for name in frame.columns]
    return columns[: columns.index(POINT)]


def varying(frame: DataFrame) -> list[str]:
    """What differs between rows: the operating point, then the axes, in the table's order."""
    names = [POINT, *axes_of(frame)]
    return [name for name in names if frame[name].nunique(dropna=False) > 1]


def is_numeric(column: Series[Any]) -> bool:
    """Whether an axis' values are numbers."""
    return column.dtype.kind in "iuf"


def named_column(frame: DataFrame, name: str) -> str:
    """Column of an axis, ``operating_point`` or ``scheme``; an axis' last part will do if alone.

    Raises:
        ScenarioError: No such column, or several.
    """
    if name in frame:
        return name
    known = [*axes_of(frame), POINT, *(["scheme"] if "scheme" in frame else [])]
    found = [column for column in known if column.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    raise ScenarioError("the table has no such column", value=name, choices=found or _short(known))


def _short(columns: Sequence[str]) -> list[str]:
    """Last parts of the names where no two are the same."""
    last = [column.rpartition(".")[2] for column in columns]
    named = zip(columns, last, strict=True)
    return [part if last.count(part) == 1 else column for column, part in named]


def numeric_axis(frame: DataFrame, name: str | None) -> str:
    """The axis to draw over: the one named, else the SNR, else the only numeric one that varies.

    Raises:
        ScenarioError: No such axis, not numbers, or several to choose from.
    """
    numeric = [axis for axis in axes_of(frame) if is_numeric(frame[axis])]
    if name is not None:
        column = named_column(frame, name)
        if column not in numeric:
            raise ScenarioError("no numeric axis of the sweep", value=name, choices=numeric)
        return column
    moving = [axis for axis in numeric if frame[axis].nunique() > 1]
    snr = [axis for axis in moving if axis.rpartition(".")[2] == "snr_db"]
    found = snr if len(snr) == 1 else moving
    if len(found) != 1:
        message = "name the numeric axis to draw over (--axis)"
        raise ScenarioError(message, value=None if moving else axes_of(frame), choices=numeric)
    return found[0]


def kpi(frame: DataFrame, name: str) -> tuple[DataFrame, str]:
    """The table with the KPI a user names, and its column; complements are added to the table.

    Raises:
        ScenarioError: No such KPI, or no row has a value.
    """
    of = COMPLEMENTS.get(name, name)
    column = kpi_column(of, [str(column) for column in frame.columns])
    if not frame[column].notna().any():
        raise ScenarioError("the KPI has no value in any row", value=name)
    if name not in COMPLEMENTS:
        return frame, column
    added = {
        name: 1 - frame[of],
        f"{name}_ci_low": 1 - frame[f"{of}_ci_high"],
        f"{name}_ci_high": 1 - frame[f"{of}_ci_low"],
    }
    return frame.assign(**added), name


def apart(frame: DataFrame, along: Sequence[str], by: str | None = None) -> list[str]:
    """Columns whose values make the curves along some axes: ``by`` first, then whatever varies.

    What an axis ``along`` settles by itself (axes swept in step with it) makes no curve, and what
    the other columns tell already (an axis that picks the operating point) is not said twice.
    """
    first = [] if by is None else [named_column(frame, by)]
    rest = [name for name in varying(frame) if name not in (*along, *first)]
    return _needed(frame, [*first, *(n for n in rest if not _settled(frame, n, along))], len(first))


def _needed(frame: DataFrame, keys: list[str], kept: int) -> list[str]:
    """The keys without those that part nothing which the others do not; the first ones stay."""
    whole = _parts(frame, keys)
    for key in keys[: kept - 1 if kept else None : -1]:
        others = [name for name in keys if name != key]
        if others and _parts(frame, others) == whole:
            keys = others
    return keys


def _parts(frame: DataFrame, keys: Sequence[str]) -> int:
    return len(frame[list(keys)].drop_duplicates()) if keys else 1


def fewest_curves(
    frame: DataFrame, candidates: Sequence[str], along: Sequence[str] = (), by: str | None = None
) -> str:
    """The candidate that, as a further axis, leaves the fewest curves; the first of equals."""
    return min(candidates, key=lambda name: _parts(frame, apart(frame, [*along, name], by)))


def _settled(frame: DataFrame, name: str, along: Sequence[str]) -> bool:
    """Whether the axes tell the value; SNR alone never tells the operating point."""
    if not along or (name == POINT and all(is_numeric(frame[axis]) for axis in along)):
        return False
    seen = frame.groupby(list(along), dropna=False)[name].nunique(dropna=False)
    return bool((seen <= 1).all())


class Curve(NamedTuple):
    """A design's rows; ``place``: which of the first setting's values, which of the rest's."""

    name: str
    rows: DataFrame
    place: tuple[int, int | None]


def curves(frame: DataFrame, along: Sequence[str], by: str | None = None) -> list[Curve]:
    """The rows of every curve along some axes, labelled by what differs.

    Ordered by the setting that parts first (``by`` or the operating point), as in the table.
    """
    keys = apart(frame, along, by)
    if not keys:
        return [Curve("", frame, (0, None))]
    groups = [
        (key if isinstance(key, tuple) else (key,), rows)
        for key, rows in frame.groupby(keys, sort=False, dropna=False)
    ]
    firsts = list(dict.fromkeys(key[0] for key, _ in groups))
    rests = list(dict.fromkeys(key[1:] for key, _ in groups))
    groups.sort(key=lambda group: (firsts.index(group[0][0]), rests.index(group[0][1:])))
    return [
        Curve(
            design_text(keys, key),
            rows,
            (firsts.index(key[0]), rests.index(key[1:]) if len(keys) > 1 else None),
        )
        for key, rows in groups
    ]


def design_text(keys: Sequence[str], values: Sequence[Any]) -> str:
    """A design by its settings: ``entropy, s8, 4 dB``; a word that two settings share is said once.

    Numbers are all said: ``4 dB, 4 dB`` are two settings.
    """
    parts: list[str] = []
    for key, value in zip(keys, values, strict=True):
        text = setting_text(key, value)
        if not _missing(value) and not (isinstance(value, str) and text in parts):
            parts.append(text)
    return ", ".join(parts)


def _missing(value: Any) -> bool:
    return isinstance(value, float) and value != value


def categories(column: Series[Any]) -> list[Any]:
    """An axis' values as places side by side: numbers in order, anything else as first seen."""
    values = column.dropna().unique().tolist()
    return sorted(values) if is_numeric(column) else values


def ticks_of(values: Sequence[Any]) -> list[str]:
    """Texts of places side by side."""
    return [value_text(value) for value in values]
