"""The radio against theory: noise, fading, path loss (the coded link: test_coded.py).

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

from simsplit.fit.waterfall import wilson_interval
from simsplit.phy import analog, coded, fading

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


def test_shadowing_and_line_of_sight_draws() -> None:
    rng = np.random.default_rng(31)
    for los, sigma_db in ((True, 4.0), (False, 7.82)):
        draws = np.array([fading.draw_shadowing_db(los, rng) for _ in range(20_000)])
        assert stats.kstest(draws, stats.norm(0, sigma_db).cdf).pvalue > KS_LEVEL
    seen = sum(fading.draw_los_umi(60.0, rng) for _ in range(20_000))
    low, high = wilson_interval(seen, 20_000)
    assert low <= 18 / 60 + math.exp(-60 / 36) * (1 - 18 / 60) <= high


@pytest.mark.parametrize("carrier_hz", [0.7e9, 3.5e9, 28e9])
@pytest.mark.parametrize("distance_m", [10.0, 35.0, 209.0, 211.0, 700.0, 5000.0])
def test_umi_path_loss(distance_m: float, carrier_hz: float) -> None:
    """TR 38.901 Table 7.4.1-1 written as power laws in metres and GHz, h_BS 10 m, h_UT 1.5 m."""
    ghz, distance_3d_m = carrier_hz / 1e9, math.sqrt(distance_m**2 + 8.5**2)
    breakpoint_m = 4 * (10 - 1) * (1.5 - 1) * carrier_hz / 3e8
    los = 10**3.24 * distance_3d_m**2.1 * ghz**2
    if distance_m > breakpoint_m:
        los = 10**3.24 * distance_3d_m**4 * ghz**2 / (breakpoint_m**2 + 8.5**2) ** 0.95
    nlos = max(los, 10**2.24 * distance_3d_m**3.53 * ghz**2.13)
    for sight, loss in ((True, los), (False, nlos)):
        found = fading.umi_street_canyon_db(distance_m, carrier_hz, 10.0, 1.5, sight)
        assert found == pytest.approx(10 * math.log10(loss), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("los", [True, False])
def test_umi_path_loss_equals_sionnas(los: bool) -> None:
    distances = [15.0, 40.0, 150.0, 300.0, 900.0]
    model: Any = coded._sionna("channel.tr38901")
    array = model.PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=3.5e9,
    )
    umi = model.UMi(
        carrier_frequency=3.5e9,
        o2i_model="low",
        ut_array=array,
        bs_array=array,
        direction="downlink",
    )
    n = len(distances)
    zeros = torch.zeros(1, n, 3)
    places = torch.stack([torch.tensor(distances), torch.zeros(n), torch.full((n,), 1.5)], -1)
    umi.set_topology(
        ut_loc=places[None],
        bs_loc=torch.tensor([[[0.0, 0.0, 10.0]]]),
        ut_orientations=zeros,
        bs_orientations=torch.zeros(1, 1, 3),
        ut_velocities=zeros,
        in_state=torch.zeros(1, n, dtype=torch.bool),
        los=los,
    )
    theirs = umi._scenario.basic_pathloss.flatten().tolist()
    ours = [fading.umi_street_canyon_db(d, 3.5e9, 10.0, 1.5, los) for d in distances]
    assert ours == pytest.approx(theirs, abs=0.02)  # they take the exact c at the breakpoint
