"""Effective SINR: contract, limits and inverses (theory is in tests/validation)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.errors import OutOfTable, ScenarioError
from simsplit.phy import effective
from simsplit.phy.effective import BETA, MODULATIONS, accumulate_db, curve, eesm_db, miesm_db


@pytest.mark.parametrize("bits_per_symbol", MODULATIONS)
def test_the_inverse_undoes_the_curve(bits_per_symbol: int) -> None:
    information = curve(bits_per_symbol)
    for snr_db in (-80.0, -30.0, -29.97, -3.21, 0.0, 5.55, 11.0):
        assert information.snr_db(information.bits(snr_db)) == pytest.approx(snr_db, abs=1e-6)


@pytest.mark.parametrize("bits_per_symbol", MODULATIONS)
def test_the_curve_rises_without_a_step(bits_per_symbol: int) -> None:
    levels_db = np.arange(-40.0, 45.0, 0.03)
    bits = curve(bits_per_symbol).bits_of(levels_db)
    rise = np.diff(bits)
    assert np.all(rise >= 0.0) and rise.max() < 0.014
    assert np.all(rise[levels_db[1:] < 12.0] > 0.0)
    singly = [curve(bits_per_symbol).bits(level_db) for level_db in levels_db.tolist()]
    np.testing.assert_allclose(bits, singly, rtol=1e-12)


def test_limits() -> None:
    information = curve(4)
    assert information.bits(-math.inf) == 0.0 and information.snr_db(0.0) == -math.inf
    assert information.bits(math.inf) == 4.0 and information.snr_db(4.0) == math.inf
    for bits in (-1e-9, 4.0 + 1e-9, math.nan):
        with pytest.raises(OutOfTable):
            information.snr_db(bits)
    with pytest.raises(ScenarioError):
        information.bits(math.nan)
    with pytest.raises(ScenarioError):
        curve(3)


@pytest.mark.parametrize("bits_per_symbol", MODULATIONS)
@pytest.mark.parametrize("snr_db", [-60.0, -30.0, 3.3, 17.0, 36.0, 60.0, 300.0])
def test_equal_snrs_are_their_own_mean(bits_per_symbol: int, snr_db: float) -> None:
    equal = np.full((3, 4), snr_db)
    assert miesm_db(equal, bits_per_symbol) == pytest.approx(snr_db, abs=1e-6)
    assert eesm_db(equal, 5.0) == pytest.approx(snr_db, abs=1e-6)
    assert accumulate_db([snr_db] * 3, bits_per_symbol) == pytest.approx(snr_db, abs=1e-6)


@pytest.mark.parametrize("bits_per_symbol", MODULATIONS)
@pytest.mark.parametrize("offset_db", [-70.0, -20.0, 0.0, 20.0, 40.0])
def test_the_mean_lies_between_and_rises_with_each(bits_per_symbol: int, offset_db: float) -> None:
    """Also across the ends of the grid, and the array and list forms agree."""
    levels_db = offset_db + np.linspace(0.0, 12.0, 13)
    middle = miesm_db(levels_db, bits_per_symbol)
    assert levels_db[0] < middle < levels_db[-1]
    assert accumulate_db(levels_db.tolist(), bits_per_symbol) == pytest.approx(middle, abs=1e-9)
    levels_db[0] += 0.5
    assert miesm_db(levels_db, bits_per_symbol) > middle


def test_saturated_mean_is_the_exponential_one() -> None:
    """Far above saturation MIESM is EESM with beta = 4 / d^2: 2, 10, 42, 170 for QAM."""
    levels_db = np.array([41.0, 43.0, 50.0])
    for bits_per_symbol, beta in ((1, 1.0), (2, 2.0), (4, 10.0), (6, 42.0), (8, 170.0)):
        assert curve(bits_per_symbol).beta == beta
        assert miesm_db(levels_db, bits_per_symbol) == pytest.approx(eesm_db(levels_db, beta))


def test_infinite_snrs() -> None:
    assert miesm_db(np.array([-math.inf, -math.inf]), 2) == -math.inf
    assert miesm_db(np.array([math.inf, math.inf]), 2) == math.inf
    half = miesm_db(np.array([-math.inf, math.inf]), 2)
    assert curve(2).bits(half) == pytest.approx(1.0)
    assert eesm_db(np.array([-math.inf, math.inf]), 1.0) == pytest.approx(
        10 * math.log10(math.log(2))
    )
    assert eesm_db(np.full(2, math.inf), 1.0) == math.inf
    assert eesm_db(np.full(2, -math.inf), 1.0) == -math.inf


def test_nothing_to_average_and_bad_numbers() -> None:
    for bad in (np.array([]), np.array([1.0, math.nan])):
        with pytest.raises(ScenarioError):
            miesm_db(bad, 2)
        with pytest.raises(ScenarioError):
            eesm_db(bad, 1.0)
    with pytest.raises(ScenarioError):
        eesm_db(np.array([1.0]), 0.0)


def test_betas_cover_both_tables() -> None:
    assert sum(table == 1 for table, _ in BETA) == 29 and sum(t == 2 for t, _ in BETA) == 28
    assert BETA[1, 10] == 3.97 and BETA[2, 27] == 132.54


def test_curves_are_built_once() -> None:
    assert effective.curve(6) is effective.curve(6)
