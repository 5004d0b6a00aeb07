"""Effective SINR: many unlike SNRs as the one that gives the same code performance.

The currency is the mutual information of bit-interleaved coded modulation (BICM): what a bit-wise
demapper of Gray-mapped QAM leaves a code to work with. Plain Python and NumPy.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import OutOfTable, ScenarioError

MODULATIONS = (1, 2, 4, 6, 8)  # bits per symbol: BPSK, QPSK, 16-, 64-, 256-QAM
_LOWEST_DB, _STEPS_PER_DB = -30.0, 10
_SATURATED = 1e-9  # bits below the maximum at which the grid ends

_BETA_64 = (
    *(1.60, 1.61, 1.63, 1.65, 1.67, 1.70, 1.73, 1.76, 1.79, 1.82),
    *(3.97, 4.27, 4.71, 5.16, 5.66, 6.16, 6.50, 9.95, 10.97, 12.92),
    *(14.96, 17.06, 19.33, 21.85, 24.51, 27.14, 29.94, 32.05, 34.28),
)
_BETA_256 = (
    *(1.60, 1.63, 1.67, 1.73, 1.79, 4.27, 4.71, 5.16, 5.66, 6.16),
    *(6.50, 10.97, 12.92, 14.96, 17.06, 19.33, 21.85, 24.51, 27.14, 29.94),
    *(56.48, 65.0, 78.58, 92.48, 106.27, 118.74, 126.36, 132.54),
)

BETA: Mapping[tuple[int, int], float] = MappingProxyType(
    {
        (table, index): beta
        for table, column in ((1, _BETA_64), (2, _BETA_256))
        for index, beta in enumerate(column)
    }
)
"""EESM's beta by (MCS table, I_MCS), tables 1 and 2 of TS 38.214 alone: those of Sionna 2.2, whose
file says that how they were calibrated is not on record. MIESM needs no such number."""


class InformationCurve:
    """BICM mutual information of Gray-mapped BPSK or square QAM over AWGN, by Es/N0 in dB.

    I = Qm - sum_i E[log2(sum_x p(y|x) / sum_{x: b_i} p(y|x))] (Caire, Taricco & Biglieri, IEEE
    Trans. Inf. Theory 44(3), 1998, section III) by the trapezoidal rule over the noise, which
    converges geometrically for such integrands (Trefethen & Weideman, SIAM Review 56, 2014), every
    0.1 dB, straight lines between (error below 1e-4 bit). Beyond the grid the asymptotes take over:
    below -30 dB bits in proportion to the SNR, and where less than 1e-9 bit is missing, a gap that
    falls as exp(-SNR d^2 / 4), d being the least distance of points of unit mean energy.

    Args:
        bits_per_symbol: Qm: 1, 2, 4, 6 or 8; ScenarioError for another.
    """

    def __init__(self, bits_per_symbol: int) -> None:
        if bits_per_symbol not in MODULATIONS:
            choices = [str(bits) for bits in MODULATIONS]
            raise ScenarioError("no such modulation order", value=bits_per_symbol, choices=choices)
        self.bits_per_symbol = bits_per_symbol
        points = 2.0**bits_per_symbol
        self.beta = 1.0 if bits_per_symbol == 1 else 2.0 * (points - 1.0) / 3.0  # 4 / d^2
        missing = _missing_bits(bits_per_symbol)
        self._bits = [bits_per_symbol - gap for gap in missing]
        self._last = len(missing) - 1
        self._top_db = _LOWEST_DB + self._last / _STEPS_PER_DB
        self._top_ln_gap = math.log(missing[-1])
        self._grid_db = _LOWEST_DB + np.arange(len(missing)) / _STEPS_PER_DB
        self._bits_array = np.array(self._bits)

    def bits(self, snr_db: float) -> float:
        """Information per symbol in bits, 0 at -inf dB to Qm at +inf dB; ScenarioError for NaN."""
        position = (snr_db - _LOWEST_DB) * _STEPS_PER_DB
        if 0.0 <= position < self._last:
            index = int(position)
            low = self._bits[index]
            return low + (position - index) * (self._bits[index + 1] - low)
        return self._bits_outside(snr_db)

    def snr_db(self, bits: float) -> float:
        """The inverse: 0 bits is -inf dB, Qm bits is +inf dB; OutOfTable beyond or for NaN."""
        curve = self._bits
        if curve[0] <= bits < curve[-1]:
            index = bisect_right(curve, bits) - 1
            low = curve[index]
            position = index + (bits - low) / (curve[index + 1] - low)
            return _LOWEST_DB + position / _STEPS_PER_DB
        return self._snr_outside_db(bits)

    def bits_of(self, snr_db: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mutual information in bits per symbol at SNRs in dB of any shape, in that shape."""
        level_db = np.asarray(snr_db, dtype=np.float64)
        bits = np.interp(level_db, self._grid_db, self._bits_array, left=np.nan, right=np.nan)
        outside = np.isnan(bits)
        if outside.any():
            bits[outside] = [self._bits_outside(x) for x in level_db[outside].tolist()]
        return np.asarray(bits)

    def mean_db(self, snrs_db: Sequence[float]) -> float:
        """The SNR whose information is the mean of these SNRs'; ScenarioError if there is none."""
        if not len(snrs_db):
            raise ScenarioError("no SNR to average")
        total = 0.0
        for snr_db in snrs_db:
            total += self.bits(snr_db)
        return self._inverse_db(total / len(snrs_db), snrs_db)

    def mean_of_db(self, snr_db: NDArray[np.floating]) -> float:
        """``mean_db`` of all elements of an array, faster than a list from about ten on."""
        bits = np.interp(snr_db, self._grid_db, self._bits_array, left=np.nan, right=np.nan)
        mean = float(bits.sum()) / max(bits.size, 1)
        if 0.0 < mean < self._bits[-1]:
            return self.snr_db(mean)
        return self.mean_db(np.ravel(snr_db).tolist())

    def _inverse_db(self, mean_bits: float, snrs_db: Sequence[float]) -> float:
        """Inverse of a mean; if that is too near Qm for its digits, the mean of the gaps."""
        if mean_bits < self._bits[-1]:
            return self.snr_db(mean_bits)
        ln_gaps = [self._ln_gap(snr_db) for snr_db in snrs_db]
        worst = max(ln_gaps)
        if worst == -math.inf:
            return math.inf
        mean = sum(math.exp(ln_gap - worst) for ln_gap in ln_gaps) / len(ln_gaps)
        return self._beyond_top_db(worst + math.log(mean))

    def _ln_gap(self, snr_db: float) -> float:
        """Logarithm of Qm - I, without the loss of digits beyond the grid."""
        if snr_db < self._top_db:
            return math.log(self.bits_per_symbol - self.bits(snr_db))
        excess = float(10.0 ** (0.1 * snr_db) - 10.0 ** (0.1 * self._top_db))
        return self._top_ln_gap - excess / self.beta

    def _beyond_top_db(self, ln_gap: float) -> float:
        """SNR in dB beyond the grid at which Qm - I has this logarithm."""
        excess = self.beta * (self._top_ln_gap - ln_gap)
        return 10.0 * math.log10(10.0 ** (0.1 * self._top_db) + excess)

    def _bits_outside(self, snr_db: float) -> float:
        if snr_db < _LOWEST_DB:
            return self._bits[0] * float(10.0 ** (0.1 * (snr_db - _LOWEST_DB)))
        if math.isnan(snr_db):
            raise ScenarioError("SNR is not a number")
        return self.bits_per_symbol - math.exp(self._ln_gap(snr_db))

    def _snr_outside_db(self, bits: float) -> float:
        if not 0.0 <= bits <= self.bits_per_symbol:
            raise OutOfTable(f"a symbol carries 0 to {self.bits_per_symbol} bits", value=bits)
        if bits < self._bits[0]:
            ratio = bits / self._bits[0]
            return _LOWEST_DB + 10.0 * math.log10(ratio) if ratio else -math.inf
        gap = self.bits_per_symbol - bits
        return self._beyond_top_db(math.log(gap)) if gap else math.inf


@lru_cache(maxsize=len(MODULATIONS))
def curve(bits_per_symbol: int) -> InformationCurve:
    """The information curve of this modulation order, computed at first use (0.3 s at most)."""
    return InformationCurve(bits_per_symbol)


def miesm_db(snr_db: NDArray[np.floating], bits_per_symbol: int) -> float:
    """Effective SNR in dB of resources at these SNRs: I^-1(mean I), any shape.

    Mutual-information effective SINR mapping (Brueninghaus et al., IEEE PIMRC 2005). If all are
    so good that I saturates, the mean is taken over the missing bits instead, which fall as
    exp(-SNR / beta): there it is EESM with ``InformationCurve.beta``, finite and never NaN.

    Raises:
        ScenarioError: No SNR, one that is NaN, or no such modulation order.
    """
    return curve(bits_per_symbol).mean_of_db(snr_db)


def accumulate_db(snrs_db: Sequence[float], bits_per_symbol: int) -> float:
    """The SNR at which as many equal transmissions carry the same information as these unlike ones.

    For incremental redundancy, where information adds up: I^-1(mean_t I(SNR_t)) (Cheng, "Coding
    performance of hybrid ARQ schemes", IEEE Trans. Commun. 54(6), 2006). Errors as ``miesm_db``.
    """
    return curve(bits_per_symbol).mean_db(snrs_db)


def eesm_db(snr_db: NDArray[np.floating], beta: float) -> float:
    """Exponential effective SNR -beta ln(mean exp(-SNR / beta)) in dB, any shape.

    Source: 3GPP TR 25.892 Annex A; betas in ``BETA``. Stable at any SNR, +-inf included.

    Raises:
        ScenarioError: No SNR, one that is NaN, or beta not positive.
    """
    snr = 10.0 ** (0.1 * np.asarray(snr_db, dtype=np.float64))
    if beta <= 0.0 or not snr.size or np.isnan(snr).any():
        raise ScenarioError("EESM needs numbers and a positive beta", value=(beta, snr.size))
    least = float(snr.min())
    if least == math.inf:
        return math.inf
    mean = float(np.expm1((least - snr) / beta).mean())
    effective = least - beta * math.log1p(mean)
    return 10.0 * math.log10(effective) if effective > 0.0 else -math.inf


def _missing_bits(bits_per_symbol: int) -> list[float]:
    """Qm - I on the grid, up to saturation."""
    dimensions = 1 if bits_per_symbol == 1 else 2
    levels = _gray_levels(bits_per_symbol // dimensions)
    missing: list[float] = []
    while not missing or missing[-1] > _SATURATED:
        snr = 10.0 ** (0.1 * (_LOWEST_DB + len(missing) / _STEPS_PER_DB))
        sigma = math.sqrt(0.5 * dimensions / snr)  # per real dimension of unit energy
        missing.append(dimensions * _missing_in_amplitude(levels, sigma))
    return missing


def _gray_levels(bits: int) -> NDArray[np.float64]:
    """Amplitudes ``(2^bits,)`` of unit mean square, ascending; label of the i-th: i xor i >> 1."""
    odd = 2.0 * np.arange(2**bits) - (2**bits - 1)
    return np.asarray(odd / math.sqrt(float((odd**2).mean())))


def _missing_in_amplitude(levels: NDArray[np.float64], sigma: float) -> float:
    """Bits lost to noise of deviation sigma by bit-wise demapping of Gray-labelled amplitudes."""
    count = len(levels)
    order = np.arange(count)
    labels = (order ^ order >> 1)[:, None] >> np.arange(count.bit_length() - 1) & 1  # (L, bits)
    step = min(0.5, 0.5 * sigma / (levels[1] - levels[0]))  # poles lie pi sigma / d off the axis
    noise = step * np.arange(-math.ceil(9.0 / step), math.ceil(9.0 / step) + 1)
    weight = step / math.sqrt(2.0 * math.pi) * np.exp(-0.5 * noise**2)
    sent = order[: count // 2]  # the others mirror them
    offset = (levels[sent, None] - levels) / sigma  # (L / 2, L)
    metric = -0.5 * (noise[:, None, None] + offset) ** 2
    likelihood = np.exp(metric - metric.max(-1, keepdims=True))  # (nodes, L / 2, L)
    ones = likelihood @ labels  # (nodes, L / 2, bits)
    zeros = likelihood @ (1 - labels)
    right = np.where(labels[sent], ones, zeros)
    lost = np.log1p(np.where(labels[sent], zeros, ones) / right).sum(-1).mean(-1)
    return float(weight @ lost) / math.log(2.0)
