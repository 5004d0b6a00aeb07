"""KPIs that are no mean of the requests' scores: made of their evidence, with a jackknife interval.

A run's table has its requests' evidence (`simsplit.messages.Evidence`) in the column `COLUMN`
until it is stored. A lost request counts as nobody's answer; KPIs that end in ``_answered`` leave
it out, and so does ``ece``, since who does not answer is not confident either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simsplit.messages import Evidence
from simsplit.results.intervals import CONFIDENCE, Estimated
from simsplit.results.metrics import POOLED
from simsplit.results.statistics import (
    FEWEST_REQUESTS,
    TOO_FEW,
    Kpi,
    batch_count,
    bounds_of,
    kpi,
)
from simsplit.tasks.evidence import KEYS_OF, OWN, SCORES_OF, Values, merged, pooled

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

COLUMN = "evidence"
ANSWERED = "_answered"


@dataclass(frozen=True, slots=True)
class Pooled:
    """One pooled KPI.

    Attributes:
        name: Of the KPI.
        score: What `simsplit.tasks.evidence.pooled` calls it; empty of a metric of a user's own.
        ending: Of the answer that it is of.
        answered_only: Lost requests are left out.
    """

    name: str
    score: str
    ending: str
    answered_only: bool


def pooled_of(rows: DataFrame) -> list[Pooled]:
    """The pooled KPIs that a table's evidence allows, in the order of the answers."""
    return _items(rows[COLUMN]) if COLUMN in rows else []


def pooled_names(evidence: Iterable[Sequence[Evidence]]) -> list[str]:
    """Names of the pooled scores that the requests' evidence allows."""
    return [item.name for item in _items(evidence)]


def resampled_score(
    name: str, evidence: Sequence[Sequence[Evidence]]
) -> Callable[[NDArray[np.int64]], float]:
    """A pooled score as a function of which requests count, each by its number.

    Args:
        name: One of `pooled_names`.
        evidence: Of every request.
    """
    item = next(one for one in _items(evidence) if one.name == name)
    kept = [
        next(one for one in of if one.ending == item.ending and _has(item, one)) for of in evidence
    ]
    score, keys = _score(item, kept), KEYS_OF.get(item.score, (OWN,))
    values = [{key: one.values[key] for key in keys} for one in kept]
    return lambda numbers: score([values[number] for number in numbers])


def _items(evidence: Iterable[Sequence[Evidence]]) -> list[Pooled]:
    wanted: dict[str, Pooled] = {}
    for of_request in evidence:
        for one in of_request:
            wanted |= {item.name: item for item in _of(one) if item.name not in wanted}
    return list(wanted.values())


def _of(evidence: Evidence) -> list[Pooled]:
    ending = evidence.ending
    own = [Pooled(f"pooled{ending}", "", ending, True)] if evidence.pool is not None else []
    scores = [score for key in evidence.values for score in SCORES_OF.get(key, ())]
    all_of_them = [Pooled(f"{score}{ending}", score, ending, False) for score in scores]
    answered = [
        Pooled(f"{score}{ANSWERED}{ending}", score, ending, True)
        for score in scores
        if f"{score}{ANSWERED}" in POOLED
    ]
    return [*own, *all_of_them, *answered]


def pooled_kpi(item: Pooled, rows: DataFrame, *, replicated: bool) -> Kpi:
    """The KPI over the rows in order of arrival; 95 % interval by `jackknife`.

    The pieces are those of every other KPI: the replications, or batches of the one run.
    """
    found = _found(item, rows, replicated=replicated)
    if found is None:
        return kpi(None, None, 0, "none")
    estimate, count = found.estimate, len(found.pieces)
    few = count < 2 or found.n < FEWEST_REQUESTS
    ends = None if few or estimate is None else estimate.ends(count - 1, CONFIDENCE)
    centre = found.score([one for piece in found.pieces for one in piece])
    mean = centre if math.isfinite(centre) else None
    name = "replications" if replicated else "batches"
    method = f"jackknife over {name} ({count})" if ends is not None else "none"
    if ends is None and replicated and estimate is not None and estimate.has_too_few:
        method = f"none: {TOO_FEW}"
    return kpi(mean, ends, found.n, method)


def pooled_estimate(
    item: Pooled, rows: DataFrame, *, replicated: bool
) -> tuple[Estimated | None, int, tuple[int, ...]]:
    """The KPI with its pseudo-values, its requests, and which replication each piece is."""
    found = _found(item, rows, replicated=replicated)
    return (None, 0, ()) if found is None else (found.estimate, found.n, found.names)


@dataclass(frozen=True)
class _Found:
    """A pooled KPI's pieces, their replications if they are any, and what is made of them."""

    pieces: list[list[Values]]
    names: tuple[int, ...]
    score: Callable[[Sequence[Values]], float]
    n: int
    estimate: Estimated | None


def _found(item: Pooled, rows: DataFrame, *, replicated: bool) -> _Found | None:
    evidence, replication = _evidence(item, rows)
    if not evidence:
        return None
    score, names = _score(item, evidence), tuple(map(int, np.unique(replication)))
    if replicated:
        groups = [np.flatnonzero(replication == name) for name in names]
    else:
        count = batch_count(len(evidence), bounds_of(item.name))
        groups, names = np.array_split(np.arange(len(evidence)), count), ()
    keys = KEYS_OF.get(item.score, (OWN,))
    values: list[Values] = [{key: one.values[key] for key in keys} for one in evidence]
    pieces = [[values[index] for index in group] for group in groups]
    if item.score:
        pieces = [[merged(piece)] for piece in pieces]
    return _Found(pieces, names, score, len(evidence), jackknife(pieces, score, item.name))


def _evidence(item: Pooled, rows: DataFrame) -> tuple[list[Evidence], NDArray[np.int64]]:
    """The answer's evidence of every row that has any, and the rows' replications."""
    pairs = [
        (one, replication)
        for evidence, replication in zip(rows[COLUMN], rows["replication"], strict=True)
        for one in evidence
        if one.ending == item.ending and _has(item, one)
        if not (item.answered_only and one.is_lost)
    ]
    return [one for one, _ in pairs], np.array([r for _, r in pairs], np.int64)


def _has(item: Pooled, evidence: Evidence) -> bool:
    if not item.score:
        return evidence.pool is not None
    return all(key in evidence.values for key in KEYS_OF[item.score])


def _score(item: Pooled, evidence: Sequence[Evidence]) -> Callable[[Sequence[Values]], float]:
    pool = evidence[0].pool
    if item.score or pool is None:
        return lambda pieces: pooled(item.score, pieces)
    return lambda pieces: float(pool([values[OWN] for values in pieces]))


def jackknife(
    pieces: Sequence[Sequence[Values]], score: Callable[[Sequence[Values]], float], name: str
) -> Estimated | None:
    """A pooled score with its pseudo-values k t - (k - 1) t_(-j), t_(-j) that without piece j.

    Tukey, Bias and confidence in not-quite large samples, Ann. Math. Statist. 29, 1958. None of
    fewer than two pieces, or where the score of some k - 1 pieces is not defined.
    """
    count = len(pieces)
    if count < 2:
        return None
    centre = score([values for piece in pieces for values in piece])
    without = [
        score([values for other, piece in enumerate(pieces) if other != left for values in piece])
        for left in range(count)
    ]
    pseudo = count * centre - (count - 1) * np.array(without)
    if not np.isfinite(pseudo).all():
        return None
    variance = float(pseudo.var(ddof=1)) / count
    bounds, nothing = bounds_of(name), np.empty(0)
    return Estimated(centre, pseudo, variance, nothing, count, bounds, None, is_counted=False)
