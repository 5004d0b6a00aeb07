"""Means and quantiles of correlated rows with honest 95 % intervals, and a summary's flags."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from simsplit.scenario import Scenario

Kpi = dict[str, Any]
Flag = dict[str, str]

CONFIDENCE = 0.95
BATCHES = 20
FEWEST_REQUESTS = 10
FEWEST_BATCHES = 5
BUSY_LIMIT = 0.98
WAIT_SLOPE_LIMIT = 0.02
HALF_WIDTH_LIMIT = 0.10


@lru_cache(maxsize=256)
def student_t(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Two-sided Student t quantile, e.g. 2.262 for 9 degrees of freedom at 95 %."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, degrees))


def estimate(
    values: NDArray[np.float64],
    replication: NDArray[np.int64],
    *,
    replicated: bool,
    quantile: float | None = None,
) -> Kpi:
    """One KPI: the mean (or quantile) of ``values`` with a 95 % interval that respects correlation.

    ``values`` are in order of arrival; entries that are not finite are left out of ``n``. The rows
    are cut into k pieces: the replications (R >= 2), else 20 consecutive batches of (almost) equal
    size (n // 5 batches for n < 100). With Y_j the statistic of piece j, Ybar their mean and S_Y
    their standard deviation (divisor k - 1),

        interval = m +- t_{0.975, k-1} * S_Y / sqrt(k)

    where m is Ybar for replications and the statistic over all rows for batch means. The interval
    is None for fewer than 2 replications with rows, n < 10 in one run, or a q-quantile whose pieces
    are smaller than 1 / min(q, 1 - q) (batches are made fewer, down to 5, before that). Law &
    Kelton, Simulation Modeling and Analysis, sections 9.4.1 and 9.5.3.
    """
    keep = np.isfinite(values)
    values, replication = values[keep], replication[keep]
    if values.size == 0:
        return kpi(None, None, 0, "none")
    needed = 1 if quantile is None else math.ceil(round(1 / min(quantile, 1 - quantile), 6))
    if replicated:
        pieces = [values[replication == name] for name in np.unique(replication)]
    else:
        pieces = np.array_split(values, batch_count(values.size, needed))
    numbers = np.array([_statistic(piece, quantile) for piece in pieces])
    centre = float(numbers.mean()) if replicated else _statistic(values, quantile)
    if len(pieces) < 2 or min(piece.size for piece in pieces) < needed:
        return kpi(centre, None, values.size, "none")
    name = "replications" if replicated else "batch means"
    return kpi(centre, half_width(numbers), values.size, f"{name} ({len(pieces)})")


def over_replications(numbers: list[float]) -> Kpi:
    """A figure that each replication has once (utilisation): Student t over replications."""
    finite = np.array([number for number in numbers if math.isfinite(number)])
    if finite.size == 0:
        return kpi(None, None, 0, "none")
    if finite.size < 2:
        return kpi(float(finite.mean()), None, int(finite.size), "none")
    method = f"replications ({finite.size})"
    return kpi(float(finite.mean()), half_width(finite), int(finite.size), method)


def half_width(numbers: NDArray[np.float64]) -> float:
    """t_{0.975, k-1} S / sqrt(k) of k (nearly) independent numbers."""
    spread = float(numbers.std(ddof=1)) / math.sqrt(numbers.size)
    return student_t(int(numbers.size) - 1) * spread


def kpi(mean: float | None, half: float | None, n: int, method: str) -> Kpi:
    """The dictionary every KPI of a summary is."""
    found: Kpi = {"mean": mean, "ci_low": None, "ci_high": None, "n": int(n), "method": method}
    if mean is not None and half is not None:
        found |= {"ci_low": mean - half, "ci_high": mean + half}
    return found


def _statistic(values: NDArray[np.float64], quantile: float | None) -> float:
    return float(values.mean() if quantile is None else np.quantile(values, quantile))


def batch_count(n: int, needed: int) -> int:
    """Batches of one run: 20; fewer for short runs and tails; 1 where no interval is possible."""
    if n < FEWEST_REQUESTS:
        return 1
    wanted = BATCHES if n >= 100 else max(2, n // 5)
    fitting = n // needed
    if fitting < min(FEWEST_BATCHES, wanted):
        return 1
    return min(wanted, fitting)


# --- flags ------------------------------------------------------------------------------------


def flag(code: str, station: str, message: str) -> Flag:
    """One warning of a summary."""
    return {"code": code, "station": station, "message": message}


def busy_flags(utilisation: dict[str, Kpi]) -> list[Flag]:
    """``unstable`` where a station had work for more than 98 % of the window."""
    return [
        flag("unstable", station, f"work for {100 * value['mean']:.1f} % of the window")
        for station, value in utilisation.items()
        if station != "device_mean" and value["mean"] is not None and value["mean"] > BUSY_LIMIT
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
        if wide:
            text = f"{name}: no interval, or half-width > 10 % of the mean: {', '.join(wide)}"
            flags.append(flag("short_run", "run", text))
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
