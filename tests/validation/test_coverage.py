"""The radio map against the run itself, against hand computation, and against many drawn links."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from simsplit.messages import Scheme
from simsplit.scenario.cell import Cell
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.coverage import coverage, mean_budget, places, ways
from simsplit.sim.world import World
from simsplit.study.worlds import toy_plan, toy_world

UMI = {"kind": "umi_street_canyon"}
HEX = {"kind": "hex", "rings": 1, "inter_site_distance_m": 150.0}
CONTROL = {"kind": "fractional", "p0_dbm": -85, "alpha": 0.8}
MARGIN = {"kind": "margin", "margin_db": 4.5}
WALK = {"kind": "random_waypoint", "speed_min_mps": 5.0, "speed_max_mps": 9.0}
CELLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "umi": ({"channel": UMI, "interference": MARGIN}, {}),
    "umi indoors": ({"channel": UMI | {"indoor_share": 0.5}, "noise_figure_db": 7.0}, {}),
    "uma over the roofs": ({"channel": {"kind": "uma", "device_height_m": 21.0}}, {}),
    "rma 15 kHz": (
        {"channel": {"kind": "rma"}, "subcarrier_spacing_hz": 15_000, "carrier_hz": 7e8},
        {"distance_min_m": 500.0, "distance_max_m": 3000.0},
    ),
    "office": (
        {"channel": {"kind": "inh_office"}},
        {"distance_min_m": 1.0, "distance_max_m": 60.0, "tx_power_dbm": 10.0},
    ),
    "hall": ({"channel": {"kind": "inf", "hall": "dh"}}, {"distance_max_m": 90.0}),
    "power law": ({"channel": {"kind": "log_distance", "shadowing_db": 6.0}}, {}),
    "free space": ({"channel": {"kind": "free_space"}, "resource_blocks": 24}, {}),
    "many sites": (
        {"channel": UMI, "sites": HEX, "power_control": CONTROL, "subcarrier_spacing_hz": 60_000},
        {"mobility": WALK, "tx_power_dbm": 12.0},
    ),
}


def world_of(cell: dict[str, Any], group: dict[str, Any], **others: Any) -> World:
    return toy_world(toy_plan(Scheme.RAW, bits=500), cell=cell, group=group, **others)


def budgets(world: World) -> list[tuple[float, float, int, float]]:
    """Place, site and Es/N0 on the whole carrier of each device, asked of the run's own radio."""
    radio, found = world.radio, []
    for index in range(len(world.devices)):
        site = radio.association.site_of[index]
        gain_db = radio.links[index][site].mean_gain_db(0)
        power_dbm = radio.uplink.air.powers[index].per_prb_db(radio.frame.n_prb, 0)
        level_db = gain_db + power_dbm - radio.uplink.air.rise.rise_db(0)
        found.append((*radio.paths[index].at(0.0), site, level_db))
    return found


@pytest.mark.parametrize("replication", [0, 2])
@pytest.mark.parametrize("name", CELLS)
def test_devices_have_the_places_and_budgets_of_the_run(name: str, replication: int) -> None:
    cell, group = CELLS[name]
    world = world_of(cell, group, devices=25, replication=replication)
    mine = places(world.scenario, replication)[["x_m", "y_m", "site", "snr_db"]]
    np.testing.assert_allclose(mine.to_numpy(float), budgets(world), rtol=1e-12, atol=1e-9)


def test_ways_are_those_of_the_run() -> None:
    cell, group = CELLS["many sites"]
    world = world_of(cell, group, devices=3, duration_s=20.0)
    found = ways(world.scenario)
    assert set(found["device"]) == {0, 1, 2} and found["time_s"].max() == 20.0
    for row in found.itertuples():
        assert world.radio.paths[row.device].at(row.time_s) == (row.x_m, row.y_m)


def test_requests_of_a_run_report_the_budget_of_their_place() -> None:
    """Without fading, on a carrier of one block, a request's mean SNR is that of its place."""
    cell = {"channel": UMI, "resource_blocks": 1, "interference": MARGIN}
    world = world_of(cell, {}, devices=8, duration_s=5.0)
    expected = places(world.scenario).set_index("device")["snr_db"]
    requests = world.run().requests
    assert len({request.device for request in requests}) == 8
    for request in requests:
        assert request.snr_db == pytest.approx(expected[request.device], abs=1e-9)


def street_db(distance_m: float, carrier_ghz: float) -> tuple[float, float, float]:
    """LOS probability and both path losses of UMi by hand (TR 38.901 Tables 7.4.1-1, 7.4.2-1)."""
    near = 18.0 / distance_m
    chance = 1.0 if distance_m <= 18.0 else near + math.exp(-distance_m / 36.0) * (1.0 - near)
    over_m = math.sqrt(distance_m**2 + 8.5**2)
    bend_m = 4.0 * 9.0 * 0.5 * carrier_ghz * 1e9 / 3e8
    los_db = 32.4 + 21.0 * math.log10(over_m) + 20.0 * math.log10(carrier_ghz)
    if distance_m > bend_m:
        los_db = 32.4 + 40.0 * math.log10(over_m) + 20.0 * math.log10(carrier_ghz)
        los_db -= 9.5 * math.log10(bend_m**2 + 8.5**2)
    nlos_db = 22.4 + 35.3 * math.log10(over_m) + 21.3 * math.log10(carrier_ghz)
    return chance, los_db, max(los_db, nlos_db)


@pytest.mark.parametrize("distance_m", [10.0, 17.0, 40.0, 120.0, 209.0, 211.0, 800.0])
def test_street_canyon_by_hand(distance_m: float) -> None:
    """23 dBm over 51 blocks of 360 kHz, kTB at 290 K, 5 dB of noise figure, 4.5 dB of margin."""
    cell = Cell.model_validate({"channel": UMI, "interference": MARGIN})
    chance, los_db, nlos_db = street_db(distance_m, 3.5)
    noise_dbm = 10.0 * math.log10(1.380649e-23 * 290.0 * 360e3 / 1e-3) + 5.0
    level_dbm = 23.0 - 10.0 * math.log10(51)
    loss_db = chance * los_db + (1.0 - chance) * nlos_db
    expected = level_dbm - loss_db - noise_dbm - 4.5
    assert mean_budget(cell, 23.0, 51)(distance_m) == pytest.approx(expected, abs=1e-9)


def test_map_at_a_place_by_hand() -> None:
    """Two cells of the grid, under fractional power control, from the nearest of seven sites."""
    cell, group = CELLS["many sites"]
    scenario = world_of(cell, group).scenario
    found = coverage(scenario, points=21)
    noise_dbm = 10.0 * math.log10(1.380649e-23 * 290.0 * 720e3 / 1e-3) + 5.0
    for row, column in ((3, 12), (10, 15)):
        place = (found.x_m[column], found.y_m[row])
        distance_m = min(math.dist(place, site) for site in found.sites)
        chance, *losses_db = street_db(distance_m, 3.5)
        asked = [-85.0 + 10 * math.log10(4 * 51) + 0.8 * loss_db for loss_db in losses_db]
        total = [min(12.0, dbm) - 10 * math.log10(51) for dbm in asked]
        levels = [dbm - loss_db - noise_dbm for dbm, loss_db in zip(total, losses_db, strict=True)]
        expected = chance * levels[0] + (1.0 - chance) * levels[1]
        assert found.snr_db[row, column] == pytest.approx(expected, abs=1e-6)  # distances to 1 µm
        assert math.dist(place, found.sites[found.site[row, column]]) == distance_m


@pytest.mark.parametrize("name", ["umi", "uma over the roofs", "office", "hall", "power law"])
def test_map_is_the_mean_of_what_runs_draw(name: str) -> None:
    """Mean Es/N0 of 3000 devices at one distance, LOS and shadowing drawn: 99 % interval."""
    cell, group = CELLS[name]
    distance_m = 45.0
    ring = {"distance_min_m": distance_m, "distance_max_m": distance_m}
    base = world_of(cell, group).scenario.model_dump(mode="json")
    base["devices"][0] |= ring | {"count": 3000}
    scenario = Scenario.model_validate(base)
    drawn = places(scenario)["snr_db"]
    half = stats.norm.ppf(0.995) * drawn.std() / math.sqrt(len(drawn))
    owner = scenario.devices[0]
    mean = mean_budget(scenario.cell, owner.tx_power_dbm, 51)(distance_m)
    assert abs(drawn.mean() - mean) < half
