"""Unit: the level of a battery from one piece of constant power to the next."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simsplit.scenario.devices import Battery
from simsplit.sim.device.energy import Charge


def test_level_is_initial_plus_harvested_minus_consumed():
    charge = Charge(Battery(capacity_j=100.0, initial_share=0.5, harvest_w=2.0))
    charge.follow(10.0, 35.0)
    assert charge.remaining_j == pytest.approx(50.0 + 20.0 - 35.0)
    assert charge.share == pytest.approx(0.35)
    assert charge.empty_s is None and not charge.is_empty


def test_what_does_not_fit_is_lost_piece_by_piece():
    charge = Charge(Battery(capacity_j=10.0, initial_share=0.5, harvest_w=2.0))
    charge.follow(10.0, 0.0)
    assert (charge.remaining_j, charge.spilled_j) == (10.0, 15.0)
    charge.follow(11.0, 6.0)
    assert charge.remaining_j == pytest.approx(6.0)
    assert charge.spilled_j == 15.0


def test_the_moment_it_ran_empty_and_the_debt():
    charge = Charge(Battery(capacity_j=10.0, cutoff_share=0.2, harvest_w=1.0))
    charge.follow(8.0, 24.0)  # 2 W net: 8 J above the cutoff last 4 s
    assert charge.empty_s == pytest.approx(4.0)
    assert charge.is_empty and charge.remaining_j == pytest.approx(-6.0)
    charge.follow(20.0, 24.0)
    assert not charge.is_empty
    charge.follow(30.0, 60.0)
    assert charge.is_empty and charge.empty_s == pytest.approx(4.0)  # the first time


def test_a_caller_that_knows_better_when_it_ran_empty():
    charge = Charge(Battery(capacity_j=10.0))
    charge.follow(8.0, 10.0, emptied_s=3.0)
    assert charge.empty_s == 3.0 and charge.is_empty


def test_rounding_does_not_keep_it_alive():
    charge = Charge(Battery(capacity_j=0.3))
    assert charge.empties_s(3.0, 0.1 + 0.1 + 0.1 - 1e-16) == pytest.approx(3.0)
    charge.follow(3.0, 0.3 - 1e-14)
    assert charge.is_empty and charge.empty_s == pytest.approx(3.0)


def test_an_empty_start():
    charge = Charge(Battery(capacity_j=10.0, initial_share=0.1, cutoff_share=0.1))
    assert charge.is_empty and charge.empty_s == 0.0


def test_impossible_batteries():
    for wrong in ({"capacity_j": 0.0}, {"cutoff_share": 1.0}, {"harvest_w": -1.0}, {"size": 3}):
        with pytest.raises(ValidationError):
            Battery.model_validate({"capacity_j": 1.0} | wrong)
