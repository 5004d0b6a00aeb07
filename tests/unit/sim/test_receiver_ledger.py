"""Receiving beside listening: the rows' energy is the ledger's, to the joule."""

from __future__ import annotations

from typing import Any

import pytest

from simsplit.messages import Scheme
from simsplit.scenario.cell import Drx
from simsplit.sim.device.receiver import Receiver, ReceiverPower
from simsplit.study.worlds import toy_plan, toy_world

WATTS = ReceiverPower(receive_w=3.0, listen_w=1.0, sleep_w=0.1)


def test_a_slot_booked_as_listening_becomes_receiving() -> None:
    receiver = Receiver(WATTS, Drx())
    receiver.listen(0.0, 0.001)
    assert receiver.receive(0.0, 0.001) == pytest.approx(0.001)
    assert receiver.receive(0.0, 0.001) == 0.0  # a second grant in the same slot
    receiver.listen(0.0, 0.001)
    assert receiver.ledger.seconds["receive"] == pytest.approx(0.001)
    assert receiver.ledger.seconds["listen"] == pytest.approx(0.0)


@pytest.mark.parametrize("drx", [None, {}])
def test_rows_and_ledger_agree(drx: dict[str, Any] | None) -> None:
    cell: dict[str, Any] = {"downlink": {"kind": "radio", "tx_power_dbm": 44.0}}
    if drx is not None:
        cell["drx"] = drx
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.001, edge_s=0.0005)
    plan = type(plan)(**{f: getattr(plan, f) for f in plan.__dataclass_fields__} | {
        "answer_bits": [30_000]})  # fmt: skip
    world = toy_world(plan, devices=4, rate_hz=80.0, duration_s=4.0, cell=cell)
    for device in world.devices:
        device.receiver.ledger.power_w["receive"] = 2.0
    history = world.run()
    rows_j = sum(request.rx_energy_j for request in history.requests)
    ledger_j = sum(station["receive_j"] for station in history.stations["devices"])
    assert rows_j > 0.1 and rows_j == pytest.approx(ledger_j)
    for device in world.devices:
        spent = device.receiver.ledger.seconds
        assert min(spent.values()) >= 0.0
        assert sum(spent.values()) == pytest.approx(history.stations["end_s"])
