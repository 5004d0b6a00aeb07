"""A sweep's tidy table as figures and tables want it: axes, curves, KPIs, rows picked out.

The table (`simsplit.results.sweep_table.load_results`) has a column per axis, ``operating_point``,
and every KPI with ``<kpi>_ci_low`` and ``<kpi>_ci_high``; it names its axes in ``attrs["axes"]``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from simsplit.errors import NothingThere, ScenarioError
from simsplit.results.kpis import kpi_column, kpi_names
from simsplit.results.labels import (
    check_labels,
    distinct_labels,
    named,
    setting_text,
    value_text,
)
from simsplit.results.metrics import COMPLEMENTS
from simsplit.results.store import read_result
from simsplit.results.sweep_table import AXES, axes_by_position, load_results
from simsplit.scenario.expressions import one_of, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

    from simsplit.scenario.evaluation import Expression


POINT = "operating_point"


def sweep_table(
    folder: Path, where_texts: Sequence[str] = (), labels: Mapping[str, str] | None = None
) -> DataFrame:
    """The tidy table of a sweep, perhaps only some of its rows, its settings as they are printed.

    Args:
        folder: Of the sweep.
        where_texts: See `where`; they speak of settings as the table names them.
        labels: What settings that are words are called in print (`named`).

    Raises:
        ArtefactError: No sweep there.
        ScenarioError: A filter that cannot be read or leaves nothing; a label for nothing.
    """
    whole = load_results(Path(folder))
    if not labels or whole.empty:
        return where(whole, where_texts)
    check_labels(labels, [*_words(whole), *_points(Path(folder), whole)])
    frame = where(whole, where_texts)
    return named(frame, _of_words(frame), labels)


def _of_words(frame: DataFrame) -> list[str]:
    return [name for name in (*axes_of(frame), POINT) if not is_numeric(frame[name])]


def _words(frame: DataFrame) -> list[str]:
    """Settings of the table that are words."""
    values = (value for name in _of_words(frame) for value in frame[name].dropna().unique())
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _points(folder: Path, frame: DataFrame) -> list[str]:
    """All operating points of the scenario, of which a sweep may have taken but some."""
    scenario = read_result(folder / str(frame["folder"].iat[0])).scenario
    return [point.name for point in scenario.operating_points]


def where(frame: DataFrame, texts: Sequence[str]) -> DataFrame:
    """The rows that meet every condition (`simsplit.scenario.expressions`).

    A name is a column, an axis' last part, or a KPI as users name it.

    Raises:
        ScenarioError: No condition, no such column, or no row left.
    """
    frame = frame.reset_index(drop=True)
    if frame.empty:
        return frame  # nothing to pick from, which is no mistake of the filter
    judged = _with_complements(frame)
    for text in texts:
        condition = parse(text, partial(_column, judged), EXAMPLE)
        kept = judged[_holding(judged, condition)]
        if kept.empty:
            values = judged[condition.names[0]].dropna().unique() if condition.names else ()
            choices = [str(value) for value in values[:20]]
            raise ScenarioError("no row of the table has that", value=text, choices=choices)
        judged = kept
    return frame.loc[judged.index].reset_index(drop=True)


EXAMPLE = "column == value, e.g. snr_db == 4, 8 and operating_point == jpeg"
DIGITS = 12  # 1 - 0.98 is not more than 2 %


def _with_complements(frame: DataFrame) -> DataFrame:
    """The table with the complements of its KPIs and their intervals."""
    kpis = kpi_names([str(column) for column in frame.columns])
    added = {
        column: values.round(DIGITS)
        for name, of in COMPLEMENTS.items()
        if of in kpis and name not in frame
        for column, values in _complement(frame, name).items()
    }
    return frame.assign(**added) if added else frame


def _complement(frame: DataFrame, name: str) -> dict[str, Series[Any]]:
    """Columns of a complement, e.g. ``losses``: 1 - the KPI, the ends of its interval swapped."""
    of = COMPLEMENTS[name]
    return {
        name: 1 - frame[of],
        f"{name}_ci_low": 1 - frame[f"{of}_ci_high"],
        f"{name}_ci_high": 1 - frame[f"{of}_ci_low"],
    }


def _column(frame: DataFrame, name: str) -> str:
    """Column of an axis, of the points, or of a KPI."""
    columns = [str(column) for column in frame.columns]
    try:
        return named_column(frame, name)
    except ScenarioError as error:
        try:
            return kpi_column(name, columns)
        except ScenarioError:
            is_vague = all(choice.endswith(f".{name}") for choice in error.choices)
            choices = [*error.choices, *([] if is_vague else kpi_names(columns))]
            raise ScenarioError(error.message, value=name, choices=choices) from None


def _holding(frame: DataFrame, condition: Expression) -> NDArray[np.bool_]:
    """Which rows meet the condition; rows with the same values are judged once."""
    if frame.empty:
        return np.zeros(0, bool)
    if not condition.names:
        return np.full(len(frame), condition.holds({}))
    numbers = frame.groupby(condition.names, sort=False, dropna=False).ngroup()
    first = ~numbers.duplicated()
    rows = cast("list[dict[str, Any]]", frame.loc[first, condition.names].to_dict("records"))
    verdicts = dict(zip(numbers[first], map(condition.holds, rows), strict=True))
    return numbers.map(verdicts).to_numpy(bool)


def axes_of(frame: DataFrame) -> list[str]:
    """Names of the sweep's axes, as the table names them (``attrs["axes"]``).

    A table of another program names none: then the columns before ``operating_point`` are taken,
    with a warning.
    """
    columns = [str(name) for name in frame.columns]
    named = frame.attrs[AXES] if AXES in frame.attrs else axes_by_position(frame)
    return [axis for axis in named if axis in columns]


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
    if "request_id" in frame:  # rows of requests have no axes
        return one_of([str(c) for c in frame.columns], "the table has no such column")(name)
    columns = [*axes_of(frame), POINT, *(["scheme"] if "scheme" in frame else [])]
    ends = [column for column in columns if column.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    raise ScenarioError("the table has no such column", value=name, choices=ends or _short(columns))


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
    candidates = snr if len(snr) == 1 else moving
    if len(candidates) != 1:
        message = "name the numeric axis to draw over (--axis)"
        raise ScenarioError(message, value=None if moving else axes_of(frame), choices=numeric)
    return candidates[0]


def kpi(frame: DataFrame, name: str) -> tuple[DataFrame, str]:
    """The table with the KPI a user names, and its column; complements are added to the table.

    Raises:
        ScenarioError: No such KPI, or no row has a value.
    """
    of = COMPLEMENTS.get(name, name)
    column = kpi_column(of, [str(column) for column in frame.columns])
    if not frame[column].notna().any():
        raise NothingThere("the KPI has no value in any row", value=name)
    if name not in COMPLEMENTS:
        return frame, column
    return frame.assign(**_complement(frame, name)), name


def apart(frame: DataFrame, along: Sequence[str], by: str | None = None) -> list[str]:
    """Columns whose values make the curves along some axes: ``by`` first, then whatever varies.

    What an axis ``along`` settles by itself (axes swept in step with it) makes no curve, and what
    the other columns tell already (an axis that picks the operating point) is not said twice.
    """
    first = [] if by is None else [named_column(frame, by)]
    rest = [name for name in varying(frame) if name not in (*along, *first)]
    return _needed(frame, [*first, *(n for n in rest if not _settled(frame, n, along))], len(first))


def _needed(frame: DataFrame, keys: list[str], kept: int) -> list[str]:
    """The keys without those that part nothing which the others do not; the first ones stay.

    A value that is there and one that is not part nothing: an absent value is not printed.
    """
    whole = _parts(frame, keys)
    for key in keys[: kept - 1 if kept else None : -1]:
        others = [name for name in keys if name != key]
        if others and _parts(frame, others) == whole and not _confuses(frame, others, keys):
            keys = others
    return keys


def _confuses(frame: DataFrame, others: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether designs read alike by some keys, but for absent values, that do not by all."""
    return _alike_but_for_gaps(frame, others) > _alike_but_for_gaps(frame, keys)


def _alike_but_for_gaps(frame: DataFrame, keys: Sequence[str]) -> int:
    """Pairs of designs that have the same values wherever both have one."""
    designs = frame[list(keys)].drop_duplicates()
    groups = [  # by which values are there: few, so that designs need not be compared in pairs
        (there, rows)
        for there, rows in designs.groupby([designs[key].notna().to_numpy() for key in keys])
    ]
    return sum(_meeting(keys, one, other) for one, other in combinations(groups, 2))


def _meeting(keys: Sequence[str], one: tuple[Any, DataFrame], other: tuple[Any, DataFrame]) -> int:
    """Pairs of rows of two groups that have the same values of the keys that both groups have."""
    (here, rows), (there, others) = one, other
    shared = [key for key, a, b in zip(keys, here, there, strict=True) if a and b]
    if not shared:
        return len(rows) * len(others)
    counts = Counter(rows[shared].itertuples(index=False, name=None))
    return sum(counts[values] for values in others[shared].itertuples(index=False, name=None))


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
    """A design's rows; ``rank``: which of the first setting's values, which of the rest's."""

    name: str
    rows: DataFrame
    rank: tuple[int, int | None]


def curves(frame: DataFrame, along: Sequence[str], by: str | None = None) -> list[Curve]:
    """The rows of every curve along some axes, labelled by what differs.

    Ordered by the setting that parts first (``by`` or the operating point), as in the table.
    """
    keys = apart(frame, along, by)
    if not keys:
        return [Curve("", frame, (0, None))]
    groups = [
        (_known(key if isinstance(key, tuple) else (key,)), rows)
        for key, rows in frame.groupby(keys, sort=False, dropna=False)
    ]
    firsts = list(dict.fromkeys(key[0] for key, _ in groups))
    rests = list(dict.fromkeys(key[1:] for key, _ in groups))
    groups.sort(key=lambda group: (firsts.index(group[0][0]), rests.index(group[0][1:])))
    names = design_texts(keys, [key for key, _ in groups])
    return [
        Curve(name, rows, (firsts.index(key[0]), rests.index(key[1:]) if len(keys) > 1 else None))
        for name, (key, rows) in zip(names, groups, strict=True)
    ]


def design_texts(keys: Sequence[str], designs: Sequence[Sequence[Any]]) -> list[str]:
    """Designs by their settings (`design_text`); if two read alike, every setting with its name."""
    texts = [design_text(keys, design) for design in designs]
    if len(set(texts)) == len(texts):
        return texts
    names = [name.partition(" [")[0] for name in distinct_labels(keys)]
    return [
        ", ".join(
            f"{name} {value_text(value)}"
            for name, value in zip(names, design, strict=True)
            if not _missing(value)
        )
        for design in designs
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


def _known(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values, None for those that are missing: no NaN equals another."""
    return tuple(None if _missing(value) else value for value in values)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def categories(column: Series[Any]) -> list[Any]:
    """An axis' values as places side by side: numbers in order, anything else as first seen."""
    values = column.dropna().unique().tolist()
    return sorted(values) if is_numeric(column) else values


def ticks_of(values: Sequence[Any]) -> list[str]:
    """Texts of places side by side."""
    return [value_text(value) for value in values]
