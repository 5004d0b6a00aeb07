"""Means, shares and quantiles of correlated rows, each with an honest 95 % interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.results.intervals import (
    CONFIDENCE,
    FEWEST_PIECES,
    SHARE,
    UNBOUNDED,
    Ends,
    estimated,
    student_t,
)
from simsplit.results.metrics import metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kpi = dict[str, Any]
Flag = dict[str, str]

BATCHES = 20
FEWEST_REQUESTS = 10
FEWEST_OF_SHARE = 10  # batches, of a row each if there are no more
TOO_FEW = f"fewer than {FEWEST_PIECES} replications"
ALL_DROPS = "all drops"
WITHIN_DROP = "within this drop"


def estimate(
    values: NDArray[np.float64],
    replication: NDArray[np.int64],
    *,
    replicated: bool,
    quantile: float | None = None,
    bounds: Ends = UNBOUNDED,
    within_drop: bool = False,
) -> Kpi:
    """One KPI: the mean (or quantile) over all rows, with a 95 % interval that heeds correlation.

    The estimate is that of all rows pooled, what a request drawn from all of them sees: a
    replication counts with as many rows as it has, and a tail is not made of the tails of short
    replications, which are biased. The rows are cut into k pieces, the replications (R >= 2), else
    consecutive batches of (almost) equal size (`batch_count`), and the interval is learnt from how
    the pieces differ, with Student's t of k - 1 degrees of freedom:

    * of a mean: jackknife over the pieces, corrected for skewness (`intervals.mean_ends`), cut off
      at ``bounds``, which the true value does not leave;
    * of a share, or any score in [0, 1]: Clopper and Pearson's, of as many independent answers as
      the rows are worth (`intervals.effective_size`, `intervals.share_ends`);
    * of a quantile: Woodruff's, the order statistics between which the quantile lies, again by the
      effective number of rows (`intervals.quantile_ranks`).

    There is none of fewer than 2 replications with rows (of a share or a quantile fewer than 3,
    since with one degree of freedom 42 rows are worth one), of fewer than 10 rows of one run, or
    of a q-quantile of fewer than 10 / min(q, 1 - q) rows or of rows so alike that its ends lie
    beyond the greatest of them.
    Law & Kelton, Simulation Modeling and Analysis, sections 9.4.1 and 9.5.3; Woodruff, Confidence
    intervals for medians and other position measures, JASA 47, 1952.

    Args:
        values: ``(n,)`` in order of arrival; those that are not finite are left out of ``n``.
        replication: ``(n,)``, the replication of each.
        replicated: Whether there are several replications.
        quantile: In (0, 1); None: the mean.
        bounds: Least and greatest possible value (`bounds_of`), which no interval leaves.
        within_drop: Of one run: whether places, shadowing or another thing was drawn once, so that
            the interval says nothing of other draws.
    """
    scope = ALL_DROPS if replicated else WITHIN_DROP if within_drop else None
    keep = np.isfinite(values)
    values, replication = values[keep], replication[keep]
    if values.size == 0:
        return kpi(None, None, 0, "none", scope)
    pieces = pieces_of(values, replication, replicated, bounds)
    if len(pieces) < 2 or values.size < rows_needed(quantile):
        return kpi(_plain(values, quantile), None, values.size, "none", scope)
    found = estimated(pieces, quantile, bounds)
    ends = found.ends(len(pieces) - 1, CONFIDENCE)
    name = "replications" if replicated else "batch means"
    method = f"{name} ({len(pieces)})"
    if ends is None:
        method = f"none: {TOO_FEW}" if replicated and found.has_too_few else "none"
    return kpi(found.centre, ends, values.size, method, scope)


def pieces_of(
    values: NDArray[np.float64], replication: NDArray[np.int64], replicated: bool, bounds: Ends
) -> list[NDArray[np.float64]]:
    """The values of each replication that has any, or of batches of the one run."""
    if replicated:
        return [values[replication == name] for name in np.unique(replication)]
    return np.array_split(values, batch_count(values.size, bounds))


def over_replications(numbers: list[float], bounds: Ends = (0.0, math.inf)) -> Kpi:
    """A figure that each replication has once (utilisation): Student t over replications."""
    finite = np.array([number for number in numbers if math.isfinite(number)])
    if finite.size == 0:
        return kpi(None, None, 0, "none", ALL_DROPS if len(numbers) > 1 else None)
    if finite.size < 2:
        return kpi(float(finite.mean()), None, int(finite.size), "none")
    found = estimated([finite[i : i + 1] for i in range(finite.size)], None, (-math.inf, math.inf))
    low, high = found.ends(finite.size - 1, CONFIDENCE) or (math.nan, math.nan)
    ends = max(low, bounds[0]), min(high, bounds[1])
    return kpi(found.centre, ends, finite.size, f"replications ({finite.size})", ALL_DROPS)


def half_width(numbers: NDArray[np.float64]) -> float:
    """t_{0.975, k-1} S / sqrt(k) of k (nearly) independent numbers."""
    spread = float(numbers.std(ddof=1)) / math.sqrt(numbers.size)
    return student_t(int(numbers.size) - 1) * spread


def kpi(
    mean: float | None, ends: Ends | None, n: int, method: str, scope: str | None = None
) -> Kpi:
    """The dictionary every KPI of a summary is; ``scope``: what the interval is an interval of."""
    low, high = (None, None) if ends is None else ends
    numbers: Kpi = {"mean": mean, "ci_low": low, "ci_high": high}
    return numbers | {"n": int(n), "method": method, "scope": scope}


def bounds_of(name: str) -> Ends:
    """Least and greatest possible value of a KPI, as `simsplit.results.metrics` says."""
    about = metric(name)
    return UNBOUNDED if about is None else (about.least, about.most)


def batch_count(n: int, bounds: Ends = UNBOUNDED) -> int:
    """Batches of one run: 20, or n // 5 of fewer than 100 rows; 1 where no interval is possible.

    Of a share 10 at least: its effective number of answers shrinks by (z / t)^2, which is 0.02 with
    1, 0.4 with 3 and 0.75 with 9 degrees of freedom (Korn and Graubard 1998).
    """
    if n < FEWEST_REQUESTS:
        return 1
    fewest = FEWEST_OF_SHARE if bounds == SHARE else 2
    return min(BATCHES, max(fewest, n // 5))


def rows_needed(quantile: float | None) -> int:
    """Rows without which a quantile has no interval: ten on its rarer side; 1000 for a p99."""
    return 1 if quantile is None else math.ceil(round(10 / min(quantile, 1 - quantile), 6))


def _plain(values: NDArray[np.float64], quantile: float | None) -> float:
    return float(values.mean() if quantile is None else np.quantile(values, quantile))
