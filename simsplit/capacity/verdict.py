"""What was measured with so many devices, and whether they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.kpis import Condition, Interval, kpi_of
from simsplit.sweep import judged_row

if TYPE_CHECKING:
    from pandas import DataFrame


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
    row = _row(rows, out / folder, point)
    found = tuple(kpi_of(row, condition.kpi) for condition in conditions)
    pairs = list(zip(conditions, found, strict=True))
    certain = [condition.certain(interval) for condition, interval in pairs]
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


def _row(rows: DataFrame, folder: Path, point: str | None) -> dict[str, Any]:
    row = judged_row(rows, folder, point)
    if row is None:
        there = list(rows["operating_point"])
        raise ScenarioError("no request at this operating point", value=point, choices=there)
    return row


def _lacking(condition: Condition, found: Interval) -> float:
    """By how much the mean violates the condition; a KPI without a value: infinitely."""
    missing = condition.lacking(found.mean)
    return math.inf if math.isnan(missing) else missing
