"""The radio against theory: analog symbols and block fading.

Statistical: fixed seeds, 95 % intervals unless said; distribution tests (Kolmogorov-Smirnov) at
1 % each, because there are several of them. Sources are given with each formula.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from simsplit.phy import analog, fading

KS_LEVEL = 0.01


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def gaussian_symbols(n: int, rng: np.random.Generator) -> analog.ComplexArray:
    draw = rng.standard_normal((2, n)) * math.sqrt(0.5)
    return np.asarray(draw[0] + 1j * draw[1], dtype=np.complex64)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 20.0])
def test_analog_snr_is_the_one_asked_for(snr_db: float) -> None:
    rng = np.random.default_rng(21)
    sent = analog.normalise_power(gaussian_symbols(400_000, rng))
    received, variance = analog.transmit(sent, snr_db, rng)
    noise_power = float((np.abs(received - sent) ** 2).mean())
    assert -10 * math.log10(noise_power) == pytest.approx(snr_db, abs=0.05)
    assert noise_power == pytest.approx(float(variance.mean()), rel=0.01)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_linear_gaussian_mse_is_one_over_one_plus_snr(snr_db: float) -> None:
    """Gaussian source, one symbol per sample, LMMSE: Goblick 1965, optimal at equal bandwidth."""
    rng = np.random.default_rng(22)
    sent = gaussian_symbols(400_000, rng)
    received, variance = analog.transmit(sent, snr_db, rng)
    errors = np.abs(analog.lmmse_scale(variance) * received - sent) ** 2
    half = 1.96 * float(errors.std()) / math.sqrt(len(errors))
    assert float(errors.mean()) == pytest.approx(1 / (1 + 10 ** (snr_db / 10)), abs=half)


def powers(stream: fading.BlockFading, n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(10 ** (fading.gains_db(stream, n) / 10))


def test_rayleigh_power_is_exponential_with_mean_one() -> None:
    gains = powers(fading.BlockFading("rayleigh", (5, 0, 1)), 50_000)
    assert gains.mean() == pytest.approx(1.0, abs=1.96 / math.sqrt(50_000))
    assert stats.kstest(gains, "expon").pvalue > KS_LEVEL
    assert abs(np.corrcoef(gains[:-1], gains[1:])[0, 1]) < 1.96 / math.sqrt(50_000)


@pytest.mark.parametrize("k_factor_db", [0.0, 6.0])
def test_rician_power_is_noncentral_chi_square(k_factor_db: float) -> None:
    """2 (K+1) |h|^2 is noncentral chi-square, 2 degrees of freedom, noncentrality 2K."""
    k = 10 ** (k_factor_db / 10)
    gains = powers(fading.BlockFading("rician", (5, 0, 2), k_factor_db), 50_000)
    spread = math.sqrt(1 + 2 * k) / (1 + k)
    assert gains.mean() == pytest.approx(1.0, abs=1.96 * spread / math.sqrt(50_000))
    assert stats.kstest(2 * (k + 1) * gains, stats.ncx2(2, 2 * k).cdf).pvalue > KS_LEVEL
