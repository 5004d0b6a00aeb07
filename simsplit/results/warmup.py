"""Warm-up detection by MSER-5: how much of a run's beginning should be left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import NothingThere, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pandas import DataFrame

    from simsplit.scenario.scenario import Scenario

    Array = NDArray[np.float64]


BATCH = 5
FEWEST_BATCHES = 10
NO_STEADY_STATE = "no steady state found"
WHOLE = "whole way"
SPANS = {  # station → from, to: what a request spent there, waiting included
    WHOLE: ("arrival_s", "closed_s"),
    "device": ("arrival_s", "device_end_s"),
    "radio": ("device_end_s", "radio_end_s"),
    "edge": ("edge_arrival_s", "edge_end_s"),
}


@dataclass(frozen=True, slots=True)
class Truncation:
    """What MSER-5 leaves out of a series.

    Attributes:
        rows: Values to leave out at the beginning (a multiple of 5).
        steady: False: the minimum lies at the end of the allowed range, no steady state found.
        standard_error: Of the mean of what remains, as if its batch means were independent.
        batches: Batches of 5 that the series has.
    """

    rows: int
    steady: bool
    standard_error: float
    batches: int


def mser5(values: Sequence[float] | Array) -> Truncation:
    """Truncation point of a series, (N,) finite values in order of time.

    With Y_1 … Y_k the means of k = N // 5 consecutive batches of 5, the truncation point is

        d* = argmin_d  1 / (k - d)^2  sum_{j > d} (Y_j - Ybar_{k,d})^2,    0 <= d <= k / 2

    (the smallest such d). A minimum at the last d says that the series has no steady state, or that
    the run is too short to show it. K. P. White, "An effective truncation heuristic for bias
    reduction in simulation output", Simulation 69(6), 1997; W. W. Franklin and K. P. White,
    "Stationarity tests and MSER-5", Winter Simulation Conference 2008.

    Raises:
        ScenarioError: Fewer than 10 batches, or values that are not finite.
    """
    series = np.asarray(values, float)
    if not np.isfinite(series).all():
        raise ScenarioError("a series for MSER-5 must be finite")
    batches = series.size // BATCH
    if batches < FEWEST_BATCHES:
        message = f"MSER-5 needs at least {BATCH * FEWEST_BATCHES} values"
        raise ScenarioError(message, value=int(series.size))
    means = series[: BATCH * batches].reshape(batches, BATCH).mean(axis=1)
    squared = _squared_errors(means, batches // 2)
    best = int(np.argmin(squared))
    steady = best < squared.size - 1
    return Truncation(BATCH * best, steady, math.sqrt(squared[best]), batches)


def _squared_errors(means: Array, last: int) -> Array:
    """The MSER statistic of every d = 0 … last."""
    centred = means - means[last:].mean()  # what always stays is near 0: sums lose no digits
    left = np.arange(means.size, 0, -1)
    totals = np.cumsum(centred[::-1])[::-1]
    spread = np.cumsum(centred[::-1] ** 2)[::-1] - totals**2 / left
    rounding = left * (1e-9 * np.abs(means).max()) ** 2
    spread[spread < rounding] = 0.0  # constant up to rounding, which must not choose d
    return np.asarray((spread / left**2)[: last + 1])


# --- a run ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The warm-up that one group of devices needs at one station.

    Attributes:
        n: Requests of the series (of the mean over replications: its length).
        replications: Replications that the series is the mean of.
        warmup_s: Arrival of the first request that stays; None: ``reason`` says why.
        single_s: The same of each replication by itself, where it has a steady state.
    """

    group: str
    station: str
    n: int
    replications: int
    warmup_s: float | None
    reason: str = ""
    single_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Warmup:
    """Suggestions of a run; ``warmup_s`` is the longest of any group's whole way.

    It is None where a whole way has no steady state. Stations say where a transient comes from.
    """

    suggestions: tuple[Suggestion, ...]
    warmup_s: float | None
    present_s: float
    duration_s: float

    @property
    def unsteady(self) -> list[Suggestion]:
        """Series without a steady state, whole ways first."""
        items = [one for one in self.suggestions if one.reason == NO_STEADY_STATE]
        return sorted(items, key=lambda one: one.station != WHOLE)

    @property
    def overrides(self) -> list[str]:
        """What to say after ``--set``; empty if the scenario's warm-up is long enough."""
        if self.warmup_s is None or self.warmup_s <= self.present_s:
            return []
        return [f"warmup_s={self.warmup_s:g}"]

    @property
    def notes(self) -> list[str]:
        """What to do."""
        names = ", ".join(f"{item.group} ({item.station})" for item in self.unsteady)
        if self.warmup_s is None:
            return [
                f"no suggestion: the minimum lies at the end of the first half for {names}: "
                f"run longer than {self.duration_s:g} s, or the station is overloaded"
            ]
        longest = f"longest warm-up of a whole way: {self.warmup_s:g} s"
        if self.overrides:
            advice = f"{longest}, the scenario has {self.present_s:g}: --set {self.overrides[0]}"
        else:
            advice = f"{longest}; the scenario's warmup_s {self.present_s:g} is long enough"
        notes = [advice]
        if names:
            notes.append(f"no steady state, without effect on the whole way: {names}")
        if max(item.replications for item in self.suggestions) == 1:
            notes.append("one run tells a transient badly from noise: better --replications 10")
        return notes


def suggest_warmup(scenario: Scenario, requests: DataFrame) -> Warmup:
    """MSER-5 per group and station over the seconds that requests spent there, by arrival.

    With several replications over their mean, request by request (Welch's averaging: a transient
    is common to all, noise is not), which ends with the shortest. Requests that did not pass a
    station are left out of its series. The suggestion is rounded up to three digits.

    One run shows a backlog that is worked off, but hardly a busy queue that fills: with M/M/1 at
    rho = 0.9 from empty, 3,000 waits and W_q = 9.0, the mean of what stays is 8.0 in single runs
    (of all waits: 8.7) and 8.9 in the mean of 50 (tests/validation/test_warmup.py).

    Raises:
        ScenarioError: No series is long enough.
    """
    suggestions = tuple(_suggestions(scenario, requests))
    whole = [item for item in suggestions if item.station == WHOLE]
    warmups_s = [item.warmup_s for item in whole if item.warmup_s is not None]
    unsteady = any(item.reason == NO_STEADY_STATE for item in whole)
    if requests["latency_s"].isna().all():
        raise NothingThere("no request was answered")
    if not warmups_s and not unsteady:
        message = f"no group has {BATCH * FEWEST_BATCHES} answered requests: run longer"
        raise ScenarioError(message, path="duration_s", value=scenario.duration_s)
    longest = None if unsteady else _rounded_up(max(warmups_s))
    return Warmup(suggestions, longest, scenario.warmup_s, scenario.duration_s)


def _suggestions(scenario: Scenario, requests: DataFrame) -> Iterator[Suggestion]:
    ordered = requests.sort_values(["arrival_s", "request_id"], kind="stable")
    for group in [spec.name for spec in scenario.devices]:
        rows = ordered[ordered["group"] == group]
        for station, span in SPANS.items():
            series = [_series(part, *span) for _, part in rows.groupby("replication")]
            series = [(time_s, spent_s) for time_s, spent_s in series if spent_s.size]
            if series:
                yield _suggestion(group, station, series)


def _series(rows: DataFrame, start: str, end: str) -> tuple[Array, Array]:
    """Arrival times and seconds spent, of the requests that were there."""
    spent_s: Any = (rows[end] - rows[start]).to_numpy(float)
    there = np.isfinite(spent_s)
    return rows["arrival_s"].to_numpy(float)[there], spent_s[there]


def _suggestion(group: str, station: str, series: list[tuple[Array, Array]]) -> Suggestion:
    length = min(spent_s.size for _, spent_s in series)
    if length < BATCH * FEWEST_BATCHES:
        return Suggestion(group, station, length, len(series), None, "too few requests")
    time_s, spent_s = (np.mean([one[i][:length] for one in series], axis=0) for i in (0, 1))
    warmup_s = _truncated_s(time_s, spent_s)
    single = [_truncated_s(*one) for one in series]
    return Suggestion(
        group,
        station,
        length,
        len(series),
        warmup_s,
        NO_STEADY_STATE if warmup_s is None else "",
        tuple(one for one in single if one is not None),
    )


def _truncated_s(time_s: Array, spent_s: Array) -> float | None:
    """Arrival of the first request that stays; 0 if all stay, None without a steady state."""
    truncation = mser5(spent_s)
    if not truncation.steady:
        return None
    return float(time_s[truncation.rows]) if truncation.rows else 0.0


def _rounded_up(seconds: float) -> float:
    """Three significant digits, never less than before."""
    if seconds == 0:
        return 0.0
    digits = 2 - math.floor(math.log10(seconds))
    return float(round(math.ceil(seconds * 10.0**digits) / 10.0**digits, max(0, digits)))
