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
from itertools import takewhile
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import to_json, write_whole
from simsplit.results.kpis import Condition, parse_conditions
from simsplit.results.summary import check_kpi
from simsplit.results.sweep_folder import failures, read_description
from simsplit.scenario.load import load
from simsplit.scenario.permission import takes_permission
from simsplit.scenario.sweeps import Sweep
from simsplit.study.capacity_outcome import CapacityResult, Fleet, Verdict, fleet_of, judged
from simsplit.study.capacity_outcome import devices as named
from simsplit.study.sweep import Execution, run_sweep


class Scale:
    """Counts from ``lowest`` to ``highest``, each judged once, with as many runs as it needs.

    Args:
        judge: Verdict of (count, replications).
        replications: First and most; doubled while the intervals do not decide.
        tell: Called with every verdict.
    """

    def __init__(
        self,
        judge: Callable[[int, int], Verdict],
        lowest: int,
        highest: int,
        replications: tuple[int, int],
        tell: Callable[[Verdict], None],
    ) -> None:
        self.lowest, self.highest = lowest, highest
        self._judge, self._replications, self._tell = judge, replications, tell
        self._verdicts: dict[int, Verdict] = {}

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All that were judged, by count."""
        return tuple(self._verdicts[count] for count in sorted(self._verdicts))

    def at(self, count: int) -> Verdict:
        """The verdict of a count."""
        if count not in self._verdicts:
            self._verdicts[count] = self._decided(count)
            self._tell(self._verdicts[count])
        return self._verdicts[count]

    def _decided(self, count: int) -> Verdict:
        replications, most = self._replications
        verdict = self._judge(count, replications)
        while not verdict.is_certain and replications < most:
            replications = min(2 * replications, most)
            verdict = self._judge(count, replications)
        return verdict

    def boundary(
        self, holds: Callable[[Verdict], bool], open_: Callable[[Verdict], bool] | None = None
    ) -> int:
        """The largest count that holds; ``lowest - 1``: none.

        What was judged before narrows the search: doubling while everything holds, then bisection
        between the last that holds, below the first that is not ``open_`` (None: that does not
        hold), and the next that does not.
        """
        self._double(holds)
        kept = [v for v in takewhile(open_ or holds, self.verdicts) if holds(v)]
        low = kept[-1].count if kept else self.lowest - 1
        above = [verdict.count for verdict in self.verdicts if verdict.count > low]
        high = min(above, default=self.highest + 1)
        while high - low > 1:
            middle = (low + high) // 2
            if holds(self.at(middle)):
                low = middle
            else:
                high = middle
        return low

    def look_beyond(self) -> None:
        """Twice the largest count so far: if it fits again, feasibility is not monotone."""
        self.at(min(2 * self.verdicts[-1].count, self.highest))

    def _double(self, holds: Callable[[Verdict], bool]) -> None:
        count = self.verdicts[-1].count if self.verdicts else self.lowest
        self.at(count)
        while count < self.highest and all(map(holds, self.verdicts)):
            count = min(2 * count, self.highest)
            self.at(count)


def fits(verdict: Verdict) -> bool:
    """It fits by its means."""
    return verdict.is_feasible


def surely_fits(verdict: Verdict) -> bool:
    """It fits with its whole intervals."""
    return verdict.is_feasible and verdict.is_certain


def may_fit(verdict: Verdict) -> bool:
    """The intervals do not exclude that it fits."""
    return verdict.is_feasible or not verdict.is_certain


FILE = "capacity.json"
STORED = ("source", "devices", "overrides")  # what all counts of a folder have in common


@takes_permission
def capacity(
    source: str | Path,
    where: str,
    *,
    out: str | Path,
    devices: str = "auto",
    max_devices: int = 1000,
    replications: int = 5,
    max_replications: int | None = None,
    point: str | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[Verdict], None] | None = None,
    allow_code: bool = False,
) -> CapacityResult:
    """The largest number of devices at which every condition holds.

    Doubles the count until it does not fit, bisects, looks at twice the largest count too (whether
    feasibility is monotone), and bisects for what the intervals leave open. Counts whose result is
    in ``out`` are read, not run.

    Args:
        source: Bundled scenario or YAML file.
        out: Folder of the sweep of counts; made if missing.
        where: ``accuracy >= 0.6, latency_s.p99 <= 0.1, deadline_misses <= 1 %``.
        devices: ``auto`` (the only group), a group's name, ``devices.NAME.count``, or ``all``
            groups in their present proportions (rounding: `Fleet.shares`).
        replications: Of every count; doubled up to ``max_replications`` (None: four times as
            many) where the intervals do not decide.
        point: Judge by this operating point; None: over all requests.
        overrides: ``path=value`` texts that hold for every count.
        workers: Processes; None: as many as there are cores.
        progress: Called with every verdict.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).

    Raises:
        ScenarioError: A mistake in what is asked, or ``out`` holds counts of something else.
        ArtefactError: A run failed.
    """
    out = Path(out)
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
    result = _searched(asked, scale)
    limits = {"max_devices": max_devices, "replications": [replications, most]}
    write_whole(out / FILE, to_json({"asked": asked.described() | limits} | result.described()))
    return result


def _at_least(value: int, least: int, path: str) -> None:
    if value < least:
        raise ScenarioError(f"must be at least {least}", path=path, value=value)


def _searched(asked: _Asked, scale: Scale) -> CapacityResult:
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
        point = self.fleet.at(count, self.overrides)
        asked = Sweep("", self.source, [point], replications)
        rows = run_sweep(asked, self.out, Execution(self.workers, keep=True))
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
        stored_question = json.loads(path.read_text(encoding="utf-8"))["asked"]
        stored = {key: stored_question[key] for key in STORED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError("damaged: no search in it", path=str(path)) from error
    for key in STORED:
        if stored[key] != asked[key]:
            message = f"the folder holds counts with {key} {stored[key]}; choose another --out"
            raise ScenarioError(message, path=str(out), value=asked[key])
