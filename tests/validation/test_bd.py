"""Bjøntegaard deltas against the ``bjontegaard`` package and against closed forms.

All three of the package's methods are ours: cubic (least squares for more than four points), PCHIP
and Akima. It differs in what it does not refuse: it measures the overlap against both ranges
together, and warns where we raise; it takes curves that are not monotone where its interpolator
does (cubic always does); Akima through two points is a straight line there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.results.bd import METHODS, bd_metric, bd_rate

Array = NDArray[np.float64]
CURVES = 200


def _curve(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    rate = np.cumprod(rng.uniform(1.2, 2.5, count)) * rng.uniform(900, 1100)
    return rate, 30 + rng.uniform(-0.5, 0.5) + np.cumsum(rng.uniform(0.5, 2.5, count))


def _pairs(seed: int) -> Iterator[tuple[Array, Array, Array, Array]]:
    rng = np.random.default_rng(seed)
    for _ in range(CURVES):
        count = int(rng.integers(4, 9))
        yield *_curve(rng, count), *_curve(rng, count)


@pytest.mark.parametrize("method", METHODS)
def test_rates_and_metrics_agree_with_the_package(method: str) -> None:
    from bjontegaard import bd_psnr
    from bjontegaard import bd_rate as package_rate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns below 75 % of overlap
        for curves in _pairs(5):
            rate = bd_rate(*curves, method, min_overlap=0)
            metric = bd_metric(*curves, method, min_overlap=0)
            assert rate == pytest.approx(package_rate(*curves, method=method), abs=1e-6, rel=1e-6)
            assert metric == pytest.approx(bd_psnr(*curves, method=method), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.3])
def test_rates_scaled_by_c_are_a_bd_rate_of_c_minus_one(method: str, factor: float) -> None:
    """log10(c r) = log10 c + log10 r: r_test(m) - r_anchor(m) = log10 c everywhere."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        rate, metric = _curve(rng, 5)
        found = bd_rate(rate, metric, factor * rate, metric, method)
        assert found == pytest.approx(100 * (factor - 1), abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_metric_raised_by_one_is_a_bd_metric_of_one(method: str) -> None:
    rate, metric = _curve(np.random.default_rng(7), 6)
    assert bd_metric(rate, metric, rate, metric + 1, method) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_straight_lines_have_the_mean_of_their_distance(method: str) -> None:
    """log10 r = m / 10 against m / 10 + m / 100: the mean over m in [10, 30] is 20 / 100."""
    metric = np.linspace(10, 30, 5)
    anchor, test = 10 ** (metric / 10), 10 ** (metric / 10 + metric / 100)
    found = bd_rate(anchor, metric, test, metric, method)
    assert found == pytest.approx(100 * (10**0.2 - 1), rel=1e-9)
