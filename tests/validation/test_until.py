"""Validation: intervals of replications that end when they are narrow enough still cover.

A toy simulation: replications of independent exponential or Bernoulli values or of an M/M/1 queue's
response times, estimated, judged and continued by the same functions as a run. The 95 % intervals
at the end must hold the truth in 92 to 98 % of 200 repetitions (fixed seeds; standard error 1.5 %).

Why `simsplit.study.until.MINIMUM` is 10. Coverage of 400 repetitions (standard error 1.1 %) for a
first look at so many replications, over the targets below, which take 40 to 53 replications:

    first look at        2              3              5              10             20
    covered         91.8 to 97.5   95.8 to 96.8   95.2 to 97.2   95.2 to 97.2   95.8 to 97.0 %

Where two replications happen to agree, the naive rule ends at once (means: 92 %). Shares and tails
do not fall for it: their intervals know how many requests they rest on. What is left at 10 is
skewness: an M/M/1 queue at load 0.5 over 200 requests per replication.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from simsplit.results.statistics import bounds_of, estimate, half_width
from simsplit.study.until import MINIMUM, Target, next_replications, unmet

REPETITIONS = 200
COLUMN = {None: "latency_s", 0.95: "latency_p95_s"}
Simulate = Callable[[int, int], np.ndarray]  # repetition, replication → values


def exponential(size: int, repetition: int, replication: int) -> np.ndarray:
    return np.random.default_rng((5, repetition, replication)).exponential(1.0, size)


def bernoulli(size: int, repetition: int, replication: int) -> np.ndarray:
    return 1.0 * (np.random.default_rng((6, repetition, replication)).random(size) < 0.8)


def queue_means(repetitions: int, replications: int, size: int, load: float) -> np.ndarray:
    """Mean response times of M/M/1 queues (service rate 1): (repetitions, replications).

    Lindley's recursion from the stationary wait: 0 with probability 1 - load, else
    exponential(1 - load); the response time's mean is 1 / (1 - load).
    """
    rng, shape = np.random.default_rng(8), (repetitions, replications)
    wait = rng.exponential(1 / (1 - load), shape) * (rng.random(shape) < load)
    total = np.zeros(shape)
    for _ in range(size):
        response = wait + rng.exponential(1.0, shape)
        total += response
        wait = np.maximum(0.0, response - rng.exponential(1 / load, shape))
    return total / size


def stopped(
    simulate: Simulate, target: Target, quantile: float | None, minimum: int, repetition: int
) -> tuple[dict, int]:
    """KPI and number of replications where the rule ends."""
    count, parts = minimum, []
    while True:
        parts += [simulate(repetition, r) for r in range(len(parts), count)]
        names = np.repeat(np.arange(count), [part.size for part in parts])
        column = COLUMN[quantile] if target.kpi != "delivered" else "delivered"
        values, bounds = np.concatenate(parts), bounds_of(column)
        kpi = estimate(values, names, replicated=True, quantile=quantile, bounds=bounds)
        row = {"operating_point": "toy", "replications": count, column: kpi["mean"]}
        row |= {f"{column}_ci_low": kpi["ci_low"], f"{column}_ci_high": kpi["ci_high"]}
        wanted = next_replications(count, [row], [target], 100_000)
        if wanted == count:
            assert unmet([row], [target]) == []
            return kpi, count
        count = wanted


def coverage(
    simulate: Simulate, target: Target, quantile: float | None, truth: float, minimum: int = MINIMUM
) -> tuple[float, float]:
    """Share of the intervals that hold the truth; mean number of replications."""
    found = [stopped(simulate, target, quantile, minimum, i) for i in range(REPETITIONS)]
    held = [kpi["ci_low"] <= truth <= kpi["ci_high"] for kpi, _ in found]
    return float(np.mean(held)), float(np.mean([count for _, count in found]))


TOYS = {
    "absolute": (partial(exponential, 100), Target("latency_s", 0.035), None, 1.0),
    "relative": (partial(exponential, 100), Target("latency_s", 0.03, True), None, 1.0),
    "p95": (partial(exponential, 100), Target("latency_s.p95", 0.15), 0.95, math.log(20)),
    "bernoulli": (partial(bernoulli, 20), Target("delivered", 0.03), None, 0.8),
}


@pytest.mark.parametrize("name", TOYS)
def test_intervals_at_the_end_cover(name: str) -> None:
    simulate, target, quantile, truth = TOYS[name]
    share, count = coverage(simulate, target, quantile, truth)
    assert count > 1.5 * MINIMUM  # there was something to stop
    assert 0.92 <= share <= 0.98, (share, count)


def test_a_share_of_replications_that_happen_to_agree_does_not_end_at_once() -> None:
    """Two replications of the same accuracy have no spread, and yet an interval."""
    simulate, target, quantile, truth = TOYS["bernoulli"]
    share, _ = coverage(simulate, target, quantile, truth, minimum=2)
    assert share >= 0.92


def test_stopping_costs_a_skewed_queue_little_coverage() -> None:
    """Response times at load 0.5, 200 requests per replication: skewed means, a relative target.

    Against intervals of 30 replications, fixed in advance, of the same queues.
    """
    means = queue_means(1000, 120, size=200, load=0.5)

    def simulate(repetition: int, replication: int) -> np.ndarray:
        return means[repetition, replication : replication + 1]

    target, truth = Target("latency_s", 0.08, True), 1 / (1 - 0.5)
    ends = [stopped(simulate, target, None, MINIMUM, i) for i in range(len(means))]
    half = [half_width(row[:30]) for row in means]
    fixed = np.mean(np.abs(means[:, :30].mean(axis=1) - truth) <= half)
    share = np.mean([kpi["ci_low"] <= truth <= kpi["ci_high"] for kpi, _ in ends])
    assert 25 < np.mean([count for _, count in ends]) < 40
    assert 0.925 < fixed < 0.96 and fixed - 0.03 < share < fixed + 0.01, (share, fixed)


def test_the_number_is_what_a_normal_interval_of_known_spread_needs() -> None:
    """n = (z sigma / d)^2 (Chow & Robbins 1965); safety, t quantile and skewness add to it."""
    simulate, target, quantile, truth = TOYS["absolute"]
    _, count = coverage(simulate, target, quantile, truth)
    known = (1.96 * (1 / np.sqrt(100)) / 0.035) ** 2
    assert known <= count <= 1.35 * known
