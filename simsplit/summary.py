"""A run's summary: every KPI with its interval, utilisation, energy by state, flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit import statistics
from simsplit.kpis import COMPLEMENTS, HEADLINES, kpi_column
from simsplit.scenario import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.statistics import Flag, Kpi

QUANTILES = {"latency_p50_s": 0.50, "latency_p95_s": 0.95, "latency_p99_s": 0.99}
MEANS = (
    "latency_s",
    "payload_bits",
    "channel_uses",
    "pilot_uses",
    "papr_db",
    "energy_j",
    "compute_energy_j",
    "tx_energy_j",
    "rx_energy_j",
    "edge_energy_j",
    "delivered",
    "deadline_met",
    "attempts",
)


def summarise(
    scenario: Scenario, requests: DataFrame, stations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Every KPI of the requests that arrived in [warmup_s, duration_s), utilisation and flags.

    Intervals: see `simsplit.statistics.estimate`. Latency is over closed requests only; lost and
    open ones are in ``delivered``, ``deadline_met``, ``status`` and the flags.
    """
    rows = measured(scenario, requests)
    replicated = requests["replication"].nunique() > 1
    points = _by(rows, "operating_point", [p.name for p in scenario.operating_points], replicated)
    used = _utilisation(stations)
    return {
        "scenario": scenario.name,
        "replications": int(requests["replication"].nunique()),
        "window_s": [scenario.warmup_s, scenario.duration_s],
        "confidence": statistics.CONFIDENCE,
        "overall": _kpis(rows, replicated),
        "operating_points": points,
        "groups": _by(rows, "group", [g.name for g in scenario.devices], replicated),
        "utilisation": used,
        "ledger_j": _ledger(stations),
        "bodies": _bodies(stations),
        "flags": _flags(scenario, requests, rows, points, used),
    }


def measured(scenario: Scenario, requests: DataFrame) -> DataFrame:
    """Rows that arrived in [warmup_s, duration_s), by arrival time."""
    arrival_s = requests["arrival_s"]
    inside = (arrival_s >= scenario.warmup_s) & (arrival_s < scenario.duration_s)
    return requests[inside].sort_values(["arrival_s", "request_id"], kind="stable")


def _by(rows: DataFrame, column: str, names: list[str], replicated: bool) -> dict[str, Any]:
    """KPIs per value of ``column``, in the scenario's order; values without rows are left out."""
    parts = {name: rows[rows[column] == name] for name in names}
    return {name: _kpis(part, replicated) for name, part in parts.items() if len(part)}


def _kpis(rows: DataFrame, replicated: bool) -> dict[str, Any]:
    replication = rows["replication"].to_numpy(np.int64)
    scores = [column for column in rows.columns if column.startswith("score_")]
    wanted = {name: (name, None) for name in (*MEANS, *scores)}
    tails = {name: ("latency_s", q) for name, q in QUANTILES.items()}
    found: dict[str, Any] = {
        "n": len(rows),
        "status": {str(key): int(n) for key, n in rows["status"].value_counts().items()},
    }
    for name, (column, quantile) in (wanted | tails).items():
        values = rows[column].to_numpy(float)
        found[name] = statistics.estimate(
            values, replication, replicated=replicated, quantile=quantile
        )
    return found


def _utilisation(stations: Sequence[Mapping[str, Any]]) -> dict[str, Kpi]:
    """Work done until the run's end over the capacity of the arrival window [0, window_s).

    Device busy_s / window_s; edge and cloud busy_s / (on_s * window_s / end_s), where on_s counts
    the seconds of the workers that were on; radio likewise, resource blocks x slots used over those
    there were. Above 1: the backlog that the station worked off after the last arrival.
    """
    device = [[d["busy_s"] / s["window_s"] for d in s["devices"]] for s in stations]
    radio = [_radio_share(s, "radio") for s in stations]
    edge = [_server_share(s, "edge") for s in stations]
    found = {
        "device_mean": statistics.over_replications([sum(d) / len(d) for d in device if d]),
        "device_max": statistics.over_replications([max(d) for d in device if d]),
        "radio": statistics.over_replications(radio),
        "edge": statistics.over_replications(edge),
    }
    if all("cloud" in s for s in stations):
        far = [_server_share(s, "cloud") for s in stations]
        found["cloud"] = statistics.over_replications(far)
    if all("downlink" in s for s in stations):
        down = [_radio_share(s, "downlink") for s in stations]
        found["downlink"] = statistics.over_replications(down)
    return found


def _server_share(station: Mapping[str, Any], tier: str) -> float:
    use = station[tier]
    on_s = use["on_s"] * station["window_s"] / station["end_s"]
    return float(use["busy_s"] / on_s) if on_s else math.nan


def _radio_share(station: Mapping[str, Any], direction: str) -> float:
    use = station[direction]
    total = use["prb_slots_total"] * station["window_s"] / station["end_s"]
    return float(use["prb_slots_used"] / total) if total else math.nan


def _ledger(stations: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Joules of all devices and of the edge by state, mean over replications."""
    count = max(1, len(stations))
    states = ("idle_j", "compute_j", "transmit_j", "receive_j", "listen_j", "sleep_j", "total_j")
    ledger = {
        f"device_{state}": sum(d[state] for s in stations for d in s["devices"]) / count
        for state in states
    }
    for tier in ("edge", "cloud"):
        servers = [s[tier] for s in stations if tier in s]
        for state in ("idle_j", "starting_j", "compute_j", "total_j") if servers else ():
            ledger[f"{tier}_{state}"] = sum(server[state] for server in servers) / count
    return ledger


def _bodies(stations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Per group with battery or heat: lowest charge at the end, highest °C, longest throttling."""
    ends = {"battery_share": min, "max_temperature_c": max, "throttled_s": max}
    found: dict[str, dict[str, float]] = {}
    for device in (d for s in stations for d in s["devices"]):
        for key, worst in ends.items():
            if device.get(key) is not None:
                group = found.setdefault(device["group"], {})
                group[key] = worst(group.get(key, device[key]), device[key])
    return found


def _flags(
    scenario: Scenario,
    requests: DataFrame,
    rows: DataFrame,
    points: dict[str, Any],
    used: dict[str, Kpi],
) -> list[Flag]:
    return [
        *statistics.busy_flags(used),
        *statistics.load_flags(rows, scenario),
        *statistics.trend_flags(rows),
        *statistics.open_flags(requests),
        *statistics.short_flags(points),
        *statistics.unscored_flags(rows),
    ]


def check_kpi(name: str) -> None:
    """Tell a misspelt KPI before anything is simulated.

    Raises:
        ScenarioError: No run has such a KPI; which scores there are, only a run tells.
    """
    if name.startswith("score_") or name in COMPLEMENTS:
        return
    known = [*MEANS, *QUANTILES, *HEADLINES]
    kpi_column(name, [*known, *(f"{kpi}_ci_low" for kpi in known)])
