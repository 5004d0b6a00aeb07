"""Unit: identity of runs, common random numbers, ledgers, arrivals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simsplit.messages import Scheme
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.energy import Ledger
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

FADING = {
    "channel": {"kind": "umi_street_canyon"},
    "fading": {"kind": "rayleigh"},
    "mcs": {"kind": "fixed", "index": 11},
}


def rows(bits: int, scheme: Scheme = Scheme.RAW, replication: int = 0):
    world = toy_world(
        toy_plan(scheme, bits=bits),
        devices=5,
        rate_hz=5.0,
        duration_s=5.0,
        cell=FADING,
        table=step_table(5.0),
        replication=replication,
    )
    return world, [r.row() for r in world.run().requests]


def test_same_seed_same_rows():
    assert str(rows(3000)[1]) == str(rows(3000)[1])


def test_replications_differ():
    assert str(rows(3000)[1]) != str(rows(3000, replication=1)[1])


def test_codec_leaves_arrivals_samples_and_fading_as_they_were():
    world_a, a = rows(3000)
    world_b, b = rows(9000)
    world_c, c = rows(500, Scheme.JSCC)
    key = [(r["request_id"], r["device"], r["arrival_s"], r["sample"]) for r in a]
    for other in (b, c):
        assert key == [(r["request_id"], r["device"], r["arrival_s"], r["sample"]) for r in other]
    for device in range(5):
        snr = [
            [w.radio.links[device][0].gain_db(s) for s in (0, 77, 5000)]
            for w in (world_a, world_b, world_c)
        ]
        assert snr[0] == snr[1] == snr[2]


def two_groups(first: int) -> dict[tuple[str, int], list[float]]:
    """Arrivals, samples and channel gains by group and number, the first group of any size."""
    one = toy_world(toy_plan(Scheme.LOCAL), devices=2, cell=FADING)
    content = one.scenario.model_dump(mode="json")
    like = content["devices"][0]
    content |= {"duration_s": 5.0, "task": content["task"] | {"samples": 50}}
    content["devices"] = [like | {"name": "a", "count": first}, like | {"name": "b", "count": 3}]
    powers = Machines({"a": POWER, "b": POWER}, 10.0, 70.0)
    one_sample = toy_plan(Scheme.LOCAL)
    costs = {k: [0] * 50 for k in ("payload_bits", "channel_uses", "answer_bits")}
    plan = {"point": replace(one_sample, **costs)}
    world = World(Scenario.model_validate(content), plan, powers, step_table(5.0))
    requests = world.run().requests
    drawn: dict[tuple[str, int], list[float]] = {}
    for index, device in enumerate(world.devices):
        mine = [(r.arrival_s, r.sample) for r in requests if r.device == index]
        gains = [world.radio.links[index][0].gain_db(slot) for slot in (0, 77, 5000)]
        number = index if device.group.name == "a" else index - first
        drawn[device.group.name, number] = [x for pair in mine for x in pair] + gains
    return drawn


def test_a_group_that_grows_leaves_all_others_as_they_were():
    few, many = two_groups(2), two_groups(4)
    assert len(few) == 5 and len(many) == 7 and few["a", 0] != few["b", 0]
    assert all(many[device] == values for device, values in few.items())


def test_ledger_refuses_unknown_states_and_fills_time():
    ledger = Ledger({"idle": 1.0, "compute": 3.0}, "idle")
    ledger.enter("compute", 2.0)
    ledger.close(5.0)
    assert ledger.seconds == {"idle": 2.0, "compute": 3.0}
    assert ledger.total_j == pytest.approx(11.0)
    with pytest.raises(KeyError):
        ledger.enter("sleep", 6.0)


def test_trace_arrivals_are_replayed():
    from simsplit.sim.device.arrivals import arrival_gaps_s

    world = toy_world(
        toy_plan(Scheme.LOCAL), group={"arrivals": {"kind": "trace", "file": "x.csv"}}
    )
    gaps = arrival_gaps_s(world.devices[0].group, [0.5, 0.75, 2.0], np.random.default_rng(1))
    assert np.cumsum(list(gaps)) == pytest.approx([0.5, 0.75, 2.0])


def test_empty_battery_stops_the_device():
    group = {"battery_j": 5.0, "arrivals": {"kind": "periodic", "period_s": 1.0}}
    world = toy_world(toy_plan(Scheme.LOCAL, device_s=0.01), duration_s=30.0, group=group)
    history = world.run()
    dead = [r for r in history.requests if r.status == "no_power"]
    assert dead and min(r.arrival_s for r in dead) == pytest.approx(10.0, abs=1.0)  # 5 J / 0.5 W


def test_requests_in_flight_at_the_end_stay_open():
    plan = toy_plan(Scheme.LOCAL, device_s=2000.0)
    history = toy_world(plan, rate_hz=5.0, duration_s=1.0).run()
    assert {r.status for r in history.requests} == {"open"}
    assert history.stations["end_s"] == pytest.approx(1001.0)
