"""Made traces against theory: Rayleigh power, its autocorrelation in time, free space.

Statistical: fixed seeds; intervals of 99 % (Student's t over independent devices), because there
are several of them. Sources are given with each formula.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats

from simsplit.phy.traces.make import make_cdl_trace, make_tdl_trace
from simsplit.phy.traces.ray_traced import make_rt_trace
from simsplit.phy.traces.read import read_trace

DEVICES, STEPS, STEP_S = 400, 500, 1e-3
CARRIER_HZ, SPEED_MPS, SNR_DB = 3.5e9, 10.0, 12.0
LIGHT_MPS = 299_792_458.0
LAGS = (1, 2, 3, 4, 6, 8)
TDL_A_DB = (  # TR 38.901 Table 7.7.2-1
    *(-13.4, 0.0, -2.2, -4.0, -6.0, -8.2, -9.9, -10.5, -7.5, -15.9, -6.6, -16.7, -12.4, -15.2),
    *(-10.8, -11.3, -12.7, -16.2, -18.3, -18.9, -16.6, -19.9, -29.7),
)
SINUSOIDS = 20  # per tap in Sionna's model

Floats = NDArray[np.float64]


def gains(file: Path) -> Floats:
    """Power over its intended mean, one row per device."""
    return 10.0 ** ((np.array(read_trace(file).level_db) - SNR_DB) / 10.0)


@pytest.fixture(scope="module")
def rayleigh(tmp_path_factory: pytest.TempPathFactory) -> Floats:
    """One frequency of TDL-A: the sum of 23 independent complex Gaussian taps."""
    torch.set_num_threads(1)
    file = make_tdl_trace(
        tmp_path_factory.mktemp("tdl") / "t.parquet",
        devices=DEVICES,
        duration_s=STEPS * STEP_S,
        step_s=STEP_S,
        carrier_hz=CARRIER_HZ,
        speed_mps=SPEED_MPS,
        snr_db=SNR_DB,
        subbands=1,
    )
    return gains(file)


def mean_interval(samples: Floats) -> tuple[float, float]:
    """99 % interval of the mean of independent samples ``(n,)`` (Student's t)."""
    spread = samples.std(ddof=1) / math.sqrt(samples.size)
    reach = stats.t.ppf(0.995, samples.size - 1) * spread
    return float(samples.mean() - reach), float(samples.mean() + reach)


@pytest.mark.slow
def test_mean_power_is_the_one_asked_for(rayleigh: Floats) -> None:
    low, high = mean_interval(rayleigh.mean(axis=1))
    assert low <= 1.0 <= high
    assert high - low < 0.1


@pytest.mark.slow
def test_power_is_exponential(rayleigh: Floats) -> None:
    assert stats.kstest(rayleigh[:, 0], stats.expon.cdf).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("lag", LAGS)
def test_power_autocorrelation_is_j0_squared(lag: int, rayleigh: Floats) -> None:
    """Of |h|^2 for a Rayleigh channel with Clarke's spectrum: J0(2 pi f_D tau)^2 (Jakes 1974).

    A tap of N sinusoids with random phases is not quite Gaussian: its fourth moment makes the
    value up to sum_p P_p^2 / N smaller (0.007 here; Xiao, Zheng & Beaulieu 2006).
    """
    products = (rayleigh[:, lag:] - 1.0) * (rayleigh[:, :-lag] - 1.0)
    low, high = mean_interval(products.mean(axis=1))
    doppler_hz = SPEED_MPS * CARRIER_HZ / LIGHT_MPS
    expected = float(special.j0(2 * math.pi * doppler_hz * lag * STEP_S)) ** 2
    powers = 10.0 ** (np.array(TDL_A_DB) / 10.0)
    shortfall = float(((powers / powers.sum()) ** 2).sum()) / SINUSOIDS
    assert low <= expected
    assert expected - shortfall <= high


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["A", "C", "D"])
def test_mean_power_of_clustered_lines(profile: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    file = make_cdl_trace(
        tmp_path / "t.parquet",
        profile=profile,  # type: ignore[arg-type]
        devices=DEVICES,
        duration_s=0.2,
        step_s=2e-3,
        speed_mps=SPEED_MPS,
        snr_db=SNR_DB,
        subbands=1,
    )
    low, high = mean_interval(gains(file).mean(axis=1))
    assert low <= 1.0 <= high


@pytest.mark.slow
def test_many_subbands_fade_less_than_one(rayleigh: Floats, tmp_path: Path) -> None:
    """Effective SNR <= mean SNR (Jensen), and its spread shrinks with frequency diversity."""
    file = make_tdl_trace(
        tmp_path / "t.parquet",
        devices=50,
        duration_s=0.2,
        step_s=STEP_S,
        delay_spread_s=1e-6,
        speed_mps=SPEED_MPS,
        snr_db=SNR_DB,
        subbands=24,
    )
    selective = gains(file)
    assert selective.mean() < 1.0
    assert selective.std() < 0.5 * rayleigh.std()


@pytest.mark.slow
def test_sight_alone_is_free_space(tmp_path: Path) -> None:
    """Without reflections RSRP falls by 20 log10(4 pi d f / c) (Friis 1946)."""
    pytest.importorskip("sionna.rt")
    base_m, start_m, velocity_mps = (-32.0, 10.0, 32.0), (-50.0, 0.0, 1.5), (4.0, 0.0, 0.0)
    file = make_rt_trace(
        tmp_path / "t.csv",
        transmitter_m=base_m,
        starts_m=[start_m],
        velocities_mps=[velocity_mps],
        duration_s=20.0,
        step_s=0.5,
        max_depth=0,
        reference_dbm_per_re=15.0,
        subbands=1,
    )
    trace = read_trace(file)
    places_m = np.array(start_m) + np.outer(trace.time_s[0], velocity_mps)
    distances_m = np.linalg.norm(places_m - np.array(base_m), axis=1)
    loss_db = 20 * np.log10(4 * math.pi * distances_m * CARRIER_HZ / LIGHT_MPS)
    np.testing.assert_allclose(trace.level_db[0], 15.0 - loss_db, atol=0.01)
