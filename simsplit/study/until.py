"""Replications that go on until every interval is as narrow as asked: targets and the next number.

The rule: look after ``MINIMUM`` replications; while some interval is wider than asked, have
n (h / target)^2 replications next (a half-width falls as 1 / sqrt(n)), at most twice as many, and
look again. As the target falls to 0 such a rule ends after as many replications as are needed and
its interval covers with the asked confidence (Chow & Robbins, On the asymptotic theory of
fixed-width sequential confidence intervals for the mean, Ann. Math. Stat. 36, 1965; Law & Kelton,
Simulation Modeling and Analysis, section 9.4.1). At a finite target it covers less: it ends too
early just when the spread happens to be underestimated. Few replications at the first look, and
many looks, make that worse. `tests/validation/test_until.py` measures the loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from simsplit.errors import ScenarioError
from simsplit.results.kpis import Interval, kpi_of

MINIMUM = 10
SAFETY = 1.1
Row = Mapping[str, Any]

_FORM = "a target reads KPI:half-width or KPI:half-width%, e.g. accuracy:0.01,latency_s.p95:5%"


@dataclass(frozen=True, slots=True)
class Target:
    """Widest half-width of a KPI's 95 % interval; relative: a share of the mean (0.05 is 5 %)."""

    kpi: str
    width: float
    is_relative: bool = False

    def __str__(self) -> str:
        width = f"{100 * self.width:.12g}%" if self.is_relative else f"{self.width:.12g}"
        return f"{self.kpi}:{width}"

    def allowed(self, interval: Interval) -> float:
        """Widest half-width in the KPI's own unit."""
        return self.width * abs(interval.mean) if self.is_relative else self.width

    def met(self, interval: Interval) -> bool:
        """Whether the interval is narrow enough; without an interval (NaN) it is not."""
        return interval.half_width <= self.allowed(interval)


class Reached(NamedTuple):
    """How narrow one interval is; NaN where there is no value or no interval."""

    operating_point: str
    kpi: str
    half_width: float
    allowed: float

    @property
    def excess(self) -> float:
        """Half-width over the allowed one: above 1 is too wide; infinite without an interval."""
        if self.half_width <= self.allowed:
            return self.half_width / self.allowed if self.allowed else 0.0
        ratio = self.half_width / self.allowed if self.allowed else math.inf
        return math.inf if math.isnan(ratio) else ratio


def parse_until(text: str) -> tuple[Target, ...]:
    """``accuracy:0.01,latency_s.p95:5%`` → targets.

    Raises:
        ScenarioError: Not of that form, a half-width that is not above 0, or a KPI said twice.
    """
    targets = tuple(_target(part.strip()) for part in text.split(","))
    names = [target.kpi for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ScenarioError("this KPI has two targets", path="until", value=name)
    return targets


def _target(text: str) -> Target:
    kpi, _, width = (part.strip() for part in text.partition(":"))
    number = width.removesuffix("%").strip()
    try:
        value = float(number) / (100 if width.endswith("%") else 1)
    except ValueError:
        raise ScenarioError(_FORM, path="until", value=text) from None
    if not kpi:
        raise ScenarioError(_FORM, path="until", value=text)
    if not (math.isfinite(value) and value > 0):
        raise ScenarioError("a half-width must be above 0", path="until", value=text)
    return Target(kpi, value, width.endswith("%"))


def reached(rows: Sequence[Row], targets: Sequence[Target]) -> list[Reached]:
    """Half-width of every target at every operating point (a row of `results.flat_rows` each).

    An operating point without requests has nothing to be narrow; if none has any, nothing is left
    out, and no target is met.

    Raises:
        ScenarioError: The rows have no such KPI.
    """
    widths = []
    judged = [row for row in rows if row.get("n", 1)] or rows
    for target in targets:
        for row in judged:
            interval = kpi_of(row, target.kpi)
            name = str(row["operating_point"])
            widths.append(Reached(name, target.kpi, interval.half_width, target.allowed(interval)))
    return widths


def unmet(rows: Sequence[Row], targets: Sequence[Target]) -> list[Reached]:
    """(operating point, KPI, half-width, allowed) of the intervals wider than asked or missing."""
    return [one for one in reached(rows, targets) if not one.half_width <= one.allowed]


def widest(rows: Sequence[Row], targets: Sequence[Target]) -> list[Reached]:
    """For each target the operating point whose interval is the widest for what is allowed."""
    every = reached(rows, targets)
    if not every:
        return []
    return [max((one for one in every if one.kpi == t.kpi), key=_excess) for t in targets]


def _excess(one: Reached) -> float:
    return one.excess


def next_replications(
    now: int, rows: Sequence[Row], targets: Sequence[Target], largest: int
) -> int:
    """How many replications to have at the next look, from the half-widths after ``now``.

    n (h / allowed)^2 of the worst interval, ``SAFETY`` times, so that the next look is most often
    the last: at least one more, as both factors are above 1; at most twice as many (a first guess
    of the spread is poor; the same for a missing interval), never more than ``largest``. ``now``
    if every target is met.
    """
    missing = unmet(rows, targets)
    if not missing:
        return now
    excess = max(one.excess for one in missing)
    wanted = now * min(2.0, SAFETY * excess**2)
    return min(largest, math.ceil(wanted))
