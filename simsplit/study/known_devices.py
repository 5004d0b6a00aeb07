"""Known answers of `simsplit validate`: batteries, sleeping receivers, servers, rooflines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from simsplit.hardware.fit_roofline import fit
from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.scenario.cell import Drx
from simsplit.sim.device.receiver import Receiver, ReceiverPower
from simsplit.study.worlds import POWER, Case, exact_case, toy_plan, toy_world, within_case
from simsplit.units import dbm_to_w

SLOT_S, BITS, DEVICE_S, EDGE_S = 0.5e-3, 20_000, 0.01, 0.004
EVERY_SECOND = {"arrivals": {"kind": "periodic", "period_s": 1.0, "in_phase": True}}
DRX = {"inactivity_s": 0.02, "cycle_s": 0.16, "on_s": 0.008}


def _slots() -> int:
    return math.ceil(BITS / transport_block_bits(mcs(11), 51))


def _plan() -> Any:
    return toy_plan(Scheme.RAW, bits=BITS, device_s=DEVICE_S, edge_s=EDGE_S)


# --- devices ----------------------------------------------------------------------------------


def battery_runs_empty() -> list[Case]:
    """When a battery is empty, and what has been drawn by then: P t piece by piece."""
    tx_w = POWER.transmit_w(dbm_to_w(23.0))
    request_j = (POWER.compute_w - POWER.idle_w) * DEVICE_S + tx_w * _slots() * SLOT_S
    cases = []
    for requests, capacity_j in ((2, 0.9), (4, 2.0)):  # empty while idle, after so many requests
        empty_s, station, rows = _emptied(capacity_j)
        expected_s = (capacity_j - requests * request_j) / POWER.idle_w
        name = f"battery of {capacity_j:g} J: "
        cases += [
            exact_case(name + "empty at (s)", "(C - n E_request) / P_idle", expected_s, empty_s),
            exact_case(name + "drawn (J)", "C", capacity_j, station["total_j"]),
            exact_case(
                name + "transmitter, rows = ledger (J)", "n P_tx t", rows, station["transmit_j"]
            ),
        ]
    begun_j = POWER.compute_w * DEVICE_S  # empty in the second slot of the first transmission
    capacity_j = begun_j + 1.5 * SLOT_S * (POWER.idle_w + tx_w)
    empty_s, _, _ = _emptied(capacity_j)
    name, formula = "battery empty within a slot (s)", "t + (C - E(t)) / (P_idle + P_tx)"
    return [*cases, exact_case(name, formula, DEVICE_S + 1.5 * SLOT_S, empty_s)]


def _emptied(capacity_j: float) -> tuple[float, dict[str, Any], float]:
    group = EVERY_SECOND | {"battery_j": capacity_j, "tx_power_dbm": 23.0}
    history = toy_world(_plan(), duration_s=8.0, group=group).run()
    station = history.stations["devices"][0]
    rows_j = sum(request.tx_energy_j for request in history.requests)
    return station["battery_empty_s"], station, rows_j


def sleeping_receiver() -> list[Case]:
    """DRX: data of a sleeping device waits 20 ms; every sleep costs its transitions (TR 38.840)."""
    history = toy_world(_plan(), duration_s=1.5, group=EVERY_SECOND, cell={"drx": DRX}).run()
    awake, asleep = (request.closed_s - request.arrival_s for request in history.requests)
    delay = exact_case("DRX: uplink out of deep sleep (s)", "20 ms", 0.020, asleep - awake)
    power = ReceiverPower(3.0, 1.0, 0.01, 0.045, 0.2, 0.01, 0.45)
    states = (("deep", 0.152, 0.01, 0.045), ("light", 0.012, 0.2, 0.01), ("micro", 0.004, 0.45, 0))
    return [delay, *(_sleep_energy(power, *state) for state in states)]


def _sleep_energy(
    power: ReceiverPower, name: str, asleep_s: float, sleep_w: float, transition_j: float
) -> Case:
    cycles, on_s = 10, 0.008
    receiver = Receiver(power, Drx(cycle_s=asleep_s + on_s, on_s=on_s))
    receiver.close(0.02 + cycles * (asleep_s + on_s))
    expected_j = power.listen_w * (0.02 + cycles * on_s)
    expected_j += cycles * (sleep_w * asleep_s + transition_j)
    formula = "P_listen t_on + n (P_sleep t_sleep + E_transition)"
    return exact_case(
        f"DRX: energy in {name} sleep (J)", formula, expected_j, receiver.ledger.total_j
    )


# --- servers ----------------------------------------------------------------------------------


def server_power() -> list[Case]:
    """A worker's power is linear in the share of its roofline that a batch reaches."""
    share = 0.3
    plan = replace(_plan(), edge_share=[share] * 64)
    history = toy_world(plan, devices=5, rate_hz=10.0, duration_s=20.0).run()
    edge = history.stations["edge"]
    expected_j = edge["batches"] * EDGE_S * (10.0 + share * (70.0 - 10.0))
    rows_j = sum(request.edge_energy_j for request in history.requests)
    formula = "n t (P_idle + u (P_max - P_idle))"
    return [
        exact_case("server's energy at 30 % of its roofline (J)", formula, expected_j, rows_j),
        exact_case("the same, rows = ledger (J)", "power x time", rows_j, edge["compute_j"]),
    ]


# --- rooflines --------------------------------------------------------------------------------


def raspberry_pi_5() -> list[Case]:
    """Published latencies of networks that the fit has not seen, each held out in turn."""
    ratios = fit("raspberry_pi_5").ratios
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    worst = max(max(ratio, 1 / ratio) for ratio in ratios)
    name, what = "Raspberry Pi 5, 10 networks held out: ", "ncnn's table, four threads"
    return [
        within_case(name + "mean of predicted / published", what, 1.0, mean, 0.15),
        within_case(name + "worst factor, below 2", what, 1.0, worst, 1.0),
    ]


CASES: tuple[Callable[[], list[Case]], ...] = (
    battery_runs_empty,
    sleeping_receiver,
    server_power,
    raspberry_pi_5,
)
