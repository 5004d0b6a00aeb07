"""One design: where it stands, what was measured there, and which designs no other beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsplit.kpis import Interval, kpi_of
from simsplit.optimise.search import Search
from simsplit.pareto import non_dominated
from simsplit.points import Value
from simsplit.sweep import judged_row

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Design:
    """One point of the axes and what was measured there.

    Attributes:
        folder: Of its result, within the sweep; empty if it did not run.
        objectives: In the order of the search's objectives.
        constraints: The KPIs that the conditions speak of, in their order.
        violation: Sum over the violated conditions of what is missing, relative to the bound
            (absolute if that is 0); 0: feasible; NaN: a KPI has no value there.
        error: Why it has no KPIs.
    """

    values: Mapping[str, Value]
    folder: str = ""
    objectives: tuple[Interval, ...] = ()
    constraints: tuple[Interval, ...] = ()
    violation: float = math.nan
    error: str = ""

    @property
    def is_feasible(self) -> bool:
        """Every condition holds by its mean."""
        return self.violation == 0

    def __str__(self) -> str:
        return ", ".join(f"{axis}={value_text(value)}" for axis, value in self.values.items())


def value_text(value: Value) -> str:
    """A value for people to read."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def measured(search: Search, values: Mapping[str, Value], rows: DataFrame, out: Path) -> Design:
    """The design of its rows (one per operating point) of the sweep's table.

    Raises:
        ScenarioError: The run has no such KPI.
    """
    folder = str(rows["folder"].iloc[0])
    row = judged_row(rows, out / folder, search.point)
    if row is None:
        there = ", ".join(rows["operating_point"])
        return Design(values, folder, error=f"no request at {search.point}, only at {there}")
    objectives = tuple(kpi_of(row, objective.kpi) for objective in search.objectives)
    constraints = tuple(kpi_of(row, condition.kpi) for condition in search.conditions)
    pairs = zip(search.conditions, constraints, strict=True)
    missing = [condition.lacking(found.mean) for condition, found in pairs]
    unknown = sum(0 * found.mean for found in objectives)  # NaN if one has no value
    return Design(values, folder, objectives, constraints, sum(missing) + unknown)


def front(search: Search, designs: Sequence[Design]) -> tuple[Design, ...]:
    """Feasible designs that no other feasible one dominates, the best by the first objective first.

    For one objective: the best, and those that tie with it exactly.
    """
    feasible = [design for design in designs if design.is_feasible]
    if not feasible:
        return ()
    table = np.array([costs(search, design) for design in feasible])
    kept = [feasible[index] for index in np.flatnonzero(non_dominated(table))]
    return tuple(sorted(kept, key=lambda design: costs(search, design)))


def costs(search: Search, design: Design) -> list[float]:
    """The design's objectives, smaller is better."""
    pairs = zip(search.objectives, design.objectives, strict=True)
    return [objective.cost(found) for objective, found in pairs]


def told_apart(one: Design, other: Design) -> bool:
    """Their intervals do not overlap in some objective; without intervals nothing is told apart."""
    pairs = zip(one.objectives, other.objectives, strict=True)
    return any(a.high < b.low or b.high < a.low for a, b in pairs)


def closest(designs: Sequence[Design]) -> Design | None:
    """The least violated design; None if all KPIs are missing everywhere."""
    known = [design for design in designs if math.isfinite(design.violation)]
    return min(known, key=lambda design: design.violation, default=None)
