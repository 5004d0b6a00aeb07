"""How many devices fit: the largest count at which every condition holds, by bisection.

A count is feasible if every condition holds with its whole interval, infeasible if some condition
fails with its whole interval. In between, replications are doubled up to a limit; then the mean
decides, and the count is reported as undecided. Beside the answer by means stands the bracket that
the intervals leave open: the largest count that certainly fits, the smallest that certainly does
not. All counts have the same seed, and a device keeps its random numbers when others come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsplit.capacity.bisection import Scale, fits, may_fit, surely_fits
from simsplit.capacity.fleet import Fleet, fleet_of
from simsplit.capacity.outcome import CapacityResult
from simsplit.capacity.verdict import Verdict, judged
from simsplit.capacity.verdict import devices as named
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.kpis import Condition, parse_conditions
from simsplit.load import load
from simsplit.results import to_json
from simsplit.summary import check_kpi
from simsplit.sweep import run_points
from simsplit.sweep.folder import failures, read_description

FILE = "capacity.json"
STORED = ("source", "devices", "overrides")  # what all counts of a folder have in common


def capacity(
    source: str | Path,
    where: str,
    *,
    out: Path,
    devices: str = "auto",
    max_devices: int = 1000,
    replications: int = 5,
    max_replications: int | None = None,
    point: str | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[Verdict], None] | None = None,
) -> CapacityResult:
    """The largest number of devices at which every condition holds.

    Doubles the count until it does not fit, bisects, looks at twice the largest count too (whether
    feasibility is monotone), and bisects for what the intervals leave open. Counts whose result is
    in ``out`` are read, not run.

    Args:
        where: ``accuracy >= 0.6, latency_s.p99 <= 0.1, deadline_misses <= 1 %``.
        devices: ``auto`` (the only group), a group's name, ``devices.NAME.count``, or ``all``
            groups in their present proportions (rounding: `Fleet.shares`).
        replications: Of every count; doubled up to ``max_replications`` (None: four times as
            many) where the intervals do not decide.
        point: Judge by this operating point; None: over all requests.
        overrides: ``path=value`` texts that hold for every count.
        progress: Called with every verdict.

    Raises:
        ScenarioError: A mistake in what is asked, or ``out`` holds counts of something else.
        ArtefactError: A run failed.
    """
    conditions = tuple(parse_conditions(where))
    if not conditions:
        raise ScenarioError("a capacity needs a condition, e.g. latency_s.p99 <= 0.1", value=where)
    for condition in conditions:
        check_kpi(condition.kpi)
    fleet = fleet_of(load(source, overrides=overrides), devices)
    most = 4 * replications if max_replications is None else max_replications
    _at_least(max_devices, len(fleet.counts), "--max-devices")
    _at_least(most, replications, "--max-replications")
    load(source, overrides=fleet.at(max_devices, overrides).overrides)  # told before anything runs
    asked = _Asked(str(source), fleet, conditions, tuple(overrides), point, out, workers)
    _same_counts(asked.described(), out)
    scale = Scale(
        asked.judge,
        len(fleet.counts),
        max_devices,
        (replications, most),
        progress or (lambda verdict: None),
    )
    found = _found(asked, scale)
    limits = {"max_devices": max_devices, "replications": [replications, most]}
    _write(out / FILE, {"asked": asked.described() | limits} | found.described())
    return found


def _at_least(value: int, least: int, path: str) -> None:
    if value < least:
        raise ScenarioError(f"must be at least {least}", path=path, value=value)


def _found(asked: _Asked, scale: Scale) -> CapacityResult:
    count = scale.boundary(fits)
    scale.look_beyond()
    surely, possibly = scale.boundary(surely_fits, may_fit), scale.boundary(may_fit)
    return CapacityResult(
        folder=asked.out,
        fleet=asked.fleet,
        conditions=asked.conditions,
        verdicts=scale.verdicts,
        largest=None if count < scale.lowest else scale.at(count),
        smallest=None if count == scale.highest else scale.at(count + 1),
        surely_fits=0 if surely < scale.lowest else surely,
        surely_not=None if possibly == scale.highest else possibly + 1,
    )


@dataclass(frozen=True)
class _Asked:
    """What is asked, of which runs."""

    source: str
    fleet: Fleet
    conditions: tuple[Condition, ...]
    overrides: tuple[str, ...]
    point: str | None
    out: Path
    workers: int | None

    def described(self) -> dict[str, Any]:
        """As it stands in ``capacity.json``."""
        return {
            "source": self.source,
            "devices": self.fleet.axis,
            "overrides": list(self.overrides),
            "operating_point": self.point,
            "where": [str(condition) for condition in self.conditions],
        }

    def judge(self, count: int, replications: int) -> Verdict:
        """Run so many devices, or read what was run."""
        rows = run_points(
            self.source,
            [self.fleet.at(count, self.overrides)],
            out=self.out,
            replications=replications,
            workers=self.workers,
            keep=True,
        )
        if rows.empty:
            raise ArtefactError(f"the run with {named(count)} gave nothing: {self._reason(count)}")
        return judged(count, rows, self.out, self.conditions, self.point)

    def _reason(self, count: int) -> str:
        points = read_description(self.out).points
        failed = failures(self.out, list(points)).items()
        errors = [error for name, error in failed if points[name] == {self.fleet.axis: count}]
        return errors[-1] if errors else "no request arrived"


def _same_counts(asked: Mapping[str, Any], out: Path) -> None:
    """Other conditions may be asked of the counts in a folder, but they must be of one kind."""
    path = out / FILE
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["asked"]
        there = {key: found[key] for key in STORED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError("damaged: no search in it", path=str(path)) from error
    for key in STORED:
        if there[key] != asked[key]:
            message = f"the folder holds counts with {key} {there[key]}; choose another --out"
            raise ScenarioError(message, path=str(out), value=asked[key])


def _write(path: Path, content: Mapping[str, object]) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(to_json(content), encoding="utf-8")
    aside.replace(path)
