"""DRX: states of sleep and what waking takes (3GPP TR 38.840 clause 8.1.3)."""

from __future__ import annotations

import pytest

from simsplit.scenario.cell import Drx
from simsplit.sim.device.receiver import Receiver, ReceiverPower, sleep_of

POWER = ReceiverPower(3.0, 1.0, 0.01, 0.045, 0.2, 0.01, 0.45)
DRX = Drx(inactivity_s=0.02, cycle_s=0.16, on_s=0.008)


@pytest.mark.parametrize(
    ("asleep_s", "power_w", "transition_s"),
    [(0.152, 0.01, 0.020), (0.02, 0.01, 0.020), (0.0199, 0.2, 0.006), (0.005, 0.45, 0.0)],
)
def test_the_deepest_sleep_whose_transitions_fit(asleep_s, power_w, transition_s):
    sleep = sleep_of(POWER, asleep_s)
    assert (sleep.power_w, sleep.transition_s) == (power_w, transition_s)


def test_uplink_data_waits_for_the_transition_or_the_next_on_duration():
    receiver = Receiver(POWER, DRX)
    receiver.receive(0.0, 0.5)
    assert receiver.wakes_in_s(0.51) == 0.0  # the inactivity timer runs
    assert receiver.wakes_in_s(0.60) == pytest.approx(0.020)
    assert receiver.wakes_in_s(0.61) == pytest.approx(0.010)  # woken by the data before
    assert Receiver(POWER, DRX).wakes_in_s(0.02 + 0.15) == pytest.approx(0.002)
    assert Receiver(POWER, DRX).wakes_in_s(0.02 + 0.155) == 0.0
    assert Receiver(POWER, None).wakes_in_s(5.0) == 0.0


def test_a_sleep_that_is_broken_off_costs_its_whole_transitions():
    receiver = Receiver(POWER, DRX)
    receiver.listen(0.1, 0.1)  # 80 ms asleep, then woken
    assert receiver.ledger.joules("sleep") == pytest.approx(0.08 * 0.01 + 0.045)
    assert receiver.ledger.seconds == pytest.approx({"receive": 0, "listen": 0.02, "sleep": 0.08})


def test_what_is_told_beforehand_is_what_is_booked():
    told = Receiver(POWER, DRX)
    for now_s in (0.01, 0.05, 0.171, 0.175, 1.0):
        booked = Receiver(POWER, DRX)
        booked.close(now_s)
        assert told.total_j(now_s) == pytest.approx(booked.ledger.total_j)


def test_data_in_the_sleep_keeps_the_books_closed():
    from simsplit.messages import Scheme
    from simsplit.study.worlds import toy_plan, toy_world

    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.001, edge_s=0.001)
    world = toy_world(plan, devices=3, rate_hz=5.0, duration_s=20.0, cell={"drx": {}})
    history = world.run()
    for device in world.devices:
        spent = device.receiver.ledger.seconds
        assert min(spent.values()) >= 0.0
        assert sum(spent.values()) == pytest.approx(history.stations["end_s"])
    waits = [r.radio_end_s - r.radio_start_s for r in history.requests]
    assert 0.020 < max(waits) < 0.030 and min(waits) < 0.003
