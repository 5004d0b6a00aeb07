"""What a reader must know before believing a summary: overload, trends, unscored requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.results.metrics import QUANTILES
from simsplit.results.statistics import rows_needed
from simsplit.scenario.channel import Multipath, distance_range_m
from simsplit.sim.radio.frame import frame_of
from simsplit.sim.radio.links import subbands_of
from simsplit.sim.radio.positions import site_points

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from simsplit.results.statistics import Flag, Kpi
    from simsplit.scenario.scenario import Scenario

BUSY_LIMIT = 0.98
WAIT_SLOPE_LIMIT = 0.02
HALF_WIDTH_LIMIT = 0.10


# --- flags ------------------------------------------------------------------------------------


def flag(code: str, station: str, message: str) -> Flag:
    """One warning of a summary."""
    return {"code": code, "station": station, "message": message}


def busy_flags(offered: dict[str, Kpi]) -> list[Flag]:
    """``unstable`` where a station had work for more than 98 % of the window."""
    return [
        flag("unstable", station, f"work for {100 * value['mean']:.1f} % of the window")
        for station, value in offered.items()
        if station != "device_mean" and value["mean"] is not None and value["mean"] > BUSY_LIMIT
    ]


def empty_flags(
    scenario: Scenario, requests: DataFrame, rows: DataFrame, replications: int
) -> list[Flag]:
    """``no_requests`` where none arrived in the window: at all, in a replication or of a group.

    ``no_answers`` where some arrived and none was answered. An operating point that a policy never
    chose is no warning: its row says n = 0.
    """
    if rows.empty:
        window = f"[{scenario.warmup_s:g}, {scenario.duration_s:g}) s"
        return [flag("no_requests", "run", f"no request arrived in {window}")]
    empty = replications - rows["replication"].nunique()
    flags = []
    if empty:
        text = f"no request in {empty} of {replications} replications"
        flags.append(flag("no_requests", "run", text))
    groups = set(rows["group"])
    idle = [group.name for group in scenario.devices if group.name not in groups]
    flags += [flag("no_requests", "run", f"group {name}: no request arrived") for name in idle]
    return flags + _unanswered(rows)


def _unanswered(rows: DataFrame) -> list[Flag]:
    """``no_answers`` per operating point none of whose requests was answered."""
    return [
        flag("no_answers", "run", f"{name}: none of {len(part)} requests was answered")
        for name, part in rows.groupby("operating_point", sort=False)
        if not (part["status"] == "done").any()
    ]


def late_flags(stations: Sequence[Mapping[str, Any]]) -> list[Flag]:
    """``late_arrivals`` per group whose arrivals file goes on after the run's ``duration_s``."""
    late: dict[str, int] = {}
    for station in stations:
        for group, count in station.get("late_arrivals", {}).items():
            late[group] = late.get(group, 0) + count
    over = "" if len(stations) < 2 else f" in {len(stations)} replications"
    text = "recorded arrivals come at or after duration_s and were left out"
    return [
        flag("late_arrivals", "run", f"group {group}: {count} {text}{over}")
        for group, count in late.items()
        if count
    ]


def load_flags(rows: DataFrame, scenario: Scenario) -> list[Flag]:
    """``unstable`` where rho = arrivals x mean service time / window >= 1 on a device."""
    window_s = scenario.duration_s - scenario.warmup_s
    flags = []
    for group, part in rows.groupby("group", sort=True):
        service_s = float((part["device_end_s"] - part["device_start_s"]).mean())
        per_device = part.groupby(["replication", "device"]).size().groupby("device").mean()
        rho = per_device * service_s / window_s
        if len(rho) and rho.max() >= 1:
            text = f"group {group}: offered load rho = {rho.max():.2f} on device {rho.idxmax()}"
            flags.append(flag("unstable", "device", text))
    return flags


def trend_flags(rows: DataFrame) -> list[Flag]:
    """``unstable`` where waiting grows with arrival time (an overloaded FIFO: slope = rho - 1)."""
    waits = {
        "device": rows["device_start_s"] - rows["arrival_s"],
        "radio": rows["radio_end_s"] - rows["device_end_s"],
        "edge": rows["edge_start_s"] - rows["edge_arrival_s"],
    }
    flags = []
    for group, part in rows.groupby("group", sort=True):
        for station, wait_s in waits.items():
            slope = _growth(part["arrival_s"].to_numpy(float), wait_s[part.index].to_numpy(float))
            if slope > WAIT_SLOPE_LIMIT:
                text = f"group {group}: waiting grows by {1e3 * slope:.0f} ms per second"
                flags.append(flag("unstable", station, text))
    return flags


def _growth(arrival_s: NDArray[np.float64], wait_s: NDArray[np.float64], pieces: int = 10) -> float:
    """Slope of waiting over arrival time from 10 batch means; 0 unless ranks agree (> 0.8)."""
    keep = np.isfinite(wait_s)
    arrival_s, wait_s = arrival_s[keep], wait_s[keep]
    if arrival_s.size < 5 * pieces:
        return 0.0
    order = np.argsort(arrival_s, kind="stable")
    time_s = np.array([part.mean() for part in np.array_split(arrival_s[order], pieces)])
    mean_s = np.array([part.mean() for part in np.array_split(wait_s[order], pieces)])
    if np.ptp(mean_s) < 1e-12 or np.ptp(time_s) == 0:
        return 0.0
    ranks = np.argsort(np.argsort(mean_s))
    if np.corrcoef(ranks, np.arange(pieces))[0, 1] < 0.8:
        return 0.0
    return float(np.polyfit(time_s, mean_s, 1)[0])


def open_flags(requests: DataFrame) -> list[Flag]:
    """``open`` per station that still held requests when the run ended."""
    left = requests[requests["status"] == "open"]
    reached = {
        "device": left["device_end_s"].isna(),
        "radio": left["device_end_s"].notna() & left["edge_arrival_s"].isna(),
        "edge": left["edge_arrival_s"].notna() & left["edge_end_s"].isna(),
        "downlink": left["edge_end_s"].notna(),
    }
    return [
        flag(
            "open", station, f"{int(mask.sum())} of {len(requests)} requests still open at the end"
        )
        for station, mask in reached.items()
        if mask.any()
    ]


def short_flags(points: dict[str, dict[str, Any]]) -> list[Flag]:
    """``short_run`` per operating point whose headline intervals are missing or wider than 10 %."""
    flags = []
    for name, kpis in points.items():
        wide = [key for key in _headlines(kpis) if _too_wide(kpis[key])]
        if wide and kpis["n"]:
            text = f"{name}: no interval, or half-width > 10 % of the mean: {', '.join(wide)}"
            flags.append(flag("short_run", "run", text))
    return flags


def tail_flags(rows: DataFrame) -> list[Flag]:
    """``short_tail`` per tail of which some operating point has too short a replication.

    A q-quantile needs ten requests beyond it: with fewer than 10 / (1 - q) answered requests a
    replication's own tail says little, and all rests on how many replications are pooled.
    """
    answered = rows[rows["latency_s"].notna()]
    sizes = answered.groupby(["operating_point", "replication"]).size()
    fewest = sizes.groupby("operating_point").min()
    flags = []
    for kpi, quantile in QUANTILES.items():
        needed = rows_needed(quantile)
        short = [f"{name} ({n})" for name, n in fewest.items() if n < needed]
        if short:
            text = f"{kpi}: fewer than {needed} answered requests per replication: "
            flags.append(flag("short_tail", "run", text + ", ".join(short)))
    return flags


def _headlines(kpis: dict[str, Any]) -> list[str]:
    scores = [key for key in kpis if key.startswith("score_") and kpis[key]["n"]]
    return ["latency_s", "energy_j", "delivered", *scores]


def _too_wide(value: Kpi) -> bool:
    if value["ci_low"] is None:
        return True
    half = (float(value["ci_high"]) - float(value["ci_low"])) / 2
    return half > HALF_WIDTH_LIMIT * abs(float(value["mean"]))


def unscored_flags(rows: DataFrame) -> list[Flag]:
    """``unscored`` where a score is missing for some requests only: its mean is over the others."""
    flags = []
    for name, part in rows.groupby("operating_point", sort=True):
        for column in [c for c in rows.columns if c.startswith("score_")]:
            missing = int((~np.isfinite(part[column].to_numpy(float))).sum())
            if 0 < missing < len(part):
                text = f"{name}: {column} missing for {missing} of {len(part)} requests"
                flags.append(flag("unscored", "run", text))
    return flags


def range_flags(scenario: Scenario) -> list[Flag]:
    """``extrapolated`` where a site may be further off than the path loss is made for.

    Such a site cannot serve (`simsplit.sim.radio.reach`), but it interferes, by the law continued.
    """
    cell = scenario.cell
    limit_m, sites = distance_range_m(cell.channel)[1], site_points(cell.sites)
    furthest_m = max(g.distance_max_m for g in scenario.devices) + max(
        math.hypot(*site) for site in sites
    )
    if len(sites) == 1 or furthest_m <= limit_m:
        return []
    text = (
        f"path loss {cell.channel.kind} is made for {limit_m:.0f} m; the law is continued to sites "
        f"up to {furthest_m:.0f} m off, which interfere and do not serve"
    )
    return [flag("extrapolated", "radio", text)]


def subband_flags(scenario: Scenario) -> list[Flag]:
    """``coarse_subbands`` where the scenario has fewer than its delay spread asks for."""
    cell, fading = scenario.cell, scenario.cell.fading
    if not isinstance(fading, Multipath) or fading.subbands is None:
        return []
    n_prb = frame_of(cell).n_prb
    needed = subbands_of(fading.model_copy(update={"subbands": None}), cell, n_prb)
    if fading.subbands >= needed:
        return []
    text = (
        f"cell.fading.subbands: {fading.subbands} undersample a delay spread of "
        f"{1e9 * fading.delay_spread_s:g} ns on this carrier, {needed} are needed (leave the key "
        "out); narrow grants fade too deep, tails of latency are too long"
    )
    return [flag("coarse_subbands", "radio", text)]
