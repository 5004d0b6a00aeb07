"""A KPI against an axis of a sweep, both chosen by the reader, with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.kpis import higher_is_better, kpi_names
from simsplit.plots.labels import label, name_and_unit, value_text
from simsplit.report.charts import DASHES, Chart, look, number, plain
from simsplit.report.glossary import definition
from simsplit.report.kpi_tables import headline_first
from simsplit.report.markup import Table
from simsplit.report.sweep_folder import is_number
from simsplit.report.tradeoff import column

if TYPE_CHECKING:
    from simsplit.report.sweep_folder import SweepFolder

_FEW_ROWS = 2000  # a larger sweep's chart offers the headline KPIs only
_MOST_NUMBERS = 200
_MOST_CURVES = 12


def trend(sweep: SweepFolder) -> Chart:
    """Every KPI that was measured, against every axis, a curve per operating point.

    What else varies is another curve, until the reader holds it at one value.
    """
    kpis = measured_kpis(sweep.rows)
    curves = list(dict.fromkeys(str(row["operating_point"]) for row in sweep.rows))
    content = {
        "axes": [_axis(sweep, axis) for axis in sweep.axes],
        "kpis": [_kpi(sweep.rows, name) for name in kpis],
        "curves": [{"name": plain(name), **look(i)} for i, name in enumerate(curves)],
        "curve": [curves.index(str(row["operating_point"])) for row in sweep.rows],
        "dashes": DASHES,
        "most": _MOST_CURVES,
    }
    few = "" if len(sweep.rows) <= _FEW_ROWS else " The headline KPIs; points.csv has them all."
    note = f"Bands: 95 % intervals.{few}"
    title = "KPIs along the axes"
    return Chart("trend", title, "trend", content, _numbers(sweep, kpis), note, 440)


def measured_kpis(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """KPIs with a value in some row, the headline ones first."""
    names = headline_first(kpi_names(list(rows[0])), everything=len(rows) <= _FEW_ROWS)
    return [name for name in names if np.isfinite(column(rows, name)).any()]


def axis_title(axis: str) -> str:
    """Name and unit of an axis as text."""
    return _without_mathematics(label(axis))


def axis_name(axis: str) -> str:
    """Name of an axis as text."""
    return _without_mathematics(name_and_unit(axis)[0])


def _without_mathematics(text: str) -> str:
    return text.replace("_", "").replace("$", "") if "$" in text else text


def _axis(sweep: SweepFolder, axis: str) -> dict[str, Any]:
    values = sweep.values(axis)
    numeric = all(is_number(value) for value in values)
    places = {value: place for place, value in enumerate(values)}
    return {
        "title": plain(axis_title(axis)),
        "values": values if numeric else [plain(value_text(value)) for value in values],
        "texts": [plain(value_text(value)) for value in values],
        "numeric": numeric,
        "log": numeric and values[0] > 0 and values[-1] / values[0] >= 50,
        "place": [places.get(row[axis], -1) for row in sweep.rows],
    }


def _kpi(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    what = definition(name)
    ends = {"mean": "", "low": "_ci_low", "high": "_ci_high"}
    columns = {key: what.scale * column(rows, name + end) for key, end in ends.items()}
    return {"title": what.title, "unit": what.unit, "linear": higher_is_better(name)} | columns


def _numbers(sweep: SweepFolder, kpis: Sequence[str]) -> Table:
    shown = kpis[:6]
    heading = [*map(axis_title, sweep.axes), "operating point"]
    heading += [definition(name).title for name in shown]
    rows = [
        [*(value_text(row[axis]) for axis in sweep.axes), str(row["operating_point"])]
        + [number(definition(name).scale * _float(row[name])) for name in shown]
        for row in sweep.rows[:_MOST_NUMBERS]
    ]
    return Table("KPIs at the points of the sweep", heading, rows)


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
