"""The JSCC air with an estimated channel, and its peak power, against formulas.

Statistical: fixed seeds, 99 % intervals.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

from simsplit.phy import analog
from simsplit.seeds import generator


def gaussian(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.complex128]:
    draw = rng.standard_normal((2, *shape)) * math.sqrt(0.5)
    return np.asarray(draw[0] + 1j * draw[1])


def assert_mean(samples: NDArray[np.float64], expected: float) -> None:
    half = 2.576 * float(samples.std()) / math.sqrt(len(samples))
    assert float(samples.mean()) == pytest.approx(expected, abs=half)


def rayleigh_mmse(noise: float, error: float) -> float:
    """Mean square error of w r with w = conj(h_hat) / (|h_hat|^2 + noise + error), h ~ CN(0, 1).

    Given h_hat = h + e, h is CN(h_hat / (1 + error), error / (1 + error)) (Kay 1993, theorem 10.2),
    |h_hat|^2 is exponential with mean 1 + error: E |w h - 1|^2 + |w|^2 noise by quadrature.
    """

    def conditional(power: float) -> float:
        weight = power / (power + noise + error)
        remains = weight / (power + noise + error) * (error / (1 + error) + noise)
        density = math.exp(-power / (1 + error)) / (1 + error)
        return density * ((weight / (1 + error) - 1) ** 2 + remains)

    return float(integrate.quad(conditional, 0, 60, limit=300)[0])


@pytest.mark.parametrize("error", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_mmse_receiver_with_an_estimated_rayleigh_channel(snr_db: float, error: float) -> None:
    """``lmmse_scale`` of the believed variance times y, over 100,000 pieces of one symbol."""
    rng, n = generator(71, int(snr_db)), 100_000
    sent = gaussian((n,), rng).astype(np.complex64)
    received, variance = analog.transmit(
        sent,
        snr_db,
        rng,
        gain=gaussian((n,), rng),
        csi_error_variance=error,
        piece_of=np.arange(n),
        equaliser="mmse",
    )
    squared = np.abs(analog.lmmse_scale(variance) * received - sent).astype(np.float64) ** 2
    assert_mean(squared, rayleigh_mmse(10 ** (-snr_db / 10), error))


def test_a_receiver_that_trusts_its_estimate_does_worse() -> None:
    rng, n = generator(72), 50_000
    sent = gaussian((n,), rng).astype(np.complex64)
    losses = []
    for equaliser in ("zf", "mmse"):
        received, variance = analog.transmit(
            sent,
            15.0,
            generator(73),
            gain=gaussian((n,), generator(74)),
            csi_error_variance=0.2,
            piece_of=np.arange(n),
            equaliser=equaliser,  # type: ignore[arg-type]
        )
        losses.append(np.abs(analog.lmmse_scale(variance) * received - sent) ** 2)
    difference = np.asarray(losses[0] - losses[1], dtype=np.float64)
    assert difference.mean() > 2.576 * difference.std() / math.sqrt(n)


@pytest.mark.parametrize("pilots", [1, 4])
@pytest.mark.parametrize("snr_db", [-3.0, 10.0])
def test_estimation_from_pilots(snr_db: float, pilots: int) -> None:
    """Pilots sent, averaged, and used: the error's variance, and the SNR of conj(h_hat) r.

    Received SNR h = 1; the decision variable holds z plus what is uncorrelated with it.
    """
    rng, n, noise = generator(75, pilots), 200_000, 10 ** (-snr_db / 10)
    estimate = 1 + math.sqrt(noise) * gaussian((n, pilots), rng).mean(1)
    variance = analog.estimation_error_variance(snr_db, pilots)
    assert_mean(np.abs(estimate - 1) ** 2, variance)
    sent = np.exp(2j * np.pi * rng.random(n))
    decision = np.conj(estimate) * (sent + math.sqrt(noise) * gaussian((n,), rng))
    expected_db = analog.effective_snr_db(snr_db, variance)
    assert_mean(np.abs(decision - sent) ** 2, 10 ** (-expected_db / 10))


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 13.0, 40.0])
@pytest.mark.parametrize("pilots", [1, 6])
def test_effective_snr_of_hassibi_and_hochwald(snr_db: float, pilots: int) -> None:
    """MMSE training at the data's power: rho^2 P / (1 + rho + rho P)."""
    rho = 10 ** (snr_db / 10)
    expected_db = 10 * math.log10(rho**2 * pilots / (1 + rho + rho * pilots))
    variance = analog.estimation_error_variance(snr_db, pilots)
    assert analog.effective_snr_db(snr_db, variance) == pytest.approx(expected_db, abs=1e-9)


@pytest.mark.parametrize(
    ("subcarriers", "gaussian_symbols"), [(48, False), (256, False), (256, True), (1024, True)]
)
def test_peak_power_distribution(subcarriers: int, gaussian_symbols: bool) -> None:
    """P(PAPR > g) = 1 - (1 - exp(-g))^(2.8 N) (van Nee & Prasad 2000, section 6.1), roughly.

    The exponent is their empirical fit: quantiles at 50, 10 and 1 % within 0.35 dB.
    """
    rng, n = generator(76, subcarriers), 3000
    if gaussian_symbols:
        rows = gaussian((n, subcarriers), rng)
    else:
        rows = 1j ** rng.integers(0, 4, (n, subcarriers))
    found = np.array([analog.papr_db(row, subcarriers) for row in rows])
    for exceeded in (0.5, 0.1, 0.01):
        level = -math.log(1 - (1 - exceeded) ** (1 / (2.8 * subcarriers)))
        quantile_db = float(np.quantile(found, 1 - exceeded))
        assert quantile_db == pytest.approx(10 * math.log10(level), abs=0.35)
