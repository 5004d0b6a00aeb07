"""Waterfalls: the fitted block error curves of 5G NR code blocks, and what lies between them.

SNR is always Es/N0 per complex symbol in dB.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from simsplit.errors import OutOfTable
from simsplit.phy.mcs import Mcs
from simsplit.phy.sizes import base_graph_of, nominal_coded_bits

_ROUNDING_DB = 0.05  # the mean of unequal code blocks may pass the outermost rate by a symbol
# With hardly any parity some lengths of short blocks have no waterfall at all (found by trial: 56,
# 64, 96, 128, 192, 256 bits among others), since two lifted columns are never sent; in between lie
# others that have one. The table says nothing of either (TS 38.212 clause 5.3.2).
_SHORT_BITS, _SHORT_RATE = 304, 0.925
BEND = 2.0  # q about which a probit is bent
DROP = math.sqrt(1.0 + BEND * BEND)  # of the hyperbola at q = 0
TILT = BEND / DROP  # and minus its slope there

Key = tuple[int, float, int, int]
"""(bits per symbol, R x 1024 by `rate_key`, base graph, attempt)."""
Fit = tuple[float, float, float]
"""(mu, sigma) in dB and skew of a waterfall, see `probit`."""


def rate_key(code_rate: float) -> float:
    """R x 1024, to one decimal: how a rate is named in the table."""
    return round(code_rate * 1024, 1)


def probit(y: float, skew: float) -> float:
    """q = -Phi^-1(BLER) at the normalised SNR y = (snr - mu) / sigma.

    snr = mu + sigma (q + s (sqrt(1 + (q - 2)^2) - sqrt(5))) / (1 - 2 s / sqrt(5)), a straight line
    bent about q = 2, a BLER of 2.3 %: mu is where BLER is a half, sigma the slope there, and far
    below the slope is up to (1 + s) / (1 - s) times that far above, |s| < 1. With s = 0,
    BLER = Phi(-y). It is a hyperbola, hence exact both ways. Of bends about q = 0, 1, 1.5, 2 and
    2.5, this one explained counts through the middle and down to 1e-3 best with one and the same s.
    """
    if not skew:
        return y
    v = y * (1.0 - skew * TILT) - BEND + skew * DROP
    rest = 1.0 - skew * skew
    return BEND + (v - skew * math.sqrt(v * v + rest)) / rest


def normalised_snr(q: float, skew: float) -> float:
    """The inverse of `probit`: y at which q = -Phi^-1(BLER)."""
    bent = q + skew * (math.sqrt(1.0 + (q - BEND) ** 2) - DROP)
    return bent / (1.0 - skew * TILT)


def shannon_snr_db(bits_per_symbol: int, rate: float) -> float:
    """SNR in dB at which Shannon's capacity log2(1 + SNR) equals Qm times the rate.

    Of several attempts the rate is that of all together, as if no bit came twice.
    """
    return 10.0 * math.log10(2.0 ** (bits_per_symbol * rate) - 1.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """Fits of one rate, graph and attempt by rising size, in dB (`probit`).

    Attributes:
        log2_bits: log2 of the code block sizes K'.
        mu_db: SNR of 50 %.
        sigma_db: Width.
        skew: How unlike the two sides are; none if left out.
        shannon_db: Shannon's SNR at the rate each size was calibrated with (`shannon_snr_db`). With
            it the table interpolates the distance between mu and Shannon, over size and over the
            true rate of an allocation; a made-up curve may leave it out and holds for every rate.
    """

    log2_bits: tuple[float, ...]
    mu_db: tuple[float, ...]
    sigma_db: tuple[float, ...]
    shannon_db: tuple[float, ...] = ()
    skew: tuple[float, ...] = ()

    def covers(self, code_block_bits: int) -> bool:
        """True if K' lies between the calibrated sizes."""
        return self.log2_bits[0] <= math.log2(code_block_bits) <= self.log2_bits[-1]

    def at(self, code_block_bits: int) -> Fit:
        """(mu, or its distance to Shannon, and sigma) in dB and skew, linear in log2 K' between.

        Raises OutOfTable beyond the calibrated sizes.
        """
        if not self.covers(code_block_bits):
            low, high = (round(2**v) for v in (self.log2_bits[0], self.log2_bits[-1]))
            message = f"code block size outside the calibrated {low} to {high} bits"
            raise OutOfTable(message, value=code_block_bits)
        if len(self.log2_bits) == 1:
            return self._point(0)
        x = math.log2(code_block_bits)
        j = max(1, bisect.bisect_left(self.log2_bits, x))
        w = (x - self.log2_bits[j - 1]) / (self.log2_bits[j] - self.log2_bits[j - 1])
        return _between(self._point(j - 1), self._point(j), w)

    def _point(self, j: int) -> Fit:
        shannon_db = self.shannon_db[j] if self.shannon_db else 0.0
        return self.mu_db[j] - shannon_db, self.sigma_db[j], self.skew[j] if self.skew else 0.0


def _between(low: Fit, high: Fit, weight: float) -> Fit:
    mu_db = low[0] + weight * (high[0] - low[0])
    skew = low[2] + weight * (high[2] - low[2])
    return mu_db, low[1] * (high[1] / low[1]) ** weight, skew


class Waterfalls:
    """All curves of a table, interpolated between their sizes and rates.

    Args:
        curves: By their keys. Attempt 1 is redundancy version 0, attempts 2 to 4 combine versions
            0, 2, 3, 1 at equal SNR.
    """

    def __init__(self, curves: Mapping[Key, Curve]) -> None:
        self._curves = dict(curves)
        self._rates: dict[tuple[int, int, int], list[float]] = {}
        for qm, rate, graph, attempt in sorted(self._curves):
            self._rates.setdefault((qm, graph, attempt), []).append(rate)

    @property
    def keys(self) -> tuple[Key, ...]:
        """What was calibrated, rising."""
        return tuple(sorted(self._curves))

    def fit(
        self, mcs: Mcs, code_block_bits: int, attempt: int = 1, coded_bits: float | None = None
    ) -> Fit:
        """(mu, sigma) in dB and skew of one code block of K' bits.

        Args:
            mcs: Gives modulation and, with K', the base graph.
            code_block_bits: K', check bits included.
            attempt: 1 to 4; all attempts at the same SNR.
            coded_bits: Bits on air per attempt, of which the table interpolates the effect; by
                default those of the target rate (`nominal_coded_bits`).

        Raises:
            OutOfTable: Outside the calibrated sizes, rates or attempts.
        """
        graph = base_graph_of(code_block_bits, mcs.code_rate)
        own = self._curves.get((mcs.bits_per_symbol, rate_key(mcs.code_rate), graph, attempt))
        if own is None:
            message = f"MCS {mcs.index} of table {mcs.table}, attempt {attempt} was not calibrated"
            raise OutOfTable(f"{message} for base graph {graph}; bits", value=code_block_bits)
        if not own.shannon_db:
            return own.at(code_block_bits)
        coded = coded_bits or nominal_coded_bits(
            code_block_bits, mcs.code_rate, mcs.bits_per_symbol
        )
        return self._interpolated((mcs.bits_per_symbol, graph, attempt), code_block_bits, coded)

    def _interpolated(self, family: tuple[int, int, int], bits: int, coded_bits: float) -> Fit:
        """Distance to Shannon between the calibrated rates around the true one, plus Shannon."""
        qm = family[0]
        if bits <= _SHORT_BITS and bits > _SHORT_RATE * coded_bits:
            message = f"a block of {bits} bits at a rate above {_SHORT_RATE} may not be decodable"
            raise OutOfTable(message, value=round(bits / coded_bits, 4))
        x = shannon_snr_db(qm, bits / coded_bits / family[2])
        for low, high in pairwise(self._neighbours(family, bits)):
            if low[0] - _ROUNDING_DB <= x <= high[0] + _ROUNDING_DB:
                width = high[0] - low[0]
                weight = (x - low[0]) / width if width else 0.0
                distance, sigma_db, skew = _between(low[1], high[1], weight)
                return distance + x, sigma_db, skew
        message = f"rate outside the calibrated ones for {bits} bits at Qm = {qm}"
        raise OutOfTable(message, value=round(bits / coded_bits, 4))

    def _neighbours(self, family: tuple[int, int, int], bits: int) -> list[tuple[float, Fit]]:
        """(Shannon's SNR of the rate at this size, fit) of every curve that covers it, rising."""
        qm, graph, attempt = family
        neighbours = []
        for rate in self._rates[family]:
            curve = self._curves[qm, rate, graph, attempt]
            if curve.shannon_db and curve.covers(bits):
                effective = bits / nominal_coded_bits(bits, rate / 1024, qm)
                neighbours.append((shannon_snr_db(qm, effective / attempt), curve.at(bits)))
        return neighbours
