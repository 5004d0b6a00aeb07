"""Unit: hexagonal sites, strongest cell, handover, moving devices, pairing of places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.results.flags import range_flags
from simsplit.scenario.cell import HexSites, SingleSite
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.positions import site_points
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

HEX = {"kind": "hex", "rings": 1, "inter_site_distance_m": 200.0}
FREE = {"channel": {"kind": "free_space"}, "sites": HEX}
UMI = {"channel": {"kind": "umi_street_canyon"}, "fading": {"kind": "jakes"}}
IN_PHASE = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}


@pytest.mark.parametrize(("rings", "count"), [(1, 7), (2, 19), (3, 37)])
def test_hexagonal_grid(rings, count):
    points = np.array(site_points(HexSites(kind="hex", rings=rings, inter_site_distance_m=200.0)))
    assert len(points) == count and points[0] == pytest.approx([0, 0])
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    np.fill_diagonal(distances, np.inf)
    assert distances.min(axis=1) == pytest.approx(np.full(count, 200.0))
    assert (np.abs(distances[0] - 200.0) < 1e-6).sum() == 6


def test_single_site_is_the_origin():
    assert site_points(SingleSite()) == [(0.0, 0.0)]


def test_devices_belong_to_the_nearest_site_in_free_space():
    world = toy_world(
        toy_plan(Scheme.RAW, bits=1000), devices=50, cell=FREE, group={"distance_max_m": 280.0}
    )
    points = site_points(world.scenario.cell.sites)
    for device, path in enumerate(world.radio.paths):
        distance = [math.dist(path.at(0.0), point) for point in points]
        assert world.radio.association.site_of[device] == int(np.argmin(distance))


def drive(hysteresis_db: float = 3.0, seconds: float = 40.0, **more):
    """One car from the middle through the site 200 m to the east, at 10 m/s."""
    group = {
        "arrivals": {"kind": "periodic", "period_s": 0.1, "in_phase": True},
        "distance_min_m": 1.0,
        "distance_max_m": 400.0,
        "mobility": {"kind": "straight", "speed_mps": 10.0, "heading_deg": 0.0},
    }
    sites = HEX | {"hysteresis_db": hysteresis_db}
    world = toy_world(
        toy_plan(Scheme.RAW, bits=20_000),
        duration_s=seconds,
        group=group,
        cell=FREE | {"sites": sites} | more,
    )
    for path in world.radio.paths:
        path.at(0.0)
    return world


def test_handover_follows_the_device():
    world = drive()
    world.run()
    x_m, y_m = world.radio.paths[0].at(40.0)
    points = site_points(world.scenario.cell.sites)
    nearest = min(range(7), key=lambda s: math.dist((x_m, y_m), points[s]))
    site = world.uplink.bearers[0].site
    gains = [world.radio.links[0][s].mean_gain_db(int(40.0 / 0.5e-3)) for s in range(7)]
    assert world.radio.association.handovers[0] >= 1
    assert gains[site] >= gains[nearest] - 3.0


def test_no_payload_is_lost_in_a_handover():
    rows = drive().run().requests
    assert len(rows) > 350 and all(r.status == "done" for r in rows)


def test_hysteresis_makes_handovers_rarer():
    counts = {}
    for hysteresis_db in (0.0, 12.0):
        world = drive(hysteresis_db)
        world.run()
        counts[hysteresis_db] = world.radio.association.handovers[0]
    assert counts[12.0] < counts[0.0]


def test_a_neighbour_that_sends_is_heard():
    """Two devices at two sites: together each sees a lower SNR than alone."""
    cell = FREE | {"scheduler": {"kind": "round_robin", "max_grants": 1}}
    group = IN_PHASE | {"distance_min_m": 90.0, "distance_max_m": 280.0}

    def snr(devices):
        world = toy_world(
            toy_plan(Scheme.RAW, bits=200_000), devices=devices, cell=cell, group=group
        )
        sites = [bearer.site for bearer in world.uplink.bearers]
        return sites, [r.snr_db for r in world.run().requests]

    sites, together = snr(12)
    _, alone = snr(1)
    assert len(set(sites)) > 1
    assert together[0] < alone[0] - 3.0


def test_interference_is_the_power_of_the_other_cells_grants():
    """SINR of one grant = S / (N + sum of what the others' powers make at its site)."""
    cell = FREE | {"scheduler": {"kind": "round_robin", "max_grants": 1}}
    group = IN_PHASE | {"distance_min_m": 90.0, "distance_max_m": 280.0}
    plan = toy_plan(Scheme.RAW, bits=500_000)
    world = toy_world(plan, devices=10, cell=cell, group=group)
    seen = []
    received_db, occupy = world.uplink.air.received_db, world.uplink.air.occupy
    granted_in = {}

    def note(slot, grants):
        granted_in[slot] = list(grants)
        occupy(slot, grants)

    def spy(bearer, slot, grant, block):
        snr_db = received_db(bearer, slot, grant, block)
        seen.append((bearer, slot, grant, snr_db, granted_in[slot]))
        return snr_db

    world.uplink.air.occupy, world.uplink.air.received_db = note, spy
    world.env.run(until=0.01)
    bearer, _, _, snr_db, granted = next(s for s in seen if len(s[4]) > 2)

    def gain(device, site):
        x_m, y_m = world.radio.paths[device].at(0.0)
        point = site_points(world.scenario.cell.sites)[site]
        distance_m = math.dist((x_m, y_m), point)
        loss_db = 20 * math.log10(4 * math.pi * distance_m * 3.5e9 / 299_792_458)
        noise_dbm = -174 + 10 * math.log10(12 * 30e3) + 5
        return 23.0 - 10 * math.log10(51) - loss_db - noise_dbm + 0.025  # 290 K is -173.975

    others = [g.flow.bearer for g in granted if g.flow.bearer.site != bearer.site]
    assert all(g.n_prb == 51 for g in granted)
    inr = sum(10 ** (gain(b.index, bearer.site) / 10) for b in others)
    expected = gain(bearer.index, bearer.site) - 10 * math.log10(1 + inr)
    assert snr_db == pytest.approx(expected, abs=0.05)


def paired_world(**of_second):
    plan = toy_plan(Scheme.RAW, bits=1000)
    spec = toy_world(plan, devices=3, cell=UMI).scenario.model_dump(mode="json")
    first = spec["devices"][0]
    second = first | {"name": "h"} | of_second
    scenario = Scenario.model_validate(spec | {"devices": [first, second]})
    machines = Machines({"g": POWER, "h": POWER}, 10.0, 70.0)
    return World(scenario, {"point": plan}, machines, step_table())


def test_place_group_pairs_places_and_fading():
    world, apart = paired_world(place_group="g"), paired_world()

    def gains(w, device):
        return [w.radio.links[device][0].gain_db(slot) for slot in (0, 5, 500)]

    for number in range(3):
        assert gains(world, number) == gains(world, 3 + number)
        assert gains(apart, number) != gains(apart, 3 + number)
        assert world.radio.paths[number].at(0.0) == world.radio.paths[3 + number].at(0.0)


def test_place_group_must_exist():
    with pytest.raises(ValueError, match="place_group: must be one of g"):
        paired_world(place_group="x")
    with pytest.raises(ValueError, match="fewer devices"):
        paired_world(place_group="g", count=9)
    with pytest.raises(ValueError, match="leave distance_max_m out"):
        paired_world(place_group="g", distance_max_m=300.0)


def test_moving_device_sees_a_changing_path_loss():
    group = {
        "distance_min_m": 20.0,
        "distance_max_m": 200.0,
        "mobility": {"kind": "random_waypoint", "speed_min_mps": 5.0, "speed_max_mps": 10.0},
    }
    world = toy_world(
        toy_plan(Scheme.RAW, bits=1000),
        devices=3,
        group=group,
        cell={"channel": {"kind": "umi_street_canyon"}},
    )
    times_s = np.arange(0, 40_000, 200) * 0.5e-3
    for to_sites in world.radio.losses:
        losses = np.array([to_sites[0].loss_db(time_s) for time_s in times_s])
        assert losses.std() > 1.0
        assert np.corrcoef(losses[:-1], losses[1:])[0, 1] > 0.7  # 0.75 m apart, d_cor 10 to 13 m


FAR = {
    "channel": {"kind": "uma"},
    "sites": {"kind": "hex", "rings": 3, "inter_site_distance_m": 1732.0},
}


def test_a_site_that_serves_nobody_may_be_beyond_the_path_loss():
    """The outermost of 37 sites stand 5.2 km off the middle, UMa is made for 5 km."""
    world = toy_world(
        toy_plan(Scheme.RAW, bits=1000),
        devices=20,
        duration_s=5.0,
        cell=FAR,
        group={"distance_max_m": 900.0, "tx_power_dbm": 23},
    )
    assert max(math.hypot(*site) for site in world.radio.sites) > 5000.0
    assert all(request.status != "open" for request in world.run().requests)
    flags = range_flags(world.scenario)
    assert [item["code"] for item in flags] == ["extrapolated"]
    assert "5000 m" in flags[0]["message"] and "6096 m" in flags[0]["message"]


@pytest.mark.parametrize("moving", [{}, {"mobility": {"kind": "straight", "speed_mps": 100.0}}])
def test_a_site_that_serves_must_be_within_the_path_loss(moving):
    ring = {"distance_min_m": 5600.0, "distance_max_m": 5700.0}
    if moving:
        ring = {"distance_min_m": 5190.0, "distance_max_m": 9000.0}
    hexagon = FAR | {"sites": FAR["sites"] | {"rings": 1, "inter_site_distance_m": 200.0}}
    with pytest.raises(ScenarioError, match="from the site that serves it") as refusal:
        toy_world(
            toy_plan(Scheme.RAW, bits=1000), duration_s=60.0, cell=hexagon, group=ring | moving
        ).run()
    assert refusal.value.path == "cell.sites"


@pytest.mark.parametrize("kind", ["umi_street_canyon", "uma", "rma"])
def test_the_documented_limit_is_allowed(kind):
    ring = {"distance_min_m": 5000.0, "distance_max_m": 5000.0}
    world = toy_world(
        toy_plan(Scheme.RAW, bits=1000), devices=300, cell={"channel": {"kind": kind}}, group=ring
    )
    distances_m = [math.hypot(*path.at(0.0)) for path in world.radio.paths]
    assert max(distances_m) > 5000.0  # by a rounding
    assert all(losses[0].loss_db(0.0) > 90.0 for losses in world.radio.losses)
