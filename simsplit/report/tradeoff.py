"""Accuracy, latency, energy and bandwidth against each other, dominated points faded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.kpis import HEADLINES, higher_is_better
from simsplit.pareto import non_dominated
from simsplit.report.charts import Chart, look, number, plain
from simsplit.report.glossary import definition
from simsplit.report.markup import Cell, Html, Table

_COSTS = ("latency_p95_s", "latency_p50_s", "energy_j", "channel_uses", "payload_bits")
MOST_POINTS = 2000
_MOST_NUMBERS = 200


def tradeoff(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], title: str) -> Chart | None:
    """A chart of two objectives that the reader chooses; None if there are not two.

    ``rows`` are flat rows (`simsplit.results.flat_rows`), ``labels`` say which each is.
    """
    names = _objectives(rows)
    if len(names) < 2:
        return None
    fronts = _fronts(rows, names)
    drawn = _sample(len(rows), fronts)
    place = {row: i for i, row in enumerate(drawn)}
    chosen = [rows[row] for row in drawn]
    points = [str(row["operating_point"]) for row in chosen]
    curves = list(dict.fromkeys(points))
    content = {
        "objectives": [_objective(chosen, name) for name in names],
        "curves": [{"name": plain(name), **look(i)} for i, name in enumerate(curves)],
        "curve": [curves.index(point) for point in points],
        "labels": [plain(labels[row]) for row in drawn],
        "fronts": {pair: [place[row] for row in kept] for pair, kept in fronts.items()},
        "start": _start(names),
    }
    note = "Faded: another point is at least as good in both and better in one. Bars: 95 %."
    cut = f" Of {len(rows)} points, {len(drawn)} are drawn; all of the front."
    numbers = _numbers(rows, labels, names)
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
    once, place = np.unique(costs[finite], axis=0, return_inverse=True)
    kept = once[:, 1] <= np.minimum.accumulate(once[:, 1])
    kept[kept] = non_dominated(once[kept])
    return [int(position) for position in finite[kept[place.reshape(-1)]]]


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
