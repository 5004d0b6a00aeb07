"""What is different between two results: every KPI's difference with a paired 95 % interval.

Runs with the same seed share arrivals, places and fading, whatever the codec or the split (common
random numbers). What they share falls out of the difference, so its interval is narrower than that
of two runs that know nothing of each other: Law & Kelton, Simulation Modeling and Analysis,
sections 10.2.1 (paired t), 10.2.2 (Welch) and 11.2 (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simsplit.results.drops import ADVICE, listed
from simsplit.results.intervals import (
    CONFIDENCE,
    Ends,
    difference_ends,
    estimated,
    variance_ratio,
)
from simsplit.results.kpis import kpi_column
from simsplit.results.metrics import COMPLEMENTS, MEANS, QUANTILES
from simsplit.results.sides import Comparable, Side, changes, sides
from simsplit.results.statistics import (
    ALL_DROPS,
    WITHIN_DROP,
    batch_count,
    bounds_of,
    pieces_of,
    rows_needed,
)
from simsplit.scenario.draws import drawn_once, share_draws

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    Array = NDArray[np.float64]

NEARLY_ALL = 0.95  # of either side's requests must have a partner, else they are not the same
APART = "two drops"
NOISE = 1e-9  # relative: differences of rounding are none


@dataclass(frozen=True, slots=True)
class Difference:
    """B - A of one KPI.

    Attributes:
        low, high: Interval of the difference; NaN where there is none.
        variance_ratio: Variance of the paired difference over that without pairing,
            S_D^2 / (S_A^2 + S_B^2) = 1 - rho for equal variances. NaN: unpaired, or no variance.
        pieces: Replications or batches behind the interval.
        scope: What the interval is an interval of: `ALL_DROPS`, `WITHIN_DROP`, `APART` (two drops,
            one of each side's, which may differ for that alone), None (nothing is drawn once).
    """

    kpi: str
    a: float
    b: float
    low: float
    high: float
    variance_ratio: float
    pieces: int
    scope: str | None = None

    @property
    def difference(self) -> float:
        """B - A; 0 where it is rounding."""
        gap = self.b - self.a
        return gap if abs(gap) > NOISE * max(abs(self.a), abs(self.b)) else 0.0

    @property
    def verdict(self) -> str:
        """What may be said of B at the interval's confidence; of one drop, nothing in general."""
        if self.scope == APART:
            return "cannot tell: one drop"
        if math.isnan(self.low):
            return "no interval"
        text = "higher" if self.low > 0 else "lower" if self.high < 0 else "no difference"
        text = text if self.difference else "no difference"
        return f"{text} in this drop" if self.scope == WITHIN_DROP else text


@dataclass(frozen=True)
class Comparison:
    """Every KPI's difference; how the two were paired, or why they were not; remarks."""

    a: str
    b: str
    pairing: str
    paired: bool
    confidence: float
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    scope: str | None = None


def compare(
    a: Comparable,
    b: Comparable | None = None,
    *,
    of: str | None = None,
    with_: str | None = None,
    kpis: Sequence[str] | None = None,
    family: bool = False,
) -> Comparison:
    """Interval of B - A for every KPI that both have, or for those named.

    Paired by replication where both have at least two replications of the same seed, else by the
    requests that both have (replication, device, arrival time), cut into batches as in
    `simsplit.results.statistics.estimate`. The difference is that of the pooled statistics, and its
    interval that of `simsplit.results.intervals.difference_ends`: for a mean

        interval = (m_B - m_A) +- t_{1 - alpha/2, k-1} S_D / sqrt(k)

    with S_D^2 the variance of the differences of k jackknife pseudo-values, and corrected for their
    skewness. Unpaired (Welch): S_D^2 / k is replaced by S_A^2 / k_A + S_B^2 / k_B with the degrees
    of freedom of Welch and Satterthwaite. alpha is 5 %; with ``family`` 5 % over the number of KPIs
    shown (Bonferroni), so that all intervals hold together.

    Where places or the like are drawn once per run (`simsplit.scenario.draws`), a single
    replication says nothing of other drops: differences are then judged within the drop, if both
    sides have the same one (the seed and the places; groups of one run by ``place_group``), and
    not at all otherwise.

    Args:
        a, b: Result folders or results (or sides of `simsplit.results.sides`). Without ``b`` two
            parts of A are compared.
        of: Only this operating point or group of A, and of B unless ``with_`` names another.
        with_: The part of B (of A, if that is alone).
        kpis: E.g. ``accuracy``, ``latency_s.p95``; None: all that both have.
        family: All intervals hold together.

    Raises:
        ArtefactError: No result in a folder.
        ScenarioError: A KPI or a part is not there, or it is not said what to compare.
    """
    one, two = sides(a, b, of, with_)
    return _compared(one, two, kpis, family)


def _compared(a: Side, b: Side, kpis: Sequence[str] | None, family: bool) -> Comparison:
    shown, missing = _wanted(a, b, kpis)
    alpha = (1 - CONFIDENCE) / (len(shown) if family and shown else 1)
    pairs = _pairs(a, b)
    scope = _scope(a, b, pairs)
    sums = [_one_difference(name, a, b, pairs, 1 - alpha) for name in shown]
    differences = [replace(difference, scope=scope) for difference in sums]
    notes = [
        *_drop_notes(a, b, scope),
        *changes(a.scenario, b.scenario),
        *pairs.notes,
        *_multiplicity(len(shown), family),
    ]
    if pairs.paired:
        notes.append("var. ratio r: the interval is sqrt(r) times as wide as without pairing")
    if lacking := sorted({*a.lacking, *b.lacking}):
        message = "not compared, as a result is of an older version; run it again to compare"
        notes.append(f"{message}: {', '.join(lacking)}")
    if missing:
        notes.append(f"only on one side, not compared: {', '.join(missing)}")
    return Comparison(
        a.label,
        b.label,
        pairs.how,
        pairs.paired,
        1 - alpha,
        tuple(differences),
        tuple(notes),
        scope,
    )


def _scope(a: Side, b: Side, pairs: _Pairs) -> str | None:
    """What differences are intervals of: of all drops only with replications on both sides."""
    if not drawn_once(a.scenario) and not drawn_once(b.scenario):
        return None
    numbers = [set(rows["replication"]) for rows in (pairs.a, pairs.b)]
    if min(map(len, numbers)) > 1:
        return ALL_DROPS
    groups = [set(rows["group"]) for rows in (pairs.a, pairs.b)]
    is_one = numbers[0] == numbers[1] and share_draws(a.scenario, groups[0], b.scenario, groups[1])
    return WITHIN_DROP if is_one else APART


def _drop_notes(a: Side, b: Side, scope: str | None) -> list[str]:
    """What is drawn once, what may therefore not be said, and what to do."""
    if scope not in (WITHIN_DROP, APART):
        return []
    drawn = dict.fromkeys([*drawn_once(a.scenario), *drawn_once(b.scenario)])
    what = "the intervals hold within this drop, not for others"
    if scope == APART:
        what = "and not the same on both sides, which alone may make the difference"
    return [f"one drop: {listed(tuple(drawn))} drawn once, {what}; {ADVICE}"]


def _multiplicity(count: int, family: bool) -> list[str]:
    if count < 2:
        return []
    if family:
        return [f"{count} KPIs: each interval at {100 * (1 - 0.05 / count):.2f} % (Bonferroni)"]
    text = f"{count} KPIs at 95 % each: if nothing differed, {0.05 * count:.2g} would by chance"
    return [f"{text}; --family widens the intervals so that all hold together"]


# --- KPIs -------------------------------------------------------------------------------------


def _wanted(a: Side, b: Side, kpis: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """KPIs that both sides have, and those that one has."""
    has_a, has_b = ([*_available(side.rows), *side.pooled] for side in (a, b))
    both = [name for name in has_a if name in has_b]
    if kpis is None:
        return both, [name for name in (*has_a, *has_b) if name not in both]
    columns = [*both, *(f"{name}_ci_low" for name in both)]
    chosen = [name if name in COMPLEMENTS else kpi_column(name, columns) for name in kpis]
    return list(dict.fromkeys(chosen)), []


def _available(rows: DataFrame) -> list[str]:
    names = (*MEANS, *QUANTILES, *(name for name in rows.columns if name.startswith("score_")))
    return [name for name in names if np.isfinite(_values(rows, name)).any()]


def _values(rows: DataFrame, kpi: str) -> Array:
    if kpi in COMPLEMENTS:
        return 1 - _values(rows, COMPLEMENTS[kpi])
    column = "latency_s" if kpi in QUANTILES else kpi
    return np.asarray(rows[column].to_numpy(float)) if column in rows else np.empty(0)


# --- pairs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Rows of both sides, how they belong together, and remarks.

    ``by`` is "replications", "requests" (row i of ``a`` and of ``b`` are the same request) or
    "nothing".
    """

    a: DataFrame
    b: DataFrame
    by: str
    how: str
    notes: tuple[str, ...] = ()

    @property
    def paired(self) -> bool:
        return self.by != "nothing"


def _pairs(a: Side, b: Side) -> _Pairs:
    seeds = a.scenario.seed, b.scenario.seed
    if seeds[0] != seeds[1]:
        return _unpaired(a.rows, b.rows, f"the seeds differ ({seeds[0]} and {seeds[1]})")
    common = sorted(set(a.rows["replication"]) & set(b.rows["replication"]))
    if not common:
        return _unpaired(a.rows, b.rows, "they have no replication in common")
    rows = [one.rows[one.rows["replication"].isin(common)] for one in (a, b)]
    left = [len(one.rows) - len(kept) for one, kept in zip((a, b), rows, strict=True)]
    notes = [f"{sum(left)} requests of replications that one side has alone"] if any(left) else []
    if len(common) > 1:
        how = f"paired by {len(common)} replications (common random numbers)"
        return _Pairs(rows[0], rows[1], "replications", how, tuple(notes))
    one, two = _in_common_window(a, b, rows)
    pairs = _by_request(one, two, notes)
    if pairs.paired:
        return pairs
    alike = "Welch takes the two as independent, although they share a seed"
    return _unpaired(a.rows, b.rows, pairs.how, alike)


def _in_common_window(a: Side, b: Side, rows: list[DataFrame]) -> list[DataFrame]:
    start_s = max(a.scenario.warmup_s, b.scenario.warmup_s)
    end_s = min(a.scenario.duration_s, b.scenario.duration_s)
    return [one[(one["arrival_s"] >= start_s) & (one["arrival_s"] < end_s)] for one in rows]


def _unpaired(a: DataFrame, b: DataFrame, why: str, *notes: str) -> _Pairs:
    pieces = " and ".join(dict.fromkeys(_units(rows) for rows in (a, b)))
    how = f"unpaired: {why}; Welch's interval over {pieces}"
    return _Pairs(a, b, "nothing", how, notes)


def _units(rows: DataFrame) -> str:
    count = rows["replication"].nunique()
    return f"{count} replications" if count > 1 else "batches of a single run"


def _by_request(a: DataFrame, b: DataFrame, notes: list[str]) -> _Pairs:
    """Pair requests that came from the same device at the same moment."""
    keys = ["device", "arrival_s", "twin"]
    left, right = (
        rows.assign(twin=rows.groupby(keys[:2]).cumcount(), row=np.arange(len(rows)))[
            [*keys, "row"]
        ]
        for rows in (a, b)
    )
    both = left.merge(right, on=keys, suffixes=("_a", "_b"))
    share = len(both) / max(len(a), len(b), 1)
    if share < NEARLY_ALL:
        how = f"of {len(a)} and {len(b)} requests {len(both)} have the same device and arrival"
        return _Pairs(a, b, "nothing", how)
    if share < 1:
        lost = len(a) + len(b) - 2 * len(both)
        notes = [*notes, f"{lost} requests without a partner are left out"]
    how = f"paired by {len(both)} requests that both have (common random numbers)"
    return _Pairs(a.iloc[both["row_a"]], b.iloc[both["row_b"]], "requests", how, tuple(notes))


# --- differences ------------------------------------------------------------------------------


def _one_difference(kpi: str, a: Side, b: Side, pairs: _Pairs, confidence: float) -> Difference:
    if kpi in a.pooled and kpi in b.pooled:
        return _pooled_difference(kpi, a, b, pairs, confidence)
    return _difference(kpi, pairs, confidence)


def _pooled_difference(kpi: str, a: Side, b: Side, pairs: _Pairs, confidence: float) -> Difference:
    """Of KPIs that no request has: from the pseudo-values of both sides, piece by piece."""
    one, other = a.pooled[kpi], b.pooled[kpi]
    estimates = one.estimated(kpi), other.estimated(kpi)
    count = min(len(one.pseudo), len(other.pseudo))
    nothing = Difference(kpi, one.value, other.value, math.nan, math.nan, math.nan, 0)
    if estimates[0] is None or estimates[1] is None:
        return nothing
    if pairs.by == "replications":
        common = tuple(np.unique(pairs.a["replication"]))
        is_paired = one.replications == other.replications == common
    else:  # batches are the same requests only if no request lacks a partner or its evidence
        is_whole = one.n == other.n == len(a.rows) == len(b.rows) == len(pairs.a)
        is_paired = pairs.by == "requests" and is_whole and len(one.pseudo) == len(other.pseudo)
    ends = difference_ends(estimates[0], estimates[1], confidence, is_paired)
    if ends is None:
        return nothing
    ratio = variance_ratio(estimates[0], estimates[1]) if is_paired else math.nan
    return Difference(kpi, one.value, other.value, *ends, ratio, count)


def _difference(kpi: str, pairs: _Pairs, confidence: float) -> Difference:
    quantile, bounds = QUANTILES.get(kpi), bounds_of(kpi)
    pieces = _pieces(kpi, pairs)
    values = [np.concatenate(parts) for parts in pieces]
    a, b = (_statistic(one, quantile) for one in values)
    nothing = Difference(kpi, a, b, math.nan, math.nan, math.nan, 0)
    count = min(len(parts) for parts in pieces)
    if count < 2 or min(one.size for one in values) < rows_needed(quantile):
        return nothing
    one, other = (estimated(parts, quantile, bounds) for parts in pieces)
    ends = difference_ends(one, other, confidence, pairs.paired)
    if ends is None:
        return nothing
    ratio = variance_ratio(one, other) if pairs.paired else math.nan
    if max(*map(abs, ends), abs(b - a)) <= NOISE * max(abs(a), abs(b)):  # same but for rounding
        return Difference(kpi, a, b, 0.0, 0.0, math.nan, count)
    return Difference(kpi, a, b, *ends, ratio, count)


def _statistic(values: Array, quantile: float | None) -> float:
    return float(values.mean() if quantile is None else np.quantile(values, quantile))


def _pieces(kpi: str, pairs: _Pairs) -> list[list[Array]]:
    """Both sides' finite values by replication or by batch; paired: piece by piece the same."""
    values = _values(pairs.a, kpi), _values(pairs.b, kpi)
    names = [rows["replication"].to_numpy(np.int64) for rows in (pairs.a, pairs.b)]
    if pairs.by == "requests":
        size = int(min(np.isfinite(one).sum() for one in values))
        cut = [np.array_split(one, batch_count(size, bounds_of(kpi))) for one in values]
    elif pairs.by == "replications":
        common = np.unique(names[0])
        cut = [[v[n == run] for run in common] for v, n in zip(values, names, strict=True)]
    else:
        return [_apart(v, n, bounds_of(kpi)) for v, n in zip(values, names, strict=True)]
    both = [(x[np.isfinite(x)], y[np.isfinite(y)]) for x, y in zip(*cut, strict=True)]
    kept = [(x, y) for x, y in both if x.size and y.size]
    return [[pair[side] for pair in kept] for side in (0, 1)]


def _apart(values: Array, replication: NDArray[np.int64], bounds: Ends) -> list[Array]:
    finite, is_replicated = np.isfinite(values), len(np.unique(replication)) > 1
    return pieces_of(values[finite], replication[finite], is_replicated, bounds)
