"""What is different between two results: every KPI's difference with a paired 95 % interval.

Runs with the same seed share arrivals, places and fading, whatever the codec or the split (common
random numbers). What they share falls out of the difference, so its interval is narrower than that
of two runs that know nothing of each other: Law & Kelton, Simulation Modeling and Analysis,
sections 10.2.1 (paired t), 10.2.2 (Welch) and 11.2 (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simsplit import statistics
from simsplit.errors import ScenarioError
from simsplit.kpis import COMPLEMENTS, kpi_column
from simsplit.statistics import FEWEST_BATCHES, batch_count
from simsplit.summary import MEANS, QUANTILES, measured

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from simsplit.results import Result
    from simsplit.scenario import Scenario

    Array = NDArray[np.float64]

NEARLY_ALL = 0.95  # of either side's requests must have a partner, else they are not the same
KINDS = ("operating_point", "group")
NOISE = 1e-9  # relative: differences of rounding are none


@dataclass(frozen=True)
class Side:
    """One of two things compared: the measured requests of a result, or of a part of it."""

    label: str
    scenario: Scenario
    rows: DataFrame


@dataclass(frozen=True, slots=True)
class Difference:
    """B - A of one KPI.

    Attributes:
        low, high: Interval of the difference; NaN where there is none.
        variance_ratio: Variance of the paired difference over that without pairing,
            S_D^2 / (S_A^2 + S_B^2) = 1 - rho for equal variances. NaN: unpaired, or no variance.
        pieces: Replications or batches behind the interval.
    """

    kpi: str
    a: float
    b: float
    low: float
    high: float
    variance_ratio: float
    pieces: int

    @property
    def difference(self) -> float:
        """B - A; 0 where it is rounding."""
        gap = self.b - self.a
        return gap if abs(gap) > NOISE * max(abs(self.a), abs(self.b)) else 0.0

    @property
    def verdict(self) -> str:
        """What may be said of B at the interval's confidence."""
        if math.isnan(self.low):
            return "no interval"
        if self.difference == 0:
            return "no difference"
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "no difference"


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


def side(result: Result, part: str | None = None) -> Side:
    """The measured requests of a result, or of one operating point or group.

    ``part`` may say which it means: ``group:png``, ``operating_point:png``.

    Raises:
        ScenarioError: No such part, it is ambiguous, or it has no request.
    """
    scenario = result.scenario
    label = result.folder.name if result.folder else scenario.name
    rows = measured(scenario, result.requests)
    if part is not None:
        label, rows = f"{label} {part}", _part(scenario, rows, part)
    if rows.empty:
        raise ScenarioError("no request in the measured window", path=label)
    return Side(label, scenario, rows)


def sides(
    a: Result, b: Result | None, of: str | None = None, with_: str | None = None
) -> tuple[Side, Side]:
    """What to compare: two results, the same part of both, or two parts (of one result, if alone).

    Raises:
        ScenarioError: It is not said what to compare, or see `side`.
    """
    if of is None and with_ is not None:
        raise ScenarioError("--with needs --of: what to compare it with", value=with_)
    if b is None and (of is None or with_ is None):
        choices = [spec.name for spec in a.scenario.operating_points]
        message = "one result alone: say which parts to compare, --of NAME --with NAME"
        raise ScenarioError(message, choices=choices)
    return side(a, of), side(b or a, with_ or of)


def _part(scenario: Scenario, rows: DataFrame, part: str) -> DataFrame:
    names = {
        "operating_point": [spec.name for spec in scenario.operating_points],
        "group": [spec.name for spec in scenario.devices],
    }
    kind, colon, name = part.partition(":")
    kinds, name = ([kind], name) if colon and kind in KINDS else (list(KINDS), part)
    found = [rows[rows[one] == name] for one in kinds if name in names[one]]
    if not found:
        known = dict.fromkeys(known for one in kinds for known in names[one])
        raise ScenarioError("no such operating point or group", value=name, choices=list(known))
    if any(not one.index.equals(found[0].index) for one in found):
        choices = [f"{one}:{name}" for one in KINDS]
        raise ScenarioError("both an operating point and a group", value=name, choices=choices)
    return found[0]


def compare(
    a: Side, b: Side, *, kpis: Sequence[str] | None = None, family: bool = False
) -> Comparison:
    """Interval of B - A for every KPI that both have, or for those named (see `simsplit.kpis`).

    Paired by replication where both have at least two replications of the same seed, else by the
    requests that both have (replication, device, arrival time), cut into batches as in
    `simsplit.statistics.estimate`: with D_j the difference of the statistic in piece j of k,

        interval = (m_B - m_A) +- t_{1 - alpha/2, k-1} S_D / sqrt(k)

    Unpaired (Welch): S_D^2 / k is replaced by S_A^2 / k_A + S_B^2 / k_B with the degrees of freedom
    of Welch and Satterthwaite. alpha is 5 %; with ``family`` 5 % over the number of KPIs shown
    (Bonferroni), so that all intervals hold together.

    Raises:
        ScenarioError: A KPI is not there.
    """
    shown, missing = _wanted(a, b, kpis)
    alpha = (1 - statistics.CONFIDENCE) / (len(shown) if family and shown else 1)
    pairs = _pairs(a, b)
    found = [_difference(name, pairs, 1 - alpha) for name in shown]
    notes = [*_changes(a.scenario, b.scenario), *pairs.notes, *_multiplicity(len(shown), family)]
    if pairs.paired:
        notes.append("var. ratio r: the interval is sqrt(r) times as wide as without pairing")
    if missing:
        notes.append(f"only on one side, not compared: {', '.join(missing)}")
    return Comparison(
        a.label, b.label, pairs.how, pairs.paired, 1 - alpha, tuple(found), tuple(notes)
    )


def _multiplicity(count: int, family: bool) -> list[str]:
    if count < 2:
        return []
    if family:
        return [f"{count} KPIs: each interval at {100 * (1 - 0.05 / count):.2f} % (Bonferroni)"]
    text = f"{count} KPIs at 95 % each: if nothing differed, {0.05 * count:.2g} would by chance"
    return [f"{text}; --family widens the intervals so that all hold together"]


def _changes(a: Scenario, b: Scenario, most: int = 4) -> list[str]:
    """What B's scenario says otherwise, path by path."""
    one, two = _leaves(a.model_dump(mode="json")), _leaves(b.model_dump(mode="json"))
    paths = [path for path in one | two if one.get(path) != two.get(path)]
    if not paths:
        return []
    texts = [f"{path} {one.get(path, '-')} → {two.get(path, '-')}" for path in paths[:most]]
    more = [f"{len(paths) - most} more"] if len(paths) > most else []
    return [f"B's scenario has {', '.join([*texts, *more])}"]


def _leaves(value: object, path: str = "") -> dict[str, object]:
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        inner = [(str(position), item) for position, item in enumerate(value)]
    else:
        return {path: value}
    found: dict[str, object] = {}
    for key, item in inner:
        found |= _leaves(item, f"{path}.{key}" if path else key)
    return found


# --- KPIs -------------------------------------------------------------------------------------


def _wanted(a: Side, b: Side, kpis: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """KPIs that both sides have, and those that one has."""
    has_a, has_b = _available(a.rows), _available(b.rows)
    both = [name for name in has_a if name in has_b]
    if kpis is None:
        return both, [name for name in (*has_a, *has_b) if name not in both]
    columns = [*both, *(f"{name}_ci_low" for name in both)]
    found = [name if name in COMPLEMENTS else kpi_column(name, columns) for name in kpis]
    return list(dict.fromkeys(found)), []


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
    found = _by_request(one, two, notes)
    if found.paired:
        return found
    alike = "Welch takes the two as independent, although they share a seed"
    return _unpaired(a.rows, b.rows, found.how, alike)


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


def _difference(kpi: str, pairs: _Pairs, confidence: float) -> Difference:
    quantile = QUANTILES.get(kpi)
    needed = 1 if quantile is None else math.ceil(round(1 / min(quantile, 1 - quantile), 6))
    values = _values(pairs.a, kpi), _values(pairs.b, kpi)
    names = [rows["replication"].to_numpy(np.int64) for rows in (pairs.a, pairs.b)]
    a, b = (_centre(one, name, quantile) for one, name in zip(values, names, strict=True))
    if pairs.by == "requests":
        pieces = _joint_batches(*values, needed)
    else:
        pieces = [_pieces(one, name, needed) for one, name in zip(values, names, strict=True)]
    count = min(len(parts) for parts in pieces)
    if count < 2 or min(part.size for parts in pieces for part in parts) < needed:
        return Difference(kpi, a, b, math.nan, math.nan, math.nan, 0)
    numbers = [np.array([_statistic(part, quantile) for part in parts]) for parts in pieces]
    half, ratio = welch_half_width(numbers[0], numbers[1], confidence), math.nan
    if pairs.paired:
        half, ratio = paired_half_width(numbers[0], numbers[1], confidence)
    if max(half, abs(b - a)) <= NOISE * max(abs(a), abs(b)):  # the same but for rounding
        return Difference(kpi, a, b, 0.0, 0.0, math.nan, count)
    return Difference(kpi, a, b, b - a - half, b - a + half, ratio, count)


def _centre(values: Array, replication: NDArray[np.int64], quantile: float | None) -> float:
    """What a summary says: the mean over replications, or the statistic of the one run."""
    finite = np.isfinite(values)
    pieces = [values[finite & (replication == name)] for name in np.unique(replication[finite])]
    return float(np.mean([_statistic(piece, quantile) for piece in pieces]))


def _statistic(values: Array, quantile: float | None) -> float:
    return float(values.mean() if quantile is None else np.quantile(values, quantile))


def _pieces(values: Array, replication: NDArray[np.int64], needed: int) -> list[Array]:
    """Finite values of each replication, or of batches of a single run."""
    finite = np.isfinite(values)
    names = np.unique(replication)
    if len(names) > 1:
        return [values[finite & (replication == name)] for name in names]
    return np.array_split(values[finite], batch_count(int(finite.sum()), needed))


def _joint_batches(a: Array, b: Array, needed: int) -> list[list[Array]]:
    """Batches of the same requests; fewer where too many of one batch are missing on one side."""
    size = int(min(np.isfinite(a).sum(), np.isfinite(b).sum()))
    most = batch_count(size, needed)
    pieces = [[a], [b]]
    for count in range(most, min(most, FEWEST_BATCHES) - 1, -1):
        pieces = [_finite(np.array_split(one, count)) for one in (a, b)]
        if min(part.size for parts in pieces for part in parts) >= needed:
            break
    return pieces


def _finite(pieces: list[Array]) -> list[Array]:
    return [piece[np.isfinite(piece)] for piece in pieces]


def paired_half_width(a: Array, b: Array, confidence: float) -> tuple[float, float]:
    """t S_D / sqrt(k) of k pairs, and S_D^2 / (S_A^2 + S_B^2) (NaN where nothing varies)."""
    k = int(a.size)
    spread = float((b - a).var(ddof=1))
    apart = float(a.var(ddof=1) + b.var(ddof=1))
    half = statistics.student_t(k - 1, confidence) * math.sqrt(spread / k)
    return half, spread / apart if apart > 0 else math.nan


def welch_half_width(a: Array, b: Array, confidence: float) -> float:
    """t sqrt(S_A^2 / k_A + S_B^2 / k_B) with Welch's and Satterthwaite's degrees of freedom."""
    from scipy.stats import t

    parts = np.array([float(one.var(ddof=1)) / one.size for one in (a, b)])
    if not parts.sum():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / [a.size - 1, b.size - 1]).sum()
    return float(t.ppf(0.5 + confidence / 2, freedom) * math.sqrt(parts.sum()))
