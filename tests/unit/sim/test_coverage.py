"""Radio map: who it is of, what it leaves out, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import synthetic
from simsplit.errors import ScenarioError
from simsplit.phy.environment import Environment
from simsplit.phy.propagation import draw_environment_height_m
from simsplit.scenario.cell import Cell
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.coverage import (
    GEOMETRIC,
    coverage,
    environment_heights,
    left_out,
    mean_budget,
    places,
    ways,
)

UMI: dict[str, Any] = {"kind": "umi_street_canyon"}


def scenario(groups: Any = ({},), **cell: Any) -> Scenario:
    base = {"name": "g0", "hardware": "phone", "count": 3, "operating_point": "jpeg"}
    base |= {"arrivals": {"kind": "poisson", "rate_hz": 5}}  # type: ignore[dict-item]
    devices = [base | {"name": f"g{n}"} | group for n, group in enumerate(groups)]
    return synthetic.scenario(devices=devices, cell={"channel": UMI} | cell)


@pytest.mark.parametrize("kind", ["fixed_snr", "trace"])
def test_a_channel_without_places_is_refused(kind: str) -> None:
    channel = {"fixed_snr": {"kind": kind, "snr_db": 3}, "trace": {"kind": kind, "file": "x.csv"}}
    for asked in (coverage, places):
        with pytest.raises(ScenarioError, match=f"'{kind}'.*log_distance.*umi_street_canyon"):
            asked(scenario(channel=channel[kind]))


def test_every_other_kind_has_a_map() -> None:
    for kind in GEOMETRIC:
        result = coverage(scenario([{"distance_max_m": 90.0}], channel={"kind": kind}), points=6)
        middle = result.snr_db[2:4, 2:4]
        assert np.isfinite(result.snr_db).all()
        np.testing.assert_allclose(middle, result.snr_db.max())


def test_map_is_of_one_groups_power() -> None:
    made = scenario([{}, {"tx_power_dbm": 13.0}])
    first, second = coverage(made, points=7), coverage(made, group="g1", points=7)
    assert (first.group, second.group, second.tx_power_dbm) == ("g0", "g1", 13.0)
    np.testing.assert_allclose(first.snr_db - second.snr_db, 10.0)
    with pytest.raises(ScenarioError, match="Did you mean 'g1'"):
        coverage(made, group="g11")


def test_narrow_grants_get_more_power_per_block() -> None:
    made = scenario()
    wide, narrow = coverage(made, points=5), coverage(made, n_prb=17, points=5)
    assert wide.n_prb == 51
    np.testing.assert_allclose(narrow.snr_db - wide.snr_db, 10.0 * math.log10(3))
    for width in (0, 52):
        with pytest.raises(ScenarioError, match="1 to 51"):
            coverage(made, n_prb=width)


def test_map_holds_rings_and_sites() -> None:
    ring = coverage(scenario([{}, {"distance_max_m": 300.0}]), points=11)
    half_cell_m = (ring.x_m[1] - ring.x_m[0]) / 2.0
    assert 300.0 < ring.x_m.max() + half_cell_m < 330.0
    np.testing.assert_allclose(ring.x_m, -ring.x_m[::-1])
    sites = {"kind": "hex", "rings": 1, "inter_site_distance_m": 400.0}
    several = coverage(scenario(sites=sites), points=21)
    assert several.x_m.max() > 400.0 * 0.95 and len(several.sites) == 7
    assert set(np.unique(several.site)) == set(range(7))


def test_beyond_the_models_range_the_map_is_blank() -> None:
    result = coverage(scenario([{"distance_max_m": 145.0}], channel={"kind": "inh_office"}))
    distance_m = np.hypot(result.x_m[None, :], result.y_m[:, None])
    longest_m = math.sqrt(150.0**2 - 2.0**2)  # the table bounds the 3-D distance
    assert np.array_equal(np.isnan(result.snr_db), distance_m > longest_m)
    assert np.array_equal(result.site == -1, distance_m > longest_m)


def test_what_is_left_out_is_said() -> None:
    plain = {"channel": UMI | {"shadowing": False}}
    assert left_out(Cell.model_validate(plain)) == ()
    full = {
        "channel": UMI | {"indoor_share": 0.2},
        "fading": {"kind": "rayleigh"},
        "interference": {"kind": "neighbours", "inr_db": [3.0]},
    }
    parts = ("shadowing", "walls", "fading", "interference")
    assert left_out(Cell.model_validate(full)) == parts
    sites = {"kind": "hex"}
    assert left_out(Cell.model_validate(plain | {"sites": sites})) == ("interference",)
    law = {"channel": {"kind": "log_distance", "shadowing_db": 4.0}}
    assert left_out(Cell.model_validate(law)) == ("shadowing",)


def test_groups_at_shared_places() -> None:
    made = scenario([{"distance_max_m": 80.0}, {}, {"place_group": "g0", "tx_power_dbm": 20.0}])
    result = places(made)
    assert list(result["device"]) == list(range(9))
    mine = result[result["group"] == "g2"].reset_index(drop=True)
    theirs = result[result["group"] == "g0"].reset_index(drop=True)
    assert set(mine["stands_as"]) == {"g0"} and set(result["stands_as"]) == {"g0", "g1"}
    columns = ["x_m", "y_m", "loss_db"]
    assert mine[columns].equals(theirs[columns])
    np.testing.assert_allclose(theirs["snr_db"] - mine["snr_db"], 3.0)
    other = result[result["group"] == "g1"].reset_index(drop=True)
    assert not np.isclose(other["x_m"], theirs["x_m"]).any()


def test_replications_have_other_places() -> None:
    made = scenario()
    assert not np.isclose(places(made, 0)["x_m"], places(made, 1)["x_m"]).any()


def test_only_moving_devices_have_ways() -> None:
    assert ways(scenario()).empty
    line = {"mobility": {"kind": "straight", "speed_mps": 2.0}}
    result = ways(scenario([{}, line, line | {"place_group": "g1"}]))
    assert set(result["group"]) == {"g1"} and set(result["device"]) == {3, 4, 5}
    way = result[result["device"] == 4]
    length_m = np.hypot(way["x_m"].diff(), way["y_m"].diff()).sum()
    assert way["time_s"].iloc[[0, -1]].tolist() == [0.0, 100.0]
    assert length_m == pytest.approx(200.0, rel=1e-2)  # reflections cut corners


def test_environment_heights_are_those_that_a_run_draws() -> None:
    environment = Environment("uma", 25.0, 20.0)
    rng = np.random.default_rng(4)
    drawn = [draw_environment_height_m(environment, 150.0, rng) for _ in range(20_000)]
    expected = {height[0]: weight for weight, height in environment_heights(environment, 150.0)}
    assert sum(expected.values()) == pytest.approx(1.0) and set(expected) == set(drawn)
    for height_m, weight in expected.items():
        assert drawn.count(height_m) / 20_000 == pytest.approx(weight, abs=0.015)


def test_near_the_mast_the_shortest_distance_counts() -> None:
    budget = mean_budget(Cell.model_validate({"channel": UMI}), 23.0, 51)
    assert budget(0.0) == budget(10.0) > budget(10.1)
    free = mean_budget(Cell.model_validate({"channel": {"kind": "free_space"}}), 23.0, 51)
    assert math.isnan(free(0.0)) and free(1e-3) == pytest.approx(free(1.0) + 60.0)
