"""Link tables: block error rates of 5G NR from a fitted table, and the choice of scheme by them.

Plain Python inside the event loop; NumPy only to open the table; neither torch nor Sionna.
SNR is always Es/N0 per complex symbol in dB.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

from simsplit.errors import ArtefactError, OutOfTable
from simsplit.phy.mcs import MCS_TABLES, Mcs
from simsplit.phy.sizes import is_decodable, resource_elements, segment, transport_block_bits
from simsplit.phy.waterfalls import (
    Curve,
    Fit,
    Key,
    Waterfalls,
    normalised_snr,
    probit,
    shannon_snr_db,
)

_MAKE_TABLE = "run `simsplit train models/bler_5g/recipe.yaml` (or `simsplit calibrate`)"
_SQRT_HALF = math.sqrt(0.5)

Schemes = tuple[list[float], list[Mcs]]
"""Rising SNR thresholds in dB, and the scheme to use from each on."""


def combined_snr_db(snrs_db: Sequence[float]) -> float:
    """SNR after chase combining: the attempts' linear SNRs add up (maximum ratio combining)."""
    return 10.0 * math.log10(sum(10.0 ** (s / 10.0) for s in snrs_db))


class BlerTable:
    """Block error rates of the exact coded link, fitted by Monte Carlo, and the choice of MCS.

    Args:
        curves: As of `Waterfalls`. `simsplit.phy.calibrate` makes them.
    """

    def __init__(self, curves: Mapping[Key, Curve]) -> None:
        self._waterfalls = Waterfalls(curves)
        self._blocks: dict[tuple[Mcs, int, int, int | None], tuple[Fit, int]] = {}
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
        return self._waterfalls.keys

    def fit(
        self, mcs: Mcs, code_block_bits: int, attempt: int = 1, coded_bits: float | None = None
    ) -> Fit:
        """(mu, sigma) in dB and skew of a code block of K' bits; arguments as of `Waterfalls.fit`.

        Raises:
            OutOfTable: Outside the calibrated sizes, rates or attempts.
        """
        return self._waterfalls.fit(mcs, code_block_bits, attempt, coded_bits)

    def bler(
        self,
        mcs: Mcs,
        code_block_bits: int,
        snr_db: float,
        attempt: int = 1,
        coded_bits: float | None = None,
    ) -> float:
        """Error probability of one code block after this attempt, in [0, 1].

        The other arguments and the errors are those of `fit`.
        """
        mu_db, sigma_db, skew = self.fit(mcs, code_block_bits, attempt, coded_bits)
        return 0.5 * math.erfc(probit((snr_db - mu_db) / sigma_db, skew) * _SQRT_HALF)

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
        (mu_db, sigma_db, skew), n_blocks = fit
        bler = 0.5 * math.erfc(probit((snr_db - mu_db) / sigma_db, skew) * _SQRT_HALF)
        if n_blocks == 1 or bler == 0.0 or bler == 1.0:
            return bler
        return -math.expm1(n_blocks * math.log1p(-bler))

    def _block_fit(self, mcs: Mcs, tb_bits: int, attempt: int, n_re: int | None) -> tuple[Fit, int]:
        """Fit of a code block and their number C in a transport block, remembered."""
        parts = segment(tb_bits, mcs.code_rate)
        coded = None if n_re is None else n_re * mcs.bits_per_symbol / parts.n_code_blocks
        fit = self.fit(mcs, parts.code_block_bits, attempt, coded), parts.n_code_blocks
        self._blocks[mcs, tb_bits, attempt, n_re] = fit
        return fit

    def required_snr_db(
        self, mcs: Mcs, tb_bits: int, bler_target: float, n_re: int | None = None
    ) -> float:
        """SNR in dB at which the first attempt's error probability equals the target.

        Raises:
            OutOfTable: As `fit`.
        """
        (mu_db, sigma_db, skew), n_blocks = self._block_fit(mcs, tb_bits, 1, n_re)
        per_block = -math.expm1(math.log1p(-bler_target) / n_blocks)
        return mu_db + sigma_db * normalised_snr(-NormalDist().inv_cdf(per_block), skew)

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
        """Rising SNR thresholds in dB and their schemes; one beaten in both is dropped. Remembered.

        Schemes that the allocation cannot carry (effective rate above 0.95, TS 38.214 clause 5.1.3)
        or that the table does not know there are no candidates. Raises OutOfTable if none is left.
        """
        key = (n_prb, bler_target, n_symbols, dmrs_re_per_prb, table)
        schemes = self._choices.get(key)
        if schemes is None:
            slot = (n_prb, n_symbols, dmrs_re_per_prb)
            schemes = self._choices[key] = _choose(self, slot, bler_target, table)
        return schemes


def _choose(
    table: BlerTable, slot: tuple[int, int, int], bler_target: float, mcs_table: int
) -> Schemes:
    options = [
        option
        for scheme in MCS_TABLES[mcs_table]
        if (option := _option(table, scheme, slot, bler_target)) is not None
    ]
    if not options:
        raise OutOfTable("no calibrated MCS fits into this allocation", value=slot[0])
    chosen = _pareto(options)
    return [need_db for _, need_db, _ in chosen], [scheme for _, _, scheme in chosen]


def _option(
    table: BlerTable, scheme: Mcs, slot: tuple[int, int, int], bler_target: float
) -> tuple[int, float, Mcs] | None:
    """(bits, SNR needed in dB, scheme), or None if it cannot be used in this allocation."""
    if not is_decodable(scheme, *slot):
        return None
    tb_bits = transport_block_bits(scheme, *slot)
    try:
        need_db = table.required_snr_db(scheme, tb_bits, bler_target, resource_elements(*slot))
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
    "skew",
)
_Row = tuple[int, float, int, int, int, int, float, float, float]


def _curves(rows: list[_Row]) -> dict[Key, Curve]:
    """Group the table's rows into curves."""
    groups: dict[Key, list[tuple[float, float, float, float, float]]] = {}
    for qm, rate, graph, attempt, bits, coded, mu_db, sigma_db, skew in sorted(rows):
        shannon_db = shannon_snr_db(qm, bits / coded / attempt)
        point = (math.log2(bits), mu_db, sigma_db, shannon_db, skew)
        groups.setdefault((qm, rate, graph, attempt), []).append(point)
    return {key: Curve(*(tuple(c) for c in zip(*g, strict=True))) for key, g in groups.items()}
