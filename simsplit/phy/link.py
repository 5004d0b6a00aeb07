"""Link tables: block error rates of 5G NR from a fitted table, and the choice of scheme by them.

Plain Python inside the event loop; NumPy only to open the table; neither torch nor Sionna.
SNR is always Es/N0 per complex symbol in dB.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import numpy as np

from simsplit.errors import ArtefactError, OutOfTable
from simsplit.phy.mcs import MCS_TABLES, SUPPORTED_MCS, Mcs, mcs
from simsplit.phy.sizes import (
    Segmentation,
    base_graph_of,
    is_decodable,
    nominal_coded_bits,
    resource_elements,
    segment,
    transport_block_bits,
)

__all__ = [
    "MCS_TABLES",
    "SUPPORTED_MCS",
    "BlerTable",
    "Curve",
    "Mcs",
    "Segmentation",
    "base_graph_of",
    "combined_snr_db",
    "is_decodable",
    "mcs",
    "nominal_coded_bits",
    "rate_key",
    "resource_elements",
    "segment",
    "shannon_snr_db",
    "transport_block_bits",
]

_MAKE_TABLE = "run `simsplit train models/bler_5g/recipe.yaml` (or `simsplit calibrate`)"
_SQRT_HALF = math.sqrt(0.5)
_ROUNDING_DB = 0.05  # the mean of unequal code blocks may pass the outermost rate by a symbol
# With hardly any parity some lengths of short blocks have no waterfall at all (found by trial: 56,
# 64, 96, 128, 192, 256 bits among others), since two lifted columns are never sent; in between lie
# others that have one. The table says nothing of either (TS 38.212 clause 5.3.2).
_SHORT_BITS, _SHORT_RATE = 304, 0.925

Key = tuple[int, float, int, int]
Fit = tuple[float, float]
Schemes = tuple[list[float], list[Mcs]]


def combined_snr_db(snrs_db: Sequence[float]) -> float:
    """SNR after chase combining: the attempts' linear SNRs add up (maximum ratio combining)."""
    return 10.0 * math.log10(sum(10.0 ** (s / 10.0) for s in snrs_db))


def rate_key(code_rate: float) -> float:
    """R x 1024, to one decimal: how a rate is named in the table."""
    return round(code_rate * 1024, 1)


def shannon_snr_db(bits_per_symbol: int, rate: float) -> float:
    """SNR in dB at which Shannon's capacity log2(1 + SNR) equals Qm times the rate.

    Of several attempts the rate is that of all together, as if no bit came twice.
    """
    return 10.0 * math.log10(2.0 ** (bits_per_symbol * rate) - 1.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """Fits of one rate, graph and attempt by rising size: BLER = Phi((mu - snr) / sigma), in dB.

    Attributes:
        log2_bits: log2 of the code block sizes K'.
        mu_db: SNR of 50 %.
        sigma_db: Width.
        shannon_db: Shannon's SNR at the rate each size was calibrated with (`shannon_snr_db`). With
            it the table interpolates the distance between mu and Shannon, over size and over the
            true rate of an allocation; a made-up curve may leave it out and holds for every rate.
    """

    log2_bits: tuple[float, ...]
    mu_db: tuple[float, ...]
    sigma_db: tuple[float, ...]
    shannon_db: tuple[float, ...] = ()

    def covers(self, code_block_bits: int) -> bool:
        """Whether the size lies between the calibrated ones."""
        return self.log2_bits[0] <= math.log2(code_block_bits) <= self.log2_bits[-1]

    def at(self, code_block_bits: int) -> Fit:
        """(mu, or its distance to Shannon, and sigma) in dB, linear in log2 K' between sizes.

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
        return self.mu_db[j] - shannon_db, self.sigma_db[j]


def _between(low: Fit, high: Fit, weight: float) -> Fit:
    mu_db = low[0] + weight * (high[0] - low[0])
    return mu_db, low[1] * (high[1] / low[1]) ** weight


class BlerTable:
    """Block error rates of the exact coded link, fitted by Monte Carlo (see fit/calibrate.py).

    Args:
        curves: (bits per symbol, R x 1024 by `rate_key`, base graph, attempt) -> Curve. Attempt 1
            is redundancy version 0, attempts 2 to 4 combine versions 0, 2, 3, 1 at equal SNR.
    """

    def __init__(self, curves: Mapping[Key, Curve]) -> None:
        self._curves = dict(curves)
        self._rates: dict[tuple[int, int, int], list[float]] = {}
        for qm, rate, graph, attempt in sorted(self._curves):
            self._rates.setdefault((qm, graph, attempt), []).append(rate)
        self._blocks: dict[tuple[Mcs, int, int, int | None], tuple[float, float, int]] = {}
        self._choices: dict[tuple[int, float, int, int, int], Schemes] = {}

    @classmethod
    def load(cls, path: Path | str) -> BlerTable:
        """Open ``models/bler_5g/table.npz``; raises ArtefactError if it is missing or damaged."""
        path = Path(path)
        if not path.is_file():
            raise ArtefactError(f"no BLER table here; {_MAKE_TABLE}", value=str(path))
        try:
            with np.load(path, allow_pickle=False) as stored:
                rows = list(zip(*(stored[name].tolist() for name in _COLUMNS), strict=True))
        except (KeyError, ValueError, OSError) as error:
            message = f"damaged BLER table ({error}); {_MAKE_TABLE}"
            raise ArtefactError(message, value=str(path)) from error
        return cls(_curves(rows))

    @property
    def keys(self) -> tuple[Key, ...]:
        """What was calibrated: (bits per symbol, R x 1024, base graph, attempt), rising."""
        return tuple(sorted(self._curves))

    def fit(
        self, mcs: Mcs, code_block_bits: int, attempt: int = 1, coded_bits: float | None = None
    ) -> Fit:
        """(mu, sigma) in dB of one code block of K' bits.

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
                distance, sigma_db = _between(low[1], high[1], (x - low[0]) / width if width else 0)
                return distance + x, sigma_db
        message = f"rate outside the calibrated ones for {bits} bits at Qm = {qm}"
        raise OutOfTable(message, value=round(bits / coded_bits, 4))

    def _neighbours(self, family: tuple[int, int, int], bits: int) -> list[tuple[float, Fit]]:
        """(Shannon's SNR of the rate at this size, fit) of every curve that covers it, rising."""
        qm, graph, attempt = family
        found = []
        for rate in self._rates[family]:
            curve = self._curves[qm, rate, graph, attempt]
            if curve.shannon_db and curve.covers(bits):
                effective = bits / nominal_coded_bits(bits, rate / 1024, qm)
                found.append((shannon_snr_db(qm, effective / attempt), curve.at(bits)))
        return found

    def bler(
        self,
        mcs: Mcs,
        code_block_bits: int,
        snr_db: float,
        attempt: int = 1,
        coded_bits: float | None = None,
    ) -> float:
        """Error probability of one code block after this attempt; arguments as of `fit`."""
        mu_db, sigma_db = self.fit(mcs, code_block_bits, attempt, coded_bits)
        return 0.5 * math.erfc((snr_db - mu_db) / sigma_db * _SQRT_HALF)

    def transport_block_error(
        self, mcs: Mcs, tb_bits: int, snr_db: float, attempt: int = 1, n_re: int | None = None
    ) -> float:
        """Error probability of a transport block: 1 - (1 - BLER)^C, code blocks independent.

        Args:
            mcs: Its scheme.
            tb_bits: Payload bits (`transport_block_bits`).
            snr_db: Es/N0 of this and all earlier attempts.
            attempt: 1, or 2 to 4 with incremental redundancy.
            n_re: Resource elements of the allocation, which give the true code rate; the quantised
                size (TS 38.214 clause 5.1.3.2) can lie far off the target rate if it is small.

        Raises:
            OutOfTable: As `fit`.
        """
        fit = self._blocks.get((mcs, tb_bits, attempt, n_re))
        if fit is None:
            fit = self._block_fit(mcs, tb_bits, attempt, n_re)
        mu_db, inverse, n_blocks = fit
        bler = 0.5 * math.erfc((snr_db - mu_db) * inverse)
        if n_blocks == 1 or bler == 0.0 or bler == 1.0:
            return bler
        return -math.expm1(n_blocks * math.log1p(-bler))

    def _block_fit(
        self, mcs: Mcs, tb_bits: int, attempt: int, n_re: int | None
    ) -> tuple[float, float, int]:
        """(mu in dB, 1 / (sigma sqrt 2), C) of a transport block, remembered."""
        parts = segment(tb_bits, mcs.code_rate)
        coded = None if n_re is None else n_re * mcs.bits_per_symbol / parts.n_code_blocks
        mu_db, sigma_db = self.fit(mcs, parts.code_block_bits, attempt, coded)
        fit = (mu_db, _SQRT_HALF / sigma_db, parts.n_code_blocks)
        self._blocks[mcs, tb_bits, attempt, n_re] = fit
        return fit

    def required_snr_db(
        self, mcs: Mcs, tb_bits: int, bler_target: float, n_re: int | None = None
    ) -> float:
        """SNR in dB at which the first attempt's error probability equals the target."""
        mu_db, inverse, n_blocks = self._block_fit(mcs, tb_bits, 1, n_re)
        per_block = -math.expm1(math.log1p(-bler_target) / n_blocks)
        return mu_db - NormalDist().inv_cdf(per_block) * _SQRT_HALF / inverse

    def select_mcs(
        self,
        snr_db: float,
        n_prb: int,
        bler_target: float = 0.1,
        n_symbols: int = 14,
        dmrs_re_per_prb: int = 12,
        table: int = 1,
    ) -> Mcs:
        """The scheme that carries most bits in this allocation at an error rate within the target.

        If none meets the target the most robust one is returned, as a real scheduler does: it sends
        anyway and HARQ combines; the caller sees the true error rate of that choice. It never falls
        when the SNR rises. Candidates and errors are those of `choices`.
        """
        thresholds, schemes = self.choices(n_prb, bler_target, n_symbols, dmrs_re_per_prb, table)
        return schemes[max(0, bisect.bisect_right(thresholds, snr_db) - 1)]

    def choices(
        self,
        n_prb: int,
        bler_target: float = 0.1,
        n_symbols: int = 14,
        dmrs_re_per_prb: int = 12,
        table: int = 1,
    ) -> Schemes:
        """Rising SNR thresholds in dB and their schemes; one beaten in both is dropped. Kept.

        Schemes that the allocation cannot carry (effective rate above 0.95, TS 38.214 clause 5.1.3)
        or that the table does not know there are no candidates. Raises OutOfTable if none is left.
        """
        key = (n_prb, bler_target, n_symbols, dmrs_re_per_prb, table)
        found = self._choices.get(key)
        if found is None:
            found = self._choices[key] = self._choose(*key)
        return found

    def _choose(
        self, n_prb: int, bler_target: float, n_symbols: int, dmrs_re_per_prb: int, table: int
    ) -> Schemes:
        slot = (n_prb, n_symbols, dmrs_re_per_prb)
        options = [
            option
            for scheme in MCS_TABLES[table]
            if (option := self._option(scheme, slot, bler_target)) is not None
        ]
        if not options:
            raise OutOfTable("no calibrated MCS fits into this allocation", value=n_prb)
        chosen = _pareto(options)
        return [need_db for _, need_db, _ in chosen], [scheme for _, _, scheme in chosen]

    def _option(
        self, scheme: Mcs, slot: tuple[int, int, int], bler_target: float
    ) -> tuple[int, float, Mcs] | None:
        """(bits, SNR needed in dB, scheme), or None if it cannot be used in this allocation."""
        if not is_decodable(scheme, *slot):
            return None
        tb_bits = transport_block_bits(scheme, *slot)
        try:
            need_db = self.required_snr_db(scheme, tb_bits, bler_target, resource_elements(*slot))
        except OutOfTable:
            return None
        return tb_bits, need_db, scheme


def _pareto(options: list[tuple[int, float, Mcs]]) -> list[tuple[int, float, Mcs]]:
    """Options no other one beats in both bits and threshold, by rising bits."""
    best: list[tuple[int, float, Mcs]] = []
    for option in sorted(options, key=lambda o: (-o[0], o[1])):
        if not best or option[1] < best[-1][1]:
            best.append(option)
    return best[::-1]


_COLUMNS = (
    "bits_per_symbol",
    "rate_x1024",
    "base_graph",
    "attempt",
    "code_block_bits",
    "coded_bits",
    "mu_db",
    "sigma_db",
)
_Row = tuple[int, float, int, int, int, int, float, float]


def _curves(rows: list[_Row]) -> dict[Key, Curve]:
    """Group the table's rows into curves."""
    groups: dict[Key, list[tuple[float, float, float, float]]] = {}
    for qm, rate, graph, attempt, bits, coded, mu_db, sigma_db in sorted(rows):
        shannon_db = shannon_snr_db(qm, bits / coded / attempt)
        point = (math.log2(bits), mu_db, sigma_db, shannon_db)
        groups.setdefault((qm, rate, graph, attempt), []).append(point)
    return {key: Curve(*(tuple(c) for c in zip(*g, strict=True))) for key, g in groups.items()}
