"""One curve of the block error table: find the waterfall, count errors point by point, fit.

Adaptive in three ways: the grid's step follows the width found, every point stops by itself once it
has errors enough, and points beyond one that is already certain are not sent any more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.fit.waterfall import Counts, Floats, fit_waterfall, wilson_interval
from simsplit.phy.coded import CodeBlockLink
from simsplit.phy.link import nominal_coded_bits, shannon_snr_db
from simsplit.seeds import generator

Row = dict[str, Any]
Send = Callable[[Floats], NDArray[np.bool_]]

FIT_COLUMNS = ("mu_db", "sigma_db", "mu_error_db", "sigma_error_db")
_ROUND = 24  # blocks a point gets at a time
_STEPS_DB = (0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02)
_REACH = 40  # steps beyond the first grid after which a waterfall is given up
_CODING_LOSS_DB = 1.0  # of long blocks from Shannon: where the search begins


@dataclass(frozen=True, slots=True)
class Job:
    """What one curve is about: keys of the table and the code block's size.

    Attributes:
        bits_per_symbol: Qm.
        rate_x1024: Target code rate x 1024.
        base_graph: 1 or 2.
        attempt: Transmissions combined, redundancy versions 0, 2, 3, 1 in this order.
        code_block_bits: K', check bits included.
    """

    bits_per_symbol: int
    rate_x1024: float
    base_graph: int
    attempt: int
    code_block_bits: int

    @property
    def coded_bits(self) -> int:
        """Bits on air of one attempt, whole symbols."""
        return nominal_coded_bits(
            self.code_block_bits, self.rate_x1024 / 1024, self.bits_per_symbol
        )

    @property
    def name(self) -> str:
        """Unique name of the curve."""
        numbers = (self.bits_per_symbol, self.rate_x1024, self.base_graph, self.attempt)
        return "/".join(f"{n:g}" for n in (*numbers, self.code_block_bits))

    def random(self, seed: int) -> np.random.Generator:
        """The curve's own generator."""
        rate = round(10 * self.rate_x1024)
        key = (self.bits_per_symbol, rate, self.base_graph, self.attempt, self.code_block_bits)
        return generator(seed, *key)


def make_curve(job: Job, seed: int, errors_per_point: int, blocks_per_point: int) -> Row:
    """Simulate and fit one curve; the row holds the job, the fit, points ``[snr, blocks, errors]``.

    Every point is sent until it has the errors or the blocks asked for.
    """
    started = time.process_time()
    rng = job.random(seed)
    qm, bits, coded = job.bits_per_symbol, job.code_block_bits, job.coded_bits
    air = CodeBlockLink(job, bits, coded, job.base_graph, job.attempt)
    guess_db = shannon_snr_db(qm, bits / coded / job.attempt) + _CODING_LOSS_DB

    def send(snr_db: Floats) -> NDArray[np.bool_]:
        return air.errors(snr_db, rng)

    centre_db, width_db = locate(send, guess_db, 10.0 / math.sqrt(bits), rng)
    points = count(send, centre_db, width_db, errors_per_point, blocks_per_point)
    fit = fit_waterfall(*columns(points))
    row: Row = {"bits_per_symbol": qm, "rate_x1024": job.rate_x1024, "base_graph": job.base_graph}
    row |= {"attempt": job.attempt, "code_block_bits": bits, "coded_bits": coded}
    row |= dict(zip(FIT_COLUMNS, fit, strict=True))
    return row | {"points": points, "seconds": time.process_time() - started}


def columns(points: list[list[float]]) -> tuple[Floats, Counts, Counts]:
    """SNRs in dB, blocks and errors, each ``(P,)``."""
    snr_db, blocks, errors = np.array(points, dtype=np.float64).T
    return snr_db, blocks.astype(np.int64), errors.astype(np.int64)


def locate(
    send: Send, guess_db: float, width_db: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Centre and width in dB of the waterfall from two coarse rounds of blocks.

    Args:
        send: SNRs ``(N,)`` -> which blocks were lost.
        guess_db: Centre for long blocks.
        width_db: Sigma to expect; it falls as 1 / sqrt(K).
        rng: Draws the SNRs.
    """
    centre_db, found_db = guess_db + 2.0 * width_db, width_db
    for half_db in (3.0 + width_db, 3.0 * width_db + 0.3):
        snr_db = centre_db + half_db * rng.uniform(-1.0, 1.0, 40)
        lost = send(snr_db).astype(np.int64)
        mu_db, sigma_db, *_ = fit_waterfall(snr_db, np.ones_like(lost), lost, width_db)
        centre_db = float(np.clip(mu_db, centre_db - half_db, centre_db + half_db))
        found_db = float(np.clip(sigma_db, 0.4 * width_db, 2.0 * width_db))
    return centre_db, found_db


def count(
    send: Send, centre_db: float, width_db: float, enough_errors: int, enough_blocks: int
) -> list[list[float]]:
    """Blocks and errors on an SNR grid through the waterfall: rows ``[snr in dB, blocks, errors]``.

    The step is 0.25 dB, or the next smaller one within half the width. Rising by SNR.
    """
    step_db = next((step for step in _STEPS_DB if step <= 0.5 * width_db), _STEPS_DB[-1])
    middle, half = round(centre_db / step_db), math.ceil(2.5 * width_db / step_db)
    first, last = middle - half - _REACH, middle + half + _REACH
    grid = Grid(range(middle - half, middle + half + 1), enough_errors, enough_blocks)
    while todo := grid.todo(first, last):
        lost = send(np.repeat(np.array(todo) * step_db, _ROUND)).reshape(len(todo), _ROUND)
        grid.add(todo, lost.sum(1).tolist())
    return [[place * step_db, blocks, errors] for place, (blocks, errors) in grid.rows()]


class Grid:
    """Counts by grid place, and which places still need blocks."""

    def __init__(self, places: range, enough_errors: int, enough_blocks: int) -> None:
        self._counts = dict.fromkeys(places, (0, 0))
        self._enough = (enough_errors, enough_blocks)

    def add(self, places: list[int], lost: list[int]) -> None:
        """A round of blocks at each place."""
        for place, errors in zip(places, lost, strict=True):
            blocks, before = self._counts[place]
            self._counts[place] = (blocks + _ROUND, before + errors)

    def rows(self) -> list[tuple[int, tuple[int, int]]]:
        """(place, (blocks, errors)) by rising place, places never sent left out."""
        return [(place, c) for place, c in sorted(self._counts.items()) if c[0]]

    def todo(self, first: int, last: int) -> list[int]:
        """Places to send next: not done, not beyond a certain one, never outside first to last."""
        self._widen(first, last)
        low, high = self._certain_low(), self._certain_high()
        return [p for p in sorted(self._counts) if low <= p <= high and not self._is_done(p)]

    def _is_done(self, place: int) -> bool:
        blocks, errors = self._counts[place]
        is_hopeless = blocks > 0 and errors == blocks
        return is_hopeless or errors >= self._enough[0] or blocks >= self._enough[1]

    def _widen(self, first: int, last: int) -> None:
        """One more place at an end that was sent and is not certain."""
        low, high = min(self._counts), max(self._counts)
        blocks, errors = self._counts[low]
        if errors < blocks and low > first:
            self._counts[low - 1] = (0, 0)
        if self._counts[high][1] > 0 and high < last:
            self._counts[high + 1] = (0, 0)

    def _certain_low(self) -> int:
        """Highest place at which every block was lost; nothing below it needs to be sent."""
        lost = [p for p, (blocks, errors) in self._counts.items() if 0 < blocks == errors]
        return max(lost, default=min(self._counts))

    def _certain_high(self) -> int:
        """Lowest place at which no block of a full count was lost, above the lowest certain one."""
        low, enough = self._certain_low(), self._enough[1]
        fine = [p for p, (n, errors) in self._counts.items() if n >= enough and errors == 0]
        return min((p for p in fine if p > low), default=max(self._counts))


def is_waterfall(row: Row) -> bool:
    """Whether the fit found a fall from 1 to 0: mu known to 0.5 dB, sigma below 30 / sqrt(K) dB.

    Some of the smallest blocks at rates near 0.95 have none within the SNRs tried; probably because
    two lifted columns are never sent (TS 38.212 clause 5.3.2) and hardly any parity is. Such a size
    is left out of the table, where asking for it is an error, and named in the card.
    """
    limit_db = 30.0 / math.sqrt(row["code_block_bits"])
    return bool(row["mu_error_db"] < 0.5 and row["sigma_db"] < limit_db)


def intervals(points: list[list[float]]) -> Floats:
    """Wilson's 95 % intervals of the points, ``(P, 2)``."""
    return np.array([wilson_interval(int(errors), int(blocks)) for _, blocks, errors in points])
