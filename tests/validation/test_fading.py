"""Fading against theory and against TR 38.901's tables.

Statistical: fixed seeds, ensembles of devices; 99 % intervals from the sample's own spread, for all
values of a test together (Bonferroni); Kolmogorov-Smirnov at 1 %. The tables are those in the
installed Sionna.
"""

from __future__ import annotations

import importlib.util
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from simsplit.phy.delay_profiles import PROFILES, RAY_OFFSETS_DEG, ClusteredDelayLine
from simsplit.phy.fading import JakesFading
from simsplit.phy.multipath import SelectiveFading, subbands_needed

CARRIER_HZ = 3.5e9
WAVE_M = 299_792_458.0 / CARRIER_HZ
WAVES = np.array([0.0, 0.1, 0.25, 0.38, 0.6, 1.0, 1.7, 3.1])  # ways in wavelengths, f_D tau
DELAY_SPREAD_S = 100e-9
BAND_HZ = np.array([0.0, 0.18e6, 0.7e6, 2e6, 5e6, 11e6])
Z99 = 2.576
KS_LEVEL = 0.01


@cache
def table(name: str) -> dict[str, Any]:
    """A profile as Sionna ships it for TR 38.901 V19.2 (read without importing its blocks)."""
    spec = importlib.util.find_spec("sionna")
    assert spec is not None and spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0]) / "phy/channel/tr38901/models/v19_2"
    found: dict[str, Any] = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    return found


def shares(name: str) -> NDArray[np.float64]:
    linear = 10 ** (np.array(table(name)["powers"]) / 10)
    return np.asarray(linear / linear.sum())


def assert_mean(samples: NDArray[np.complex128], expected: NDArray[np.complex128]) -> None:
    """Means over devices (axis 0) are as expected, real and imaginary, all at once at 99 %."""
    z = stats.norm.isf(0.005 / (2 * expected.size))
    for part in (np.real, np.imag):
        values = part(samples)
        half = z * values.std(0) / math.sqrt(len(values)) + 1e-6
        deviation = np.abs(values.mean(0) - part(expected))
        assert np.all(deviation <= half), f"{deviation / half}"


# --- flat fading --------------------------------------------------------------------------------


@cache
def flat(k_factor_db: float | None, devices: int = 6000) -> NDArray[np.complex128]:
    """Coefficients ``(devices, lags)``."""
    keys = ((7, device, 5) for device in range(devices))
    rows = [JakesFading(CARRIER_HZ, key, k_factor_db).coefficient(WAVES * WAVE_M) for key in keys]
    return np.stack(rows).astype(np.complex128)


@pytest.mark.parametrize("k_factor_db", [None, 3.0])
def test_autocorrelation_is_j0(k_factor_db: float | None) -> None:
    """Clarke 1968: J0(2 pi f_D tau); with a uniform heading the direct path's is the same."""
    h = flat(k_factor_db)
    expected = special.j0(2 * np.pi * WAVES) + 0j
    assert_mean(h * np.conj(h[:, :1]), expected)
    assert_mean(h, np.zeros(len(WAVES), dtype=complex))


def kluyver(power: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Distribution of the power of ``steps`` equal unit phasors over ``steps`` (Kluyver 1905).

    P(R <= r) = r int_0^inf J1(r u) J0(u)^N du of the random walk of N unit steps; no limit N -> oo.
    """
    u = np.linspace(0.0, 12.0, 6001)  # J0(u)^16 is below 1e-10 beyond
    radius = np.sqrt(power * steps)
    kernel = special.j1(np.multiply.outer(radius, u)) * special.j0(u) ** steps
    return np.asarray(radius * np.trapezoid(kernel, u))


@pytest.mark.parametrize("lag", [0, 4, 7])
def test_power_is_that_of_a_walk_of_sixteen_steps(lag: int) -> None:
    grid = np.linspace(0.0, 10.0, 2001)
    exact = kluyver(grid, 16)
    assert np.abs(exact - (1 - np.exp(-grid))).max() < 0.009  # how far from Rayleigh fading
    power = np.abs(flat(None)[:, lag]) ** 2
    assert stats.kstest(power, lambda x: np.interp(x, grid, exact)).pvalue > KS_LEVEL


def test_many_sinusoids_are_rayleigh() -> None:
    keys = [(10, device, 5) for device in range(4000)]
    way_m = np.array([2.7])
    power = [
        float(np.abs(JakesFading(CARRIER_HZ, key, sinusoids=256).coefficient(way_m)[0])) ** 2
        for key in keys
    ]
    assert stats.kstest(power, "expon").pvalue > KS_LEVEL


@pytest.mark.parametrize("k_factor_db", [0.0, 3.0, 10.0])
def test_rician_power_is_noncentral_chi_square(k_factor_db: float) -> None:
    """2 (K+1) |h|^2 has 2 degrees of freedom and noncentrality 2K."""
    k = 10 ** (k_factor_db / 10)
    power = np.abs(flat(k_factor_db)[:, 3]) ** 2
    assert stats.kstest(2 * (k + 1) * power, stats.ncx2(2, 2 * k).cdf).pvalue > KS_LEVEL


@pytest.mark.parametrize("rho", [0.3, 1.0])
def test_level_crossings_follow_rice(rho: float) -> None:
    """sqrt(2 pi) rho exp(-rho^2) upward crossings per wavelength (Rice 1945; Jakes 1974, 1.3)."""
    waves = np.arange(0.0, 15.0, 0.005)
    counts = []
    for device in range(200):
        fading = JakesFading(CARRIER_HZ, (8, device, 5), sinusoids=128)
        gain_db = fading.gain_db(waves * WAVE_M)
        above = gain_db > 20 * math.log10(rho)
        counts.append(np.count_nonzero(above[1:] & ~above[:-1]) / 15.0)
    half = Z99 * float(np.std(counts)) / math.sqrt(len(counts))
    expected = math.sqrt(2 * math.pi) * rho * math.exp(-(rho**2))
    assert float(np.mean(counts)) == pytest.approx(expected, abs=half)


def test_changing_speed_is_way_not_time() -> None:
    """A device that stops, then hurries, is correlated by the way between: J0 at 0.38 waves is 0.

    Moving at f_D = 100 Hz for 1 ms, standing for 5 ms, then 70 Hz for 4 ms: 0.38 wavelengths.
    """
    speed_mps = np.repeat([100.0, 0.0, 70.0], [1, 5, 4]) * WAVE_M
    way_m = np.cumsum(speed_mps * 1e-3)[[0, 5, 9]]
    keys = ((9, device) for device in range(4000))
    rows = np.stack([JakesFading(CARRIER_HZ, key).coefficient(way_m) for key in keys])
    pairs = (rows * np.conj(rows[:, :1])).astype(np.complex128)
    assert_mean(pairs, special.j0(2 * np.pi * np.array([0.0, 0.0, 0.28])) + 0j)


# --- profiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_number_of_the_profiles(name: str) -> None:
    """TR 38.901 Tables 7.7.1-1 to -5 and 7.7.2-1 to -5, as Sionna has them."""
    theirs, ours = table(name), PROFILES[name]
    columns = ["delays", "powers"]
    if isinstance(ours, ClusteredDelayLine):
        columns += ["aod", "aoa", "zod", "zoa"]
        spreads = (ours.c_asd_deg, ours.c_asa_deg, ours.c_zsd_deg, ours.c_zsa_deg, ours.xpr_db)
        assert spreads == tuple(theirs[key] for key in ("cASD", "cASA", "cZSD", "cZSA", "xpr"))
    expected = zip(*(theirs[column] for column in columns), strict=True)
    assert [tuple(row) for row in ours.rows] == list(expected)
    assert ours.los == bool(theirs["los"])


# --- selective fading ---------------------------------------------------------------------------


@cache
def selective(name: str, devices: int = 2500) -> NDArray[np.complex128]:
    """Coefficients ``(devices, lags, frequencies)``."""
    keys = ((11, device, 5) for device in range(devices))
    way_m = WAVES * WAVE_M
    rows = [
        SelectiveFading(name, DELAY_SPREAD_S, CARRIER_HZ, BAND_HZ, key).coefficient(way_m)
        for key in keys
    ]
    return np.stack(rows).astype(np.complex128)


@pytest.mark.parametrize("name", list(PROFILES))
def test_mean_power_is_one(name: str) -> None:
    h = selective(name)
    assert_mean(np.abs(h) ** 2 + 0j, np.ones(h.shape[1:], dtype=complex))


@pytest.mark.parametrize("name", list(PROFILES))
def test_frequency_correlation(name: str) -> None:
    """E[H(f) H*(0)] is the Fourier transform of the power delay profile."""
    h = selective(name)[:, 4]
    delays_s = np.array(table(name)["delays"]) * DELAY_SPREAD_S
    expected = np.exp(-2j * np.pi * np.outer(BAND_HZ, delays_s)) @ shares(name)
    assert_mean(h * np.conj(h[:, :1]), expected)


@pytest.mark.parametrize("name", ["TDL-A", "TDL-C", "CDL-B"])
def test_delay_spread_of_the_impulse_response(name: str) -> None:
    """rms delay spread of the mean |h(tau)|^2, seen through a Hann window over 256 MHz: 5 %."""
    spacing_hz, points, power = 0.25e6, 1024, 0.0
    for device in range(150):
        grid_hz = np.arange(points) * spacing_hz
        fading = SelectiveFading(name, DELAY_SPREAD_S, CARRIER_HZ, grid_hz, (12, device))
        response = np.fft.ifft(fading.coefficient(np.zeros(1))[0] * np.hanning(points))
        power = power + np.abs(response) ** 2
    tau_s = np.fft.fftfreq(points, spacing_hz)
    tau_s[tau_s < -0.2e-6] += 1 / spacing_hz
    mean_s = float(np.average(tau_s, weights=power))
    spread_s = math.sqrt(float(np.average((tau_s - mean_s) ** 2, weights=power)))
    assert spread_s == pytest.approx(DELAY_SPREAD_S, rel=0.05)


@pytest.mark.parametrize("name", [name for name in PROFILES if name.startswith("TDL")])
def test_way_correlation_of_tapped_lines(name: str) -> None:
    """Scattered power times J0, and the line of sight turning at 0.7 f_D (clause 7.7.2)."""
    h, direct = selective(name)[:, :, 2], 0.0
    if table(name)["los"]:
        direct = float(shares(name)[0])
    turn = direct * np.exp(2j * np.pi * 0.7 * WAVES)
    expected = turn + (1 - direct) * special.j0(2 * np.pi * WAVES)
    assert_mean(h * np.conj(h[:, :1]), expected)


@pytest.mark.parametrize("name", [name for name in PROFILES if name.startswith("CDL")])
def test_way_correlation_of_clustered_lines(name: str) -> None:
    """A ray from zenith theta, seen under a uniform horizontal heading: J0(2 pi d sin(theta))."""
    h, profile = selective(name)[:, :, 2], table(name)
    zenith_deg = np.array(profile["zoa"])[:, None] + profile["cZSA"] * np.array(RAY_OFFSETS_DEG)
    if profile["los"]:
        zenith_deg[0] = profile["zoa"][0]
    sine = np.sin(np.radians(zenith_deg))
    each = special.j0(2 * np.pi * WAVES[:, None, None] * sine).mean(-1)  # (lags, clusters)
    assert_mean(h * np.conj(h[:, :1]), each @ shares(name) + 0j)


@pytest.mark.parametrize("name", ["TDL-A", "TDL-B", "TDL-C", "CDL-A", "CDL-B", "CDL-C"])
def test_power_without_line_of_sight_is_exponential(name: str) -> None:
    power = np.abs(selective(name)[:, 5, 3]) ** 2
    assert stats.kstest(power, "expon").pvalue > KS_LEVEL


@pytest.mark.slow
@pytest.mark.parametrize("model", ["A", "D"])
def test_ensemble_of_sionnas_taps(model: str) -> None:
    """Correlations in way and frequency of both ensembles differ by less than their intervals."""
    import torch

    from simsplit.phy.coded import sionna_module

    torch.set_num_threads(1)
    tdl = sionna_module("channel.tr38901").TDL(
        model, DELAY_SPREAD_S, CARRIER_HZ, num_sinusoids=8, min_speed=WAVE_M * 100.0
    )
    sionna_module("config").config.seed = 5
    taps, delays_s = tdl(2500, 8, 400.0)  # f_D = 100 Hz: a quarter wavelength per sample
    shift = np.exp(-2j * np.pi * np.multiply.outer(delays_s[0, 0, 0].numpy(), BAND_HZ))
    theirs = np.moveaxis(taps[:, 0, 0, 0, 0].numpy(), 1, 2) @ shift  # (devices, lags, F)
    way_m = np.arange(8) * 0.25 * WAVE_M
    ours = np.stack(
        [
            SelectiveFading(
                f"TDL-{model}", DELAY_SPREAD_S, CARRIER_HZ, BAND_HZ, (13, device)
            ).coefficient(way_m)
            for device in range(2500)
        ]
    )
    pairs = [h * np.conj(h[:, :1, :1]) for h in (ours, theirs)]
    for part in (np.real, np.imag):
        first, second = (part(pair) for pair in pairs)
        half = 3.5 * np.sqrt((first.var(0) + second.var(0)) / 2500) + 1e-6  # 96 comparisons
        assert np.all(np.abs(first.mean(0) - second.mean(0)) <= half)


# --- subbands of a wide carrier ---------------------------------------------------------------


def deep_fades_db(delay_spread_s: float, subbands: int, widths: list[int]) -> Any:
    """5 % quantile over 400 devices of the SNR of equal capacity at 10 dB, by width of the grant.

    273 resource blocks of 360 kHz, TDL-A; a block has the gain of its subband's middle.
    """
    n_prb, devices = 273, 400
    middles_hz = ((np.arange(subbands) + 0.5) / subbands - 0.5) * n_prb * 360e3
    fading = (
        SelectiveFading("TDL-A", delay_spread_s, 3.5e9, middles_hz, (7, i)) for i in range(devices)
    )
    snr = 10 * np.array([10 ** (0.1 * one.gain_db(np.zeros(1))[0]) for one in fading])
    each = snr[:, np.arange(n_prb) * subbands // n_prb]
    bits = [np.log2(1 + each[:, 100 : 100 + width]).mean(1) for width in widths]
    return np.quantile(10 * np.log10(2 ** np.array(bits) - 1), 0.05, axis=1)


def test_subbands_of_a_coherence_bandwidth_are_enough() -> None:
    """Grants of 16 and 64 blocks of 100 MHz fade as deep as with a gain for every block.

    12 subbands of 8 MHz, 1.6 times the inverse delay spread, give them 1.6 to 3.6 dB too little.
    """
    delay_spread_s, widths = 200e-9, [16, 64]
    truth_db = deep_fades_db(delay_spread_s, 273, widths)
    needed = subbands_needed(delay_spread_s, 273 * 360e3, 273)
    assert np.abs(deep_fades_db(delay_spread_s, needed, widths) - truth_db).max() < 0.5
    assert (deep_fades_db(delay_spread_s, 12, widths) < truth_db - 0.7).all()
