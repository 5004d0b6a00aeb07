"""What a search found, what noise leaves open, and how it is written down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from simsplit.results.kpis import Interval
from simsplit.scenario.axes import Range
from simsplit.study.search import Design, Search, closest, costs, front, told_apart, value_text

FEW = 5  # pairs of designs that a note names


@dataclass(frozen=True)
class OptimisationResult:
    """What a search found.

    Attributes:
        folder: The sweep with every design's result, and ``optimum.json``.
        designs: Distinct designs, in the order in which they were first tried.
        trials: How often a design was asked for.
        is_exact: Every combination of the axes was run.
    """

    folder: Path
    search: Search
    designs: tuple[Design, ...]
    trials: int
    is_exact: bool

    @property
    def front(self) -> tuple[Design, ...]:
        """Feasible designs that no other dominates by its means."""
        return front(self.search, self.designs)

    @property
    def best(self) -> Design | None:
        """The best feasible design, if there is one objective."""
        return self.front[0] if self.front and len(self.search.objectives) == 1 else None

    @property
    def closest(self) -> Design | None:
        """The least violated design, if none is feasible."""
        return None if self.front else closest(self.designs)

    @property
    def notes(self) -> list[str]:
        """What a reader must know, a sentence each."""
        return [*_effort_notes(self), *_failure_notes(self), *_noise_notes(self)]

    def table(self, designs: Sequence[Design]) -> tuple[list[str], list[list[str]]]:
        """Columns and cells: axes, then objectives and constraints as mean ± half-width.

        A constraint on a KPI that is an objective is not shown twice.
        """
        search = self.search
        named = [objective.kpi for objective in search.objectives]
        others = [n for n, condition in enumerate(search.conditions) if condition.kpi not in named]
        kpi_columns = [*map(str, search.objectives), *(search.conditions[n].shown for n in others)]
        rows = [
            [*map(value_text, design.values.values())]
            + [interval.shown() for interval in design.objectives]
            + [search.conditions[n].shown_value(design.constraints[n]) for n in others]
            for design in designs
        ]
        return [*_axis_names(list(search.axes)), *kpi_columns], rows

    def described(self, *, is_finished: bool) -> dict[str, Any]:
        """The content of ``optimum.json``."""
        least = self.closest
        return {
            "search": self.search.described(),
            "is_finished": is_finished,
            "is_exact": self.is_exact,
            "trials": self.trials,
            "designs": len(self.designs),
            "front": [_described(self.search, design) for design in self.front],
            "best": None if self.best is None else _described(self.search, self.best),
            "closest": None if least is None else _described(self.search, least),
            "not_measured": [
                {
                    "values": design.values,
                    "folder": design.folder,
                    "n": design.n,
                    "error": design.error or design.lacking,
                }
                for design in self.designs
                if math.isnan(design.violation)
            ],
            "notes": self.notes,
        }


def _described(search: Search, design: Design) -> dict[str, Any]:
    pairs = zip(search.conditions, design.constraints, strict=True)
    return {
        "values": design.values,
        "folder": design.folder,
        "objectives": {
            str(objective): _interval(interval)
            for objective, interval in zip(search.objectives, design.objectives, strict=True)
        },
        "constraints": {
            str(condition): _interval(interval) | {"certain": condition.certain(interval)}
            for condition, interval in pairs
        },
        "violation": design.violation,
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {"mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high}


def _axis_names(paths: Sequence[str]) -> list[str]:
    """Last parts of the paths, as long as they are all different."""
    ends = [path.rpartition(".")[2] for path in paths]
    return ends if len(set(ends)) == len(ends) else list(paths)


# --- notes ------------------------------------------------------------------------------------


def _effort_notes(result: OptimisationResult) -> Iterator[str]:
    count = len(result.designs)
    feasible = f"{sum(design.is_feasible for design in result.designs)} feasible"
    if result.is_exact:
        yield f"All {count} combinations of the axes were tried, {feasible}: exact but for noise."
        return
    repeated = count < result.trials
    fell = f"{result.trials} trials fell on {count} different designs" if repeated else ""
    tried = "1 design was tried" if count == 1 else f"{count} designs were tried"
    yield f"{fell or tried}, {feasible}."
    if missed := _never_tried(result):
        yield f"Listed values that were never tried: {'; '.join(missed)}."


def _never_tried(result: OptimisationResult) -> list[str]:
    """``axis=a, b`` for every listed axis of which the search left values out."""
    missed = []
    for path, axis in result.search.axes.items():
        if isinstance(axis, Range):
            continue
        tried = {repr(design.values[path]) for design in result.designs}
        left = [value_text(value) for value in axis if repr(value) not in tried]
        if left:
            missed.append(f"{path}={', '.join(left)}")
    return missed


def _failure_notes(result: OptimisationResult) -> Iterator[str]:
    failed = [design for design in result.designs if design.error]
    if failed:
        yield f"Without a result: {len(failed)}, the first ({failed[0]}): {failed[0].error}"
    blank = [d for d in result.designs if not d.error and math.isnan(d.violation)]
    if blank:
        told = "; ".join(f"{design} ({design.lacking})" for design in blank[:FEW])
        more = f"; {len(blank) - FEW} more in optimum.json" if len(blank) > FEW else ""
        yield f"A KPI has no value, so it does not count: {len(blank)}: {told}{more}"


def _noise_notes(result: OptimisationResult) -> Iterator[str]:
    if not result.front:
        yield _infeasible(result.search, result.closest)
        return
    if any(math.isnan(i.half_width) for design in result.front for i in design.objectives):
        yield "There are objectives without an interval: give more --replications."
    yield from _doubtful(result)
    yield from _alike(result)


def _infeasible(search: Search, least: Design | None) -> str:
    if least is None:
        return "No design is feasible."
    pairs = zip(search.conditions, least.constraints, strict=True)
    missed = [f"{c.shown} (found {c.shown_value(i)})" for c, i in pairs if c.lacking(i.mean) > 0]
    return f"No design is feasible. The least violated one, {least}, misses {', '.join(missed)}."


def _doubtful(result: OptimisationResult) -> Iterator[str]:
    conditions = result.search.conditions
    doubtful = [
        design
        for design in result.front
        if any(c.certain(i) is None for c, i in zip(conditions, design.constraints, strict=True))
    ]
    if doubtful:
        yield (
            f"{len(doubtful)} of the {len(result.front)} designs shown keep a constraint by their "
            f"mean only: the bound lies within the interval. The first: {doubtful[0]}"
        )


def _alike(result: OptimisationResult) -> Iterator[str]:
    """Neighbours whose intervals overlap; a paired comparison uses the common random numbers."""
    advice = "`simsplit compare` of their folders is sharper: both had the same random numbers"
    if result.best is not None:
        ranked = sorted(
            (design for design in result.designs if design.is_feasible),
            key=lambda design: costs(result.search, design),
        )
        if len(ranked) > 1 and not told_apart(ranked[0], ranked[1]):
            yield (
                f"The best two are not told apart by their intervals: {ranked[0]} and {ranked[1]} "
                f"({advice})."
            )
        return
    alike = [pair for pair in pairwise(result.front) if not told_apart(*pair)]
    if alike:
        pairs = "; ".join(f"{one} and {other}" for one, other in alike)
        yield (
            f"{len(alike)} of {len(result.front) - 1} pairs of neighbours on the front are not "
            f"told apart by their intervals in any objective"
            f"{f': {pairs}' if len(alike) <= FEW else ''} ({advice})."
        )
