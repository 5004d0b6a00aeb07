"""A KPI over an axis of a sweep, a curve per design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.figures.contract import LINEAR, LOG, SCALES, Drawing, Limits, PlotOptions
from simsplit.figures.log_axes import log_scale
from simsplit.figures.nothing import written_across
from simsplit.figures.style import (
    grid,
    legend_above,
    look_at,
    note_below,
    paper_figure,
    style_of,
)
from simsplit.results import frames, metrics
from simsplit.results.drops import COLUMN, frame_note
from simsplit.results.labels import label, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """A KPI (the task's score if none is named) over a numeric axis (SNR if none is named)."""
    frame = frames.sweep_table(folder, options.where, options.label)
    with paper_figure(style=options.style) as (figure, ax):
        axis = frames.numeric_axis(frame, options.axis)
        metric = options.metric or "accuracy"
        data = metric_over_axis(
            frame,
            metric,
            axis,
            ax,
            by=options.by,
            scale=options.scale,
            limits=options.limits,
        )
        note_below(figure, frame_note(frame))
        return Drawing(figure, data)


def metric_over_axis(
    frame: DataFrame,
    metric: str,
    axis: str,
    ax: Axes,
    *,
    by: str | None = None,
    scale: str | None = None,
    limits: Limits | None = None,
) -> DataFrame:
    """A KPI over a numeric axis, one curve per design, with its 95 % interval as a band.

    Every swept value is within the axes, unless ``limits`` cut them: a curve then ends where it
    leaves them, and one that is wholly outside is said to be in the legend. Where a design has no
    value a cross says so at the foot.

    Args:
        frame: A sweep's tidy table.
        metric: KPI as `simsplit.results.kpis` names it.
        axis: Column on the horizontal axis.
        ax: Where to draw.
        by: Column that parts the curves first; None: the operating point and all else that varies.
        scale: Of the vertical axis, ``linear`` (None) or ``log``.
        limits: Of the vertical axis, in the unit that it shows; None: as the values are.

    Returns:
        What was drawn: ``curve``, the axis, the KPI and its interval.

    Raises:
        ScenarioError: No such scale, a value that a logarithmic one has no place for, or what
            `check_limits` raises.
    """
    frame, column = frames.kpi(frame, metric)
    _check_scale(scale or LINEAR, frame[column].to_numpy(float), metric)
    check_limits(limits, scale)
    unit = quantity(column, frame[f"{column}_ci_high"].fillna(frame[column]))
    drawn: list[DataFrame] = []
    for name, rows, index in frames.curves(frame, [axis], by):
        part = rows.sort_values(axis)
        told = name + _outside(unit.factor * part[column].to_numpy(float), limits)
        _curve(ax, part, (axis, column), unit.factor, told, look_at(index))
        lacking = part.loc[part[column].isna() & part[axis].notna(), [axis, "n"]]
        _cross_out(ax, lacking.to_numpy(float), len(drawn), look_at(index)["color"])
        drawn.append(interval_table(part, name, [axis], column))
    ax.set_xlabel(label(axis))
    ax.set_ylabel(unit.label)
    _scale(ax, frame[axis].to_numpy(float))
    if scale == LOG:
        log_scale(ax, "y")
    within_reach(ax.get_ylim, ax.set_ylim, column, unit.factor)
    if limits is not None:
        _cut(ax, unit.factor * frame[column].to_numpy(float), limits)
    grid(ax, "both")
    legend_above(ax)
    return stacked(drawn)


def check_limits(limits: Limits | None, scale: str | None) -> None:
    """Nothing, if these can be the limits of an axis.

    Raises:
        ScenarioError: Not finite, the first not below the second, or not above 0 on a logarithmic
            scale.
    """
    if limits is None:
        return
    low, high = limits
    text = f"{low:g} {high:g}"
    if not (np.isfinite(limits).all() and low < high):
        raise ScenarioError("the limits are LOW HIGH, LOW below HIGH", path="limits", value=text)
    if scale == LOG and low <= 0:
        raise ScenarioError("a logarithmic axis lies above 0", path="limits", value=text)


def _outside(values: NDArray[np.float64], limits: Limits | None) -> str:
    """What a legend says of a curve that lies on one side of the limits."""
    if limits is None or not np.isfinite(values).any():
        return ""
    if np.nanmax(values) < limits[0]:
        return " (below the axis)"
    return " (above the axis)" if np.nanmin(values) > limits[1] else ""


def _cut(ax: Axes, values: NDArray[np.float64], limits: Limits) -> None:
    """Limits at which lines end; words where no value is between them."""
    ax.set_ylim(*limits)
    for line in ax.lines:
        line.set_clip_on(True)
    if not ((values >= limits[0]) & (values <= limits[1])).any():
        written_across(ax, "no value within the limits")


def within_reach(of: Callable[[], Any], to: Callable[..., Any], column: str, factor: float) -> None:
    """Limits that end where a KPI's possible values end: no joule below 0, no share above 1.

    Args:
        of, to: Getter and setter of an axis's limits.
        factor: Of the values as they are drawn.
    """
    about = metrics.metric(column)
    if about is not None:
        low, high = of()
        to(max(low, factor * about.least), min(high, factor * about.most))


def _cross_out(ax: Axes, lacking: NDArray[np.float64], place: int, colour: str) -> None:
    """Crosses and words for the points of a curve without a value, ``(n, 2)``: where, requests.

    Each curve's stand a little higher than those before; the words of the first do for all.
    """
    foot: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "color": colour}
    for x, requests in lacking:
        height = 0.04 + 0.05 * place
        ax.plot([x], [height], marker="x", markersize=4, linestyle="none", **foot)
        if all(text.get_position()[0] != x for text in ax.texts):
            text = "no value" if requests else "no requests"
            at: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom"}
            small_pt = style_of(ax.get_figure()).small_pt  # type: ignore[arg-type]
            ax.text(x, height + 0.05, text, fontsize=small_pt, **at, **foot)


def _curve(
    ax: Axes,
    part: DataFrame,
    columns: tuple[str, str],
    factor: float,
    name: str,
    style: dict[str, Any],
) -> None:
    axis, kpi = columns
    names = (axis, kpi, f"{kpi}_ci_low", f"{kpi}_ci_high")
    x, mean, low, high = (part[column].to_numpy(float) for column in names)
    ax.plot(x, factor * mean, label=name, clip_on=False, **style)  # whole marks at a limit
    shade: dict[str, Any] = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
    ax.fill_between(x, factor * low, factor * high, **shade)


def interval_table(part: DataFrame, name: str, axes: list[str], column: str) -> DataFrame:
    """Curve, axes, mean and interval of the rows of one curve."""
    columns = [*axes, column, f"{column}_ci_low", f"{column}_ci_high"]
    table = part[[*columns, COLUMN] if COLUMN in part and COLUMN not in columns else columns].copy()
    table.insert(0, "curve", name)
    return table


def stacked(parts: list[DataFrame]) -> DataFrame:
    """The curves' tables below each other."""
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def _check_scale(scale: str, values: NDArray[np.float64], metric: str) -> None:
    if scale not in SCALES:
        raise ScenarioError("no such scale", path="scale", value=scale, choices=SCALES)
    lowest = np.nanmin(values)
    if scale == LOG and lowest <= 0:
        message = f"{metric} is not above 0 everywhere, so it has no logarithmic scale"
        raise ScenarioError(message, path="scale", value=f"{lowest:g}", choices=[LINEAR])


def _scale(ax: Axes, values: NDArray[np.float64]) -> None:
    """A logarithmic axis for values that rise by factors."""
    steps = np.unique(values[np.isfinite(values)])
    if len(steps) < 3 or steps[0] <= 0 or steps[-1] < 20 * steps[0]:
        return
    gaps = np.diff(steps)
    if gaps.max() > 4 * gaps.min():
        log_scale(ax)
