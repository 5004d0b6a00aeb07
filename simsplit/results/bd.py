"""Bjøntegaard deltas: how much rate, or quality, one rate-distortion curve saves over another.

G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001
(``cubic``); JVET-T2010, "VTM common test conditions", 2020 (``pchip``); C. Herglotz et al., "Beyond
Bjøntegaard: limits of video compression performance comparisons", ICIP 2022 (``akima``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.kpis import non_dominated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


METHODS = ("cubic", "pchip", "akima")
FEWEST_POINTS = {"cubic": 4, "pchip": 2, "akima": 3}
MIN_OVERLAP = 0.5  # of the anchor's range; below it the mean describes an edge of the curves


@dataclass(frozen=True, slots=True)
class Overlap:
    """Where both curves are defined, and the share of the anchor's range that this is."""

    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True)
class Delta:
    """One method's deltas; None where there is none, with the reason."""

    method: str
    rate_percent: float | None
    metric: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A rate-distortion curve: (N,) rates > 0 and (N,) metrics, in any order, and their names."""

    rate: Sequence[float]
    metric: Sequence[float]
    name: str = ""
    rate_name: str = "rate"
    metric_name: str = "metric"


@dataclass(frozen=True, slots=True)
class Compared:
    """A test curve against its anchor."""

    anchor: Curve
    test: Curve
    deltas: tuple[Delta, ...]

    @property
    def reasons(self) -> list[str]:
        """Why deltas are missing."""
        return list(dict.fromkeys(reason for delta in self.deltas for reason in delta.reasons))

    @property
    def notes(self) -> list[str]:
        """How far the curves overlap, and why deltas are missing."""
        if all(delta.rate_percent is None and delta.metric is None for delta in self.deltas):
            return self.reasons
        shared = [
            f"common {name}: {common.low:.5g} … {common.high:.5g}, "
            f"{100 * common.share:.3g} % of the anchor's range"
            for name, common in overlaps(self.anchor, self.test).items()
            if common.share > 0
        ]
        return shared + self.reasons


def bd_rate(
    rate_anchor: Sequence[float],
    metric_anchor: Sequence[float],
    rate_test: Sequence[float],
    metric_test: Sequence[float],
    method: str = "akima",
    min_overlap: float = MIN_OVERLAP,
) -> float:
    """Mean rate difference at equal metric in per cent; negative: the test curve needs less.

    With r(m) the interpolated log10 rate and [a, b] the metrics that both curves reach,

        BD rate = 100 (10^(1/(b - a) int_a^b (r_test(m) - r_anchor(m)) dm) - 1)

    The metric may rise or fall with the rate (errors), strictly, and alike on both curves.

    Raises:
        ScenarioError: Too few points, a curve that is not monotone, or too little overlap.
    """
    anchor = _checked(rate_anchor, metric_anchor, "anchor", method, strict=True)
    test = _checked(rate_test, metric_test, "test", method, strict=True)
    _same_direction(anchor, test)
    mean = _mean_difference(_turned(anchor), _turned(test), method, min_overlap, "metric")
    return 100 * (10**mean - 1)


def bd_metric(
    rate_anchor: Sequence[float],
    metric_anchor: Sequence[float],
    rate_test: Sequence[float],
    metric_test: Sequence[float],
    method: str = "akima",
    min_overlap: float = MIN_OVERLAP,
) -> float:
    """Mean metric difference (test - anchor) at equal rate, over log10 rate, in the metric's unit.

    The classical BD-PSNR (VCEG-M33) where the metric is a PSNR. Unlike for `bd_rate` the metric may
    stay the same from one rate to the next.

    Raises:
        ScenarioError: Too few points, a curve that is not monotone, or too little overlap.
    """
    anchor = _checked(rate_anchor, metric_anchor, "anchor", method, strict=False)
    test = _checked(rate_test, metric_test, "test", method, strict=False)
    _same_direction(anchor, test)
    return _mean_difference(anchor, test, method, min_overlap, "rate")


def deltas(anchor: Curve, test: Curve, min_overlap: float = MIN_OVERLAP) -> list[Delta]:
    """Both deltas by every method, one after the other, with the reason where there is none."""
    return [_delta(anchor, test, method, min_overlap) for method in METHODS]


def compared(pairs: Sequence[tuple[Curve, Curve]], min_overlap: float) -> list[Compared]:
    """Deltas of pairs (anchor, test), and how far they overlap.

    Raises:
        ScenarioError: There is not a single delta.
    """
    comparisons = [Compared(*pair, tuple(deltas(*pair, min_overlap))) for pair in pairs]
    if all(one.notes == one.reasons for one in comparisons):
        raise ScenarioError("; ".join(comparisons[0].reasons))
    return comparisons


def _delta(anchor: Curve, test: Curve, method: str, min_overlap: float) -> Delta:
    curves = (anchor.rate, anchor.metric, test.rate, test.metric)
    rate, no_rate = _tried(lambda: bd_rate(*curves, method, min_overlap))
    metric, no_metric = _tried(lambda: bd_metric(*curves, method, min_overlap))
    return Delta(method, rate, metric, tuple(dict.fromkeys(no_rate + no_metric)))


def _tried(compute: Callable[[], float]) -> tuple[float | None, tuple[str, ...]]:
    try:
        return compute(), ()
    except ScenarioError as error:
        return None, (str(error),)


def overlaps(anchor: Curve, test: Curve) -> dict[str, Overlap]:
    """Common metrics and rates by their names; of rates the share is one of the log range."""
    common_metric = overlap(np.asarray(anchor.metric, float), np.asarray(test.metric, float))
    rates = [np.log10(np.asarray(curve.rate, float)) for curve in (anchor, test)]
    logs = overlap(*rates)
    common = Overlap(10**logs.low, 10**logs.high, logs.share)
    return {anchor.metric_name: common_metric, anchor.rate_name: common}


def overlap(anchor: Array, test: Array) -> Overlap:
    """Interval common to the ranges of two sets of numbers; share 0 if there is none."""
    low, high = max(anchor.min(), test.min()), min(anchor.max(), test.max())
    whole = float(anchor.max() - anchor.min())
    share = max(0.0, float(high - low)) / whole if whole else 0.0
    return Overlap(float(low), float(high), share)


# --- curves -----------------------------------------------------------------------------------


def operational(curve: Curve, *, lower_is_better: bool = False) -> Curve:
    """The points that someone would use, by rising rate: those that no other point dominates.

    A point is left out if another one has at most its rate and at least its metric (at most, for
    an error), and is better in one of them; of equal points one stays. A measured curve doubles
    back where its metric saturates; the operational one is strictly monotone, as `bd_rate` needs.

    Raises:
        ScenarioError: A rate or a metric that is no number, or a rate that is not above 0.
    """
    rates, metrics = _numbers(curve.rate, curve.metric, curve.name or "curve")
    costs = np.column_stack([rates, metrics if lower_is_better else -metrics])
    kept = np.unique(np.column_stack([rates, metrics])[non_dominated(costs)], axis=0)
    return replace(curve, rate=kept[:, 0].tolist(), metric=kept[:, 1].tolist())


def misfit_percent(curve: Curve, method: str) -> float:
    """How far a method's curve passes by the curve's own points, at most, in per cent of the rate.

    0 for an interpolation. A cubic through more than four points is one by least squares; where it
    misses them by more than the rates differ, its delta says little.

    Raises:
        ScenarioError: See `bd_rate`.
    """
    log_rate, metric = _checked(
        curve.rate, curve.metric, curve.name or "curve", method, strict=True
    )
    if method != "cubic":
        return 0.0
    missed = np.abs(_cubic(metric, log_rate)(metric) - log_rate)
    return float(100 * (10 ** missed.max() - 1))


def _checked(
    rate: Sequence[float], metric: Sequence[float], name: str, method: str, *, strict: bool
) -> tuple[Array, Array]:
    """Log10 rates ascending and their metrics; points that are listed twice count once."""
    if method not in METHODS:
        raise ScenarioError("no such BD method", value=method, choices=METHODS)
    rates, metrics = _numbers(rate, metric, name)
    points = np.unique(np.column_stack([rates, metrics]), axis=0)
    if len(points) < FEWEST_POINTS[method]:
        message = f"no BD: {name}: {method} needs {FEWEST_POINTS[method]} different points"
        raise ScenarioError(message, value=len(points))
    _monotone(points[:, 0], points[:, 1], name, strict=strict)
    return np.log10(points[:, 0]), points[:, 1]


def _numbers(rate: Sequence[float], metric: Sequence[float], name: str) -> tuple[Array, Array]:
    rates, metrics = np.asarray(rate, float), np.asarray(metric, float)
    if rates.ndim != 1 or rates.shape != metrics.shape:
        message = f"no BD: {name}: as many rates as metrics are needed"
        raise ScenarioError(message, value=(rates.shape, metrics.shape))
    bad = ~(np.isfinite(rates) & np.isfinite(metrics) & (rates > 0))
    if bad.any():
        listed = _listed(rates[bad], metrics[bad])
        raise ScenarioError(f"no BD: {name}: rates must be above 0 and all finite, not {listed}")
    return rates, metrics


def _monotone(rates: Array, metrics: Array, name: str, *, strict: bool) -> None:
    """Refuse a curve that doubles back: no function could be integrated."""
    sign = _direction(metrics)
    steps = sign * np.diff(metrics)
    wrong = (np.diff(rates) <= 0) | ((steps <= 0) if strict else (steps < 0))
    if wrong.any():
        steps_at = [slice(i, i + 2) for i in np.flatnonzero(wrong)]
        at = [_listed(rates[step], metrics[step], " to ") for step in steps_at]
        way = "rise" if sign > 0 else "fall"
        kind = "strictly " if strict else ""
        message = f"no BD: {name}: the metric must {kind}{way} with the rate (rate, metric)"
        raise ScenarioError(f"{message}; it does not from {', from '.join(at)}")


def _direction(metrics: Array) -> int:
    return 1 if metrics[-1] >= metrics[0] else -1


def _same_direction(anchor: tuple[Array, Array], test: tuple[Array, Array]) -> None:
    if _direction(anchor[1]) != _direction(test[1]):
        raise ScenarioError(
            "no BD: the metric rises with the rate on one curve, falls on the other"
        )


def _listed(rates: Array, metrics: Array, between: str = ", ") -> str:
    pairs = zip(rates, metrics, strict=True)
    return between.join(f"({rate:g}, {metric:.6g})" for rate, metric in pairs)


def _turned(curve: tuple[Array, Array]) -> tuple[Array, Array]:
    """Log rate over metric instead of metric over log rate, ascending."""
    order = np.argsort(curve[1])
    return curve[1][order], curve[0][order]


# --- integrals --------------------------------------------------------------------------------


def _mean_difference(
    anchor: tuple[Array, Array],
    test: tuple[Array, Array],
    method: str,
    min_overlap: float,
    axis: str,
) -> float:
    common = overlap(anchor[0], test[0])
    _enough(common, anchor[0], test[0], min_overlap, axis)
    low, high = common.low, common.high
    difference = _integral(*test, method)(low, high) - _integral(*anchor, method)(low, high)
    return difference / (high - low)


def _enough(common: Overlap, anchor: Array, test: Array, wanted: float, axis: str) -> None:
    shown = (lambda x: 10**x) if axis == "rate" else float
    ranges = ", ".join(
        f"{name} {shown(numbers.min()):.4g} … {shown(numbers.max()):.4g}"
        for name, numbers in (("anchor", anchor), ("test", test))
    )
    if common.share <= 0:
        raise ScenarioError(f"no BD: the curves do not overlap in {axis}: {ranges}")
    if common.share < wanted and not math.isclose(common.share, wanted):
        scale = "logarithmic rate" if axis == "rate" else axis
        message = (
            f"no BD: the curves share {100 * common.share:.3g} % of the anchor's {scale} range"
        )
        raise ScenarioError(f"{message}, {100 * wanted:g} % are needed: {ranges}")


def _integral(x: Array, y: Array, method: str) -> Callable[[float, float], float]:
    """The integral between two bounds of the curve through (for > 4 points by cubic: near) y(x)."""
    if method == "cubic":
        whole = _cubic(x, y).integ()
        return lambda low, high: float(whole(high) - whole(low))
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    curve = PchipInterpolator(x, y) if method == "pchip" else Akima1DInterpolator(x, y)
    return lambda low, high: float(curve.integrate(low, high))


def _cubic(x: Array, y: Array) -> np.polynomial.Polynomial:
    return np.polynomial.Polynomial.fit(x, y, 3)
