"""Figures of one run's requests: latency distribution, latency by stage, energy by part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.plots.contract import Drawing, PlotOptions
from simsplit.plots.frames import POINT, where
from simsplit.plots.style import (
    colour,
    grid,
    hatch,
    legend_above,
    look,
    paper_figure,
    plain_log_ticks,
    style_of,
)
from simsplit.plots.timeline import ALWAYS, LOOKS, RARE, STAGES, stage_intervals
from simsplit.results import Result, read_result
from simsplit.summary import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

PARTINGS = (POINT, "group", "scheme", "replication")
"""Columns of the requests whose values may be the curves or bars of a figure."""

PARTS = {
    "device compute": "compute_energy_j",
    "transmission": "tx_energy_j",
    "reception": "rx_energy_j",
    "edge": "edge_energy_j",
}


def measured_requests(result: Result) -> DataFrame:
    """The requests of the measured window, the operating points in the scenario's order.

    Raises:
        ArtefactError: There are none.
    """
    rows = measured(result.scenario, result.requests)
    if rows.empty:
        raise ArtefactError("no request arrived in the measured window", path=str(result.folder))
    order = {point.name: place for place, point in enumerate(result.scenario.operating_points)}
    return rows.sort_values(POINT, key=lambda names: names.map(order), kind="stable")


def chosen_requests(folder: Path, options: PlotOptions) -> tuple[DataFrame, str]:
    """Measured requests that meet ``where``, and the column that parts them (one of `PARTINGS`).

    They come in the scenario's order of operating points or groups, or of replications.

    Raises:
        ArtefactError: ``folder`` is no result, or no request was measured.
        ScenarioError: Such a column parts nothing, or a filter that leaves nothing.
    """
    by = options.by or POINT
    if by not in PARTINGS:
        raise ScenarioError("requests are not parted by that", value=by, choices=PARTINGS)
    result = read_result(folder)
    rows = where(measured_requests(result), options.where)
    if by == "group":
        order = {group.name: place for place, group in enumerate(result.scenario.devices)}
        rows = rows.sort_values(by, key=lambda names: names.map(order), kind="stable")
    elif by == "replication":
        rows = rows.sort_values(by, kind="stable")
    return rows, by


def draw_latency_cdf(folder: Path, options: PlotOptions) -> Drawing:
    """Distribution of a run's latency, a curve per operating point or value of ``by``."""
    rows, by = chosen_requests(folder, options)
    return cdf_drawing(rows, options.style, by)


def draw_latency_by_stage(folder: Path, options: PlotOptions) -> Drawing:
    """Mean time of a run's answered requests in every stage.

    Raises:
        ArtefactError: No request was answered.
    """
    rows, by = chosen_requests(folder, options)
    if rows["latency_s"].isna().all():
        raise ArtefactError("none of these requests was answered", path=str(folder))
    return stage_drawing(rows, options.style, by)


def draw_energy_by_part(folder: Path, options: PlotOptions) -> Drawing:
    """Mean energy of a run's requests by part."""
    rows, by = chosen_requests(folder, options)
    return energy_drawing(rows, options.style, by)


def cdf_drawing(requests: DataFrame, style: str = "ieee_column", by: str = POINT) -> Drawing:
    """`latency_cdf` on a figure of its own."""
    with paper_figure(style=style) as (figure, ax):
        return Drawing(figure, latency_cdf(requests, ax, by))


def stage_drawing(requests: DataFrame, style: str = "ieee_column", by: str = POINT) -> Drawing:
    """`mean_stages` of the answered requests as stacked bars on a figure of its own."""
    return _bars(mean_stages(requests, by), "s", "mean latency [ms]", style)


def energy_drawing(requests: DataFrame, style: str = "ieee_column", by: str = POINT) -> Drawing:
    """`mean_parts` as stacked bars on a figure of its own."""
    return _bars(mean_parts(requests, by), "j", "energy per request [mJ]", style)


def latency_cdf(requests: DataFrame, ax: Axes, by: str = POINT) -> DataFrame:
    """Fraction of all requests answered within a time, per operating point or value of ``by``.

    Lost, rejected and open requests count as never answered: the curve then ends below 1.

    Returns:
        What was drawn: the column ``by``, ``latency_s``, ``fraction``.
    """
    import pandas as pd

    drawn = []
    for position, (name, part) in enumerate(requests.groupby(by, sort=False)):
        latency_s = np.sort(part["latency_s"].dropna().to_numpy(float))
        share = np.arange(1, latency_s.size + 1) / len(part)
        every = max(1, latency_s.size // 5)
        style = look(position) | {"markevery": (position * every // 8, every)}
        ax.step(1e3 * latency_s, share, where="post", label=_name(by, name), **style)
        columns = {by: str(name), "latency_s": latency_s, "fraction": share}
        drawn.append(pd.DataFrame(columns))
    ax.set_xscale("log")
    plain_log_ticks(ax)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("latency [ms]")
    ax.set_ylabel("fraction of requests")
    grid(ax, "both")
    legend_above(ax)
    return pd.concat(drawn, ignore_index=True)


def _name(by: str, value: Any) -> str:
    """How a curve or bar is called: by its value, a number with what it counts."""
    return f"replication {value}" if by == "replication" else str(value)


def mean_stages(requests: DataFrame, by: str = POINT) -> DataFrame:
    """Mean seconds in every stage of the answered requests, a row per operating point or ``by``."""
    closed = requests[requests["latency_s"].notna()]
    return stage_times(closed).groupby(closed[by], sort=False).mean()


def mean_parts(requests: DataFrame, by: str = POINT) -> DataFrame:
    """Mean joules per request by part: device compute, transmission, reception, edge."""
    means = requests.groupby(by, sort=False)[list(PARTS.values())].mean()
    return means.rename(columns={column: name for name, column in PARTS.items()})


def stage_times(closed: DataFrame) -> DataFrame:
    """Seconds per stage of closed requests (`simsplit.plots.timeline.stage_intervals`).

    The first six stages always have a column, ``local retry`` and ``other`` only where a request
    was in them; stages not visited are 0; a row sums to ``latency_s``.
    """
    numbered = closed.assign(request_id=np.arange(len(closed)))  # ids recur in replications
    pieces = stage_intervals(numbered)
    pieces["length_s"] = pieces["end_s"] - pieces["start_s"]
    table = pieces.pivot_table(
        index="request_id", columns="stage", values="length_s", aggfunc="sum"
    )
    visited = [name for name in STAGES if name in ALWAYS or name in table.columns]
    stages = table.reindex(index=range(len(closed)), columns=visited).fillna(0.0)
    stages = stages.set_axis(closed.index).rename_axis(columns=None)
    unexplained = closed["latency_s"] - stages.sum(axis=1)
    if (unexplained.abs() > 1e-6).any():
        stages["other"] = stages.get("other", 0.0) + unexplained
    return stages


def _bars(means: DataFrame, unit: str, label: str, style: str) -> Drawing:
    """Horizontal stacked bars in thousandths of the unit, as high as their number needs."""
    from simsplit.plots.style import style_named

    scale = style_named(style).font_pt / 8
    with paper_figure(scale * (1.1 + 0.28 * len(means)), style) as (figure, ax):
        _stacked(1e3 * means, label, ax)
        named = means.rename(columns=lambda part: f"{part} {unit}".replace(" ", "_"))
        return Drawing(figure, named.reset_index())


def _stacked(means: DataFrame, label: str, ax: Axes) -> None:
    """Horizontal stacked bars, rows of ``means`` from top to bottom, the sum written at the end."""
    position = np.arange(len(means))
    left = np.zeros(len(means))
    for index, name in enumerate(means.columns):
        width = means[name].to_numpy(float)
        face, pattern = LOOKS[name] if name in RARE else (colour(index), hatch(index))
        style: dict[str, Any] = {"color": face, "hatch": pattern}
        ax.barh(position, width, 0.65, left=left, label=name, edgecolor="k", lw=0.4, **style)
        left = left + width
    small_pt = style_of(ax.get_figure()).small_pt  # type: ignore[arg-type]
    for y, total in enumerate(left):
        text = f"{total:.0f}" if total >= 100 else f"{total:#.3g}"
        offset: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points"}
        ax.annotate(text, (total, y), va="center", fontsize=small_pt, **offset)
    ax.set_yticks(position, [_name(str(means.index.name), name) for name in means.index])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * float(left.max() or 1.0))
    ax.set_xlabel(label)
    ax.tick_params(axis="y", length=0)
    grid(ax, "x")
    legend_above(ax)
