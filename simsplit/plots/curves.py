"""A KPI over an axis of a sweep, a curve per design."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.plots import frames
from simsplit.plots.contract import Drawing, PlotOptions
from simsplit.plots.labels import label, quantity
from simsplit.plots.style import grid, legend_above, look_at, paper_figure, plain_log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """A KPI (the task's score if none is named) over a numeric axis (SNR if none is named)."""
    frame = frames.sweep_table(folder, options.where)
    with paper_figure(style=options.style) as (figure, ax):
        axis = frames.numeric_axis(frame, options.axis)
        data = metric_over_axis(frame, options.metric or "accuracy", axis, ax, by=options.by)
        return Drawing(figure, data)


def metric_over_axis(
    frame: DataFrame, metric: str, axis: str, ax: Axes, *, by: str | None = None
) -> DataFrame:
    """A KPI over a numeric axis, one curve per design, with its 95 % interval as a band.

    Args:
        frame: A sweep's tidy table.
        metric: KPI as `simsplit.kpis` names it.
        axis: Column on the horizontal axis.
        ax: Where to draw.
        by: Column that parts the curves first; None: the operating point and all else that varies.

    Returns:
        What was drawn: ``curve``, the axis, the KPI and its interval.
    """
    frame, column = frames.kpi(frame, metric)
    unit = quantity(column, frame[f"{column}_ci_high"].fillna(frame[column]))
    drawn = []
    for name, rows, place in frames.curves(frame, [axis], by):
        part = rows.sort_values(axis)
        _curve(ax, part, (axis, column), unit.factor, name, look_at(place))
        drawn.append(interval_table(part, name, [axis], column))
    ax.set_xlabel(label(axis))
    ax.set_ylabel(unit.label)
    _scale(ax, frame[axis].to_numpy(float))
    grid(ax, "both")
    legend_above(ax)
    return stacked(drawn)


def _curve(
    ax: Axes,
    part: DataFrame,
    columns: tuple[str, str],
    factor: float,
    name: str,
    style: dict[str, Any],
) -> None:
    axis, metric = columns
    names = (axis, metric, f"{metric}_ci_low", f"{metric}_ci_high")
    x, mean, low, high = (part[column].to_numpy(float) for column in names)
    ax.plot(x, factor * mean, label=name, **style)
    shade: dict[str, Any] = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
    ax.fill_between(x, factor * low, factor * high, **shade)


def interval_table(part: DataFrame, name: str, axes: list[str], column: str) -> DataFrame:
    """Curve, axes, mean and interval of the rows of one curve."""
    columns = [*axes, column, f"{column}_ci_low", f"{column}_ci_high"]
    found = part[columns].copy()
    found.insert(0, "curve", name)
    return found


def stacked(parts: list[DataFrame]) -> DataFrame:
    """The curves' tables below each other."""
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def _scale(ax: Axes, values: NDArray[np.float64]) -> None:
    """A logarithmic axis for values that rise by factors."""
    steps = np.unique(values[np.isfinite(values)])
    if len(steps) < 3 or steps[0] <= 0 or steps[-1] < 20 * steps[0]:
        return
    gaps = np.diff(steps)
    if gaps.max() > 4 * gaps.min():
        ax.set_xscale("log")
        plain_log_ticks(ax)
