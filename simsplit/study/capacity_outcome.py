"""What was measured with so many devices, whether they fit, and the answer as written down.

A fleet is one group of devices, or all groups in their proportions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.results.drops import COLUMN
from simsplit.results.kpis import Condition, Interval, kpi_of, lacking_text
from simsplit.results.statistics import WITHIN_DROP
from simsplit.results.sweep_table import judged_row
from simsplit.scenario.axes import Point
from simsplit.scenario.scenario import Scenario

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
        lacking: Why a condition's KPI has no value, with which it does not hold; else empty.
    """

    count: int
    replications: int
    folder: str
    kpis: tuple[Interval, ...]
    is_feasible: bool
    is_certain: bool
    violated: tuple[Condition, ...]
    flags: str
    lacking: str = ""

    def __str__(self) -> str:
        fits = "fit" if self.is_feasible else "do not fit"
        why = self.lacking or "within noise"
        doubt = "" if self.is_certain else f" (undecided: {why})"
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
    kpis = tuple(kpi_of(row, condition.kpi) for condition in conditions)
    pairs = list(zip(conditions, kpis, strict=True))
    is_one_drop = row.get(COLUMN) == WITHIN_DROP  # which makes nothing certain
    certain = [None if is_one_drop else c.certain(interval) for c, interval in pairs]
    failing = sorted((p for p in pairs if _lacking(*p) > 0), key=lambda p: -_lacking(*p))
    is_certain, flags = False in certain or all(certain), row.get("flags")
    return Verdict(
        count=count,
        replications=int(rows["replications"].iloc[0]),
        folder=folder,
        kpis=kpis,
        is_feasible=all(certain) if is_certain else not failing,
        is_certain=is_certain,
        violated=tuple(condition for condition, _ in failing),
        flags=flags if isinstance(flags, str) else "",
        lacking=lacking_text(row, {c.kpi: kpi for c, kpi in pairs}),
    )


def _row(rows: DataFrame, folder: Path, point: str | None) -> dict[str, Any]:
    row = judged_row(rows, folder, point)
    if row is None:
        choices = list(rows["operating_point"])
        raise ScenarioError("no request at this operating point", value=point, choices=choices)
    return row


def _lacking(condition: Condition, kpi: Interval) -> float:
    """By how much the mean violates the condition; a KPI without a value: infinitely."""
    missing = condition.lacking(kpi.mean)
    return math.inf if math.isnan(missing) else missing


@dataclass(frozen=True)
class Fleet:
    """The groups whose number of devices is asked for.

    Attributes:
        counts: Group → devices that the scenario has.
    """

    counts: Mapping[str, int]

    @property
    def axis(self) -> str:
        """Column of the table: the path of the one group's count, or ``devices`` in total."""
        return "devices" if len(self.counts) > 1 else f"devices.{next(iter(self.counts))}.count"

    def shares(self, total: int) -> dict[str, int]:
        """Devices by group, in the scenario's proportions, at least one each.

        Rounding: after one device for each group, every further device goes to the group with the
        largest count / (2 given + 1), the first in the scenario among equals (Webster's method: a
        group never shrinks when the total grows; the scenario's own total gives its own counts).
        """
        given = dict.fromkeys(self.counts, 1)
        for _ in range(total - len(given)):
            given[max(given, key=lambda name: self.counts[name] / (2 * given[name] + 1))] += 1
        return given

    def at(self, total: int, overrides: Sequence[str] = ()) -> Point:
        """The point of the sweep with so many devices."""
        texts = [f"devices.{name}.count={count}" for name, count in self.shares(total).items()]
        return Point({self.axis: total}, (*overrides, *texts))


def fleet_of(scenario: Scenario, devices: str) -> Fleet:
    """The groups that ``devices`` names.

    Raises:
        ScenarioError: No such group, or ``auto`` where there are several.
    """
    counts = {group.name: group.count for group in scenario.devices}
    name = devices.removeprefix("devices.").removesuffix(".count")
    if name == "all" or (name == "auto" and len(counts) == 1):
        return Fleet(counts)
    choices = [*counts, "all"]
    if name == "auto":
        raise ScenarioError("say which group's devices to count", path="devices", choices=choices)
    if name not in counts:
        message = "no such group of devices"
        raise ScenarioError(message, path="devices", value=devices, choices=choices)
    return Fleet({name: counts[name]})


@dataclass(frozen=True)
class CapacityResult:
    """The answer.

    Attributes:
        folder: The sweep with every count's result, and ``capacity.json``.
        verdicts: Every count that was run, in ascending order.
        largest: The largest count that fits, found by bisection; None: not even the lowest.
        smallest: The next count, which does not; None: up to the limit all fit.
        surely_fits: The largest count that fits with its intervals (0: none).
        surely_not: The smallest that does not with its intervals; None: none up to the limit.
    """

    folder: Path
    fleet: Fleet
    conditions: tuple[Condition, ...]
    verdicts: tuple[Verdict, ...]
    largest: Verdict | None
    smallest: Verdict | None
    surely_fits: int
    surely_not: int | None

    @property
    def count(self) -> int:
        """How many devices fit, by the means."""
        return self.largest.count if self.largest else 0

    @property
    def binding(self) -> tuple[Condition, ...]:
        """Conditions that fail at the smallest infeasible count, the worst first."""
        return self.smallest.violated if self.smallest else ()

    @property
    def contradictions(self) -> list[tuple[Verdict, Verdict]]:
        """Counts that do not fit, each with the larger ones that do: then nothing is monotone."""
        return [
            (below, above)
            for below in self.verdicts
            for above in self.verdicts
            if above.count > below.count and above.is_feasible and not below.is_feasible
        ]

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        if self.smallest is None:
            return f"{devices(self.count)} fit, the most that was asked for (--max-devices)."
        names = ", ".join(condition.shown for condition in self.binding)
        if self.largest is None:
            return f"Not even {devices(self.smallest.count)} fit: {names} {self._failing}."
        return f"{devices(self.count)} fit; {self.smallest.count} do not: {names} {self._failing}."

    @property
    def _failing(self) -> str:
        """How the conditions fail at the smallest count that does not fit."""
        lacking = self.smallest.lacking if self.smallest else ""
        return f"fails ({lacking})" if lacking else "fails"

    @property
    def notes(self) -> list[str]:
        """What a reader must know, a sentence each."""
        return list(_notes(self))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and cells of every count that was run."""
        bounds = [condition.shown for condition in self.conditions]
        columns = [self.fleet.axis, "replications", *bounds, "fits"]
        return columns, [_cells(verdict, self.conditions) for verdict in self.verdicts]

    def described(self) -> dict[str, Any]:
        """The content of ``capacity.json``, but what was asked."""
        return {
            "answer": self.answer,
            "capacity": self.count,
            "largest_feasible": self._described(self.largest),
            "smallest_infeasible": self._described(self.smallest),
            "surely_fits": self.surely_fits,
            "surely_not": self.surely_not,
            "binding": [str(condition) for condition in self.binding],
            "is_monotone": not self.contradictions,
            "notes": self.notes,
            "verdicts": [self._described(verdict) for verdict in self.verdicts],
        }

    def _described(self, verdict: Verdict | None) -> dict[str, Any] | None:
        if verdict is None:
            return None
        kpis = {
            str(condition): {"mean": i.mean, "ci_low": i.low, "ci_high": i.high}
            for condition, i in zip(self.conditions, verdict.kpis, strict=True)
        }
        return {
            "devices": verdict.count,
            "by_group": self.fleet.shares(verdict.count),
            "replications": verdict.replications,
            "folder": verdict.folder,
            "is_feasible": verdict.is_feasible,
            "is_certain": verdict.is_certain,
            "kpis": kpis,
            "flags": verdict.flags,
            "lacking": verdict.lacking,
        }


def _cells(verdict: Verdict, conditions: Sequence[Condition]) -> list[str]:
    doubt = "" if verdict.is_certain else " (no value)" if verdict.lacking else " (by mean)"
    fits = ("yes" if verdict.is_feasible else "no") + doubt
    values = [c.shown_value(i) for c, i in zip(conditions, verdict.kpis, strict=True)]
    return [str(verdict.count), str(verdict.replications), *values, fits]


def _notes(result: CapacityResult) -> Iterator[str]:
    yield from _undecided(result)
    yield from _contradictions(result)
    yield from _without_value(result)
    if result.largest is not None and result.largest.flags:
        yield f"The run with {devices(result.count)} is flagged: {result.largest.flags}."


def _without_value(result: CapacityResult) -> Iterator[str]:
    counts = [str(verdict.count) for verdict in result.verdicts if verdict.lacking]
    if counts:
        reasons = "; ".join(dict.fromkeys(v.lacking for v in result.verdicts if v.lacking))
        yield (
            f"Without a value a condition cannot be judged; it counts as not kept, at "
            f"{', '.join(counts)} devices: {reasons}. Run longer, or with more requests."
        )


def _undecided(result: CapacityResult) -> Iterator[str]:
    """The counts that noise leaves open, of those that can be run (a device for each group)."""
    low, high = result.surely_fits, result.surely_not
    first = max(low + 1, len(result.fleet.counts))
    if high is None:
        if low < result.count or result.smallest is not None:
            yield f"Undecided, within noise: {_sure(low)} beyond doubt; none surely does not."
    elif high > first:
        counts = f"at {first}" if high - 1 == first else f"from {first} to {high - 1}"
        fit = f"{low} surely fit, " if low else ""
        yield (
            f"Undecided, within noise, {counts} devices: {fit}{high} surely do not"
            f"{'' if low else ' fit'}. More --max-replications narrow this."
        )


def _sure(low: int) -> str:
    if not low:
        return "no count fits"
    return f"only {devices(low)} fit{'s' if low == 1 else ''}"


def _contradictions(result: CapacityResult) -> Iterator[str]:
    pairs = result.contradictions
    sure = [(a, b) for a, b in pairs if a.is_certain and b.is_certain]
    for below, above in (sure or pairs)[:1]:
        text = f"{above.count} devices fit although {below.count} do not"
        if sure:
            yield f"Not monotone: {text}; above the answer there are larger counts that fit."
        else:
            yield f"Not monotone by the means, which may be noise: {text}."
