"""The waterfall BLER(snr) = Phi((mu - snr) / sigma): maximum-likelihood fit of counted errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


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
    found = [
        optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-6})
        for start in starts
    ]
    mu_db, log_sigma = min(found, key=lambda f: float(f.fun)).x
    sigma_db = math.exp(log_sigma)
    return float(mu_db), sigma_db, *_standard_errors(snr_db, blocks, float(mu_db), sigma_db)


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


def fitted(snr_db: Floats, mu_db: float, sigma_db: float) -> Floats:
    """Block error rates of the fit at ``(P,)`` SNRs."""
    rates: Floats = special.ndtr((mu_db - snr_db) / sigma_db)
    return rates


def wilson_interval(errors: int, blocks: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % confidence interval of a proportion (E. B. Wilson, JASA 22, 1927); (0, 1) of nothing."""
    if blocks == 0:
        return 0.0, 1.0
    rate, scale = errors / blocks, 1.0 + z * z / blocks
    centre = (rate + z * z / (2 * blocks)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / blocks + z * z / (4 * blocks * blocks))
    return max(0.0, centre - half), min(1.0, centre + half)
