"""What operating points cost in bits against what they are worth, with no air between.

Every picture arrives intact, so a point is its mean payload and its mean score over the pictures.
Points in the order of their rates are a curve, and curves are compared by Bjøntegaard's deltas
(`simsplit.results.bd`). How far other pictures would have moved a number is told by the paired
bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): the pictures
are drawn anew with replacement, the same ones for all points, and everything is computed again.
How far another training seed would have, is told by the seeds' own points.

A payload holds headers, which small pictures are mostly made of: with ``left-out`` every payload is
shorter by its own (`simsplit.codecs.headers`), in points, curves and deltas alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.bd import (
    MIN_OVERLAP,
    Curve,
    bd_metric,
    bd_rate,
    operational,
    overlap,
)
from simsplit.results.intervals import CONFIDENCE, Ends, share_ends, student_t
from simsplit.results.statistics import bounds_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

RESAMPLES = 1000
RESAMPLES_OF_POOLED = 100  # pooled scores are computed one by one
METHOD = "pchip"  # of the deltas: monotone, and two points are enough
COUNTED, LEFT_OUT = HEADERS = ("counted", "left-out")  # what becomes of headers
_NEEDED = 0.95  # of the resamples must have a delta, or it has no interval
_OF_NOTHING = 4.0  # difference that never showed: 0 ± this / n (Zou and Donner 2008)


@dataclass(frozen=True, slots=True)
class SeedPoint:
    """The same code of another training seed, as its card says."""

    seed: int
    payload_bits: float
    score: float
    payload_header_bits: float = 0.0


@dataclass(frozen=True, slots=True)
class Rung:
    """One operating point over N pictures.

    Attributes:
        curve: It is a point of this curve.
        name: Of the operating point.
        bits: ``(N,)`` payload bits; 0 where nothing is sent.
        values: ``(N,)`` score of each picture, NaN where it has none; None of a pooled score.
        pooled: Of a pooled score: that of the pictures with these numbers.
        device_macs, edge_macs: Multiply-accumulates per picture on either side.
        seeds: Further training seeds.
        payload_header_bits: ``(N,)`` of ``bits`` those of headers; None: none.
    """

    curve: str
    name: str
    bits: Array
    values: Array | None
    pooled: Callable[[Indices], float] | None = None
    device_macs: float = math.nan
    edge_macs: float = math.nan
    seeds: tuple[SeedPoint, ...] = ()
    payload_header_bits: Array | None = None

    def scores(self, resamples: Indices) -> Array:
        """The score over each row of ``(R, N)`` numbers of pictures, ``(R,)``."""
        if self.values is not None:
            scores: Array = np.nanmean(self.values[resamples], axis=1)
            return scores
        assert self.pooled is not None
        return np.array([self.pooled(row) for row in resamples])

    @property
    def count(self) -> int:
        """Pictures N."""
        return len(self.bits)

    @property
    def score(self) -> float:
        """Over all pictures."""
        return float(self.scores(np.arange(self.count)[None])[0])


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of rungs.

    Attributes:
        metric: KPI, e.g. ``score_accuracy`` or ``map50``.
        lower_is_better: Of an error.
        anchors: Curves that every other one is compared with.
        reference: Operating point whose pictures' scores are taken off the others'; None: none.
        method: Of the deltas, see `simsplit.results.bd.METHODS`.
        min_overlap: Share of the anchor's range of the score that both curves must reach.
        seed: Of the resampled pictures.
        headers: ``counted``, or ``left-out`` of every payload.
    """

    metric: str
    lower_is_better: bool = False
    anchors: tuple[str, ...] = ()
    reference: str | None = None
    method: str = METHOD
    min_overlap: float = MIN_OVERLAP
    seed: int = 1
    headers: str = COUNTED


@dataclass(frozen=True, slots=True)
class Rates:
    """Tables of a comparison: a row per operating point and seed, and one per pair of curves.

    ``payload_bits`` are those of whole payloads, or where ``headers`` are ``left-out`` what is left
    of them; ``payload_header_bits`` are those of the headers either way.
    """

    metric: str
    points: list[dict[str, Any]]
    deltas: list[dict[str, Any]]
    headers: str = COUNTED


def compare_rates(rungs: Sequence[Rung], question: Question) -> Rates:
    """Points with their intervals, and the deltas of curves against their anchors.

    Raises:
        ScenarioError: An anchor is no curve, the reference no operating point, or the method none.
    """
    check_headers(question.headers)
    if question.headers == LEFT_OUT:
        rungs = [_without_headers(rung) for rung in rungs]
    curves = _curves(rungs)
    for anchor in question.anchors:
        if anchor not in curves:
            choices = [*curves]
            raise ScenarioError("no such curve", path="anchor", value=anchor, choices=choices)
    resamples = _resamples(rungs, question.seed)
    reference = _reference(rungs, question.reference)
    points = [row for rung in rungs for row in _point_rows(rung, question, resamples, reference)]
    sent = {name: _sent(of) for name, of in curves.items()}
    pairs = [(a, t) for a in question.anchors for t in curves if t != a and sent[t] and sent[a]]
    deltas = [_delta(a, t, sent, question, resamples) for a, t in pairs]
    return Rates(question.metric, points, deltas, question.headers)


def check_headers(headers: str) -> None:
    """Raises ScenarioError for what headers cannot be."""
    if headers not in HEADERS:
        message = "headers are counted or left out"
        raise ScenarioError(message, path="headers", value=headers, choices=HEADERS)


def _without_headers(rung: Rung) -> Rung:
    seeds = tuple(
        replace(s, payload_bits=s.payload_bits - s.payload_header_bits) for s in rung.seeds
    )
    headers = 0.0 if rung.payload_header_bits is None else rung.payload_header_bits
    return replace(rung, bits=rung.bits - headers, seeds=seeds)


def _curves(rungs: Sequence[Rung]) -> dict[str, list[Rung]]:
    curves: dict[str, list[Rung]] = {}
    for rung in rungs:
        curves.setdefault(rung.curve, []).append(rung)
    return curves


def _sent(rungs: Sequence[Rung]) -> list[Rung]:
    """Those that have a rate: an answer on the device has none."""
    return [rung for rung in rungs if rung.bits.mean() > 0]


def _reference(rungs: Sequence[Rung], name: str | None) -> Rung | None:
    if name is None:
        return None
    by_name = {rung.name: rung for rung in rungs}
    if name not in by_name:
        choices = [*by_name]
        raise ScenarioError(
            "no such operating point", path="reference", value=name, choices=choices
        )
    return by_name[name]


def _resamples(rungs: Sequence[Rung], seed: int) -> Indices:
    """``(R, N)`` numbers of pictures."""
    count = rungs[0].count
    is_pooled = any(rung.values is None for rung in rungs)
    repeats = RESAMPLES_OF_POOLED if is_pooled else RESAMPLES
    drawn: Indices = np.random.default_rng(seed).integers(0, count, (repeats, count))
    return drawn


# --- points -----------------------------------------------------------------------------------


def _point_rows(
    rung: Rung, question: Question, resamples: Indices, reference: Rung | None
) -> Iterator[dict[str, Any]]:
    low, high = score_ends(rung, question.metric, resamples)
    row = {
        "curve": rung.curve,
        "operating_point": rung.name,
        "seed": "",
        "payload_bits": float(rung.bits.mean()),
        **_bit_ends(rung),
        "payload_header_bits": 0.0
        if rung.payload_header_bits is None
        else float(rung.payload_header_bits.mean()),
        "headers": question.headers,
        question.metric: rung.score,
        f"{question.metric}_low": low,
        f"{question.metric}_high": high,
        "pictures": rung.count,
        "device_macs": rung.device_macs,
        "edge_macs": rung.edge_macs,
    }
    if reference is not None:
        names = ("difference", "difference_low", "difference_high")
        row |= zip(names, paired_difference(rung, reference, resamples), strict=True)
    yield row
    for other in rung.seeds:
        yield {
            "curve": rung.curve,
            "operating_point": rung.name,
            "seed": other.seed,
            "payload_bits": other.payload_bits,
            "payload_header_bits": other.payload_header_bits,
            "headers": question.headers,
            question.metric: other.score,
        }


def _bit_ends(rung: Rung) -> dict[str, float]:
    if rung.count < 2:
        return {}
    half = student_t(rung.count - 1) * float(rung.bits.std(ddof=1)) / math.sqrt(rung.count)
    mean = float(rung.bits.mean())
    return {"payload_bits_low": mean - half, "payload_bits_high": mean + half}


def score_ends(rung: Rung, metric: str, resamples: Indices) -> Ends:
    """95 % interval of a point's score over other pictures.

    Of answers that are right or wrong Clopper and Pearson's; else the bootstrap's percentiles,
    within the score's possible range.
    """
    if rung.values is not None:
        known = rung.values[np.isfinite(rung.values)]
        if known.size and set(np.unique(known)) <= {0.0, 1.0}:
            return share_ends(float(known.mean()), float(known.size), CONFIDENCE)
    low, high = _percentiles(rung.scores(resamples))
    least, most = bounds_of(metric)
    return max(low, least), min(high, most)


def paired_difference(
    rung: Rung, reference: Rung, resamples: Indices
) -> tuple[float, float, float]:
    """Score less the reference's over the same pictures, with its 95 % interval.

    Per picture: Student's t of the differences; if no picture differs, 0 ± 4 / n. Of a pooled
    score: the paired bootstrap.
    """
    mean = rung.score - reference.score
    if rung.values is None or reference.values is None:
        low, high = _percentiles(rung.scores(resamples) - reference.scores(resamples))
        return mean, low, high
    differences = rung.values - reference.values
    differences = differences[np.isfinite(differences)]
    if differences.size < 2:
        return mean, math.nan, math.nan
    spread = float(differences.std(ddof=1))
    half = student_t(differences.size - 1) * spread / math.sqrt(differences.size)
    half = half if spread > 0 else _OF_NOTHING / differences.size
    return mean, mean - half, mean + half


def _percentiles(values: Array) -> Ends:
    if not np.isfinite(values).all():
        return math.nan, math.nan
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


# --- curves -----------------------------------------------------------------------------------


def _delta(
    anchor: str,
    test: str,
    curves: Mapping[str, Sequence[Rung]],
    question: Question,
    resamples: Indices,
) -> dict[str, Any]:
    """One line of the table of deltas."""
    everything = np.arange(resamples.shape[1])[None]
    old, new = (_measured(curves[name], everything, question)[0] for name in (anchor, test))
    again = zip(
        *(_measured(curves[name], resamples, question) for name in (anchor, test)), strict=True
    )
    repeated = [_deltas(a, t, question)[:2] for a, t in again]
    rate, gain, reason = _deltas(old, new, question)
    row: dict[str, Any] = {"anchor": anchor, "test": test, "metric": question.metric}
    row |= {"method": question.method, **_named("bd_rate_percent", rate, [r for r, _ in repeated])}
    row |= _named("bd_metric", gain, [g for _, g in repeated])
    return row | _overlap(old, new) | {"reason": reason}


def _measured(rungs: Sequence[Rung], resamples: Indices, question: Question) -> list[Curve]:
    """The curve of every row of resampled pictures, without points that another one beats."""
    rates = np.stack([rung.bits[resamples].mean(axis=1) for rung in rungs], axis=1)
    scores = np.stack([rung.scores(resamples) for rung in rungs], axis=1)
    return [
        operational(
            Curve(rate.tolist(), score.tolist(), rungs[0].curve, "payload_bits", question.metric),
            lower_is_better=question.lower_is_better,
        )
        for rate, score in zip(rates, scores, strict=True)
    ]


def _deltas(anchor: Curve, test: Curve, question: Question) -> tuple[float, float, str]:
    """Rate in per cent at equal score, score at equal rate, and why one is missing."""
    flat = [curve.name for curve in (anchor, test) if len(curve.rate) < 2]
    if flat:
        why = "one point is at least as good as all others, at the least rate"
        return math.nan, math.nan, f"no BD: {' and '.join(flat)}: {why}"
    numbers, reasons = [], []
    for function in (bd_rate, bd_metric):
        try:
            numbers.append(
                function(
                    anchor.rate,
                    anchor.metric,
                    test.rate,
                    test.metric,
                    question.method,
                    question.min_overlap,
                )
            )
        except ScenarioError as error:
            numbers.append(math.nan)
            reasons.append(error.message)
    return numbers[0], numbers[1], "; ".join(dict.fromkeys(reasons))


def _named(name: str, value: float, repeated: Sequence[float]) -> dict[str, float]:
    """A delta with the percentiles of its resamples, where nearly all of them have one."""
    numbers = np.array([one for one in repeated if math.isfinite(one)])
    enough = math.isfinite(value) and numbers.size >= _NEEDED * len(repeated)
    low, high = _percentiles(numbers) if enough else (math.nan, math.nan)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _overlap(anchor: Curve, test: Curve) -> dict[str, float]:
    """Scores that both curves reach, and the share of either's range that this is.

    Of curves that do not overlap both ends are NaN.
    """
    ranges = [np.asarray(curve.metric, float) for curve in (anchor, test)]
    common = overlap(*ranges)
    is_there = common.low <= common.high
    return {
        "overlap_low": common.low if is_there else math.nan,
        "overlap_high": common.high if is_there else math.nan,
        "overlap_of_anchor": common.share,
        "overlap_of_test": overlap(*ranges[::-1]).share,
    }
