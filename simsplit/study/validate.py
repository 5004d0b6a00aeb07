"""Cases with a closed-form answer, run through the real engine: `simsplit validate`.

Every statistical case is replicated with fixed seeds; the interval is a 99 % Student t interval
over the replications, and the case passes if the closed form lies inside. Bookkeeping cases must
meet 1e-9 relative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.sim.request import Request
from simsplit.study import (
    known_access,
    known_costs,
    known_devices,
    known_intervals,
    known_propagation,
    known_queues,
    known_radio,
    known_scheduling,
)
from simsplit.study.worlds import POWER, Case, exact_case, interval_case, toy_plan, toy_world


def validate(progress: Callable[[str, int, int], None] | None = None) -> list[Case]:
    """Run the simulator on known answers: queues, the air, access, energy.

    Args:
        progress: Called with (name of the group of cases, groups done, groups).

    Returns:
        Every case with its expected value, its interval, and whether the one lies in the other.
    """
    cases: list[Case] = []
    for number, make in enumerate(CASES, 1):
        cases += make()
        if progress:
            progress(make.__name__, number, len(CASES))
    return cases


# --- queues -----------------------------------------------------------------------------------


def device_md1() -> list[Case]:
    """Deterministic device with Poisson arrivals: W = rho s / (2 (1 - rho)) (Pollaczek)."""
    service_s, rate_hz, warmup_s = 0.01, 70.0, 10.0
    world = toy_world(
        toy_plan(Scheme.LOCAL, device_s=service_s), devices=30, rate_hz=rate_hz, duration_s=100.0
    )
    waits: dict[int, list[float]] = {}
    for request in world.run().requests:
        if request.arrival_s >= warmup_s:
            wait_s = request.device_start_s - request.arrival_s
            waits.setdefault(request.device, []).append(wait_s)
    rho = rate_hz * service_s
    expected = rho * service_s / (2 * (1 - rho))
    means = [float(np.mean(w)) for w in waits.values()]
    return [interval_case("device M/D/1 mean wait (s)", "rho s / (2 (1 - rho))", expected, means)]


def mean_number(enter_s: Sequence[float], leave_s: Sequence[float], until_s: float) -> float:
    """Time average of the number inside, by sweeping over the events (independent of waits)."""
    events = sorted([(t, 1) for t in enter_s] + [(t, -1) for t in leave_s])
    area, inside, last_s = 0.0, 0, 0.0
    for time_s, step in events:
        area += inside * (time_s - last_s)
        inside, last_s = inside + step, time_s
    return (area + inside * (until_s - last_s)) / until_s


def littles_law() -> list[Case]:
    """L = lambda W per station in one run that starts and ends empty (Little 1961)."""
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.01, edge_s=0.004)
    history = toy_world(plan, devices=10, rate_hz=20.0, duration_s=50.0).run()
    end_s = history.stations["end_s"]
    stations = {
        "device": ("arrival_s", "device_end_s"),
        "radio": ("radio_start_s", "radio_end_s"),
        "edge": ("edge_arrival_s", "edge_end_s"),
    }
    cases = []
    for name, (enter, leave) in stations.items():
        times = [(getattr(r, enter), getattr(r, leave)) for r in history.requests]
        rate_hz = len(times) / end_s
        expected = rate_hz * float(np.mean([b - a for a, b in times]))
        measured = mean_number([a for a, _ in times], [b for _, b in times], end_s)
        cases.append(exact_case(f"Little's law, {name}", "L = lambda W", expected, measured))
    return cases


# --- time and energy --------------------------------------------------------------------------


def lone_request() -> list[Case]:
    """An unloaded request's latency is the sum of its stages."""
    bits, device_s, edge_s = 20_000, 0.0105, 0.004
    plan = toy_plan(Scheme.RAW, bits=bits, device_s=device_s, edge_s=edge_s)
    group = {"arrivals": {"kind": "periodic", "period_s": 1.0, "in_phase": True}}
    history = toy_world(plan, duration_s=0.5, group=group).run()
    request = history.requests[0]
    slot_s = 0.5e-3
    blocks = math.ceil(bits / transport_block_bits(mcs(11), 51))
    expected = device_s + blocks * slot_s + edge_s + 0.001
    measured = request.closed_s - request.arrival_s
    formula = "device + slots + edge + downlink"
    return [exact_case("unloaded latency (s)", formula, expected, measured)]


def energy_ledger() -> list[Case]:
    """Parts sum to the total; states fill the time; E = P t with t known from the counts."""
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.01, edge_s=0.004)
    history = toy_world(plan, devices=5, rate_hz=20.0, duration_s=20.0).run()
    stations, rows = history.stations, history.requests
    devices, end_s = stations["devices"], stations["end_s"]
    busy_s = 0.01 * len(rows)
    closed_form_j = POWER.idle_w * (5 * end_s - busy_s) + POWER.compute_w * busy_s
    measured_j = sum(d["idle_j"] + d["compute_j"] for d in devices)
    filled_s = sum(d["busy_s"] + d["idle_s"] + d["off_s"] for d in devices)
    radio_s = sum(d["transmit_s"] + d["radio_off_s"] for d in devices)
    return [
        exact_case(
            "processor energy (J)", "P_idle t_idle + P_compute n s", closed_form_j, measured_j
        ),
        _ledger_case(
            "transmit energy, rows = ledger (J)", rows, "tx_energy_j", devices, "transmit_j"
        ),
        _ledger_case(
            "compute energy, rows = ledger (J)", rows, "compute_energy_j", devices, "compute_j"
        ),
        _ledger_case(
            "edge energy, rows = ledger (J)", rows, "edge_energy_j", [stations["edge"]], "compute_j"
        ),
        exact_case("processor states fill the time (s)", "n T", 5 * end_s, filled_s),
        exact_case("radio states fill the time (s)", "n T", 5 * end_s, radio_s),
    ]


def _ledger_case(
    name: str, rows: Sequence[Request], part: str, stations: Sequence[dict[str, Any]], key: str
) -> Case:
    by_rows = sum(getattr(row, part) for row in rows)
    return exact_case(
        name, "sum over requests = power x time", by_rows, sum(s[key] for s in stations)
    )


CASES: tuple[Callable[[], list[Case]], ...] = (
    device_md1,
    littles_law,
    lone_request,
    energy_ledger,
    *known_costs.CASES,
    *known_devices.CASES,
    *known_intervals.CASES,
    *known_queues.CASES,
    *known_radio.CASES,
    *known_scheduling.CASES,
    *known_propagation.CASES,
    *known_access.CASES,
)
