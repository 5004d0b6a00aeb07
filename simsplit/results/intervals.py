"""Confidence intervals of means, shares and quantiles from pieces that are (nearly) independent.

A piece is a replication, or a batch of consecutive requests of one run. What varies within a piece
may be correlated in any way; everything here is learnt from how the pieces differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CONFIDENCE = 0.95
UNBOUNDED = (-math.inf, math.inf)
SHARE = (0.0, 1.0)
FEWEST_PIECES = 3  # for an effective number of answers; of 2 it is a guess
NOISE = 1e-12  # a correlation so near 1 is 1
ENOUGH = 100  # values beyond a level that tell its design effect
Ends = tuple[float, float]


@lru_cache(maxsize=256)
def student_t(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided Student t quantile, e.g. 2.262 for 9 degrees of freedom at 95 %."""
    special, level = _special(), 0.5 + confidence / 2
    return float(special.ndtri(level) if math.isinf(degrees) else special.stdtrit(degrees, level))


def _special() -> Any:
    import scipy.special

    return scipy.special


def pseudo_values(totals: Array, counts: Array) -> Array:
    """Jackknife pseudo-values ``(k,)`` of the ratio sum(totals) / sum(counts), k >= 2.

    k theta - (k - 1) theta_(-j), with theta_(-j) the ratio without piece j: for pieces of one size
    the piece's own mean. Their variance over k is the ratio's (Tukey 1958; Cochran, Sampling
    Techniques, section 6.17).
    """
    k = totals.size
    without = (totals.sum() - totals) / (counts.sum() - counts)
    return np.asarray(k * totals.sum() / counts.sum() - (k - 1) * without)


def mean_ends(mean: float, pseudo: Array, critical: float) -> Ends:
    """Interval of a mean by Student's t of its pseudo-values, longer where they are skewed.

    With s the standard error, g the sample skewness of the k pseudo-values and a = g / sqrt(k), the
    ends are mean - s max(t, h(t)) and mean + s max(t, -h(-t)), where

        h(x) = (3 / a) ((1 + a (x - a / 6))^(1/3) - 1),   h(x) = x for a = 0

    Hall, On the removal of skewness by transformation, J. R. Statist. Soc. B 54, 1992, eq. 2.2 (the
    monotone cubic). The plain interval misses too often where a few drops are far worse than most;
    the arm that Hall's shortens stays as it was, since the skewness of few pieces is a guess.

    Args:
        critical: Quantile t of Student's distribution.
    """
    k = pseudo.size
    error = float(pseudo.std(ddof=1)) / math.sqrt(k)
    tilt = _skewness(pseudo) / math.sqrt(k)
    down, up = max(critical, _bent(critical, tilt)), max(critical, -_bent(-critical, tilt))
    return mean - error * down, mean + error * up


def _skewness(values: Array) -> float:
    """Adjusted Fisher-Pearson coefficient of skewness; 0 of fewer than 3 or of equal values."""
    k, gaps = values.size, values - values.mean()
    spread = float((gaps**2).mean())
    if k < 3 or spread <= 1e-18 * float((values**2).mean()):
        return 0.0
    return float((gaps**3).mean() / spread**1.5) * math.sqrt(k * (k - 1)) / (k - 2)


def _bent(x: float, tilt: float) -> float:
    if abs(tilt) < 1e-9:
        return x
    return 3 / tilt * (float(np.cbrt(1 + tilt * (x - tilt / 6))) - 1)


def effective_size(share: float, variance: float, most: float) -> float:
    """Independent answers that a share's variance is worth: n* = p (1 - p) / v, at most ``most``.

    That where nothing varies: without a spread the design effect is taken as 1. Korn and Graubard,
    Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data, Survey Methodology 24, 1998.
    """
    if variance <= 0 or not 0 < share < 1:
        return most
    return min(most, share * (1 - share) / variance)


def share_ends(share: float, size: float, confidence: float) -> Ends:
    """Clopper-Pearson interval of a share over an effective number of answers; inside [0, 1].

    Of none in n the upper end is 1 - (alpha / 2)^(1 / n), about 3.7 / n.
    """
    tail, hits, inverse = (1 - confidence) / 2, share * size, _special().betaincinv
    rest = size - hits
    low = float(inverse(hits, rest + 1, tail)) if hits > 1e-9 else 0.0
    high = float(inverse(hits + 1, rest, 1 - tail)) if rest > 1e-9 else 1.0
    return low, high


def quantile_ranks(quantile: float, size: float, confidence: float) -> Ends | None:
    """Shares of a sample below which the q-quantile's two ends lie; None: the sample is too small.

    The l-th of n independent values lies below the q-quantile with probability I_q(l, n - l + 1);
    l and u make that 1 - alpha / 2 and alpha / 2, and l / (n + 1) and u / (n + 1) are the shares
    (order statistics; David and Nagaraja, Order Statistics, section 7.1; a real l interpolates).
    """
    tail, beta = (1 - confidence) / 2, _special().betainc

    def rank(chance: float) -> float:
        low, high = 1.0, size
        while high - low > 1e-9 * size:
            middle = (low + high) / 2
            low, high = (middle, high) if above(middle) > chance else (low, middle)
        return (low + high) / 2

    def above(rank: float) -> float:
        return float(beta(rank, size - rank + 1, quantile))

    if size < 2 or above(1.0) < 1 - tail or above(size) > tail:
        return None
    return rank(1 - tail) / (size + 1), rank(tail) / (size + 1)


@dataclass(frozen=True, slots=True)
class Estimated:
    """A mean, share or quantile over all values of all pieces, and how it varies.

    Attributes:
        centre: The statistic of all values pooled.
        pseudo: ``(k,)`` pseudo-values: of the mean; of a quantile, those of the share of values at
            or below it.
        variance: Of the centre; of a quantile, of the share at or below it.
        values: Of a quantile, all values in ascending order; else empty.
        size: How many values.
        bounds: Least and greatest possible value.
        is_counted: Every value is 0 or 1.
    """

    centre: float
    pseudo: Array
    variance: float
    values: Array
    size: int
    bounds: Ends
    quantile: float | None
    is_counted: bool

    def ends(self, degrees: float, confidence: float) -> Ends | None:
        """The interval with Student's t of so many degrees of freedom; None: too few values."""
        if self.has_too_few:
            return None
        critical = student_t(degrees, confidence)
        wider = (student_t(math.inf, confidence) / critical) ** 2
        if self.quantile is not None:
            return self._order_statistics(wider, confidence)
        low, high = mean_ends(self.centre, self.pseudo, critical)
        if self.bounds == SHARE and (self.is_counted or self._varies):
            size = effective_size(self.centre, self.variance, self._most)
            least, most = share_ends(self.centre, wider * size, confidence)
            low, high = min(low, least), max(high, most)
        return max(low, self.bounds[0]), min(high, self.bounds[1])

    @property
    def has_too_few(self) -> bool:
        """Too few pieces to tell how many independent answers a share or a quantile rests on."""
        rests = self.quantile is not None or self.bounds == SHARE
        return rests and self.pseudo.size < FEWEST_PIECES

    @property
    def _varies(self) -> bool:
        return float(self.pseudo.std()) > 1e-9 * abs(self.centre)

    @property
    def _most(self) -> float:
        return self.size if self.is_counted else math.inf

    def _order_statistics(self, wider: float, confidence: float) -> Ends | None:
        """Woodruff (1952): an interval of the share below, carried over to the values."""
        assert self.quantile is not None
        size = effective_size(self.quantile, self.variance, math.inf)
        ranks = quantile_ranks(self.quantile, min(self.size, wider * size), confidence)
        if ranks is None:
            return None
        places = np.array(ranks) * (self.size + 1) - 1
        low, high = np.interp(places, np.arange(self.size), self.values)
        return min(float(low), self.centre), max(float(high), self.centre)


def estimated(pieces: Sequence[Array], quantile: float | None, bounds: Ends) -> Estimated:
    """Mean or quantile over the values of two or more pieces, none of them empty."""
    values = np.concatenate(pieces)
    is_counted = bool(np.isin(values, (0.0, 1.0)).all())
    if quantile is not None:
        return _quantile(pieces, np.sort(values), quantile, bounds, is_counted)
    counts = np.array([piece.size for piece in pieces], float)
    pseudo = pseudo_values(np.array([piece.sum() for piece in pieces]), counts)
    centre, variance, nothing = float(values.mean()), _variance(pseudo), np.empty(0)
    return Estimated(centre, pseudo, variance, nothing, values.size, bounds, None, is_counted)


def _quantile(
    pieces: Sequence[Array], values: Array, quantile: float, bounds: Ends, is_counted: bool
) -> Estimated:
    """The design effect is that at the quantile, or at the next level if that has a larger one.

    The next level is the one beyond which `ENOUGH` values lie: the few beyond a tail tell little of
    how requests fare together, and least where a sample happens to miss what makes the tail.
    """
    centre = float(np.quantile(values, quantile))
    pseudo = _below(pieces, centre)
    effect = _variance(pseudo) / (quantile * (1 - quantile))
    rarer = min(quantile, 1 - quantile)
    next_ = min(0.5, ENOUGH / values.size)
    if next_ > rarer:
        level = next_ if quantile < 0.5 else 1 - next_
        variance = _variance(_below(pieces, float(np.quantile(values, level))))
        effect = max(effect, variance / (level * (1 - level)))
    variance = effect * quantile * (1 - quantile)
    return Estimated(centre, pseudo, variance, values, values.size, bounds, quantile, is_counted)


def _below(pieces: Sequence[Array], value: float) -> Array:
    """Pseudo-values of the share of values that are at most ``value``."""
    counts = np.array([piece.size for piece in pieces], float)
    return pseudo_values(np.array([(piece <= value).sum() for piece in pieces], float), counts)


def _variance(pseudo: Array) -> float:
    return float(pseudo.var(ddof=1)) / pseudo.size


# --- differences ------------------------------------------------------------------------------


def difference_ends(a: Estimated, b: Estimated, confidence: float, is_paired: bool) -> Ends | None:
    """Interval of b - a; ``is_paired``: piece j of both saw the same random numbers.

    Of means: `mean_ends` of the differences of the pseudo-values (unpaired: Welch's t). Of
    quantiles, and of shares of answers that are 0 or 1: from the arms of both intervals and the
    correlation r of the pseudo-values (Zou and Donner, Construction of confidence limits about
    effect measures, Statist. Med. 27, 2008; Newcombe 1998). For a correlation that is positive,

        down^2 = (1 - r) (down_b^2 + up_a^2) + r max((down_b - down_a)^2, (up_b - up_a)^2)

    which is theirs for even arms, and 0 where b is a, shifted; ``up`` the other way round.
    """
    if a.quantile is not None or (a.bounds == SHARE and a.is_counted and b.is_counted):
        return _from_arms(a, b, confidence, is_paired)
    gap = b.centre - a.centre
    if is_paired:
        return mean_ends(gap, b.pseudo - a.pseudo, student_t(a.pseudo.size - 1, confidence))
    degrees = _welch([a.variance, b.variance], (a.pseudo.size, b.pseudo.size))
    half = student_t(degrees, confidence) * math.sqrt(a.variance + b.variance)
    return gap - half, gap + half


def variance_ratio(a: Estimated, b: Estimated) -> float:
    """S_D^2 / (S_A^2 + S_B^2) of paired pseudo-values; NaN where nothing varies.

    Of quantiles with the lengths of their intervals for the standard deviations.
    """
    one, other = (_length(each) for each in (a, b))
    apart = one**2 + other**2
    if not apart > 0:
        return math.nan
    return 1 - 2 * correlation(a.pseudo, b.pseudo) * one * other / apart


def _length(one: Estimated) -> float:
    if one.quantile is None:
        return float(one.pseudo.std(ddof=1))
    ends = one.ends(one.pseudo.size - 1, CONFIDENCE)
    return math.nan if ends is None else ends[1] - ends[0]


def _from_arms(a: Estimated, b: Estimated, confidence: float, is_paired: bool) -> Ends | None:
    degrees = min(a.pseudo.size, b.pseudo.size) - 1
    ends_a, ends_b = a.ends(degrees, confidence), b.ends(degrees, confidence)
    if ends_a is None or ends_b is None:
        return None
    arms_a = a.centre - ends_a[0], ends_a[1] - a.centre
    arms_b = b.centre - ends_b[0], ends_b[1] - b.centre
    r = correlation(a.pseudo, b.pseudo) if is_paired else 0.0
    together = max(abs(arms_b[0] - arms_a[0]), abs(arms_b[1] - arms_a[1]))
    down, up = (_joined(arms_b[i], arms_a[1 - i], together, r) for i in (0, 1))
    gap, (least, most) = b.centre - a.centre, _differences_within(a.bounds)
    if a.quantile is None and is_paired and r == 1.0:
        # no pair differs, which is not to say that none ever does
        rare = share_ends(0.0, min(a.size, b.size), confidence)[1]
        down, up = max(down, rare), max(up, rare)
    return max(least, gap - down), min(most, gap + up)


def _differences_within(bounds: Ends) -> Ends:
    return bounds[0] - bounds[1], bounds[1] - bounds[0]


def _joined(one: float, other: float, together: float, r: float) -> float:
    if r < 0:
        return math.sqrt(one**2 + other**2 - 2 * r * one * other)
    return math.sqrt(max(0.0, (1 - r) * (one**2 + other**2) + r * together**2))


def correlation(a: Array, b: Array) -> float:
    """Pearson's; 0 where either does not vary."""
    spread = float(a.std() * b.std())
    if spread <= 1e-18:
        return 0.0
    r = float(((a - a.mean()) * (b - b.mean())).mean()) / spread
    return 1.0 if r > 1 - NOISE else r


def _welch(variances: Sequence[float], sizes: Sequence[int]) -> float:
    """Degrees of freedom of Welch and Satterthwaite; of variances of means."""
    if sum(variances) <= 0:
        return min(sizes) - 1.0
    parts = [v**2 / (k - 1) for v, k in zip(variances, sizes, strict=True)]
    return sum(variances) ** 2 / sum(parts)
