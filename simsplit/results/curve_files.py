"""Two rate-distortion curves from files or tables, matched by the columns that they share."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results.bd import Curve

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


# --- tables -----------------------------------------------------------------------------------


def read_curves(
    path: Path,
    rate: str,
    metric: str,
    column_of: Callable[[str, Collection[str]], str],
    at: Sequence[str] = (),
) -> dict[str, Curve]:
    """Curves of a CSV, or of a sweep folder's ``points.csv``, by operating point.

    A file of two columns, with or without a header, is one curve named "". ``rate`` and ``metric``
    are columns, or what ``column_of`` makes a column of (`simsplit.results.kpis.kpi_column`);
    ``at`` keeps the rows where ``column=value``.

    Raises:
        ArtefactError: Nothing to read there.
        ScenarioError: No such column, or a cell that is no number.
    """
    file = path / "points.csv" if path.is_dir() else path
    rows = _read(file)
    if len(rows[0]) == 2:
        rate, metric = rows[0]
        return {"": _curve(rows, rate, metric, str(file), "")}
    for condition in at:
        rows = _at(rows, condition)
    columns = list(rows[0])
    rate, metric = (
        name if name in columns else column_of(name, columns) for name in (rate, metric)
    )
    names = list(dict.fromkeys(row.get("operating_point", "") for row in rows))
    parts = {name: [r for r in rows if r.get("operating_point", "") == name] for name in names}
    return {name: _curve(part, rate, metric, str(file), name) for name, part in parts.items()}


def _read(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtefactError(f"no readable CSV: {reason}", path=str(file)) from error
    if table and len(table[0]) == 2 and all(_is_number(cell) for cell in table[0]):
        table.insert(0, ["rate", "metric"])
    if len(table) < 2 or any(len(row) != len(table[0]) for row in table):
        raise ArtefactError("no CSV with as many cells in every row", path=str(file))
    return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


def _at(rows: list[dict[str, str]], condition: str) -> list[dict[str, str]]:
    column, equals, wanted = (part.strip() for part in condition.partition("="))
    if not equals or column not in rows[0]:
        raise ScenarioError("rows are chosen by column=value", value=condition, choices=[*rows[0]])
    matching = [row for row in rows if _same(row[column], wanted)]
    if not matching:
        choices = list(dict.fromkeys(row[column] for row in rows))
        raise ScenarioError(f"no row with that {column}", value=wanted, choices=choices)
    return matching


def _same(cell: str, wanted: str) -> bool:
    if _is_number(cell) and _is_number(wanted):
        return math.isclose(float(cell), float(wanted), rel_tol=1e-9)
    return cell == wanted


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _curve(
    rows: Sequence[Mapping[str, str]], rate: str, metric: str, file: str, name: str
) -> Curve:
    cells = [(row[column] or "nan", column) for column in (rate, metric) for row in rows]
    for cell, column in cells:
        if not _is_number(cell):
            raise ScenarioError(f"{column} must hold numbers", path=file, value=cell)
    numbers = [float(cell) for cell, _ in cells]
    return Curve(numbers[: len(rows)], numbers[len(rows) :], name, rate, metric)


def matched(
    anchors: Mapping[str, Curve], tests: Mapping[str, Curve], point: str | None = None
) -> list[tuple[Curve, Curve]]:
    """Curves to compare: of operating points in both, or ``point``: NAME, or ANCHOR:TEST.

    Raises:
        ScenarioError: No such operating point, or none in both.
    """
    if point is not None:
        first, colon, second = point.partition(":")
        return [(_named(anchors, first), _named(tests, second if colon else first))]
    if len(anchors) == len(tests) == 1:
        return list(zip(anchors.values(), tests.values(), strict=True))
    both = [(curve, tests[name]) for name, curve in anchors.items() if name in tests]
    if not both:
        choices = [f"{a}:{b}".strip(":") for a in anchors for b in tests]
        raise ScenarioError("no operating point in both: say --point ANCHOR:TEST", choices=choices)
    return both


def _named(curves: Mapping[str, Curve], name: str) -> Curve:
    if list(curves) == [""]:
        return curves[""]
    if name not in curves:
        raise ScenarioError("no such operating point", value=name, choices=list(curves))
    return curves[name]
