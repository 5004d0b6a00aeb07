"""Figures of one run's requests: latency distribution, latency by stage, energy by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.log_axes import log_scale
from simsplit.figures.nothing import written_across
from simsplit.figures.style import (
    colour,
    grid,
    hatch,
    legend_above,
    look,
    paper_figure,
    style_named,
    style_of,
)
from simsplit.figures.timeline import LOOKS
from simsplit.results.frames import POINT, where
from simsplit.results.labels import check_labels, label, named
from simsplit.results.stage_table import PARTS
from simsplit.results.stages import ALWAYS, RARE, STAGES, stage_intervals
from simsplit.results.store import Result, read_result
from simsplit.results.summary import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from simsplit.scenario.scenario import Scenario


PARTINGS = (POINT, "group", "scheme", "replication")
"""Columns of the requests whose values may be the curves or bars of a figure."""


def measured_requests(result: Result) -> DataFrame:
    """The requests of the measured window, the operating points in the scenario's order."""
    rows = measured(result.scenario, result.requests)
    order = {point.name: index for index, point in enumerate(result.scenario.operating_points)}
    return rows.sort_values(POINT, key=lambda names: names.map(order), kind="stable")


def parts_of(scenario: Scenario, by: str) -> list[Any]:
    """Every value that a column of `PARTINGS` may have in a run, in the scenario's order."""
    names: dict[str, Any] = {
        POINT: [point.name for point in scenario.operating_points],
        "group": [group.name for group in scenario.devices],
        "scheme": dict.fromkeys(str(point.scheme) for point in scenario.operating_points),
        "replication": range(scenario.replications),
    }
    return list(names[by])


def chosen_requests(folder: Path, options: PlotOptions) -> tuple[DataFrame, str, list[Any]]:
    """Measured requests that meet ``where``, the column that parts them, and its values.

    They come in the scenario's order of operating points or groups, or of replications. Without a
    filter the values are all that there may be (`parts_of`), with requests or not.

    Raises:
        ArtefactError: ``folder`` is no result.
        ScenarioError: Such a column parts nothing, or a filter that leaves nothing.
    """
    by = options.by or POINT
    if by not in PARTINGS:
        raise ScenarioError("requests are not parted by that", value=by, choices=PARTINGS)
    result = read_result(folder)
    rows = where(measured_requests(result), options.where)
    names = list(rows[by].unique()) if options.where else parts_of(result.scenario, by)
    if by == "group":
        order = {group.name: index for index, group in enumerate(result.scenario.devices)}
        rows = rows.sort_values(by, key=lambda names: names.map(order), kind="stable")
    elif by == "replication":
        rows = rows.sort_values(by, kind="stable")
    check_labels(options.label, [*map(str, parts_of(result.scenario, by))])
    names = [options.label.get(name, name) for name in names]
    return named(rows, [by], options.label), by, names


def draw_latency_cdf(folder: Path, options: PlotOptions) -> Drawing:
    """Distribution of a run's latency, a curve per operating point or value of ``by``."""
    rows, by, names = chosen_requests(folder, options)
    return cdf_drawing(rows, options.style, by, names)


def draw_latency_by_stage(folder: Path, options: PlotOptions) -> Drawing:
    """Mean time of a run's answered requests in every stage."""
    rows, by, names = chosen_requests(folder, options)
    return stage_drawing(rows, options.style, by, names)


def draw_energy_by_part(folder: Path, options: PlotOptions) -> Drawing:
    """Mean energy of a run's requests by part."""
    rows, by, names = chosen_requests(folder, options)
    return energy_drawing(rows, options.style, by, names)


def cdf_drawing(
    requests: DataFrame,
    style: str = "ieee_column",
    by: str = POINT,
    names: Sequence[Any] | None = None,
) -> Drawing:
    """Fraction of requests answered within a time, in ms, on a figure of its own."""
    with paper_figure(style=style) as (figure, ax):
        return Drawing(figure, latency_cdf(requests, ax, by, names))


def stage_drawing(
    requests: DataFrame,
    style: str = "ieee_column",
    by: str = POINT,
    names: Sequence[Any] | None = None,
) -> Drawing:
    """Mean time of answered requests by stage, in ms, as stacked bars on a figure of its own.

    ``names``: values of ``by`` that have a bar, or a word where there is none; None: those there.
    """
    means = _with_gaps(mean_stages(requests, by), requests, by, names)
    return _bars(means, requests, "s", label("latency_s", "m"), style)


def energy_drawing(
    requests: DataFrame,
    style: str = "ieee_column",
    by: str = POINT,
    names: Sequence[Any] | None = None,
) -> Drawing:
    """Mean energy per request by part, in mJ, as stacked bars; ``names`` as in `stage_drawing`."""
    means = _with_gaps(mean_parts(requests, by), requests, by, names)
    return _bars(means, requests, "j", label("energy_j", "m"), style)


def _with_gaps(
    means: DataFrame, requests: DataFrame, by: str, names: Sequence[Any] | None
) -> DataFrame:
    """A row for every name, NaN where there is nothing to show."""
    wanted = list(requests[by].unique()) if names is None else list(names)
    return means.reindex(wanted).rename_axis(index=by)


def latency_cdf(
    requests: DataFrame, ax: Axes, by: str = POINT, names: Sequence[Any] | None = None
) -> DataFrame:
    """Fraction of all requests answered within a time, per operating point or value of ``by``.

    Lost, rejected and open requests count as never answered: the curve then ends below 1. One of
    ``names`` without requests or answers stands in the legend alone, which says so; where none has
    an answer, the axes say it in words.

    Returns:
        What was drawn: the column ``by``, ``latency_s``, ``fraction``.
    """
    drawn = []
    wanted = requests[by].unique() if names is None else names
    for position, name in enumerate(wanted):
        part = requests[requests[by] == name]
        latency_s = np.sort(part["latency_s"].dropna().to_numpy(float))
        share = np.arange(1, latency_s.size + 1) / len(part)
        every = max(1, latency_s.size // 5)
        style = look(position) | {"markevery": (position * every // 8, every)}
        ax.step(1e3 * latency_s, share, where="post", label=_told(by, name, part), **style)
        columns = {by: str(name), "latency_s": latency_s, "fraction": share}
        drawn.append(pd.DataFrame(columns))
    if requests["latency_s"].notna().any():
        log_scale(ax)
    else:
        ax.set_xticks([])
        written_across(ax, lacking_text(len(requests), is_answered=False))
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("latency [ms]")
    ax.set_ylabel("fraction of requests")
    grid(ax, "both")
    legend_above(ax)
    return pd.concat(drawn, ignore_index=True)


def _told(by: str, value: Any, part: DataFrame) -> str:
    """A curve's name, and what it lacks."""
    lacking = lacking_text(len(part), bool(part["latency_s"].notna().any()))
    return _name(by, value) + (f" ({lacking})" if lacking else "")


def lacking_text(requests: int, is_answered: bool) -> str:
    """What stands where a latency cannot be drawn."""
    return "no requests" if not requests else "" if is_answered else "no answers"


def _name(by: str, value: Any) -> str:
    """How a curve or bar is called: by its value, a number with what it counts."""
    return f"replication {value}" if by == "replication" else str(value)


def mean_stages(requests: DataFrame, by: str = POINT) -> DataFrame:
    """Mean seconds in every stage of the answered requests, a row per operating point or ``by``."""
    closed = requests[requests["latency_s"].notna()]
    return stage_times(closed).groupby(closed[by], sort=False).mean()


def mean_parts(requests: DataFrame, by: str = POINT) -> DataFrame:
    """Mean joules per request by part: device compute, transmission, reception, edge."""
    names = {part.column: part.name for part in PARTS}
    return requests.groupby(by, sort=False)[list(names)].mean().rename(columns=names)


def stage_times(closed: DataFrame) -> DataFrame:
    """Seconds per stage of closed requests (`simsplit.results.stages.stage_intervals`).

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


def _bars(means: DataFrame, requests: DataFrame, unit: str, title: str, style: str) -> Drawing:
    """Horizontal stacked bars in thousandths of the unit, as high as their number needs."""
    scale = style_named(style).font_pt / 8
    with paper_figure(scale * (1.1 + 0.28 * len(means)), style) as (figure, ax):
        there = set(requests[str(means.index.name)])
        gaps = [lacking_text(int(name in there), is_answered=False) for name in means.index]
        _stacked(1e3 * means, title, ax, gaps)
        named = means.rename(columns=lambda part: f"{part} {unit}".replace(" ", "_"))
        return Drawing(figure, named.reset_index())


def _stacked(means: DataFrame, title: str, ax: Axes, gaps: Sequence[str]) -> None:
    """Horizontal stacked bars, rows of ``means`` from top to bottom, the sum written at the end.

    A row of NaN has its word of ``gaps`` in place of a bar.
    """
    is_gap = means.isna().all(axis=1).to_numpy(bool)
    means = means.fillna(0.0)
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
        text = gaps[y] if is_gap[y] else text
        offset: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points"}
        ax.annotate(text, (total, y), va="center", fontsize=small_pt, **offset)
    ax.set_yticks(position, [_name(str(means.index.name), name) for name in means.index])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * float(left.max() or 1.0))
    ax.set_xlabel(title)
    ax.tick_params(axis="y", length=0)
    grid(ax, "x")
    legend_above(ax)
