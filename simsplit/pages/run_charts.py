"""Interactive charts of one run's requests: latency, stages, energy, and how many were where.

How many were where over simulated time are exact means per interval, from the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.pages.charts import Chart, bar_look, look, number, plain, short
from simsplit.pages.page import Table
from simsplit.results.stage_table import PARTS
from simsplit.results.stages import stage_position, stages_ms

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

    from simsplit.scenario.scenario import Scenario


PLACES = ("at the device", "on the air", "at the server", "on the way back")
INTERVALS = 100


def under_way(
    requests: DataFrame, end_s: float, intervals: int = INTERVALS
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Mean number of requests per place and interval of [0, end_s), mean over replications.

    Edges in s, ``(intervals + 1,)``, and per place of `PLACES` the counts, ``(intervals,)``. A
    request that never left a place stays there.
    """
    edges_s: NDArray[np.float64] = np.linspace(0.0, end_s, intervals + 1)
    replications = max(1, requests["replication"].nunique())
    counts = {
        name: mean_number(start, end, edges_s) / replications
        for name, (start, end) in _stays(requests).items()
    }
    return edges_s, counts


def _stays(rows: DataFrame) -> dict[str, tuple[Series[float], Series[float]]]:
    closed = rows["closed_s"]
    on_air = rows["device_end_s"].where(rows["radio_start_s"].notna())
    landed = rows["edge_arrival_s"].fillna(rows["radio_end_s"]).fillna(closed)
    again = rows["radio_end_s"].where(rows["computed_locally"] & rows["edge_arrival_s"].isna())
    at_device = _joined(rows["arrival_s"], again), _joined(rows["device_end_s"], closed)
    stays = (
        at_device,
        (on_air, landed),
        (rows["edge_arrival_s"], rows["edge_end_s"].fillna(closed)),
        (rows["edge_end_s"], closed),
    )
    return dict(zip(PLACES, stays, strict=True))


def _joined(first: Series[float], second: Series[float]) -> Series[float]:
    import pandas as pd

    return pd.concat([first, second], ignore_index=True)


def mean_number(
    start: Series[float], end: Series[float], edges_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Time average, per interval, of how many of the stays [start, end) are going on.

    Stays without a start never began, those without an end last for ever. With F_t(T) = sum over
    t_i < T of (T - t_i), the integral of the number from 0 to T is F_start(T) - F_end(T).
    """
    begun = start.notna().to_numpy()
    starts, ends = (np.asarray(times, np.float64)[begun] for times in (start, end))
    integral = _elapsed(starts, edges_s) - _elapsed(ends[np.isfinite(ends)], edges_s)
    means: NDArray[np.float64] = np.diff(integral) / np.diff(edges_s)
    return means


def _elapsed(times: NDArray[np.float64], edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of (T - t) over the times t before T, for every edge T."""
    ordered = np.sort(times)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    count = np.searchsorted(ordered, edges_s)
    return np.asarray(count * edges_s - sums[count], float)


MOST_POINTS = 500
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


def answered(rows: DataFrame) -> DataFrame:
    """The requests that got their answer: those that a latency is of."""
    return rows[(rows["status"] == "done") & rows["latency_s"].notna()]


def latency_cdf(rows: DataFrame) -> Chart:
    """Share of all requests answered within a time, a curve per operating point, log time."""
    parts = {str(name): part for name, part in rows.groupby("operating_point", sort=False)}
    curves = [_curve(i, name, part) for i, (name, part) in enumerate(parts.items())]
    is_thin = any(len(part) > MOST_POINTS for part in parts.values())
    thin = f" Drawn with at most {MOST_POINTS} steps per curve, both ends whole." if is_thin else ""
    layout = {
        "xaxis": {"type": "log", "title": {"text": "latency [ms]"}},
        "yaxis": {"range": [0, 1.03], "title": {"text": "share of requests"}},
    }
    return Chart(
        "latency-cdf",
        "Latency: share of requests answered within a time",
        "figure",
        {"data": curves, "layout": layout},
        _quantiles(parts),
        f"Unanswered requests keep a curve below 1.{thin}",
    )


def _curve(position: int, name: str, part: DataFrame) -> dict[str, Any]:
    latency_ms = np.sort(1e3 * answered(part)["latency_s"].to_numpy(float))
    kept = thinned(latency_ms.size, MOST_POINTS - 1)
    x, y = latency_ms[kept], (kept + 1) / len(part)
    style = look(position)
    style["line"]["shape"] = "hv"
    style["marker"] |= {"maxdisplayed": 8}
    hover = "%{x:.4g} ms: %{y:.1%}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(name),
        "x": np.concatenate([x[:1], x]),  # a step from 0
        "y": np.concatenate([np.zeros(min(1, x.size)), y]),
        "hovertemplate": f"{hover}<extra>{plain(name)}</extra>",
        **style,
    }


def thinned(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` ranks of 0 … count - 1: a tenth at either end whole, even steps between."""
    if count <= most:
        return np.arange(count)
    end = most // 10
    middle = np.linspace(end, count - 1 - end, most - 2 * end).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(end), middle, np.arange(count - end, count)]))


def _quantiles(parts: Mapping[str, DataFrame]) -> Table:
    """Time within which a share of *all* requests was answered; – where fewer ever were."""
    heading = ["operating point", *(f"{100 * share:g} % [ms]" for share in _SHARES), "answered"]
    rows = []
    for name, part in parts.items():
        latency_ms = np.sort(1e3 * answered(part)["latency_s"].to_numpy(float))
        ranks = [int(np.ceil(share * len(part))) for share in _SHARES]
        times = [latency_ms[rank - 1] if rank <= latency_ms.size else None for rank in ranks]
        share = f"{100 * latency_ms.size / max(1, len(part)):.1f} %"
        rows.append([name, *map(number, times), share])
    return Table("Latency within which a share of all requests was answered", heading, rows)


def latency_by_stage(rows: DataFrame) -> Chart:
    """Mean time of answered requests in every stage, stacked per operating point."""
    closed = answered(rows)
    means_ms = stages_ms(closed).groupby(closed["operating_point"], sort=False).mean()
    title = "Latency by stage: mean of answered requests"
    return _stacked("latency-by-stage", title, means_ms, "latency", "ms", stage_position)


def energy_by_part(rows: DataFrame) -> Chart:
    """Mean energy of a request by part, stacked per operating point."""
    names = {part.column: part.name for part in PARTS}
    means = rows.groupby("operating_point", sort=False)[list(names)].mean()
    means_mj = 1e3 * means.rename(columns=names)
    title = "Energy by part: mean of all requests"
    order = list(names.values())
    return _stacked("energy-by-part", title, means_mj, "energy per request", "mJ", order.index)


def _stacked(
    name: str,
    title: str,
    means: DataFrame,
    what: str,
    unit: str,
    position_of: Callable[[str], int],
) -> Chart:
    points = [str(point) for point in means.index]
    columns = [str(column) for column in means.columns]
    bars = [_bar(position_of(c), c, points, means[c], unit) for c in columns]
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": f"{what} [{unit}]"}},
        "yaxis": {
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": [plain(point) for point in points],
            "ticktext": [short(point) for point in points],
        },
    }
    table = _means_table(title, points, means, unit)
    height_px = 130 + 44 * len(points)
    content = {"data": bars, "layout": layout, "totals": True}
    return Chart(name, title, "figure", content, table, height_px=height_px)


def _bar(position: int, part: str, points: Sequence[str], means: Any, unit: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": part,
        "x": means.to_numpy(float),
        "y": [plain(point) for point in points],
        "marker": bar_look(position),
        "hovertemplate": f"{part}: %{{x:.4g}} {unit}<extra>%{{y}}</extra>",
    }


def _means_table(title: str, points: Sequence[str], means: DataFrame, unit: str) -> Table:
    heading = ["operating point", *(f"{column} [{unit}]" for column in means), f"sum [{unit}]"]
    rows = [
        [point, *(number(value) for value in values), number(float(np.nansum(values)))]
        for point, values in zip(points, means.to_numpy(float), strict=True)
    ]
    return Table(title, heading, rows)


def requests_under_way(scenario: Scenario, requests: DataFrame) -> Chart:
    """Mean number of requests at the device, on the air, at the server and on the way back."""
    edges_s, counts = under_way(requests, scenario.duration_s + scenario.drain_s)
    areas = [_area(i, name, edges_s, counts[name]) for i, name in enumerate(PLACES)]
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": "simulated time [s]"}, "range": [0, edges_s[-1]]},
        "yaxis": {"title": {"text": "requests under way"}, "rangemode": "tozero"},
    }
    if scenario.warmup_s:
        layout["shapes"] = [_warm_up(scenario.warmup_s)]
    warm = " Dashed: end of the warm-up." if scenario.warmup_s else ""
    width = f"{edges_s[1] - edges_s[0]:.3g} s"
    note = f"Exact means over intervals of {width}, stacked; all devices, mean of replications."
    title = "Requests under way over time"
    content = {"data": areas, "layout": layout}
    numbers = _counts_table(title, edges_s, counts)
    return Chart("under-way", title, "figure", content, numbers, note + warm)


def _counts_table(title: str, edges_s: Any, counts: Mapping[str, Any]) -> Table:
    """Means over five intervals each."""
    coarse = {name: series.reshape(-1, 5).mean(axis=1) for name, series in counts.items()}
    rows = [
        [f"{start:.4g} to {end:.4g}", *(number(coarse[name][i]) for name in PLACES)]
        for i, (start, end) in enumerate(zip(edges_s[:-1:5], edges_s[5::5], strict=True))
    ]
    return Table(title, ["time [s]", *PLACES], rows)


def _area(position: int, name: str, edges_s: Any, counts: Any) -> dict[str, Any]:
    look = bar_look(position)
    return {
        "type": "scatter",
        "mode": "lines",
        "stackgroup": "under way",
        "name": name,
        "x": edges_s,
        "y": np.append(counts, counts[-1]),
        "line": {"shape": "hv", "width": 0.8, "color": "@ink"},
        "fillcolor": look["color"],
        "fillpattern": look["pattern"],
        "hovertemplate": f"%{{x:.4g}} s: %{{y:.3g}}<extra>{name}</extra>",
    }


def _warm_up(until_s: float) -> dict[str, Any]:
    line = {"color": "@ink", "width": 1.5, "dash": "dash"}
    return {
        "type": "line",
        "x0": until_s,
        "x1": until_s,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": line,
    }
