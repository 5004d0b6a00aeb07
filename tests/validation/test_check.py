"""The loads that `simsplit check` foresees, against longer runs with other random numbers.

Truth: mean utilisation over 40 replications with fresh drops, by the stations' own books.
Foreseen: rate times mean work of a pilot (utilisation law). Tolerance: a quarter.
"""

from __future__ import annotations

import importlib

import pytest

from simsplit.scenario.bundled import bundled_names
from simsplit.study.check import expect

study = importlib.import_module("simsplit.study.run")
TOLERANCE = 0.25
LEAST = 1e-4  # a station that is as good as idle is not judged
USUAL = ("replications=40", "drain_s=5")
SEED = "seed=9173"


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled_names())
def test_loads_are_foreseen_within_a_quarter(name: str) -> None:
    foreseen = expect(study.resolve(name, (), {}))
    scenario = study.resolve(name, (SEED, *USUAL), {})
    pipeline = study.open_scenario_pipeline(scenario)
    plans = study.make_plans(scenario, pipeline, pipeline.prepare())
    histories = study.simulate(scenario, plans)
    window_s = len(histories) * scenario.duration_s
    radio = [history.stations["radio"] for history in histories]
    blocks = sum(use["prb_slots_used"] for use in radio)
    there = sum(
        use["prb_slots_total"] * scenario.duration_s / history.stations["end_s"]
        for use, history in zip(radio, histories, strict=True)
    )
    close_to(blocks / there, foreseen.radio_utilisation)
    edge_s = sum(history.stations["edge"]["busy_s"] for history in histories)
    close_to(edge_s / window_s / scenario.edge.workers, foreseen.edge_utilisation)
    if scenario.edge.cloud is not None and foreseen.cloud_utilisation is not None:
        cloud_s = sum(history.stations["cloud"]["busy_s"] for history in histories)
        close_to(cloud_s / window_s / scenario.edge.cloud.workers, foreseen.cloud_utilisation)
    for group in foreseen.groups:
        devices = [d for h in histories for d in h.stations["devices"] if d["group"] == group.name]
        busy_s = sum(device["busy_s"] for device in devices)
        assert group.device_utilisation is not None
        close_to(busy_s / len(devices) / scenario.duration_s, group.device_utilisation)


def close_to(measured: float, foreseen: float) -> None:
    if max(measured, foreseen) > LEAST:
        assert foreseen == pytest.approx(measured, rel=TOLERANCE)
