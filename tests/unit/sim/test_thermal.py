"""Unit: figures of a thermal body, pieces of a computation, hysteresis of the thermostat."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from simsplit.errors import ScenarioError
from simsplit.hardware.parts import Thermal
from simsplit.scenario.devices import Heat
from simsplit.sim.device.thermal import Temperature, ThermalBody, thermal_body

SHEET = Thermal(10.0, 5.0, 60.0, 50.0, 0.5, 2.0)
BODY = ThermalBody(10.0, 5.0, 60.0, 50.0, 0.5, 2.0)  # steady at 2 W: 45 degrees


def heat() -> Temperature:
    return Temperature(BODY, compute_w=6.0, idle_w=0.5)


def test_begins_as_after_a_long_rest():
    assert heat().temperature_c == heat().max_c == 30.0
    assert not heat().is_throttled


def test_pieces_do_all_the_work_and_alternate():
    pieces = list(heat().run(500.0, 0.0))
    assert len(pieces) > 4
    assert sum(piece.duration_s * piece.scale for piece in pieces) == pytest.approx(500.0)
    assert [piece.scale for piece in pieces[:4]] == [1.0, 0.5, 1.0, 0.5]
    assert {piece.power_w for piece in pieces} == {6.0, 2.0}
    assert {piece.start_c for piece in pieces[1:]} == {60.0, 50.0}
    lefts = [piece.work_s for piece in pieces]
    assert lefts[0] == 500.0 and lefts == sorted(lefts, reverse=True)


def test_short_and_empty_work_is_one_piece():
    for work_s in (0.0, 1.0):
        (piece,) = heat().run(work_s, 0.0)
        assert (piece.duration_s, piece.power_w, piece.scale) == (work_s, 6.0, 1.0)


def test_a_body_that_never_cools_enough_stays_slow():
    body = replace(BODY, throttled_compute_w=4.0)  # steady at 65 degrees
    pieces = list(Temperature(body, 6.0, 0.5).run(1000.0, 0.0))
    assert [piece.scale for piece in pieces] == [1.0, 0.5]


def test_hysteresis_lasts_between_the_limits():
    body = heat()
    for piece in body.run(1e3, 0.0):
        if piece.scale == 0.5:
            break
        body.begin(piece, 0.0)
        hot_s = piece.duration_s
    body.rest(hot_s + 1e-9, 0.5)
    assert body.is_throttled
    to_resume_s = body.reaches_s(50.0, body.temperature_c, 0.5)
    body.advance(hot_s + to_resume_s - 0.01)
    assert body.is_throttled and next(iter(body.run(1.0, hot_s + to_resume_s - 0.01))).scale == 0.5
    body.advance(hot_s + to_resume_s + 0.01)
    assert not body.is_throttled
    assert body.max_c == pytest.approx(60.0)
    assert body.throttled_s == 0.0  # nothing was computed meanwhile


def test_heat_that_idles_too_hot_is_throttled_from_the_start():
    hot = Temperature(BODY, 6.0, 0.5, ambient_c=58.0)
    assert hot.is_throttled and next(iter(hot.run(1.0, 0.0))).scale == 0.5


def test_limits_that_are_never_reached():
    body = heat()
    assert body.reaches_s(60.0, 30.0, 3.5) == math.inf  # steady at exactly 60
    assert body.reaches_s(60.0, 30.0, 1.0) == math.inf
    assert body.reaches_s(20.0, 30.0, 1.0) == math.inf
    assert body.reaches_s(30.0, 30.0, 1.0) == math.inf


@pytest.mark.parametrize(
    "wrong",
    [
        {"resume_at_c": 60.0},
        {"throttled_scale": 0.0},
        {"throttled_scale": 1.5},
        {"resistance_k_per_w": 0.0},
    ],
)
def test_impossible_figures(wrong):
    with pytest.raises(ScenarioError):
        replace(BODY, **wrong)


def test_a_scenario_overrules_the_hardware_file():
    assert thermal_body(Heat(), SHEET) == BODY
    assert thermal_body(Heat(throttle_at_c=70.0), SHEET) == replace(BODY, throttle_at_c=70.0)


def test_figures_that_nobody_says():
    with pytest.raises(ScenarioError, match="resistance_k_per_w"):
        thermal_body(Heat(), None)
    alone = Heat(
        resistance_k_per_w=10.0,
        capacity_j_per_k=5.0,
        throttle_at_c=60.0,
        resume_at_c=50.0,
        throttled_scale=0.5,
        throttled_compute_w=2.0,
    )
    assert thermal_body(alone, None) == BODY
