"""Validation: overload is flagged, a stable station is not (rho = lambda s against 1)."""

from __future__ import annotations

import pandas as pd
import pytest

from simsplit.cases import toy_plan, toy_world
from simsplit.messages import Scheme
from simsplit.summary import summarise


def summary_at(rho: float) -> dict:
    service_s = 0.05
    world = toy_world(
        toy_plan(Scheme.LOCAL, device_s=service_s),
        devices=4,
        rate_hz=rho / service_s,
        duration_s=60.0,
    )
    world.scenario = world.scenario.model_copy(update={"drain_s": 0.5})
    history = world.run()
    frame = pd.DataFrame([request.row() for request in history.requests])
    return summarise(world.scenario, frame, [history.stations])


@pytest.mark.parametrize("rho", [1.1, 1.5])
def test_overload_is_flagged_with_open_requests(rho):
    summary = summary_at(rho)
    codes = {flag["code"] for flag in summary["flags"]}
    assert {"unstable", "open"} <= codes
    assert summary["overall"]["status"]["open"] > 0


def test_a_stable_device_is_not_flagged():
    codes = {flag["code"] for flag in summary_at(0.5)["flags"]}
    assert "unstable" not in codes


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_measured_utilisation_is_offered_load(rho):
    measured = summary_at(rho)["utilisation"]["device_mean"]["mean"]
    assert measured == pytest.approx(rho, rel=0.1)
