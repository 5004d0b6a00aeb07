"""A KPI over an axis of a sweep, a curve per design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.figures.contract import LINEAR, LOG, SCALES, Drawing, PlotOptions
from simsplit.figures.style import (
    grid,
    legend_above,
    look_at,
    note_below,
    paper_figure,
    plain_log_ticks,
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
        data = metric_over_axis(frame, metric, axis, ax, by=options.by, scale=options.scale)
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
) -> DataFrame:
    """A KPI over a numeric axis, one curve per design, with its 95 % interval as a band.

    Every swept value is within the limits; where a design has no value a cross says so at the foot.

    Args:
        frame: A sweep's tidy table.
        metric: KPI as `simsplit.results.kpis` names it.
        axis: Column on the horizontal axis.
        ax: Where to draw.
        by: Column that parts the curves first; None: the operating point and all else that varies.
        scale: Of the vertical axis, ``linear`` (None) or ``log``.

    Returns:
        What was drawn: ``curve``, the axis, the KPI and its interval.

    Raises:
        ScenarioError: No such scale, or a value that a logarithmic one has no place for.
    """
    frame, column = frames.kpi(frame, metric)
    _check_scale(scale or LINEAR, frame[column].to_numpy(float), metric)
    unit = quantity(column, frame[f"{column}_ci_high"].fillna(frame[column]))
    drawn: list[DataFrame] = []
    for name, rows, index in frames.curves(frame, [axis], by):
        part = rows.sort_values(axis)
        _curve(ax, part, (axis, column), unit.factor, name, look_at(index))
        lacking = part.loc[part[column].isna() & part[axis].notna(), [axis, "n"]]
        _cross_out(ax, lacking.to_numpy(float), len(drawn), look_at(index)["color"])
        drawn.append(interval_table(part, name, [axis], column))
    ax.set_xlabel(label(axis))
    ax.set_ylabel(unit.label)
    _scale(ax, frame[axis].to_numpy(float))
    if scale == LOG:
        ax.set_yscale(LOG)
        plain_log_ticks(ax, "y")
    within_reach(ax.get_ylim, ax.set_ylim, column, unit.factor)
    grid(ax, "both")
    legend_above(ax)
    return stacked(drawn)


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
        ax.set_xscale("log")
        plain_log_ticks(ax)
