"""BD-rates of curves whose true delta is known by an integral, on the ladder that is measured.

A task's metric saturates with the rate, as m(r) = M - a r^(-p): then log10 r(m) =
log10(a / (M - m)) / p, whose mean over [m1, m2] is known in closed form (the integral of log x).
Bjøntegaard, VCEG-M33, takes a cubic through four points; through the dozen of our ladder its least
squares bend where the interpolations do not, which is why the study says both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from simsplit.results.bd import Curve, bd_rate, misfit_percent

LogRate = Callable[[Any], Any]
TOP_BITS = 80_000.0
# as the rungs lie: PNG and JPEG 95 … 10 over a decade, PNG's share of the bits first
SHARES = np.array([1.0, 0.88, 0.67, 0.55, 0.47, 0.38, 0.32, 0.28, 0.24, 0.21, 0.16, 0.10])


def _curve(limit: float, scale: float, power: float, top_bits: float = TOP_BITS) -> Curve:
    rate = top_bits * SHARES
    return Curve(rate.tolist(), (limit - scale * (rate / TOP_BITS) ** -power).tolist())


def _mean_log_rate(limit: float, scale: float, power: float, low: float, high: float) -> float:
    """Of log10(a / (M - m)) / p over [low, high], by the integral x ln x - x."""

    def whole(metric: float) -> float:
        x = limit - metric
        return x * math.log(x) - x

    mean_log = (whole(low) - whole(high)) / (high - low)
    return (math.log10(scale) - mean_log / math.log(10)) / power


def _true_bd_rate(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    curves = [_curve(*constants) for constants in (one, other)]
    low = max(min(curve.metric) for curve in curves)
    high = min(max(curve.metric) for curve in curves)
    exponent = _mean_log_rate(*other, low, high) - _mean_log_rate(*one, low, high)
    return 100 * (10**exponent - 1)


PAIRS = [
    ((0.61, 0.004, 0.9), (0.61, 0.003, 0.9)),
    ((0.61, 0.004, 0.9), (0.608, 0.002, 1.1)),
    ((0.60, 0.010, 0.6), (0.605, 0.012, 0.7)),
    ((22.3, 0.25, 0.8), (22.2, 0.20, 0.75)),
]


@pytest.mark.parametrize("method", ["pchip", "akima"])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_interpolations_find_the_true_bd_rate_of_saturating_curves(
    one: tuple[float, float, float], other: tuple[float, float, float], method: str
) -> None:
    anchor, test = _curve(*one), _curve(*other)
    found = bd_rate(anchor.rate, anchor.metric, test.rate, test.metric, method)
    assert found == pytest.approx(_true_bd_rate(one, other), abs=0.5)
    assert abs(found) > 3


def test_the_closed_form_is_the_integral() -> None:
    grid = np.linspace(0.57, 0.605, 200_001)
    mean = float(np.mean(np.log10(0.004 / (0.61 - grid)) / 0.9))
    assert _mean_log_rate(0.61, 0.004, 0.9, 0.57, 0.605) == pytest.approx(mean, abs=1e-4)


def _log_rate(constants: tuple[float, float, float]) -> LogRate:
    """log10 of the rate at a metric: the curve turned round."""
    limit, scale, power = constants
    return lambda metric: math.log10(TOP_BITS) + np.log10(scale / (limit - metric)) / power


def _bd_rate_by_quadrature(anchor: Curve, test: Curve, one: LogRate, other: LogRate) -> float:
    """VCEG-M33: the mean difference of log10 rates over the metrics that both curves reach."""
    low = max(min(anchor.metric), min(test.metric))
    high = min(max(anchor.metric), max(test.metric))
    area, _ = quad(lambda metric: float(other(metric) - one(metric)), low, high, limit=200)
    return 100 * (10 ** (area / (high - low)) - 1)


# mean IoU of small networks trained on streets, as near as this form comes
SATURATED = (0.6075, 0.0006, 1.75), (0.6065, 0.0006, 2.2)


def test_a_cubic_through_a_saturated_ladder_is_far_off_where_interpolations_are_not() -> None:
    """Exact points, no noise: nothing but the shape of the cubic is at fault."""
    anchor, test = (_curve(*constants) for constants in SATURATED)
    truth = _true_bd_rate(*SATURATED)
    found = {
        method: bd_rate(anchor.rate, anchor.metric, test.rate, test.metric, method)
        for method in ("cubic", "pchip", "akima")
    }
    by_quadrature = _bd_rate_by_quadrature(anchor, test, *map(_log_rate, SATURATED))
    assert truth == pytest.approx(by_quadrature, abs=0.01)
    assert found["akima"] == pytest.approx(truth, abs=1.5)
    assert found["pchip"] == pytest.approx(truth, abs=1.5)
    cubics = [np.poly1d(np.polyfit(c.metric, np.log10(c.rate), 3)) for c in (anchor, test)]
    expected = _bd_rate_by_quadrature(anchor, test, *cubics)
    assert found["cubic"] == pytest.approx(expected, abs=0.01)
    assert expected < truth - 30
    misfit = 10 ** np.abs(cubics[0](anchor.metric) - np.log10(anchor.rate)).max() - 1
    assert misfit_percent(anchor, "cubic") == pytest.approx(100 * misfit, rel=1e-6)
    assert misfit > 0.15 and misfit_percent(anchor, "akima") == 0
