"""What a case with a known answer is made of: intervals, and worlds reduced to what is studied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from simsplit.messages import Scheme
from simsplit.phy.link import BlerTable
from simsplit.phy.waterfalls import Curve
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.device import DevicePower
from simsplit.sim.request import Plan
from simsplit.sim.world import Machines, World

CONFIDENCE = 0.99
EXACT = 1e-9
POWER = DevicePower(idle_w=0.5, compute_w=3.0, pa_efficiency=0.25, tx_circuit_w=0.4)


IDEAL: dict[str, Any] = {
    "access": {"kind": "immediate"},
    "decoding": {"kind": "none"},
    "headers": {"kind": "none"},
}
"""A cell whose access, decoding and headers cost nothing, for closed forms that know none."""


@dataclass(frozen=True)
class Case:
    """One line of `simsplit validate`: a closed form and what was measured, with an interval."""

    name: str
    formula: str
    expected: float
    measured: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """The closed form lies inside the measured interval."""
        return self.low <= self.expected <= self.high


def interval_case(name: str, formula: str, expected: float, values: Sequence[float]) -> Case:
    """Case from independent replications: mean ± t_{0.995, n-1} s / sqrt(n)."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return Case(name, formula, expected, mean, mean - half, mean + half)


def exact_case(name: str, formula: str, expected: float, measured: float) -> Case:
    """Case that must hold to 1e-9 relative."""
    half = EXACT * max(abs(expected), abs(measured))
    return Case(name, formula, expected, measured, measured - half, measured + half)


def within_case(
    name: str, formula: str, expected: float, measured: float, tolerance: float
) -> Case:
    """Case that must hold within a stated tolerance."""
    return Case(name, formula, expected, measured, measured - tolerance, measured + tolerance)


# --- worlds -----------------------------------------------------------------------------------


def toy_plan(scheme: Scheme, *, bits: int = 0, device_s: float = 0.0, edge_s: float = 0.0) -> Plan:
    """A plan of one sample with given costs on hardware 'toy'.

    ``bits``: of the payload; with JSCC, channel uses.
    """
    symbols = bits if scheme is Scheme.JSCC else 0
    seconds = {"toy": device_s}
    return Plan(scheme, [bits], [symbols], [0], seconds, seconds, [edge_s] * 64)


def toy_world(
    plan: Plan,
    *,
    devices: int = 1,
    rate_hz: float = 1.0,
    duration_s: float = 100.0,
    replication: int = 0,
    cell: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    edge: dict[str, Any] | None = None,
    table: BlerTable | None = None,
) -> World:
    """A world of like devices with one plan; everything else at its simplest (`IDEAL`)."""
    codecs = {Scheme.RAW: {"kind": "png"}, Scheme.SEPARATE: {"kind": "entropy"}}
    codec = codecs.get(plan.scheme)
    point = {"name": "point", "scheme": plan.scheme.value, "codec": codec}
    arrivals = {"kind": "poisson", "rate_hz": rate_hz}
    devices_spec = {"name": "g", "count": devices, "hardware": "toy", "operating_point": "point"}
    channel = IDEAL | {
        "channel": {"kind": "fixed_snr", "snr_db": 30.0},
        "mcs": {"kind": "fixed", "index": 11},
        "downlink": {"kind": "fixed_rate", "rate_bps": 20e6, "latency_s": 0.001},
    }
    scenario = Scenario.model_validate(
        {
            "name": "toy",
            "seed": 20261,
            "duration_s": duration_s,
            "drain_s": 1000.0,
            "task": {"samples": 1},
            "operating_points": [point],
            "devices": [devices_spec | {"arrivals": arrivals} | (group or {})],
            "cell": channel | (cell or {}),
            "edge": edge or {},
        }
    )
    machines = Machines({"g": POWER}, 10.0, 70.0)
    return World(
        scenario, {"point": plan}, machines, table or step_table(), replication=replication
    )


def step_table(
    mu_db: float = -50.0, sigma_db: float = 1.0, gains_db: Sequence[float] = (0.0,)
) -> BlerTable:
    """A table with one waterfall for MCS 11, so that block errors are known by construction.

    ``gains_db``: how much lower the waterfall of attempt 1, 2, … lies (incremental redundancy).
    """
    sizes = (math.log2(24), math.log2(8448))
    curves = {
        (4, 378.0, graph, attempt): Curve(sizes, (mu_db - gain,) * 2, (sigma_db,) * 2)
        for attempt, gain in enumerate(gains_db, start=1)
        for graph in (1, 2)
    }
    return BlerTable(curves)
