"""How often the 95 % intervals hold the truth: toys with a formula, and a scenario of many drops.

Each case is repeated some hundred times, estimated by the same functions as a run, and compared
with a truth that is a formula or comes from drops of its own. What is counted are the intervals
that were given; how many were not (too few requests for a tail) stands beside.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.files import write_whole
from simsplit.results.intervals import (
    CONFIDENCE,
    SHARE,
    Ends,
    difference_ends,
    estimated,
)
from simsplit.results.statistics import bounds_of, estimate
from simsplit.study.coverage_drops import Drops, simulated
from simsplit.study.coverage_toys import TOYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FILE = "coverage.csv"
FLOOR, CEILING = 0.92, 0.98
SECONDS: Ends = (0.0, math.inf)
STUDENT = "Student, skewness"
EXACT = "Clopper-Pearson, skewness (exact)"
RANKS = "order statistics (exact)"
SHARES = (0.5, 0.9, 0.99, 0.998)
Pieces = Sequence["Array"]
Progress = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table.

    Attributes:
        requests: Of a replication, about.
        covered: Share of the intervals that hold the truth.
        without: Share of the repetitions without an interval.
    """

    case: str
    statistic: str
    interval: str
    replications: int
    requests: int
    truth: float
    truth_from: str
    repetitions: int
    covered: float
    without: float

    @property
    def holds(self) -> bool:
        """At least 92 %, and above 98 % only where the interval is exact by construction."""
        return self.covered >= FLOOR and (self.covered <= CEILING or "exact" in self.interval)


@dataclass(frozen=True, slots=True)
class Statistic:
    """What is estimated of pieces, with what interval, and its true value."""

    name: str
    interval: str
    truth: float
    ends: Callable[[Pieces], Ends | None]


def single(
    name: str, truth: float, quantile: float | None = None, bounds: Ends = SECONDS
) -> Statistic:
    """A mean, share or quantile as `simsplit.results.statistics.estimate` gives it."""

    def ends(pieces: Pieces) -> Ends | None:
        names = np.repeat(np.arange(len(pieces)), [piece.size for piece in pieces])
        is_replicated = len(pieces) > 1
        kpi = estimate(
            np.concatenate(pieces),
            names,
            replicated=is_replicated,
            quantile=quantile,
            bounds=bounds,
        )
        return None if kpi["ci_low"] is None else (kpi["ci_low"], kpi["ci_high"])

    return Statistic(name, _kind(quantile, bounds), truth, ends)


def paired(
    name: str, truth: float, quantile: float | None = None, bounds: Ends = SECONDS
) -> Statistic:
    """The difference of two columns of the pieces ``(n, 2)``, as `simsplit compare` gives it."""

    def ends(pieces: Pieces) -> Ends | None:
        sides = ([piece[:, side] for piece in pieces] for side in (0, 1))
        a, b = (
            estimated([one[np.isfinite(one)] for one in columns], quantile, bounds)
            for columns in sides
        )
        return difference_ends(a, b, CONFIDENCE, is_paired=True)

    return Statistic(name, _kind(quantile, bounds), truth, ends)


def _kind(quantile: float | None, bounds: Ends) -> str:
    if quantile is not None:
        return RANKS
    return EXACT if bounds == SHARE else STUDENT


def measured(
    case: str,
    statistic: Statistic,
    samples: Iterator[Pieces],
    repetitions: int,
    truth_from: str = "formula",
) -> Measured:
    """How many of so many intervals hold the truth."""
    held = missing = replications = requests = 0
    for _ in range(repetitions):
        pieces = next(samples)
        replications, requests = len(pieces), round(float(np.mean([len(p) for p in pieces])))
        ends = statistic.ends(pieces)
        missing += ends is None
        held += ends is not None and ends[0] <= statistic.truth <= ends[1]
    given = repetitions - missing
    return Measured(
        case,
        statistic.name,
        statistic.interval,
        replications,
        requests,
        statistic.truth,
        truth_from,
        repetitions,
        held / given if given else math.nan,
        missing / repetitions,
    )


def coverage(
    source: str | Path,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    other: Sequence[str] = (),
    drops: int = 8000,
    repetitions: int = 400,
    replications: int = 40,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """Coverage of the intervals of toys and of a scenario; written to ``coverage.csv`` in ``out``.

    Args:
        source: Bundled scenario or YAML file with two groups of devices at equal places.
        out: Folder of the table, and of the drops that were simulated, from which it goes on.
        overrides: ``path=value`` texts of the scenario.
        other: Further ones of the run that it is compared with, drop by drop.
        drops: Replications to simulate: the truth is that of the first half, the repetitions are
            drawn from the second.
        repetitions: Of every case.
        replications: Drops in each repetition.
        workers: Processes; None: as many as there are cores.
        progress: Called with (what, done, total).

    Raises:
        ScenarioError: Too few drops, or not two groups.
    """
    if drops < 4 * replications:
        message = f"at least {4 * replications}, four times the replications of a repetition"
        raise ScenarioError(message, path="drops", value=drops)
    tell = progress or (lambda what, done, total: None)
    found = [
        simulated(source, [*overrides, *more], Path(out) / name, drops, workers, tell)
        for name, more in (("drops", ()), ("other", other))
    ]
    rows = [*_toys(repetitions, tell), *_scenario(found[0], found[1], repetitions, replications)]
    write_whole(Path(out) / FILE, as_csv(rows))
    return rows


def as_csv(rows: Sequence[Measured]) -> str:
    """The table, a row per case and statistic."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(Measured)]
    writer.writerow([*names, "holds"])
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow([*(f"{v:.6g}" if isinstance(v, float) else v for v in values), row.holds])
    return text.getvalue()


# --- toys -------------------------------------------------------------------------------------


def _toys(repetitions: int, tell: Progress) -> Iterator[Measured]:
    cases = [(toy, statistic) for toy in TOYS for statistic in _statistics(toy.truths, toy.bounds)]
    for number, (toy, statistic) in enumerate(cases):
        tell("toys", number, len(cases))
        rng = np.random.default_rng((20261, number))
        samples = (toy.draw(rng) for _ in range(repetitions))
        yield measured(toy.name, statistic, samples, repetitions)


def _statistics(truths: Mapping[str, float], bounds: Ends) -> Iterator[Statistic]:
    """``mean``, ``p95``, ``share``, and ``… difference`` of pieces with two columns."""
    for name, truth in truths.items():
        word = name.partition(" ")[0]
        quantile = int(word[1:]) / 100 if word[1:].isdigit() else None
        make = paired if name.endswith("difference") else single
        yield make(name, truth, quantile, bounds)


# --- a scenario -------------------------------------------------------------------------------


def _scenario(one: Drops, other: Drops, repetitions: int, replications: int) -> Iterator[Measured]:
    """The first group's KPIs, both groups' tails and differences, and those of two runs."""
    for number, (statistic, values) in enumerate(_questions(one, other)):
        rng = np.random.default_rng((20262, number))
        half = len(values) // 2
        pool = values[half:]
        picks = (rng.choice(len(pool), replications, replace=False) for _ in range(repetitions))
        samples = ([pool[i] for i in pick] for pick in picks)
        yield measured(one.name, statistic, samples, repetitions, f"{half} drops")


def _questions(one: Drops, other: Drops) -> Iterator[tuple[Statistic, Pieces]]:
    first, every = one.of(0), one.of(None)
    for kpi in ("latency_s", "tx_energy_j"):
        values = first.finite(kpi)
        yield single(f"mean {kpi}", _mean(values), None, bounds_of(kpi)), values
    for percent in (50, 95, 99):
        values = every.finite("latency_s")
        truth = _quantile(values, percent / 100)
        yield single(f"p{percent} latency_s", truth, percent / 100), values
    late = np.concatenate(_half(first.finite("latency_s")))
    for share in SHARES:
        limit_s = float(np.quantile(late, share))
        values = [(x <= limit_s).astype(float) for x in first.finite("latency_s")]
        yield single(f"share answered in time ({share})", _mean(values), None, SHARE), values
    values = every.column("delivered")
    yield single("delivered", _mean(values), None, SHARE), values
    yield from _differences("two groups", first, one.of(1))
    yield from _differences("two runs", every, other.of(None))


def _differences(of: str, a: Drops, b: Drops) -> Iterator[tuple[Statistic, Pieces]]:
    for kpi, quantile in (("latency_s", None), ("latency_s", 0.95), ("delivered", None)):
        sides = [one.column(kpi) for one in (a, b)]
        gap = [
            _quantile(_finite(side), quantile) if quantile else _mean(_finite(side))
            for side in sides
        ]
        what = f"p{quantile * 100:.0f} {kpi}" if quantile else f"mean {kpi}"
        pieces = [np.column_stack(pair) for pair in zip(*sides, strict=True)]
        yield paired(f"{what}, {of}", gap[1] - gap[0], quantile, bounds_of(kpi)), pieces


def _finite(pieces: Pieces) -> Pieces:
    return [piece[np.isfinite(piece)] for piece in pieces]


def _half(pieces: Pieces) -> Pieces:
    """The drops that make the truth."""
    return pieces[: len(pieces) // 2]


def _mean(pieces: Pieces) -> float:
    return float(np.concatenate(_half(pieces)).mean())


def _quantile(pieces: Pieces, quantile: float) -> float:
    return float(np.quantile(np.concatenate(_half(pieces)), quantile))
