"""Simple path losses, fading streams, thermal noise."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.phy import fading


def test_gain_does_not_depend_on_the_order_of_access() -> None:
    forward = fading.BlockFading("rayleigh", (1, 2, 3))
    backward = fading.BlockFading("rayleigh", (1, 2, 3))
    places = [0, 5, 1023, 1024, 5000]
    seen = [forward.gain_db(i) for i in places]
    assert [backward.gain_db(i) for i in reversed(places)] == seen[::-1]


def test_streams_differ_by_key() -> None:
    streams = [fading.BlockFading("rayleigh", (1, device, 5)) for device in range(3)]
    assert len({s.gain_db(0) for s in streams}) == 3


def test_none_is_flat_and_bad_kinds_are_refused() -> None:
    assert fading.BlockFading("none", (1,)).gain_db(17) == 0.0
    with pytest.raises(ScenarioError):
        fading.BlockFading("nakagami", (1,))  # type: ignore[arg-type]
    with pytest.raises(ScenarioError):
        fading.BlockFading("rician", (1,))
    with pytest.raises(ScenarioError):
        fading.BlockFading("rayleigh", (1,), k_factor_db=3.0)


def test_strong_direct_path_hardly_fades() -> None:
    gains = fading.gains_db(fading.BlockFading("rician", (1,), k_factor_db=40.0), 2000)
    assert np.abs(gains).max() < 0.6


WAY_M = np.linspace(0.0, 5.0, 200)


def test_travelling_fading_does_not_depend_on_the_order_of_access() -> None:
    whole = fading.JakesFading(3.5e9, (1, 2, 3)).coefficient(WAY_M)
    parts = fading.JakesFading(3.5e9, (1, 2, 3))
    late, early = parts.coefficient(WAY_M[90:]), parts.coefficient(WAY_M[:90])
    np.testing.assert_allclose(np.concatenate([early, late]), whole, atol=1e-6)
    expected_db = 20 * np.log10(np.abs(whole))
    np.testing.assert_allclose(parts.gain_db(WAY_M), expected_db, atol=1e-3)


def test_travelling_fading_differs_by_key_and_rests_with_the_device() -> None:
    first, second = (fading.JakesFading(3.5e9, (1, device)).gain_db(WAY_M) for device in (0, 1))
    assert np.abs(first - second).max() > 1.0
    assert np.ptp(fading.JakesFading(3.5e9, (1, 0)).gain_db(np.full(4, 7.7))) == 0.0


def test_travelling_fading_of_a_strong_direct_path() -> None:
    gains_db = fading.JakesFading(3.5e9, (1,), k_factor_db=40.0).gain_db(WAY_M)
    assert 0.0 < np.abs(gains_db).max() < 0.6


def test_phasors_keep_their_phase_over_long_ways() -> None:
    """A whole number of cycles later every phasor is where it was, to single precision."""
    cycles_per_m = np.array([0.125, -10.5, 2.0])
    near, far = (
        fading.phasors(np.array([0.7]), cycles_per_m),
        fading.phasors(np.array([2.0**24 + 0.7]), cycles_per_m),
    )
    np.testing.assert_allclose(far, near, atol=1e-6)
    np.testing.assert_allclose(near[0], np.exp(2j * np.pi * 0.7 * cycles_per_m), atol=1e-6)


def test_travelling_fading_refuses_nonsense() -> None:
    with pytest.raises(ScenarioError):
        fading.JakesFading(0.0, (1,))
    with pytest.raises(ScenarioError):
        fading.JakesFading(1e9, (1,), sinusoids=0)


def test_free_space_by_hand() -> None:
    assert fading.free_space_db(1.0, 2.4e9) == pytest.approx(40.05, abs=0.01)
    assert fading.free_space_db(100.0, 3.5e9) == pytest.approx(83.33, abs=0.01)
    with pytest.raises(ScenarioError):
        fading.free_space_db(0.0, 1e9)


def test_log_distance_falls_by_ten_n_per_decade() -> None:
    near, far = (fading.log_distance_db(d, 3.5e9, 3.0) for d in (10.0, 100.0))
    assert far - near == pytest.approx(30.0)
    assert fading.log_distance_db(1.0, 3.5e9, 3.0) == fading.free_space_db(1.0, 3.5e9)
    with pytest.raises(ScenarioError):
        fading.log_distance_db(0.5, 3.5e9, 3.0)


def test_thermal_noise() -> None:
    noise_dbm = fading.thermal_noise_dbm(1.0, 0.0)
    assert noise_dbm == pytest.approx(-173.975, abs=1e-3)
    assert fading.thermal_noise_dbm(20e6, 7.0) == pytest.approx(-93.965, abs=1e-2)
