"""A run's summary: every KPI with its interval, utilisation, energy by state, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.results import statistics
from simsplit.results.drops import drop_flags, labelled, scope
from simsplit.results.flags import (
    busy_flags,
    empty_flags,
    late_flags,
    load_flags,
    open_flags,
    range_flags,
    short_flags,
    subband_flags,
    tail_flags,
    trend_flags,
    unscored_flags,
)
from simsplit.results.intervals import CONFIDENCE
from simsplit.results.kpis import kpi_column
from simsplit.results.metrics import COMPLEMENTS, HEADLINES, MEANS, QUANTILES, is_pooled
from simsplit.results.pooled import Pooled, pooled_kpi, pooled_of
from simsplit.results.utilisation import offered_load, utilisation
from simsplit.scenario.draws import drawn_once
from simsplit.scenario.scenario import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.results.statistics import Flag


def summarise(
    scenario: Scenario, requests: DataFrame, stations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Every KPI of the requests that arrived in [warmup_s, duration_s), utilisation and flags.

    Intervals: see `simsplit.results.statistics.estimate`. Latency is over closed requests only;
    lost and open ones are in ``delivered``, ``deadline_met``, ``status`` and the flags.
    """
    rows = measured(scenario, requests)
    replicated = len(stations) > 1
    pooled = pooled_of(rows)
    points = _by(rows, "operating_point", _choosable(scenario), replicated, pooled)
    offered, count = offered_load(stations), len(stations)
    kpis = {
        "overall": _kpis(rows, replicated, pooled),
        "operating_points": points,
        "groups": _by(rows, "group", [g.name for g in scenario.devices], replicated, pooled),
        "utilisation": utilisation(stations),
        "offered_load": offered,
    }
    return {
        "scenario": scenario.name,
        "replications": count,
        "drawn_once": list(drawn_once(scenario)),
        "interval_scope": scope(scenario, count),
        "window_s": [scenario.warmup_s, scenario.duration_s],
        "confidence": CONFIDENCE,
        **labelled(kpis, scope(scenario, count)),
        "ledger_j": _ledger(stations),
        "bodies": _bodies(stations),
        "flags": [
            *drop_flags(scenario, count),
            *busy_flags(offered),
            *empty_flags(scenario, requests, rows, len(stations)),
            *late_flags(stations),
            *_flags(scenario, requests, rows, points),
        ],
    }


def _choosable(scenario: Scenario) -> list[str]:
    """Operating points that some group uses or may choose, in the scenario's order."""
    used = {point.name for group in scenario.devices for point in scenario.points_of(group)}
    return [point.name for point in scenario.operating_points if point.name in used]


def measured(scenario: Scenario, requests: DataFrame) -> DataFrame:
    """Rows that arrived in [warmup_s, duration_s), by arrival time."""
    arrival_s = requests["arrival_s"]
    inside = (arrival_s >= scenario.warmup_s) & (arrival_s < scenario.duration_s)
    return requests[inside].sort_values(["arrival_s", "request_id"], kind="stable")


def _by(
    rows: DataFrame, column: str, names: list[str], replicated: bool, pooled: Sequence[Pooled]
) -> dict[str, Any]:
    """KPIs per value of ``column``, in the scenario's order; without requests ``n`` is 0."""
    return {name: _kpis(rows[rows[column] == name], replicated, pooled) for name in names}


def _kpis(rows: DataFrame, replicated: bool, pooled: Sequence[Pooled] = ()) -> dict[str, Any]:
    replication = rows["replication"].to_numpy(np.int64)
    scores = [column for column in rows.columns if column.startswith("score_")]
    wanted = {name: (name, None) for name in (*MEANS, *scores)}
    tails = {name: ("latency_s", q) for name, q in QUANTILES.items()}
    kpis: dict[str, Any] = {
        "n": len(rows),
        "status": {str(key): int(n) for key, n in rows["status"].value_counts().items()},
    }
    for name, (column, quantile) in (wanted | tails).items():
        values = rows[column].to_numpy(float)
        kpis[name] = statistics.estimate(
            values,
            replication,
            replicated=replicated,
            quantile=quantile,
            bounds=statistics.bounds_of(name),
        )
    for item in pooled:
        kpis[item.name] = pooled_kpi(item, rows, replicated=replicated)
    return kpis


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
    worst_of: dict[str, dict[str, float]] = {}
    for device in (d for s in stations for d in s["devices"]):
        for key, worst in ends.items():
            if device.get(key) is not None:
                group = worst_of.setdefault(device["group"], {})
                group[key] = worst(group.get(key, device[key]), device[key])
    return worst_of


def _flags(
    scenario: Scenario,
    requests: DataFrame,
    rows: DataFrame,
    points: dict[str, Any],
) -> list[Flag]:
    return [
        *load_flags(rows, scenario),
        *trend_flags(rows),
        *open_flags(requests),
        *short_flags(points),
        *tail_flags(rows),
        *unscored_flags(rows),
        *range_flags(scenario),
        *subband_flags(scenario),
    ]


def check_kpi(name: str) -> None:
    """Tell a misspelt KPI before anything is simulated.

    Raises:
        ScenarioError: No run has such a KPI; which scores there are, only a run tells.
    """
    if name.startswith("score_") or name in COMPLEMENTS or is_pooled(name):
        return
    kpis = [*MEANS, *QUANTILES, *HEADLINES]
    kpi_column(name, [*kpis, *(f"{kpi}_ci_low" for kpi in kpis)])
