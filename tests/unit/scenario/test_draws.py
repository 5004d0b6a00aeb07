"""What a scenario draws once per run, against its worlds; whose draws are common."""

from __future__ import annotations

from itertools import product
from statistics import fmean
from typing import Any

import pytest

from simsplit.messages import Scheme
from simsplit.scenario.bundled import bundled_names
from simsplit.scenario.draws import drawn_once, share_draws
from simsplit.scenario.load import load
from simsplit.scenario.scenario import Scenario
from simsplit.study.worlds import toy_plan, toy_world

NEAR = {"distance_min_m": 15.0, "distance_max_m": 15.0}
RING = {"distance_min_m": 15.0, "distance_max_m": 150.0}
FAR = {"distance_min_m": 100.0, "distance_max_m": 100.0}
UMI = {"kind": "umi_street_canyon"}
HEX = {"kind": "hex", "rings": 1, "inter_site_distance_m": 200.0}
LOG = {"kind": "log_distance", "exponent": 3.0}
RAYLEIGH = {"kind": "rayleigh", "coherence_time_s": 0.01}

CASES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ("fixed SNR", {"channel": {"kind": "fixed_snr", "snr_db": 5}}, RING, ()),
    ("given distance", {"channel": {"kind": "free_space"}}, FAR, ()),
    ("ring", {"channel": {"kind": "free_space"}}, RING, ("places",)),
    ("shadowing", {"channel": LOG | {"shadowing_db": 4}}, FAR, ("shadowing",)),
    ("no shadowing", {"channel": LOG}, FAR, ()),
    ("direction among sites", {"channel": LOG, "sites": HEX}, FAR, ("places",)),
    ("near UMi", {"channel": UMI}, NEAR, ("shadowing",)),
    ("near UMi, unshadowed", {"channel": UMI | {"shadowing": False}}, NEAR, ()),
    ("far UMi", {"channel": UMI | {"shadowing": False}}, FAR, ("line of sight",)),
    (
        "indoors",
        {"channel": UMI | {"shadowing": False, "indoor_share": 1.0}},
        NEAR,
        ("indoor depth",),
    ),
    (
        "high UMa",
        {"channel": {"kind": "uma", "device_height_m": 20.0}},
        RING,
        ("places", "line of sight", "environment height", "shadowing"),
    ),
    (
        "office",
        {"channel": {"kind": "inh_office", "office": "open", "shadowing": False}},
        {"distance_min_m": 4.0, "distance_max_m": 4.0},
        (),
    ),
    ("hall", {"channel": {"kind": "inf"}}, NEAR, ("line of sight", "shadowing")),
    (
        "heading",
        {"channel": {"kind": "free_space"}},
        FAR | {"mobility": {"kind": "straight", "speed_mps": 10.0}},
        ("headings",),
    ),
    (
        "walk",
        {"channel": {"kind": "free_space"}},
        RING | {"mobility": {"kind": "random_waypoint"}},
        ("places",),
    ),
]


def world(cell: dict[str, Any], group: dict[str, Any], replication: int = 0) -> Any:
    plan = toy_plan(Scheme.RAW, bits=1000)
    return toy_world(plan, devices=6, cell=cell, group=group, replication=replication)


@pytest.mark.parametrize(
    ("cell", "group", "drawn"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_what_is_drawn_once_is_what_another_replication_has_otherwise(
    cell: dict[str, Any], group: dict[str, Any], drawn: tuple[str, ...]
) -> None:
    worlds = [world(cell, group, replication) for replication in (0, 1)]
    assert drawn_once(worlds[0].scenario) == drawn
    slots = (0, 4000)  # at once, and after 4 s of way
    gains = [
        [link.mean_gain_db(slot) for links in w.radio.links for link in links for slot in slots]
        for w in worlds
    ]
    assert (gains[0] == pytest.approx(gains[1], abs=1e-9)) == (not drawn)


def test_fading_that_stands_still_is_drawn_once() -> None:
    fixed = {"channel": {"kind": "fixed_snr", "snr_db": 5}}
    kinds = {
        True: [
            {"kind": "jakes", "speed_mps": 0.0},
            {"kind": "tdl", "speed_mps": 0.0},
            {"kind": "rayleigh", "coherence_time_s": 100.0},
        ],
        False: [{"kind": "jakes"}, {"kind": "tdl"}, RAYLEIGH, {"kind": "none"}],
    }
    for once, fadings in kinds.items():
        for fading in fadings:
            scenario = world(fixed | {"fading": fading}, RING).scenario
            assert drawn_once(scenario) == (("fading",) if once else ()), fading


def test_phases_of_periodic_arrivals_hold_to_the_end() -> None:
    fixed = {"channel": {"kind": "fixed_snr", "snr_db": 5}}
    for in_phase, drawn in ((False, ("arrival phases",)), (True, ())):
        arrivals = {"kind": "periodic", "period_s": 0.1, "in_phase": in_phase}
        assert drawn_once(world(fixed, {"arrivals": arrivals}).scenario) == drawn


AT_ONCE = {"arrivals": {"kind": "periodic", "period_s": 0.1, "in_phase": True}}
DYNAMIC, CONFIGURED = {"kind": "dynamic"}, {"kind": "configured"}
EVERY_SLOT = [DYNAMIC | {"sr_period_slots": 1}, CONFIGURED | {"period_slots": 1}]


def access_delays_s(access: dict[str, Any], **kw: Any) -> list[list[float]]:
    """Of two replications' requests."""
    plan = toy_plan(Scheme.RAW, bits=1000)
    fixed = {"devices": 4, "duration_s": 1.0, "cell": {"access": access}} | kw
    worlds = [toy_world(plan, replication=number, **fixed) for number in (0, 1)]
    return [[request.access_delay_s for request in w.run().requests] for w in worlds]


@pytest.mark.parametrize(
    ("access", "drawn"),
    [
        (DYNAMIC, True),
        (CONFIGURED, True),
        *((access, False) for access in EVERY_SLOT),
        ({"kind": "immediate"}, False),
    ],
)
def test_phases_of_access_hold_to_the_end(access: dict[str, Any], drawn: bool) -> None:
    scenario = world({"access": access}, AT_ONCE).scenario
    assert drawn_once(scenario) == (("phases of access",) if drawn else ())
    one, other = access_delays_s(access, group=AT_ONCE)
    assert (one == pytest.approx(other)) == (not drawn)
    assert one[-4:] == pytest.approx(one[:4]), "every time alike, however long the run"


def test_a_poisson_process_meets_every_part_of_a_period() -> None:
    plan = toy_plan(Scheme.RAW, bits=1000)
    scenario = toy_world(plan, devices=4, cell={"access": DYNAMIC}).scenario
    assert drawn_once(scenario) == ()
    one, other = access_delays_s(DYNAMIC, devices=1, rate_hz=20.0, duration_s=100.0)
    assert fmean(one) == pytest.approx(fmean(other), rel=0.05)
    alone = toy_world(plan, cell={"access": CONFIGURED}).scenario
    assert drawn_once(alone) == ()


def test_who_shares_own_slots_holds_to_the_end() -> None:
    """Two devices that share the same slots of every two wait for each other, others do not."""
    often = {"devices": 2, "duration_s": 20.0, "rate_hz": 80.0}
    plan = toy_plan(Scheme.RAW, bits=20_000)
    access = {"access": CONFIGURED | {"period_slots": 2}}
    worlds = [toy_world(plan, cell=access, replication=n, **often) for n in (0, 1)]
    assert drawn_once(worlds[0].scenario) == ("phases of access",)
    means = [fmean(r.closed_s - r.arrival_s for r in w.run().requests) for w in worlds]
    assert abs(means[0] - means[1]) > 0.05 * max(means)


def test_recorded_arrivals_may_meet_the_same_part_of_a_period() -> None:
    recorded = {"arrivals": {"kind": "trace", "file": "arrivals.csv"}}
    base = world({"access": DYNAMIC}, {}).scenario.model_dump(mode="json")
    base["devices"][0] |= recorded
    assert drawn_once(Scenario.model_validate(base)) == ("phases of access",)


def test_who_never_sends_needs_no_access() -> None:
    base = world({"access": DYNAMIC}, AT_ONCE).scenario.model_dump(mode="json")
    base["operating_points"][0] |= {"scheme": "local", "codec": None}
    assert drawn_once(Scenario.model_validate(base)) == ()
    base["operating_points"][0]["send_result"] = True
    assert drawn_once(Scenario.model_validate(base)) == ("phases of access",)


def test_phases_of_access_are_drawn_with_the_place() -> None:
    base = world({"access": DYNAMIC}, AT_ONCE).scenario.model_dump(mode="json")
    one = base["devices"][0]
    base["devices"] += [one | {"name": "h", "place_group": "g"}, one | {"name": "i"}]
    scenario = Scenario.model_validate(base)
    assert share_draws(scenario, ["g"], scenario, ["h"])
    assert not share_draws(scenario, ["g"], scenario, ["i"])
    farther = Scenario.model_validate(base | {"devices": [one | {"distance_max_m": 300.0}]})
    assert share_draws(scenario, ["g"], farther, ["g"]), "places do not count at a fixed SNR"
    other = Scenario.model_validate(base | {"seed": 7})
    assert not share_draws(scenario, ["g"], other, ["g"])


def test_given_tracks_and_traces_are_not_drawn() -> None:
    track = RING | {"mobility": {"kind": "trace", "file": "track.csv"}}
    base = world({"channel": {"kind": "free_space"}}, RING).scenario.model_dump(mode="json")
    base["devices"][0] |= track
    assert drawn_once(Scenario.model_validate(base)) == ()
    base["cell"]["channel"] = {"kind": "trace", "file": "trace.csv"}
    assert drawn_once(Scenario.model_validate(base)) == ()


def test_groups_at_equal_places_share_their_draws() -> None:
    urban = load("urban_5g")
    groups = [group.name for group in urban.devices]
    for one, two in product(groups, groups):
        assert share_draws(urban, [one], urban, [two])
    apart = load("urban_5g", overrides=["devices.analog_cameras.place_group=null"])
    assert not share_draws(apart, ["jpeg_cameras"], apart, ["analog_cameras"])
    fewer = load("urban_5g", overrides=["devices.analog_cameras.count=3"])
    assert not share_draws(fewer, ["jpeg_cameras"], fewer, ["analog_cameras"])


def test_runs_share_their_draws_with_seed_and_places_alone() -> None:
    urban = load("urban_5g")
    groups = [group.name for group in urban.devices]
    other = load("urban_5g", overrides=["cell.resource_blocks=null", "cell.bandwidth_hz=10e6"])
    assert share_draws(urban, groups, other, groups)
    for change in ("seed=2", "devices.jpeg_cameras.distance_max_m=100"):
        assert not share_draws(urban, groups, load("urban_5g", overrides=[change]), groups)


def test_phases_are_a_groups_own() -> None:
    cliff = load("awgn_cliff")
    assert not share_draws(cliff, ["jpeg"], cliff, ["jscc"])
    louder = load("awgn_cliff", overrides=["cell.channel.snr_db=12"])
    assert share_draws(cliff, ["jpeg"], louder, ["jpeg"])


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_scenarios_average_over_what_they_draw_once(name: str) -> None:
    scenario = load(name)
    assert scenario.replications >= 5 or not drawn_once(scenario)
