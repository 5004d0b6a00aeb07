"""What is looked for, where and how: axes, objectives, constraints; and the designs measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.kpis import Condition, Interval, kpi_of, lacking_text, non_dominated
from simsplit.results.summary import check_kpi
from simsplit.results.sweep_table import judged_row
from simsplit.scenario.axes import Range, Value, sampled_range
from simsplit.scenario.axis_text import axis_from_text

if TYPE_CHECKING:
    from pandas import DataFrame


Axis = tuple[Value, ...] | Range
SAMPLERS = ("tpe", "nsga2", "random")
STORED = ("source", "overrides", "replications")  # what all designs of a folder have in common


@dataclass(frozen=True)
class Objective:
    """What shall be large or small."""

    kpi: str
    is_max: bool

    def __str__(self) -> str:
        return f"{'max' if self.is_max else 'min'} {self.kpi}"

    def cost(self, interval: Interval) -> float:
        """The mean, negated if it shall be large."""
        return -interval.mean if self.is_max else interval.mean


@dataclass(frozen=True)
class Search:
    """A search; two that are equal propose the same designs in the same order."""

    source: str
    axes: Mapping[str, Axis]
    objectives: tuple[Objective, ...]
    conditions: tuple[Condition, ...]
    point: str | None
    overrides: tuple[str, ...]
    replications: int | None
    seed: int
    batch: int
    sampler: str

    def __post_init__(self) -> None:
        if not self.axes or not self.objectives:
            raise ScenarioError("a search needs at least one axis and one objective")
        if self.batch < 1:
            raise ScenarioError("batches start at 1", value=self.batch)
        if self.sampler not in SAMPLERS:
            raise ScenarioError("no such sampler", value=self.sampler, choices=SAMPLERS)
        names = [objective.kpi for objective in self.objectives]
        if len(set(names)) < len(names):
            raise ScenarioError("an objective is said twice", value=", ".join(names))
        for name in (*names, *(condition.kpi for condition in self.conditions)):
            check_kpi(name)

    def described(self) -> dict[str, Any]:
        """As it stands in ``optimum.json``."""
        return {
            "source": self.source,
            "axes": {path: axis_text(axis) for path, axis in self.axes.items()},
            "objectives": [str(objective) for objective in self.objectives],
            "constraints": [str(condition) for condition in self.conditions],
            "operating_point": self.point,
            "overrides": list(self.overrides),
            "replications": self.replications,
            "seed": self.seed,
            "batch": self.batch,
            "sampler": self.sampler,
        }

    def grid(self) -> list[dict[str, Value]] | None:
        """Every design, if no axis is a range."""
        listed = [axis for axis in self.axes.values() if not isinstance(axis, Range)]
        if len(listed) < len(self.axes):
            return None
        return [dict(zip(self.axes, values, strict=True)) for values in product(*listed)]


# --- text -------------------------------------------------------------------------------------


def parse_objective(text: str) -> Objective:
    """``max accuracy`` or ``min energy_j``.

    Raises:
        ScenarioError: Not of that form.
    """
    way, _, kpi = " ".join(text.split()).partition(" ")
    if way not in ("max", "min") or not kpi or " " in kpi:
        raise ScenarioError("an objective reads max KPI or min KPI, e.g. max accuracy", value=text)
    return Objective(kpi, way == "max")


def parse_axes(texts: Sequence[str]) -> dict[str, Axis]:
    """Axes as the command line says them, by path.

    Raises:
        ScenarioError: Not an axis (`parse_axis`), or one path twice.
    """
    axes: dict[str, Axis] = {}
    for path, axis in map(parse_axis, texts):
        if path in axes:
            raise ScenarioError("the axis is said twice", value=path)
        axes[path] = axis
    return axes


def parse_axis(text: str) -> tuple[str, Axis]:
    """Path and axis, as `simsplit.scenario.axis_text` reads them; neither zipped nor conditional.

    Raises:
        ScenarioError: Not of that form, an empty range, or a value twice.
    """
    axis = axis_from_text(text)
    if isinstance(axis, Range):
        return axis.path, axis
    if axis.only_where is not None or len(axis.names) > 1:
        message = "a search takes plain axes, neither zipped nor conditional"
        raise ScenarioError(message, value=text)
    path = axis.names[0]
    return path, checked(path, [step.values[path] for step in axis.steps])


def checked(path: str, axis: Sequence[Value] | Range) -> Axis:
    """The axis.

    Raises:
        ScenarioError: It is empty, has a value twice, or its ends are impossible.
    """
    if not isinstance(axis, Range):
        if not axis or len(set(map(repr, axis))) < len(axis):
            raise ScenarioError("an axis needs values, each once", path=path, value=list(axis))
        return tuple(axis)
    return sampled_range(
        path, float(axis.low), float(axis.high), is_log=axis.is_log, whole=axis.is_integer
    )


def axis_text(axis: Axis) -> str | list[Value]:
    """A range as the command line says it, or the list."""
    return str(axis) if isinstance(axis, Range) else list(axis)


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
        n: Requests that it was judged by; None: it did not run.
        lacking: Why a KPI has no value there; empty: all have one.
    """

    values: Mapping[str, Value]
    folder: str = ""
    objectives: tuple[Interval, ...] = ()
    constraints: tuple[Interval, ...] = ()
    violation: float = math.nan
    error: str = ""
    n: int | None = None
    lacking: str = ""

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
    missing = [condition.lacking(interval.mean) for condition, interval in pairs]
    unknown = sum(0 * interval.mean for interval in objectives)  # NaN if one has no value
    names = [one.kpi for one in search.objectives] + [one.kpi for one in search.conditions]
    kpis = dict(zip(names, (*objectives, *constraints), strict=True))
    return Design(
        values,
        folder,
        objectives,
        constraints,
        sum(missing) + unknown,
        n=int(row["n"]),
        lacking=lacking_text(row, kpis),
    )


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
    return [objective.cost(interval) for objective, interval in pairs]


def told_apart(one: Design, other: Design) -> bool:
    """Their intervals do not overlap in some objective; without intervals nothing is told apart."""
    pairs = zip(one.objectives, other.objectives, strict=True)
    return any(a.high < b.low or b.high < a.low for a, b in pairs)


def closest(designs: Sequence[Design]) -> Design | None:
    """The least violated design; None if all KPIs are missing everywhere."""
    reached = [design for design in designs if math.isfinite(design.violation)]
    return min(reached, key=lambda design: design.violation, default=None)
