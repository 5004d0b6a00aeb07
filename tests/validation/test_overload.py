"""Validation: one device is an M/D/1 queue; what it does at rho = lambda s below and above 1.

Below 1 it is busy for the share rho of the time, and a request waits rho s / (2 (1 - rho)) in the
mean (Pollaczek and Khinchine; Kleinrock, Queueing Systems I, 1975, section 5.6). Above 1 it is
never idle once begun, and what is left at the end is what came less one request per s.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pandas as pd
import pytest

from simsplit.messages import Scheme
from simsplit.results.summary import summarise
from simsplit.study.worlds import toy_plan, toy_world

SERVICE_S, DURATION_S, DRAIN_S, DEVICES = 0.05, 60.0, 0.5, 4


@cache
def run_at(rho: float, duration_s: float = DURATION_S) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Requests of four like devices, and the summary."""
    world = toy_world(
        toy_plan(Scheme.LOCAL, device_s=SERVICE_S),
        devices=DEVICES,
        rate_hz=rho / SERVICE_S,
        duration_s=duration_s,
    )
    world.scenario = world.scenario.model_copy(update={"drain_s": DRAIN_S})
    history = world.run()
    frame = pd.DataFrame([request.row() for request in history.requests])
    return frame, summarise(world.scenario, frame, [history.stations])


def codes(summary: dict[str, Any]) -> set[str]:
    return {flag["code"] for flag in summary["flags"]}


@pytest.mark.parametrize("rho", [1.1, 1.5])
def test_overload_is_flagged_and_the_backlog_is_what_theory_leaves(rho: float) -> None:
    """Arrivals of T seconds are Poisson, services in T + drain at most one per s: the backlog is
    (rho - 1) T / s less what the drain takes, within 4 standard deviations of the arrivals."""
    requests, summary = run_at(rho)
    assert {"unstable", "open"} <= codes(summary)
    left = summary["overall"]["status"]["open"]
    assert left == (requests["status"] == "open").sum()
    served_most = DEVICES * (DURATION_S + DRAIN_S) / SERVICE_S
    arrivals = DEVICES * rho * DURATION_S / SERVICE_S
    idle = (
        DEVICES * rho / (rho - 1)
    )  # idle periods of 1 / lambda in the mean, rho / (rho - 1) of them
    assert abs(left - (arrivals - served_most)) < 4 * math.sqrt(arrivals) + idle
    assert len(requests) - left <= served_most
    assert len(requests) - left > served_most - 4 * idle


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8])
def test_a_stable_device_is_not_flagged_and_waits_as_theory_says(rho: float) -> None:
    """20 minutes of four devices. Waits are correlated, so the standard error of their mean is
    that of 20 batches of each device; 4 of them."""
    requests, summary = run_at(rho, 1200.0)
    assert "unstable" not in codes(summary)
    wait_s = requests["device_start_s"] - requests["arrival_s"]
    batches = wait_s.groupby([requests["device"], requests["arrival_s"] // 60.0]).mean()
    error_s = batches.std(ddof=1) / math.sqrt(len(batches))
    theory_s = rho * SERVICE_S / (2 * (1 - rho))
    assert abs(wait_s.mean() - theory_s) < 4 * error_s < 0.2 * theory_s


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_measured_utilisation_is_offered_load(rho: float) -> None:
    """Busy seconds are s for each request: at least those begun within the window (but for the one
    that its end cuts on each device), at most all; rho within 4 deviations of Poisson arrivals."""
    requests, summary = run_at(rho)
    measured = summary["utilisation"]["device_mean"]["mean"]
    begun = (requests["device_start_s"] < DURATION_S).sum()
    share = SERVICE_S / (DEVICES * DURATION_S)  # of one request
    assert (begun - DEVICES) * share - 1e-9 <= measured <= len(requests) * share + 1e-9
    spread = SERVICE_S * math.sqrt(rho / SERVICE_S * DURATION_S / DEVICES) / DURATION_S
    assert abs(measured - rho) < 4 * spread
