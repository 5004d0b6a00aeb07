"""Unit: the device's processor, its backlog, and battery and heat following its ledgers."""

from __future__ import annotations

import pytest
import simpy

from simsplit.messages import Scheme
from simsplit.scenario.cell import Drx
from simsplit.scenario.devices import Battery, DeviceGroup
from simsplit.sim.device.device import Device, DevicePower
from simsplit.sim.device.receiver import ReceiverPower
from simsplit.sim.device.thermal import ThermalBody
from simsplit.sim.request import Request
from simsplit.study.worlds import POWER, toy_plan, toy_world

BODY = ThermalBody(10.0, 5.0, 50.0, 45.0, 0.5, 1.0)  # compute 3 W: steady at 55 degrees


def made(device_s: float = 2.0, group=None, power=POWER, drx=None, **body) -> Device:
    fields = {
        "name": "g",
        "count": 1,
        "hardware": "toy",
        "operating_point": "point",
        "arrivals": {"kind": "poisson", "rate_hz": 1.0},
    }
    plans = {"point": toy_plan(Scheme.RAW, device_s=device_s)}
    spec = DeviceGroup.model_validate(fields | (group or {}))
    return Device(simpy.Environment(), 0, spec, plans, power, drx, **body)


def ask(device: Device, exit_s: float = 0.0) -> Request:
    request = Request(0, 0, 0, "g", "point", "raw", 0, device.env.now)
    request.exit_s = exit_s
    device.env.process(device.compute(request))
    return request


def test_without_battery_and_heat_nothing_is_said_of_them():
    device = made()
    assert device.battery_share is None and device.temperature_c is None
    assert device.has_power() and device.station_extra() == {}


def test_an_early_exit_that_was_tried_is_part_of_the_visit():
    device = made(2.0)
    request = ask(device, exit_s=0.5)
    device.env.run(until=10.0)
    assert (request.device_start_s, request.device_end_s) == (0.0, 2.5)
    assert request.compute_energy_j == pytest.approx(2.5 * POWER.compute_w)


def test_backlog_is_the_work_that_waits_or_runs():
    device = made(2.0)
    assert device.backlog_s == 0.0
    ask(device), ask(device, exit_s=1.0)
    for now_s, left_s in ((0.5, 4.5), (2.0, 3.0), (4.5, 0.5), (6.0, 0.0)):
        device.env.run(until=now_s)
        assert device.backlog_s == pytest.approx(left_s, abs=1e-12)


def test_backlog_of_a_throttled_device_counts_full_speed_seconds():
    device = made(1000.0, thermal=BODY, ambient_c=60.0)  # never cools to resume
    ask(device)
    device.env.run(until=10.0)
    assert device.backlog_s == pytest.approx(995.0)
    assert device.station_extra()["throttled_s"] == pytest.approx(10.0)


def test_a_throttled_visit_closes_its_ledger():
    device = made(100.0, thermal=BODY)
    request = ask(device)
    device.env.run(until=1000.0)
    device.processor.ledger.close(1000.0)
    assert request.device_end_s > 100.0
    assert request.compute_energy_j == pytest.approx(device.processor.ledger.joules("compute"))
    assert sum(device.processor.ledger.seconds.values()) == pytest.approx(1000.0)
    slow_s = device.station_extra()["throttled_s"]
    full_s = device.processor.ledger.seconds["compute"] - slow_s
    assert full_s + 0.5 * slow_s == pytest.approx(100.0)
    assert request.compute_energy_j == pytest.approx(3.0 * full_s + 1.0 * slow_s)


def test_what_is_under_way_is_finished_on_an_empty_battery():
    device = made(4.0, battery=Battery(capacity_j=3.0))
    first, second = ask(device), ask(device)
    device.env.run(until=20.0)
    assert (first.device_end_s, second.device_end_s) == (4.0, 8.0)  # both came with power
    extra = device.station_extra()
    assert extra["battery_empty_s"] == pytest.approx(1.0)
    assert not device.has_power()
    assert extra["battery_share"] == pytest.approx((3.0 - 24.0) / 3.0)


def test_an_idle_device_goes_off_the_moment_the_battery_is_empty():
    for harvest_w, idle_s in ((0.0, 10.0), (0.1, 12.5)):
        battery = Battery(capacity_j=5.0, harvest_w=harvest_w)
        device = made(battery=battery, thermal=BODY)
        device.env.run(until=100.0)
        assert not device.has_power()
        ledger, off_s = device.processor.ledger, 100.0 - idle_s
        assert ledger.seconds == pytest.approx({"idle": idle_s, "off": off_s, "compute": 0.0})
        assert ledger.joules("idle") == pytest.approx(idle_s * POWER.idle_w)
        assert ledger.joules("off") == pytest.approx(off_s * harvest_w)  # it draws what comes in
        assert device.battery_share == pytest.approx(0.0, abs=1e-9)
        steady_c = 25.0 + harvest_w * 10.0
        assert steady_c < device.temperature_c < steady_c + 1.0  # has cooled since


def test_ledgers_that_were_closed_before_the_battery_was_followed():
    early, late = made(battery=Battery(capacity_j=5.0)), made(battery=Battery(capacity_j=5.0))
    for device in (early, late):
        device.env.run(until=100.0)
    early.processor.ledger.close(100.0)
    assert early.station_extra() == pytest.approx(late.station_extra())
    assert early.processor.ledger.joules("idle") == pytest.approx(
        late.processor.ledger.joules("idle")
    )


def test_the_states_of_a_device_that_ran_empty_fill_the_time():
    group = {"battery_j": 2.0, "arrivals": {"kind": "periodic", "period_s": 1.0}}
    world = toy_world(toy_plan(Scheme.RAW, device_s=0.1), duration_s=12.0, group=group)
    stations = world.run().stations
    row = stations["devices"][0]
    filled_s = row["busy_s"] + row["idle_s"] + row["off_s"]
    assert row["off_s"] > 0.5 * stations["end_s"]
    assert filled_s == pytest.approx(stations["end_s"])
    assert row["idle_j"] == pytest.approx(row["idle_s"] * POWER.idle_w)


def test_a_battery_that_the_harvest_fills_gives_power_again():
    battery = Battery(capacity_j=10.0, initial_share=0.0, harvest_w=1.0)
    device = made(battery=battery)
    assert not device.has_power()
    device.env.run(until=4.0)
    assert device.has_power()
    assert device.battery_share == pytest.approx(4.0 * (1.0 - POWER.idle_w) / 10.0)


def test_old_battery_of_the_group_and_the_new_one_before_it():
    assert made(group={"battery_j": 8.0}).battery_share == 1.0
    device = made(group={"battery_j": 8.0}, battery=Battery(capacity_j=4.0, initial_share=0.5))
    assert device.battery_share == 0.5


def test_the_transmitter_drains_the_battery():
    group = {"battery_j": 50.0, "arrivals": {"kind": "periodic", "period_s": 1.0}}
    world = toy_world(toy_plan(Scheme.RAW, bits=10**7), duration_s=3.0, group=group)
    world.run()
    device = world.devices[0]
    drawn_j = device.processor.ledger.joules("idle") + device.radio.joules("transmit")
    assert device.radio.joules("transmit") > 0.1
    assert device.battery_share == pytest.approx(1.0 - drawn_j / 50.0)


def test_a_full_battery_pays_for_the_slot_it_was_sent_in():
    device = made(battery=Battery(capacity_j=10.0, harvest_w=1.0))
    device.env.run(until=20.0)
    device.radio.book("transmit", 0.5, 3.5)  # 0.5 idle + 3.5 - 1.0 harvested, for half a second
    assert device.battery_share == pytest.approx((10.0 - 3.0 * 0.5) / 10.0)
    device.env.run(until=22.0)
    assert device.battery_share == pytest.approx((8.5 + 2.0 * 0.5) / 10.0)
    assert device.station_extra()["battery_spilled_j"] == pytest.approx(19.5 * 0.5)


def test_the_receiver_drains_the_battery_without_being_disturbed():
    drx = Drx(cycle_s=1.0, on_s=0.25, inactivity_s=0.5)
    power = DevicePower(0.5, 3.0, receiver=ReceiverPower(2.0, 1.0, 0.0, 0.0))
    device = made(power=power, drx=drx, battery=Battery(capacity_j=100.0))
    device.env.run(until=10.5)
    listened_s = 0.5 + 10 * 0.25
    for _ in range(2):
        assert device.battery_share == pytest.approx(1.0 - (10.5 * 0.5 + listened_s) / 100.0)
    assert device.receiver.ledger.total_j == 0.0


def test_a_device_that_begins_on_an_empty_battery_is_off():
    device = made(battery=Battery(capacity_j=10.0, initial_share=0.0, harvest_w=0.1))
    device.env.run(until=50.0)
    assert not device.has_power()
    assert device.processor.ledger.seconds["off"] == pytest.approx(50.0)
    assert device.processor.ledger.joules("off") == pytest.approx(50.0 * 0.1)
    assert device.battery_share == pytest.approx(0.0, abs=1e-9)
