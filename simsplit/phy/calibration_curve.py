"""One curve of the block error table: find the waterfall, count errors point by point, fit.

Adaptive in three ways: the grid's step follows the width, every point stops by itself once it
has errors enough, and points beyond one that is already certain are not sent any more. The
waterfall BLER(snr) = Phi((mu - snr) / sigma) is fitted to the counts by maximum likelihood.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from simsplit.phy.coded import CodeBlockLink
from simsplit.phy.sizes import nominal_coded_bits
from simsplit.phy.waterfalls import BEND, DROP, TILT, shannon_snr_db
from simsplit.seeds import generator

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Row = dict[str, Any]
Send = Callable[[Floats], NDArray[np.bool_]]
"""SNRs in dB ``(N,)`` -> which of the blocks sent at them were lost ``(N,)``."""

FIT_COLUMNS = ("mu_db", "sigma_db", "mu_error_db", "sigma_error_db")
_ROUND = 24  # blocks a point gets at a time
_STEPS_DB = (0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02)
_REACH = 40  # steps beyond the first grid after which a waterfall is given up
_CODING_LOSS_DB = 1.0  # of long blocks from Shannon: where the search begins


# --- the fit ----------------------------------------------------------------------------------


def fit_waterfall(
    snr_db: Floats, blocks: Counts, errors: Counts, prior_sigma_db: float | None = None
) -> tuple[float, float, float, float]:
    """Maximum-likelihood (mu, sigma) in dB of BLER(snr) = Phi((mu - snr) / sigma) and their errors.

    Args:
        snr_db: ``(P,)`` SNR of each point.
        blocks: ``(P,)`` blocks sent there.
        errors: ``(P,)`` blocks lost there.
        prior_sigma_db: For few blocks: a log-normal prior of one neper on sigma, which keeps the
            fit finite when losses and successes do not overlap.

    Returns:
        mu, sigma and their standard errors from the expected Fisher information.
    """
    prior = math.log(prior_sigma_db) if prior_sigma_db else None

    def loss(point: Floats) -> float:
        z = (point[0] - snr_db) * math.exp(-point[1])
        fit = (errors * special.log_ndtr(z) + (blocks - errors) * special.log_ndtr(-z)).sum()
        return float(-fit + (0.0 if prior is None else 0.5 * (point[1] - prior) ** 2))

    middle = _middle_db(snr_db, blocks, errors)
    starts = [[middle, prior]] if prior is not None else [[middle, s] for s in (-2.5, -0.5)]
    fits = [
        optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-6})
        for start in starts
    ]
    mu_db, log_sigma = min(fits, key=lambda f: float(f.fun)).x
    sigma_db = math.exp(log_sigma)
    return float(mu_db), sigma_db, *_standard_errors(snr_db, blocks, float(mu_db), sigma_db)


def fit_bent(
    snr_db: Floats,
    blocks: Counts,
    errors: Counts,
    prior: tuple[float, float],
    start: tuple[float, float],
) -> tuple[float, float, float]:
    """(mu, sigma) in dB and skew of a bent probit (`simsplit.phy.waterfalls.probit`) by posterior.

    Args:
        snr_db, blocks, errors: ``(P,)`` each, as of `fit_waterfall`.
        prior: Mean and deviation of artanh(skew), a normal; where few blocks were lost at low error
            rates it decides, and the counts do where many were.
        start: mu and sigma in dB of the straight probit, where the search begins.
    """
    mean, spread = prior

    def loss(point: Floats) -> float:
        q = _probits((snr_db - point[0]) * math.exp(-point[1]), math.tanh(point[2]))
        fit = (errors * special.log_ndtr(-q) + (blocks - errors) * special.log_ndtr(q)).sum()
        return float(-fit + 0.5 * ((point[2] - mean) / spread) ** 2)

    first = np.array([start[0], math.log(start[1]), mean])
    simplex = first + np.vstack([np.zeros(3), np.diag([0.2 * start[1], 0.1, 0.1])])
    options = {"xatol": 1e-5, "fatol": 1e-6, "maxfev": 2000, "initial_simplex": simplex}
    best = optimize.minimize(loss, first, method="Nelder-Mead", options=options).x
    return float(best[0]), math.exp(best[1]), math.tanh(best[2])


def _probits(y: Floats, skew: float) -> Floats:
    """`simsplit.phy.waterfalls.probit` of many normalised SNRs at once."""
    v, rest = y * (1.0 - skew * TILT) - BEND + skew * DROP, 1.0 - skew * skew
    q: Floats = BEND + (v - skew * np.sqrt(v * v + rest)) / rest
    return q


def _middle_db(snr_db: Floats, blocks: Counts, errors: Counts) -> float:
    """Halfway between the mean SNR of lost and of good blocks."""
    lost, good = errors.sum(), (blocks - errors).sum()
    if lost == 0 or good == 0:
        return float(snr_db.min() if lost == 0 else snr_db.max())
    return float(0.5 * ((snr_db @ errors) / lost + (snr_db @ (blocks - errors)) / good))


def _standard_errors(
    snr_db: Floats, blocks: Counts, mu_db: float, sigma_db: float
) -> tuple[float, float]:
    z = (mu_db - snr_db) / sigma_db
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    spread = special.ndtr(z) * special.ndtr(-z)
    weight = blocks * np.divide(density**2, spread, out=np.zeros_like(z), where=spread > 0)
    a, b, c = (float((weight * z**k).sum()) / sigma_db**2 for k in (0, 1, 2))
    determinant = a * c - b * b
    if determinant <= 0:
        return math.inf, math.inf
    return math.sqrt(c / determinant), math.sqrt(a / determinant)


def fitted(snr_db: Floats, mu_db: float, sigma_db: float, skew: float) -> Floats:
    """Block error rates ``(P,)`` of the fit at SNRs ``(P,)`` in dB."""
    rates: Floats = special.ndtr(-_probits((snr_db - mu_db) / sigma_db, skew))
    return rates


def wilson_interval(errors: int, blocks: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % confidence interval of a proportion (E. B. Wilson, JASA 22, 1927); (0, 1) of nothing."""
    if blocks == 0:
        return 0.0, 1.0
    rate, scale = errors / blocks, 1.0 + z * z / blocks
    centre = (rate + z * z / (2 * blocks)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / blocks + z * z / (4 * blocks * blocks))
    return max(0.0, centre - half), min(1.0, centre + half)


# --- one curve --------------------------------------------------------------------------------


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
        """Bits on air of one attempt, in whole symbols."""
        return nominal_coded_bits(
            self.code_block_bits, self.rate_x1024 / 1024, self.bits_per_symbol
        )

    @property
    def name(self) -> str:
        """The five numbers with slashes between: unique, the key of a half-finished table."""
        numbers = (self.bits_per_symbol, self.rate_x1024, self.base_graph, self.attempt)
        return "/".join(f"{n:g}" for n in (*numbers, self.code_block_bits))

    @property
    def words(self) -> tuple[int, ...]:
        """The five numbers as integers, the rate ten times: they name the curve's generators."""
        rate = round(10 * self.rate_x1024)
        return self.bits_per_symbol, rate, self.base_graph, self.attempt, self.code_block_bits


def make_curve(job: Job, seed: int, errors_per_point: int, blocks_per_point: int) -> Row:
    """Simulate and fit one curve; the row holds the job, the fit, points ``[snr, blocks, errors]``.

    Every point is sent until it has the errors or the blocks asked for.
    """
    started = time.process_time()
    rng = generator(seed, *job.words)
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
    return [[step * step_db, blocks, errors] for step, (blocks, errors) in grid.rows()]


class Grid:
    """Blocks and errors by step of an SNR grid, and which steps still need blocks.

    Args:
        steps: Of the grid at first; it widens as it has to.
        enough_errors, enough_blocks: With either of them a step is done.
    """

    def __init__(self, steps: range, enough_errors: int, enough_blocks: int) -> None:
        self._counts = dict.fromkeys(steps, (0, 0))
        self._enough = (enough_errors, enough_blocks)

    def add(self, steps: list[int], lost: list[int]) -> None:
        """Count a round of 24 blocks at each step, of which so many were lost."""
        for step, errors in zip(steps, lost, strict=True):
            blocks, before = self._counts[step]
            self._counts[step] = (blocks + _ROUND, before + errors)

    def rows(self) -> list[tuple[int, tuple[int, int]]]:
        """(step, (blocks, errors)), rising; steps that were never sent are left out."""
        return [(step, c) for step, c in sorted(self._counts.items()) if c[0]]

    def todo(self, first: int, last: int) -> list[int]:
        """Steps to send next, rising: not done, none beyond a certain one, all in first to last."""
        self._widen(first, last)
        low, high = self._certain_low(), self._certain_high()
        return [p for p in sorted(self._counts) if low <= p <= high and not self._is_done(p)]

    def _is_done(self, step: int) -> bool:
        blocks, errors = self._counts[step]
        is_hopeless = blocks > 0 and errors == blocks
        return is_hopeless or errors >= self._enough[0] or blocks >= self._enough[1]

    def _widen(self, first: int, last: int) -> None:
        """One more step at an end that was sent and is not certain."""
        low, high = min(self._counts), max(self._counts)
        blocks, errors = self._counts[low]
        if errors < blocks and low > first:
            self._counts[low - 1] = (0, 0)
        if self._counts[high][1] > 0 and high < last:
            self._counts[high + 1] = (0, 0)

    def _certain_low(self) -> int:
        """Highest step at which every block was lost; nothing below it needs to be sent."""
        lost = [p for p, (blocks, errors) in self._counts.items() if 0 < blocks == errors]
        return max(lost, default=min(self._counts))

    def _certain_high(self) -> int:
        """Lowest step at which no block of a full count was lost, above the lowest certain one."""
        low, enough = self._certain_low(), self._enough[1]
        fine = [p for p, (n, errors) in self._counts.items() if n >= enough and errors == 0]
        return min((p for p in fine if p > low), default=max(self._counts))


# --- what a row is worth ----------------------------------------------------------------------


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
