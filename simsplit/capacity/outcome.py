"""The answer, what noise leaves open, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsplit.capacity.fleet import Fleet
from simsplit.capacity.verdict import Verdict, devices
from simsplit.kpis import Condition


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
            return f"Not even {devices(self.smallest.count)} fit: {names} fails."
        return f"{devices(self.count)} fit; {self.smallest.count} do not: {names} fails."

    @property
    def notes(self) -> list[str]:
        """What a reader must know, a sentence each."""
        return list(_notes(self))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and cells of every count that was run."""
        said = [condition.shown for condition in self.conditions]
        columns = [self.fleet.axis, "replications", *said, "fits"]
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
        found = {
            str(condition): {"mean": i.mean, "ci_low": i.low, "ci_high": i.high}
            for condition, i in zip(self.conditions, verdict.found, strict=True)
        }
        return {
            "devices": verdict.count,
            "by_group": self.fleet.shares(verdict.count),
            "replications": verdict.replications,
            "folder": verdict.folder,
            "is_feasible": verdict.is_feasible,
            "is_certain": verdict.is_certain,
            "kpis": found,
            "flags": verdict.flags,
        }


def _cells(verdict: Verdict, conditions: Sequence[Condition]) -> list[str]:
    fits = ("yes" if verdict.is_feasible else "no") + ("" if verdict.is_certain else " (by mean)")
    found = [c.shown_value(i) for c, i in zip(conditions, verdict.found, strict=True)]
    return [str(verdict.count), str(verdict.replications), *found, fits]


def _notes(result: CapacityResult) -> Iterator[str]:
    yield from _undecided(result)
    yield from _contradictions(result)
    if result.largest is not None and result.largest.flags:
        yield f"The run with {devices(result.count)} is flagged: {result.largest.flags}."


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
