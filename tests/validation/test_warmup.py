"""MSER-5 against series with a known transient: what it leaves out, and the bias that remains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simsplit.results.warmup import mser5

Array = NDArray[np.float64]
REPLICATIONS = 200


def _ar1(rng: np.random.Generator, n: int, phi: float = 0.5) -> Array:
    """(200, n) stationary AR(1) series of mean 0 and variance 1."""
    noise = rng.normal(size=(REPLICATIONS, n)) * np.sqrt(1 - phi**2)
    series = np.empty((REPLICATIONS, n))
    series[:, 0] = rng.normal(size=REPLICATIONS)
    for t in range(1, n):
        series[:, t] = phi * series[:, t - 1] + noise[:, t]
    return series


def _waits(rng: np.random.Generator, runs: int, n: int, rho: float, first: float = 0) -> Array:
    """(runs, n) waits of M/M/1 with mu = 1 by Lindley: W' = max(0, W + S - A)."""
    service, gap = rng.exponential(1, (runs, n)), rng.exponential(1 / rho, (runs, n))
    waits = np.full((runs, n), float(first))
    for i in range(1, n):
        waits[:, i] = np.maximum(0, waits[:, i - 1] + service[:, i - 1] - gap[:, i])
    return waits


def _truncated(series: Array) -> tuple[Array, Array]:
    """Rows left out of each series, and the mean of what remains."""
    rows = np.array([mser5(one).rows for one in series])
    means = [one[first:].mean() for one, first in zip(series, rows, strict=True)]
    return rows, np.array(means)


def _interval(values: Array) -> tuple[float, float]:
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - half), float(values.mean() + half)


def test_an_exponential_transient_is_left_out() -> None:
    """x_t = 5 exp(-t / tau) + AR(1): the whole mean is off by 5 tau / n = 0.15.

    At t the transient is worth leaving out while it stands out of what remains: after 1 to 4 tau.
    """
    n, tau = 2000, 60
    transient = 5 * np.exp(-np.arange(n) / tau)
    series = _ar1(np.random.default_rng(1), n) + transient
    rows, means = _truncated(series)
    low, high = np.quantile(rows, [0.05, 0.95])
    assert tau <= low < high <= 4 * tau
    assert 1.5 * tau <= np.median(rows) <= 3 * tau
    whole_low, whole_high = _interval(series.mean(axis=1))
    assert whole_low <= 5 * tau / n <= whole_high
    assert _interval(means)[1] < whole_low / 4


def test_a_stationary_series_loses_little() -> None:
    series = _ar1(np.random.default_rng(2), 1000)
    rows, means = _truncated(series)
    assert rows.mean() < 0.03 * 1000
    assert all(mser5(one).steady for one in series)
    low, high = _interval(means)
    assert low <= 0 <= high


def test_a_series_that_grows_has_no_steady_state() -> None:
    """An overloaded queue: waiting grows by (rho - 1) / rho per request."""
    waits = _waits(np.random.default_rng(3), 50, 2000, rho=1.5)
    assert not any(mser5(one).steady for one in waits)


def test_an_empty_queue_that_fills() -> None:
    """M/M/1 at rho = 0.9 from empty, mean over 50 runs: W_q = rho / (mu - lambda) = 9."""
    rho, runs, n = 0.9, 50, 3000
    waits = _waits(np.random.default_rng(4), 40 * runs, n, rho)
    series = waits.reshape(40, runs, n).mean(axis=1)
    rows, means = _truncated(series)
    whole, theory = series.mean(axis=1), rho / (1 - rho)
    assert _interval(whole)[1] < theory
    assert _interval(means - whole)[0] > 0
    assert abs(means.mean() - theory) < 0.75 * abs(whole.mean() - theory)
    assert 50 <= np.median(rows) <= 500  # the queue relaxes with 1 / (1 - sqrt(rho))^2 = 380


def test_single_runs_of_a_queue_that_fills_are_not_helped() -> None:
    """Empty is such a queue's likeliest state: where one run is calm, MSER-5 calls that steady."""
    waits = _waits(np.random.default_rng(6), 1000, 3000, 0.9)
    _, means = _truncated(waits)
    assert _interval(means)[1] < _interval(waits.mean(axis=1))[0] < 9


def test_a_backlog_that_is_worked_off() -> None:
    """M/M/1 at rho = 0.9 that starts with a wait of 200: gone after 200 rho / (1 - rho) requests.

    Here single runs show the transient.
    """
    rho, n = 0.9, 10_000
    series = _waits(np.random.default_rng(5), 100, n, rho, first=200.0)
    rows, means = _truncated(series)
    theory = rho / (1 - rho)
    assert 0.5 <= np.median(rows) / (200 * rho / (1 - rho)) <= 1.5
    assert abs(means.mean() - theory) < abs(series.mean() - theory) / 5
