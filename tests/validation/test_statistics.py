"""The 95 % intervals cover a known truth about 95 % of the time, correlation or not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.statistics import estimate

pytestmark = pytest.mark.slow
REPETITIONS = 200


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


def test_batch_means_cover_ar1_where_plain_t_fails() -> None:
    rng = np.random.default_rng(9)
    names = np.zeros(4000, int)
    hits = plain = 0
    for _ in range(REPETITIONS):
        series = ar1(rng, 4000)
        hits += covered(estimate(series, names, replicated=False), 5)
        plain += abs(series.mean() - 5) < 1.96 * series.std(ddof=1) / np.sqrt(series.size)
    assert 0.90 <= hits / REPETITIONS <= 0.98
    assert plain / REPETITIONS < 0.6
