"""The 95 % intervals cover a known truth about 95 % of the time, correlation or not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.results.statistics import estimate
from simsplit.study.coverage_toys import answers

REPETITIONS = 200
SHARE = (0.0, 1.0)
SECONDS = (0.0, math.inf)


def ar1(rng: np.random.Generator, n: int, phi: float = 0.9) -> NDArray[np.float64]:
    """Stationary AR(1) around 5: x_t = 5 + phi (x_{t-1} - 5) + e_t, e_t ~ N(0, 1)."""
    noise = rng.normal(size=n)
    series = np.empty(n)
    series[0] = noise[0] / np.sqrt(1 - phi**2)
    for t in range(1, n):
        series[t] = phi * series[t - 1] + noise[t]
    return 5 + series


def mm1_waits(rng: np.random.Generator, n: int, rho: float) -> NDArray[np.float64]:
    """Stationary M/M/1 waits by Lindley (mu = 1); started in the stationary law (1-rho, Exp)."""
    service, gap = rng.exponential(1, n), rng.exponential(1 / rho, n)
    waits = np.empty(n)
    waits[0] = rng.exponential(1 / (1 - rho)) if rng.random() < rho else 0.0
    for i in range(1, n):
        waits[i] = max(0.0, waits[i - 1] + service[i - 1] - gap[i])
    return waits


def covered(found: dict, truth: float) -> bool:
    return bool(found["ci_low"] <= truth <= found["ci_high"])


@pytest.mark.slow
def test_replications_cover_ar1() -> None:
    rng = np.random.default_rng(7)
    names = np.repeat(np.arange(10), 100)
    hits = sum(
        covered(
            estimate(np.concatenate([ar1(rng, 100) for _ in range(10)]), names, replicated=True), 5
        )
        for _ in range(REPETITIONS)
    )
    assert 0.92 <= hits / REPETITIONS <= 0.98


@pytest.mark.slow
def test_replications_cover_mm1() -> None:
    rng, rho = np.random.default_rng(8), 0.6
    names = np.repeat(np.arange(20), 400)
    hits = sum(
        covered(
            estimate(
                np.concatenate([mm1_waits(rng, 400, rho) for _ in range(20)]),
                names,
                replicated=True,
            ),
            rho / (1 - rho),
        )
        for _ in range(REPETITIONS)
    )
    assert 0.92 <= hits / REPETITIONS <= 0.98


@pytest.mark.slow
def test_batch_means_cover_ar1_where_plain_t_fails() -> None:
    rng = np.random.default_rng(9)
    names = np.zeros(4000, int)
    hits = plain = 0
    for _ in range(REPETITIONS):
        series = ar1(rng, 4000)
        hits += covered(estimate(series, names, replicated=False), 5)
        plain += abs(series.mean() - 5) < 1.96 * series.std(ddof=1) / np.sqrt(series.size)
    assert 0.92 <= hits / REPETITIONS <= 0.98
    assert plain / REPETITIONS < 0.6


def exponential_tail(runs: int, repetitions: int) -> tuple[float, float]:
    """Coverage and mean of the p99 of 200 exponential values per replication; truth ln 100."""
    rng, names = np.random.default_rng(10), np.repeat(np.arange(runs), 200)
    found = [
        estimate(
            rng.exponential(1.0, names.size), names, replicated=True, quantile=0.99, bounds=SECONDS
        )
        for _ in range(repetitions)
    ]
    hits = sum(covered(one, math.log(100)) for one in found)
    return hits / repetitions, float(np.mean([one["mean"] for one in found]))


@pytest.mark.parametrize("runs", [10, 100])
def test_tails_of_short_replications_do_not_get_worse_with_more_of_them(runs: int) -> None:
    """The mean of the replications' own p99 is 5 % low, whatever their number."""
    share, mean = exponential_tail(runs, 100)
    assert share >= 0.92
    assert mean == pytest.approx(math.log(100), rel=0.02)


@pytest.mark.parametrize(("p", "within"), [(0.9, 0.0), (0.998, 0.0), (0.9, 0.05), (0.99, 0.05)])
def test_shares_cover_and_stay_possible(p: float, within: float) -> None:
    rng, names, hits = np.random.default_rng(11), np.repeat(np.arange(20), 50), 0
    for _ in range(REPETITIONS):
        values = np.concatenate(answers(rng, 20, 50, p, within))
        found = estimate(values, names, replicated=True, bounds=SHARE)
        assert 0 <= found["ci_low"] < found["ci_high"] <= 1
        hits += covered(found, p)
    assert hits / REPETITIONS >= 0.92


def alike(rng: np.random.Generator, n: int, p: float, phi: float) -> NDArray[np.float64]:
    """A chain of 0 and 1 with share p: as the one before with probability phi, else drawn anew."""
    values = (rng.random(n) < p).astype(float)
    for index in np.flatnonzero(rng.random(n) < phi):
        values[index] = values[max(index - 1, 0)]
    return values


@pytest.mark.parametrize(("n", "width"), [(12, 0.8), (16, 0.75), (40, 0.55)])
@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_shares_of_a_few_rows_of_one_run_cover_and_say_something(
    n: int, width: float, phi: float
) -> None:
    """Two batches of 12 rows leave [0, 1]."""
    for p in (0.5, 0.8, 0.95):
        rng, hits, widths = np.random.default_rng(13), 0, 0.0
        for _ in range(REPETITIONS):
            values = alike(rng, n, p, phi)
            found = estimate(values, np.zeros(n, int), replicated=False, bounds=SHARE)
            hits += covered(found, p)
            widths += found["ci_high"] - found["ci_low"]
        assert hits / REPETITIONS >= 0.92
        assert widths / REPETITIONS < width


def test_means_of_a_few_bad_drops_cover() -> None:
    """Lognormal levels of sigma 0.7 in 20 replications; the plain t interval holds 87 %."""
    rng, names, sigma = np.random.default_rng(12), np.repeat(np.arange(20), 20), 0.7
    hits = 0
    for _ in range(2 * REPETITIONS):
        level = np.exp(rng.normal(0, sigma, (20, 1)))
        values = (level * rng.exponential(1.0, (20, 20))).ravel()
        found = estimate(values, names, replicated=True, bounds=SECONDS)
        hits += covered(found, math.exp(sigma**2 / 2))
    assert 0.92 <= hits / (2 * REPETITIONS) <= 0.98


def test_the_mean_is_that_of_all_requests() -> None:
    """Replications of 10 and 1000 requests: a request is as much worth in either."""
    values = np.concatenate([np.zeros(10), np.ones(1000), np.ones(10)])
    names = np.repeat([0, 1, 2], [10, 1000, 10])
    assert estimate(values, names, replicated=True)["mean"] == pytest.approx(1010 / 1020)
