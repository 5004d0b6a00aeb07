"""What was measured with so many devices, and whether they fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.kpis import COMPLEMENTS, HEADLINES, Condition, Interval, kpi_column, kpi_of
from simsplit.results import flat_rows, read_result
from simsplit.summary import MEANS, QUANTILES

if TYPE_CHECKING:
    from pandas import DataFrame

ROUNDING = 1e-12  # 1 - 0.99 is not more than 1 %


@dataclass(frozen=True)
class Verdict:
    """What was measured with so many devices.

    Attributes:
        found: The KPIs of the conditions, in their order.
        is_certain: The intervals decided, not the means.
        violated: Conditions that do not hold by their mean, the worst first.
        flags: Of the run's summary.
    """

    count: int
    replications: int
    folder: str
    found: tuple[Interval, ...]
    is_feasible: bool
    is_certain: bool
    violated: tuple[Condition, ...]
    flags: str

    def __str__(self) -> str:
        fits = "fit" if self.is_feasible else "do not fit"
        doubt = "" if self.is_certain else " (undecided: within noise)"
        return f"{devices(self.count)}, {self.replications} replications: {fits}{doubt}"


def devices(count: int) -> str:
    """How many, in words."""
    return f"{count} device{'' if count == 1 else 's'}"


def judged(
    count: int, rows: DataFrame, out: Path, conditions: Sequence[Condition], point: str | None
) -> Verdict:
    """The verdict of these rows (one per operating point) of the sweep's table.

    Raises:
        ScenarioError: The run has no such KPI or operating point.
    """
    folder = str(rows["folder"].iloc[0])
    row = _judged_row(rows, out / folder, point)
    found = tuple(kpi_of(row, condition.kpi) for condition in conditions)
    pairs = list(zip(conditions, found, strict=True))
    certain = [_certain(*pair) for pair in pairs]
    failing = sorted((p for p in pairs if _lacking(*p) > 0), key=lambda p: -_lacking(*p))
    is_certain, flags = False in certain or all(certain), row.get("flags")
    return Verdict(
        count=count,
        replications=int(rows["replications"].iloc[0]),
        folder=folder,
        found=found,
        is_feasible=all(certain) if is_certain else not failing,
        is_certain=is_certain,
        violated=tuple(condition for condition, _ in failing),
        flags=flags if isinstance(flags, str) else "",
    )


def _judged_row(rows: DataFrame, folder: Path, point: str | None) -> Mapping[str, Any]:
    """The row of an operating point, or that of all requests.

    Quantiles do not average, so a run of several operating points is read from its summary.
    """
    if point is not None:
        there = list(rows["operating_point"])
        if point not in there:
            message = "no request at this operating point"
            raise ScenarioError(message, value=point, choices=there)
        rows = rows[rows["operating_point"] == point]
    if len(rows) == 1:
        return {str(key): value for key, value in rows.iloc[0].items()}
    result = read_result(folder)
    whole = {"operating_points": {"overall": result.summary["overall"]}}
    return flat_rows(result.scenario, result.summary | whole)[0]


def _certain(condition: Condition, found: Interval) -> bool | None:
    """What the interval says; an interval of no width is not undone by rounding."""
    if found.half_width == 0:
        return _lacking(condition, found) == 0
    return condition.certain(found)


def _lacking(condition: Condition, found: Interval) -> float:
    """By how much the mean violates the condition, relative to the bound; no value: infinitely."""
    scale = abs(condition.bound) or 1.0
    margin = condition.margin(found.mean) / scale
    if math.isnan(margin):
        return math.inf
    return 0.0 if margin >= -ROUNDING else -margin


def check_name(name: str) -> None:
    """ScenarioError if no run has such a KPI; which scores there are, only a run tells."""
    if name.startswith("score_") or name in COMPLEMENTS:
        return
    known = [*MEANS, *QUANTILES, *HEADLINES]
    kpi_column(name, [*known, *(f"{kpi}_ci_low" for kpi in known)])
