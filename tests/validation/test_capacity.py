"""Validation: the capacity of an edge server that is M/D/1, against Pollaczek and Khinchine.

Poisson devices at a high, fixed SNR with more resource blocks than they can use, one edge worker
that takes one request at a time. With N devices of rate lambda and service time s the load is
rho = N lambda s, and the mean latency

    slot / 2 + slot + W_q + s + downlink,    W_q = rho s / (2 (1 - rho)),

W_q being the mean wait in M/D/1 (Kleinrock 1975, eq. 5.62 with no variance of service): half a slot
until the next one begins, one slot on the air, the edge, the way down. The engine is the real one;
only act one (networks, codecs) is replaced by known costs.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simsplit.messages import Scheme
from simsplit.results.statistics import estimate
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.sweeps import Sweep
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import IDEAL, POWER, step_table, toy_plan

module = importlib.import_module("simsplit.study.capacity")
AXIS = "devices.local.count"  # the last group of digits_smoke, which lends its name
SERVICE_S, RATE_HZ, DURATION_S, WARM_UP_S = 0.1, 1.0, 100.0, 5.0
DOWNLINK_S, SLOT_S = 0.001, 0.0005


def world(devices: int, replication: int) -> World:
    group = {"name": "g", "count": devices, "hardware": "toy", "operating_point": "point"}
    cell = IDEAL | {
        "channel": {"kind": "fixed_snr", "snr_db": 30.0},
        "mcs": {"kind": "fixed", "index": 11},
        "resource_blocks": 200,
        "downlink": {"kind": "fixed_rate", "rate_bps": 20e6, "latency_s": DOWNLINK_S},
    }
    whole = {
        "name": "toy",
        "seed": 7,
        "duration_s": DURATION_S,
        "drain_s": 1000.0,
        "task": {"samples": 1},
        "operating_points": [{"name": "point", "scheme": "raw", "codec": {"kind": "png"}}],
        "devices": [group | {"arrivals": {"kind": "poisson", "rate_hz": RATE_HZ}}],
        "edge": {"max_batch": 1},
        "cell": cell,
    }
    scenario = Scenario.model_validate(whole)
    assert scenario.cell.slot_s == SLOT_S
    plans = {"point": toy_plan(Scheme.RAW, bits=200, edge_s=SERVICE_S)}
    machines = Machines({"g": POWER}, 10.0, 70.0)
    return World(scenario, plans, machines, step_table(), replication=replication)


def latencies_s(devices: int, replication: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = world(devices, replication).run().requests
    return np.array([r.closed_s - r.arrival_s for r in rows if r.arrival_s >= WARM_UP_S])


def run_sweep(asked: Sweep, out: Path, _: Any) -> pd.DataFrame:
    """The engine with known costs in place of a whole run."""
    out.mkdir(parents=True, exist_ok=True)
    replications = asked.replications or 1
    rows = []
    for point in asked.points:
        parts = [latencies_s(int(point.values[AXIS]), number) for number in range(replications)]
        number = np.repeat(np.arange(replications), [len(part) for part in parts])
        kpi = estimate(np.concatenate(parts), number, replicated=True)
        ends = {"latency_s": "mean", "latency_s_ci_low": "ci_low", "latency_s_ci_high": "ci_high"}
        row = dict(point.values) | {"operating_point": "point", "replications": replications}
        row |= {column: kpi[key] for column, key in ends.items()}
        rows.append(row | {"flags": "", "folder": ""})
    return pd.DataFrame(rows)


def mean_latency_s(devices: float) -> float:
    rho = devices * RATE_HZ * SERVICE_S
    wait_s = rho * SERVICE_S / (2 * (1 - rho))
    return 1.5 * SLOT_S + wait_s + SERVICE_S + DOWNLINK_S


@pytest.mark.slow
@pytest.mark.parametrize("devices", [5])
def test_the_mean_latency_is_that_of_pollaczek_and_khinchine(devices: int) -> None:
    """Means of 40 independent runs, Student t at 99.9 %; exponential service would wait twice as
    long, which is six half-widths away."""
    means = np.array([latencies_s(devices, number).mean() for number in range(40)])
    half_s = stats.t.ppf(0.9995, 39) * means.std(ddof=1) / math.sqrt(40)
    theory_s = mean_latency_s(devices)
    assert abs(means.mean() - theory_s) < half_s
    assert half_s < 0.03 * theory_s


@pytest.mark.slow
@pytest.mark.parametrize("true", [4.5, 5.5])
def test_the_bracket_holds_the_capacity_of_an_md1_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, true: float
) -> None:
    """The bound is the mean latency of ``true`` devices, so that many fit and one more does not."""
    monkeypatch.setattr(module, "run_sweep", run_sweep)
    result = module.capacity(
        "digits_smoke",
        f"latency_s.mean <= {mean_latency_s(true):.9f}",
        out=tmp_path,
        devices="local",
        max_devices=12,
        replications=4,
        max_replications=12,
    )
    below, above = math.floor(true), math.ceil(true)
    assert result.surely_fits <= below < above <= result.surely_not
    assert result.count == below
    assert [condition.kpi for condition in result.binding] == ["latency_s.mean"]


def test_a_device_keeps_its_arrivals_when_the_count_grows() -> None:
    """Common random numbers over the count."""
    few, many = world(2, 0).run().requests, world(5, 0).run().requests
    for device in range(2):
        arrivals_s = [[r.arrival_s for r in rows if r.device == device] for rows in (few, many)]
        assert arrivals_s[0] == arrivals_s[1]
        assert len(arrivals_s[0]) > 50
