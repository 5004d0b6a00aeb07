"""Ranges, errors and determinism of the propagation models."""

from __future__ import annotations

import math
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.phy import propagation
from simsplit.phy.environment import (
    DEFAULT_HEIGHTS_M,
    Environment,
    Indoors,
    carrier_range_hz,
    distance_range_m,
    draw_indoor_depth_m,
    draw_indoors,
    o2i_loss_db,
)
from simsplit.phy.propagation import CorrelatedNormal
from simsplit.seeds import generator

CARRIER_HZ = 3.5e9


def usual(kind: Any, **more: Any) -> Environment:
    base_m, device_m = DEFAULT_HEIGHTS_M[kind]
    heights = {"base_station_height_m": base_m, "device_height_m": device_m}
    return Environment(kind, **{**heights, **more})


@pytest.mark.parametrize(
    ("kind", "more", "word"),
    [
        ("umi", {"device_height_m": 1.4}, "device_height_m"),
        ("umi", {"device_height_m": 23.0}, "22.5"),
        ("umi", {"base_station_height_m": 1.0}, "base_station_height_m"),
        ("uma", {"device_height_m": math.nan}, "device_height_m"),
        ("rma", {"base_station_height_m": 9.0}, "from 10 to 150"),
        ("rma", {"device_height_m": 11.0}, "from 1 to 10"),
        ("rma", {"building_height_m": 4.0}, "building_height_m"),
        ("rma", {"street_width_m": 51.0}, "street_width_m"),
        ("inh", {"office": "loft"}, "mixed, open"),
        ("inf", {"hall": "xx"}, "Choices: sl"),
        ("inf", {"hall": "dh"}, "clutter_density"),
        ("inf", {"clutter_density": 0.5}, "clutter_density"),
        ("inf", {"clutter_density": 0.0}, "clutter_density"),
        ("inf", {"clutter_size_m": 0.0}, "clutter_size_m"),
        ("inf", {"clutter_height_m": 11.0}, "clutter_height_m"),
        ("inf", {"base_station_height_m": 5.0}, "not below the clutter"),
        ("inf", {"hall": "sl"}, "must be below the clutter"),
        ("inf", {"device_height_m": 7.0}, "device_height_m must be below"),
        ("inf", {"hall": "hh"}, "device_height_m must be not below"),
    ],
)
def test_contradictory_environments(kind: str, more: dict[str, Any], word: str) -> None:
    with pytest.raises(ScenarioError, match=word):
        usual(kind, **more)


def test_no_such_kind() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'umi'"):
        Environment("umii", 10.0, 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["umi", "uma", "rma", "inh", "inf"])
@pytest.mark.parametrize("los", [True, False])
def test_ends_of_the_ranges(kind: str, los: bool) -> None:
    environment = usual(kind)
    distances_m = distance_range_m(environment, los)
    carriers_hz = carrier_range_hz(environment)
    for distance_m in distances_m:
        for carrier_hz in carriers_hz:
            assert propagation.path_loss_db(environment, distance_m, carrier_hz, los) > 20.0
    for distance_m in (distances_m[0] - 0.1, distances_m[1] * 1.01, math.nan):
        with pytest.raises(ScenarioError, match=f"{kind}: distance_2d_m lies from"):
            propagation.path_loss_db(environment, distance_m, CARRIER_HZ, los)
        with pytest.raises(ScenarioError, match="distance_2d_m"):
            propagation.shadowing_sigma_db(environment, los, distance_m, CARRIER_HZ)
    for carrier_hz in (0.99 * carriers_hz[0], 1.01 * carriers_hz[1]):
        with pytest.raises(ScenarioError, match=f"{kind}: carrier_hz lies from"):
            propagation.path_loss_db(environment, distances_m[1], carrier_hz, los)


@pytest.mark.parametrize("kind", ["umi", "uma", "rma", "inh", "inf"])
def test_a_place_at_the_limit_may_be_a_rounding_off(kind: str) -> None:
    """hypot of a point on a ring at the limit is 5000.000000000001 now and then."""
    environment = usual(kind)
    low_m, high_m = distance_range_m(environment)
    for at_m, off_m in ((high_m, high_m * (1 + 1e-12)), (low_m, low_m * (1 - 1e-12))):
        losses = [propagation.path_loss_db(environment, d, CARRIER_HZ, True) for d in (at_m, off_m)]
        assert losses[1] == pytest.approx(losses[0], abs=1e-9)
        propagation.shadowing_sigma_db(environment, False, off_m, CARRIER_HZ)
    with pytest.raises(ScenarioError, match="lies from"):
        propagation.path_loss_db(environment, math.inf, CARRIER_HZ, True)


@pytest.mark.parametrize("kind", ["umi", "uma", "rma"])
@pytest.mark.parametrize("los", [True, False])
def test_a_law_is_continued_where_it_is_asked_for(kind: str, los: bool) -> None:
    environment, limit_m = usual(kind), distance_range_m(usual(kind), los)[1]
    distances_m = [limit_m * f for f in (0.98, 1.0, 1.02, 2.0)]
    losses = [
        propagation.path_loss_db(environment, d, CARRIER_HZ, los, beyond=True) for d in distances_m
    ]
    assert losses == sorted(losses)
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=0.05)
    assert 10.0 < losses[3] - losses[1] < 12.5  # 35 to 41 dB a decade
    with pytest.raises(ScenarioError, match="lies from"):
        propagation.path_loss_db(environment, 5.0, CARRIER_HZ, los, beyond=True)


def test_the_way_indoors() -> None:
    inside = Indoors(depth_m=20.0, wall_db=12.0)
    assert (inside.outdoor_m(50.0), inside.loss_db(50.0)) == (30.0, 22.0)
    assert (inside.outdoor_m(15.0), inside.loss_db(15.0)) == (0.0, 19.5)  # no longer than the link


def test_distance_ranges() -> None:
    assert distance_range_m(usual("umi")) == (10.0, 5000.0)
    assert distance_range_m(usual("rma")) == (10.0, 5000.0)
    assert distance_range_m(usual("rma"), True) == (10.0, 10_000.0)
    low_m, high_m = distance_range_m(usual("inh", device_height_m=2.4))
    assert low_m == pytest.approx(0.8)  # 3-D: 1 m with 0.6 m of height between
    assert math.hypot(high_m, 0.6) == pytest.approx(150.0)


def test_state_decides_over_the_range() -> None:
    environment = usual("rma")
    assert propagation.path_loss_db(environment, 8000.0, CARRIER_HZ, True) > 100.0
    with pytest.raises(ScenarioError, match="5000"):
        propagation.path_loss_db(environment, 8000.0, CARRIER_HZ, False)


def test_a_hall_without_shade() -> None:
    environment = usual("inf", hall="hh", device_height_m=7.0)
    with pytest.raises(ScenarioError, match="hh"):
        propagation.path_loss_db(environment, 50.0, CARRIER_HZ, False)


def test_environment_height_is_asked_for() -> None:
    high = usual("uma", device_height_m=20.0)
    with pytest.raises(ScenarioError, match="need an environment height"):
        propagation.path_loss_db(high, 100.0, CARRIER_HZ, True)
    near, far = (propagation.path_loss_db(high, 4000.0, 2e9, True, h) for h in (1.0, 18.0))
    assert far > near  # the breakpoint comes closer
    for wrong_m in (0.5, 20.0):
        with pytest.raises(ScenarioError, match="below both antennas"):
            propagation.path_loss_db(high, 100.0, CARRIER_HZ, True, wrong_m)
    with pytest.raises(ScenarioError, match="UMa"):
        propagation.path_loss_db(usual("umi"), 100.0, CARRIER_HZ, True, 1.0)


@pytest.mark.parametrize(
    ("device_m", "heights"), [(13.2, {1.0, 12.0}), (16.4, {1.0, 12.0}), (16.5, {1.0, 12.0, 15.0})]
)
def test_drawn_environment_heights(device_m: float, heights: set[float]) -> None:
    environment, rng = usual("uma", device_height_m=device_m), generator(5)
    drawn = {propagation.draw_environment_height_m(environment, 300.0, rng) for _ in range(2000)}
    assert drawn == heights


def test_low_devices_draw_one_metre() -> None:
    rng = generator(5)
    drawn = {propagation.draw_environment_height_m(usual("uma"), 300.0, rng) for _ in range(99)}
    assert drawn == {1.0}
    with pytest.raises(ScenarioError):
        propagation.draw_environment_height_m(usual("umi"), 300.0, rng)


def test_shadowing_figures() -> None:
    """Tables 7.4.1-1 and 7.5-6 as read: (LOS, NLOS) sigma in dB, then distances in m."""
    far = {"umi": 100.0, "uma": 100.0, "rma": 100.0, "inh": 20.0, "inf": 20.0}
    values = {
        kind: (
            *(propagation.shadowing_sigma_db(usual(kind), s, d, CARRIER_HZ) for s in (True, False)),
            *(propagation.shadowing_correlation_m(usual(kind), s) for s in (True, False)),
            propagation.los_correlation_m(usual(kind)),
        )
        for kind, d in far.items()
    }
    assert values == {
        "umi": (4.0, 7.82, 10.0, 13.0, 50.0),
        "uma": (4.0, 6.0, 37.0, 50.0, 50.0),
        "rma": (4.0, 8.0, 37.0, 120.0, 60.0),
        "inh": (3.0, 8.03, 10.0, 6.0, 10.0),
        "inf": (4.3, 5.9, 10.0, 10.0, 5.0),
    }
    assert propagation.shadowing_sigma_db(usual("rma"), True, 3900.0, CARRIER_HZ) == 6.0


def test_shadowing_indoors() -> None:
    for kind, sigma_db, correlation_m in (("umi", 7, 7), ("uma", 7, 7), ("rma", 8, 120)):
        environment = usual(kind)
        assert propagation.shadowing_sigma_db(environment, True, 99.0, 2e9, indoor=True) == sigma_db
        assert propagation.shadowing_correlation_m(environment, False, indoor=True) == correlation_m
    with pytest.raises(ScenarioError, match="outdoor"):
        propagation.shadowing_correlation_m(usual("inh"), True, indoor=True)


def test_line_of_sight_is_a_probability() -> None:
    places = [usual(k) for k in ("umi", "uma", "rma", "inh", "inf")]
    places += [usual("uma", device_height_m=22.5), usual("inh", office="open")]
    for environment in places:
        chances = [propagation.los_probability(environment, 0.5 * d) for d in range(1, 2000)]
        assert all(0.0 <= chance <= 1.0 for chance in chances)
    with pytest.raises(ScenarioError):
        propagation.los_probability(places[0], -1.0)


def test_penetration_errors() -> None:
    rng = generator(6)
    with pytest.raises(ScenarioError, match="low, high"):
        o2i_loss_db("thick", CARRIER_HZ, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="indoor_depth_m"):
        o2i_loss_db("low", CARRIER_HZ, 26.0)
    with pytest.raises(ScenarioError, match="carrier_hz"):
        o2i_loss_db("low", 0.4e9, 1.0)
    with pytest.raises(ScenarioError, match="low-loss"):
        draw_indoors("high", usual("rma"), CARRIER_HZ, rng)
    with pytest.raises(ScenarioError, match="outdoor"):
        draw_indoors("low", usual("inh"), CARRIER_HZ, rng)


def test_drawn_depths() -> None:
    rng = generator(7)
    for kind, deepest_m in (("umi", 25.0), ("rma", 10.0)):
        depths = [draw_indoor_depth_m(usual(kind), rng) for _ in range(3000)]
        assert min(depths) >= 0.0 and 0.8 * deepest_m < max(depths) <= deepest_m


def test_correlated_normal_is_deterministic() -> None:
    ways_m = [0.0, 0.0, 1.5, 2.0, 40.0]
    first, second = (
        [process.at(way_m) for way_m in ways_m]
        for process in (CorrelatedNormal(10.0, generator(8)), CorrelatedNormal(10.0, generator(8)))
    )
    assert first == second
    assert first[0] == first[1] != first[2]


def test_correlated_normal_goes_forward_only() -> None:
    process = CorrelatedNormal(10.0, generator(8))
    process.at(5.0)
    with pytest.raises(ScenarioError, match="shrink"):
        process.at(4.9)
    with pytest.raises(ScenarioError, match="positive"):
        CorrelatedNormal(0.0, generator(8))
