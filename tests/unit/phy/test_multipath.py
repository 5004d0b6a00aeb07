"""Delay profiles and selective fading: contract, not statistics (those are in tests/validation)."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.phy.delay_profiles import PROFILES, RAY_OFFSETS_DEG, ClusteredDelayLine, profile
from simsplit.phy.multipath import SelectiveFading

BAND_HZ = np.linspace(-9e6, 9e6, 12)
WAY_M = np.linspace(0.0, 3.0, 64)


def make_fading(name: str = "TDL-A", device: int = 2, delay_spread_s: float = 1e-7, **more: int):
    return SelectiveFading(name, delay_spread_s, 3.5e9, BAND_HZ, (1, device, 5), **more)


@pytest.mark.parametrize("name", list(PROFILES))
def test_shapes_and_order_of_access(name: str) -> None:
    whole = make_fading(name).coefficient(WAY_M)
    assert whole.shape == (64, 12) and whole.dtype == np.complex64
    parts = make_fading(name)
    late, early = parts.coefficient(WAY_M[32:]), parts.coefficient(WAY_M[:32])
    np.testing.assert_allclose(np.concatenate([early, late]), whole, atol=1e-5)
    gain_db = parts.gain_db(WAY_M)
    np.testing.assert_allclose(10 ** (gain_db / 10), np.abs(whole) ** 2, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["TDL-A", "CDL-A"])
def test_devices_differ(name: str) -> None:
    first, second = (make_fading(name, device).gain_db(WAY_M) for device in (1, 2))
    assert np.abs(first - second).max() > 1.0


def test_no_delay_spread_is_flat_and_some_is_not() -> None:
    flat = make_fading(delay_spread_s=0.0).gain_db(WAY_M)
    np.testing.assert_allclose(flat, np.broadcast_to(flat[:, :1], flat.shape), atol=1e-3)
    assert np.ptp(make_fading().gain_db(WAY_M), axis=1).mean() > 3.0


def test_a_device_at_rest_keeps_its_channel() -> None:
    for name in ("TDL-C", "CDL-C"):
        gain_db = make_fading(name).gain_db(np.full(5, 1.25))
        assert np.ptp(gain_db, axis=0).max() == 0.0


@pytest.mark.parametrize(("name", "share"), [("TDL-D", 0.888), ("TDL-E", 0.894), ("TDL-A", 0.0)])
def test_the_line_of_sight_turns_at_0p7_of_the_doppler(name: str, share: float) -> None:
    """Clause 7.7.2; its share of the power is 10^-0.02 / 1.0756 in D, 10^-0.003 / 1.1106 in E."""
    way_m = np.arange(20_000) * 0.013
    turn = np.exp(-2j * np.pi * 0.7 * way_m * 3.5e9 / 299_792_458.0)
    specular = (make_fading(name).coefficient(way_m) * turn[:, None]).mean(0)
    np.testing.assert_allclose(np.abs(specular) ** 2, share, atol=0.02)


def test_bad_arguments() -> None:
    with pytest.raises(ScenarioError, match="TDL-A"):
        make_fading("TDL-F")
    with pytest.raises(ScenarioError):
        make_fading(delay_spread_s=-1e-9)
    with pytest.raises(ScenarioError):
        make_fading(sinusoids=0)
    with pytest.raises(ScenarioError):
        SelectiveFading("CDL-A", 1e-7, 0.0, BAND_HZ, (1,))


@pytest.mark.parametrize("name", list(PROFILES))
def test_profiles_are_normalised(name: str) -> None:
    """Powers sum to one; the tables' rms delay spread is 1 to within their digits (D: 0.994)."""
    table = profile(name)
    mean = float(table.powers @ table.delays)
    spread = float(table.powers @ (table.delays - mean) ** 2) ** 0.5
    assert table.powers.sum() == pytest.approx(1.0)
    assert spread == pytest.approx(1.0, abs=0.007)


@pytest.mark.parametrize(("name", "k_factor_db"), [("TDL-D", 13.3), ("TDL-E", 22.0)])
def test_k_factors_of_the_first_tap(name: str, k_factor_db: float) -> None:
    """Notes under TR 38.901 Tables 7.7.2-4 and 7.7.2-5."""
    powers = profile(name).powers
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(k_factor_db, abs=1e-9)


def test_ray_offsets_have_unit_spread() -> None:
    """Table 7.5-3 is made for an rms angle spread of 1 degree."""
    assert np.sqrt(np.mean(np.square(RAY_OFFSETS_DEG))) == pytest.approx(1.0, abs=1e-3)
    table = profile("CDL-A")
    assert isinstance(table, ClusteredDelayLine)
    assert table.angles_deg("zoa")[0] == 125.4
