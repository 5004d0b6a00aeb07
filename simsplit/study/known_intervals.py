"""Known answers of `simsplit validate`: what intervals and pooled statistics say of known laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simsplit.results.intervals import SHARE, student_t
from simsplit.results.statistics import estimate
from simsplit.study.worlds import Case, exact_case, interval_case

SECONDS = (0.0, math.inf)


def tail_of_short_replications() -> list[Case]:
    """The p99 of exponential values is ln 100, however few of them a replication has."""
    rng, names = np.random.default_rng(20261), np.repeat(np.arange(100), 200)
    tails = [
        estimate(
            rng.exponential(1.0, names.size), names, replicated=True, quantile=0.99, bounds=SECONDS
        )["mean"]
        for _ in range(40)
    ]
    return [interval_case("p99 of 100 x 200 exponential values", "ln 100", math.log(100), tails)]


def no_loss() -> list[Case]:
    """Of none in n the upper end is 1 - 0.025^(1 / n*), n* = n (z / t)^2 (Clopper, Pearson)."""
    names, confidence = np.repeat(np.arange(10), 10), 0.95
    found = estimate(np.ones(100), names, replicated=True, bounds=SHARE)
    size = 100 * (student_t(math.inf, confidence) / student_t(9, confidence)) ** 2
    formula = "1 - 0.025^(1 / n), n = 100 (z / t)^2"
    measured = 1 - found["ci_low"]
    return [exact_case("no loss in 100: upper end", formula, 1 - 0.025 ** (1 / size), measured)]


CASES: tuple[Callable[[], list[Case]], ...] = (tail_of_short_replications, no_loss)
