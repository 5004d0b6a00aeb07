"""Unit: what of every station was used within the arrival window, work under way at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simsplit.messages import Scheme
from simsplit.results.flags import late_flags
from simsplit.results.utilisation import offered_load, utilisation
from simsplit.sim.device.arrivals import Recording
from simsplit.sim.world import History, Machines, World
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

WINDOW_S = 0.05
ONCE = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}
CLOUD = {
    "hardware": "edge_gpu", "max_batch": 1, "rate_bps": 1e9, "delay_s": 0.001,
    "offload": {"kind": "always"},
}  # fmt: skip


def ran(bits: int = 100, answer_bits: int = 0, edge_s: float = 0.0, **more: Any) -> History:
    """One request in a window of 50 ms, its work far longer than that."""
    plan = toy_plan(Scheme.RAW, bits=bits, device_s=0.01, edge_s=edge_s)
    plan = replace(plan, answer_bits=[answer_bits], cloud_s=plan.edge_s)
    return toy_world(plan, duration_s=WINDOW_S, group=ONCE, **more).run()


def shares(history: History, station: str) -> tuple[float, float]:
    """Utilisation and offered load of a station."""
    rows = [history.stations | {"replication": 0}]
    return utilisation(rows)[station]["mean"], offered_load(rows)[station]["mean"]


@pytest.mark.parametrize(("tier", "edge"), [("edge", {}), ("cloud", {"cloud": CLOUD})])
def test_a_server_busy_past_the_end_is_counted_up_to_it(tier: str, edge: dict[str, Any]) -> None:
    history = ran(edge_s=0.5, edge={"max_batch": 1} | edge)
    (request,) = history.requests
    assert request.tier == tier and request.edge_start_s < WINDOW_S < request.edge_end_s
    used, offered = shares(history, tier)
    assert used == pytest.approx((WINDOW_S - request.edge_start_s) / WINDOW_S)
    assert offered == pytest.approx(0.5 / WINDOW_S)


def test_an_uplink_busy_past_the_end_is_counted_up_to_it() -> None:
    history = ran(bits=4_000_000)
    (request,) = history.requests
    assert request.radio_end_s > 2 * WINDOW_S
    used, offered = shares(history, "radio")
    assert used == pytest.approx((WINDOW_S - request.radio_start_s) / WINDOW_S, abs=0.03)
    assert offered > 1.0 >= used


def test_a_downlink_busy_past_the_end_is_counted_up_to_it() -> None:
    history = ran(answer_bits=2_000_000, cell={"downlink": {"kind": "radio", "latency_s": 0.0}})
    (request,) = history.requests
    assert request.closed_s > 2 * WINDOW_S
    used, offered = shares(history, "downlink")
    assert used == pytest.approx((WINDOW_S - request.edge_end_s) / WINDOW_S, abs=0.03)
    assert offered > 1.0 >= used


def test_recorded_arrivals_that_come_too_late_are_flagged(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.csv"
    pd.DataFrame({"time_s": [0.01, WINDOW_S, 3.0], "device": 0}).to_csv(file, index=False)
    group = {"arrivals": {"kind": "trace", "file": str(file)}}
    made = toy_world(toy_plan(Scheme.LOCAL), duration_s=WINDOW_S, group=ONCE)
    recorded = {"g": Recording(str(file), "arrivals.file", "g", 1, 1).of(0)}
    scenario = made.scenario.model_dump(mode="json")
    scenario["devices"][0] |= group
    whole = type(made.scenario).model_validate(scenario)
    plans, machines = {"point": toy_plan(Scheme.LOCAL)}, Machines({"g": POWER}, 10.0, 70.0)
    history = World(whole, plans, machines, step_table(), traffic=recorded).run()
    assert len(history.requests) == 1 and history.stations["late_arrivals"] == {"g": 2}
    (flag,) = late_flags([history.stations])
    assert flag["code"] == "late_arrivals" and "group g: 2 recorded arrivals" in flag["message"]
