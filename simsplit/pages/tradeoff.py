"""Interactive charts of a sweep: accuracy, latency, energy and bandwidth against each other.

Dominated points are faded. A trend shows a KPI against an axis, both chosen by the reader.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsplit.pages.charts import DASHES, Chart, look, number, plain
from simsplit.pages.kpi_tables import definition, headline_first
from simsplit.pages.page import Cell, Html, Table
from simsplit.pages.sweep_folder import axis_text, is_number
from simsplit.results.drops import COLUMN, rows_note
from simsplit.results.kpis import kpi_names, non_dominated
from simsplit.results.labels import label, name_and_unit, value_text
from simsplit.results.metrics import HEADLINES, higher_is_better

if TYPE_CHECKING:
    from simsplit.pages.sweep_folder import SweepFolder


_COSTS = ("latency_p95_s", "latency_p50_s", "energy_j", "channel_uses", "payload_bits")
MOST_POINTS = 2000
_MOST_NUMBERS = 200


def tradeoff(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], title: str) -> Chart | None:
    """A chart of two objectives that the reader chooses; None if there are not two.

    ``rows`` are flat rows (`simsplit.results.kpis.flat_rows`), ``labels`` say which each is.
    """
    names = _objectives(rows)
    if len(names) < 2:
        return None
    fronts = _fronts(rows, names)
    drawn = _sample(len(rows), fronts)
    index_of = {row: i for i, row in enumerate(drawn)}
    chosen = [rows[row] for row in drawn]
    points = [str(row["operating_point"]) for row in chosen]
    curves = list(dict.fromkeys(points))
    content = {
        "objectives": [_objective(chosen, name) for name in names],
        "curves": [{"name": plain(name), **look(i)} for i, name in enumerate(curves)],
        "curve": [curves.index(point) for point in points],
        "labels": [plain(labels[row]) for row in drawn],
        "fronts": {pair: [index_of[row] for row in kept] for pair, kept in fronts.items()},
        "start": _start(names),
    }
    note = "Faded: another point is at least as good in both and better in one. Bars: 95 %."
    cut = f" Of {len(rows)} points, {len(drawn)} are drawn; all of the front."
    numbers = _numbers(rows, labels, names)
    note = " ".join(filter(None, [note, rows_note([row.get(COLUMN) for row in rows])]))
    note += cut * (len(drawn) < len(rows))
    return Chart("tradeoff", title, "scatter", content, numbers, note, 440)


def _objectives(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Headline scores and costs that some row has a value of."""
    wanted = (*HEADLINES, *_COSTS)
    return [name for name in wanted if any(_finite(row.get(name)) for row in rows)]


def _start(names: Sequence[str]) -> tuple[int, int]:
    """What x and y are at first: p95 latency, and the score or the energy."""
    x = names.index("latency_p95_s") if "latency_p95_s" in names else 1
    return x, 0 if x else 1


def _objective(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    what = definition(name)
    is_share = higher_is_better(name)
    better = "more is better" if is_share else "less is better"
    ends = {"mean": "", "low": "_ci_low", "high": "_ci_high"}
    columns = {key: what.scale * column(rows, name + end) for key, end in ends.items()}
    told = {"title": what.title, "better": better, "unit": what.unit, "linear": is_share}
    return told | columns


def column(rows: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    """A column as numbers; NaN where there is none."""
    return np.array([_number(row.get(name)) for row in rows], float)


def _number(value: Any) -> float:
    return float(value) if _finite(value) else np.nan


def _finite(value: Any) -> bool:
    return value is not None and not isinstance(value, str) and bool(np.isfinite(value))


def _fronts(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of the rows that nothing dominates, for each pair of objectives ``i-j``."""
    signs = [-1 if higher_is_better(name) else 1 for name in names]
    costs = np.array([s * column(rows, n) for s, n in zip(signs, names, strict=True)]).T
    pairs = itertools.combinations(range(len(names)), 2)
    return {f"{i}-{j}": front(costs[:, [i, j]]) for i, j in pairs}


def front(costs: NDArray[np.float64]) -> list[int]:
    """Positions of the rows that nothing dominates, of costs in two objectives, ``(rows, 2)``.

    In the order of the first cost, a row whose second is above the least so far is dominated; only
    the others are compared with each other.
    """
    finite = np.flatnonzero(np.isfinite(costs).all(axis=1))
    once, index = np.unique(costs[finite], axis=0, return_inverse=True)
    kept = once[:, 1] <= np.minimum.accumulate(once[:, 1])
    kept[kept] = non_dominated(once[kept])
    return [int(position) for position in finite[kept[index.reshape(-1)]]]


def _sample(count: int, fronts: Mapping[str, Sequence[int]]) -> list[int]:
    """Rows that are drawn: all, or those of the fronts and an even choice of the others."""
    if count <= MOST_POINTS:
        return list(range(count))
    chosen = set(np.linspace(0, count - 1, MOST_POINTS).astype(int).tolist())
    return sorted(chosen.union(*fronts.values()))


def _numbers(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], names: Sequence[str]
) -> Table:
    shown = list(zip(rows, labels, strict=True))[:_MOST_NUMBERS]
    cells: list[list[Cell]] = [
        [label, *(_cell(row, name) for name in names)] for row, label in shown
    ]
    heading = ["point", *(definition(name).title for name in names)]
    return Table("Objectives with their 95 % intervals", heading, cells)


def _cell(row: Mapping[str, Any], name: str) -> Html:
    scale = definition(name).scale
    mean, low, high = (scale * _number(row.get(name + end)) for end in ("", "_ci_low", "_ci_high"))
    interval = "" if np.isnan(low) else f" ({number(low)} … {number(high)})"
    return Html(number(mean) + interval, mean)


_FEW_ROWS = 2000  # a larger sweep's chart offers the headline KPIs only
_MOST_POINTS = 200
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
    within = rows_note([row.get(COLUMN) for row in sweep.rows])
    note = f"Bands: 95 % intervals.{few}" + (f" {within}" if within else "")
    title = "KPIs along the axes"
    return Chart("trend", title, "trend", content, _trend_numbers(sweep, kpis), note, 440)


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
    places = {value: index for index, value in enumerate(values)}
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


def _trend_numbers(sweep: SweepFolder, kpis: Sequence[str]) -> Table:
    shown = kpis[:6]
    heading = [*map(axis_title, sweep.axes), "operating point"]
    heading += [definition(name).title for name in shown]
    rows = [
        [*(axis_text(row[axis]) for axis in sweep.axes), str(row["operating_point"])]
        + [number(definition(name).scale * _float(row[name])) for name in shown]
        for row in sweep.rows[:_MOST_POINTS]
    ]
    return Table("KPIs at the points of the sweep", heading, rows)


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
