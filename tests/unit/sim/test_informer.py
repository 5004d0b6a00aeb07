"""What devices are told: as old as reports are, and nothing of the truth but for the oracle."""

from __future__ import annotations

import math
from typing import Any

import pytest

from simsplit.messages import Scheme
from simsplit.scenario.edge import Edge
from simsplit.sim.informer import MEMORY_S, exit_seconds, slotted_seconds
from simsplit.sim.request import Request
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

FADING = {
    "channel": {"kind": "fixed_snr", "snr_db": 20.0},
    "fading": {"kind": "rayleigh", "coherence_time_s": 0.001},
    "mcs": {"kind": "adaptive", "csi_period_slots": 40, "csi_delay_slots": 8},
}


def world(cell: dict[str, Any] | None = None) -> World:
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.01, edge_s=0.004)
    return toy_world(plan, devices=2, rate_hz=20.0, duration_s=1.0, cell=cell)


def test_the_reported_snr_is_that_of_the_report_and_the_truth_is_of_now() -> None:
    made = world(FADING)
    device, uplink = made.devices[0], made.uplink
    report_slot, now_slot = 80, 119  # device 0 reports in slots 0, 40, 80; used 8 slots later
    made.env.run(until=now_slot * made.scenario.cell.slot_s)
    link = made.radio.links[0][0]
    power_db = uplink.air.powers[0].per_prb_db(uplink.n_prb, report_slot)
    told = made.informer.knowledge(device).snr_db
    true = made.informer.truth(device).snr_db
    assert told == pytest.approx(link.gain_db(report_slot) + power_db)
    assert true == pytest.approx(link.gain_db(now_slot) + power_db)
    assert abs(told - true) > 0.1


def test_a_load_report_is_as_old_as_its_period_and_delay() -> None:
    """Three jobs of 0.5 s at 0.21 s: the report of 0.3 s is heard at 0.35 s, the truth at once."""
    plan = toy_plan(Scheme.RAW, bits=20_000, edge_s=0.5)
    spec = toy_world(plan, rate_hz=1e-6).scenario
    edge = Edge.model_validate({"max_batch": 1, "report": {"period_s": 0.1, "delay_s": 0.05}})
    scenario = spec.model_copy(update={"edge": edge})
    made = World(scenario, {"point": plan}, Machines({"g": POWER}, 10.0, 70.0), step_table())
    informer = made.informer
    made.env.run(until=0.21)
    for number in range(3):
        request = Request(number, 0, 0, "g", "point", "raw", 0, 0.21)
        made.env.process(made.edge.answer(request))
    for now_s, reported_s, true_s in ((0.34, 0.0, 1.37), (0.36, 1.41, 1.35), (0.46, 1.31, 1.25)):
        made.env.run(until=now_s)
        reported, true = (ask(made.devices[0]) for ask in (informer.knowledge, informer.truth))
        assert reported.edge_wait_s == pytest.approx(reported_s)
        assert true.edge_wait_s == pytest.approx(true_s)


def test_before_any_transfer_the_whole_cell_is_expected() -> None:
    made = world()
    uplink, slot_s = made.uplink, made.scenario.cell.slot_s
    scheme, n_prb, tb_bits = uplink.offer(uplink.bearers[0])
    assert n_prb == uplink.n_prb and scheme.index == 11
    air_s = made.informer.knowledge(made.devices[0]).air_s
    assert air_s(100 * tb_bits, 0) == pytest.approx(100 * slot_s + slot_s / 2)
    assert air_s(0, 0) == 0.0


def test_a_measured_rate_counts_and_fades() -> None:
    made = toy_world(toy_plan(Scheme.RAW, bits=20_000), rate_hz=1e-9)
    informer, device = made.informer, made.devices[0]
    whole_s = informer.knowledge(device).air_s(1e6, 0)
    request = Request(0, 0, 0, "g", "point", "raw", 0, 0.0)
    request.radio_start_s, request.radio_end_s, request.access_delay_s = 0.0, 0.5, 0.0
    request.delivered = True
    request.payload_bits = int(1e6 * 0.5 / whole_s / 4)  # a quarter of what the cell could have
    for _ in range(40):
        informer.observe(device, request)
    slow_s = informer.knowledge(device).air_s(1e6, 0)
    assert slow_s == pytest.approx(4 * whole_s, rel=0.05)
    made.env.run(until=8 * MEMORY_S)
    assert informer.knowledge(device).air_s(1e6, 0) == pytest.approx(whole_s, rel=0.01)


def test_a_short_transfer_says_nothing() -> None:
    made = world()
    request = Request(0, 0, 0, "g", "point", "raw", 0, 0.0)
    request.radio_start_s, request.radio_end_s, request.channel_uses = 0.0, 0.001, 12
    request.access_delay_s = 0.0
    request.delivered = True
    before_s = made.informer.knowledge(made.devices[0]).air_s(1e6, 0)
    made.informer.observe(made.devices[0], request)
    assert made.informer.knowledge(made.devices[0]).air_s(1e6, 0) == before_s
    request.radio_end_s = (
        0.1  # the same few elements in many slots do: they are a fifth of the average
    )
    made.informer.observe(made.devices[0], request)
    assert made.informer.knowledge(made.devices[0]).air_s(1e6, 0) == pytest.approx(
        1.25 * before_s, rel=0.01
    )


def test_slotted_seconds_by_hand() -> None:
    how: dict[str, Any] = {"bits_per_slot": 1000, "uses_per_slot": 100, "slot_s": 0.5e-3}
    assert slotted_seconds(0, 0, error=0.0, **how) == 0.0
    assert slotted_seconds(2001, 0, error=0.0, **how) == pytest.approx(3.5 * 0.5e-3)
    assert slotted_seconds(2000, 0, error=0.5, **how) == pytest.approx(4.5 * 0.5e-3)
    assert slotted_seconds(0, 150, error=0.9, **how) == pytest.approx(2.5 * 0.5e-3)
    assert math.isinf(slotted_seconds(1, 0, error=1.0, **how))


def test_an_exit_costs_its_head_where_the_trunk_is_run_anyway() -> None:
    import dataclasses

    plans = {
        "then": dataclasses.replace(toy_plan(Scheme.SEPARATE, device_s=0.2), exit_s={"toy": 0.02}),
        "raw": dataclasses.replace(toy_plan(Scheme.RAW), exit_s={"toy": 0.1}),
    }
    assert exit_seconds(plans, "toy") == {"then": 0.02, "raw": 0.1}
