"""Rate-distortion curves with their Bjøntegaard deltas below them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.curves import interval_table, stacked
from simsplit.figures.log_axes import log_scale
from simsplit.figures.style import (
    Style,
    blank_figure,
    grid,
    legend_above,
    look_at,
    note_below,
    style_named,
    style_of,
)
from simsplit.results import frames
from simsplit.results.bd import bd_metric, bd_rate
from simsplit.results.drops import frame_note
from simsplit.results.kpis import kpi_names
from simsplit.results.labels import name_and_unit, quantity
from simsplit.results.metrics import HEADLINES
from simsplit.results.store import read_result
from simsplit.scenario.data import data_spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


METHOD = "akima"


@dataclass(frozen=True, slots=True)
class Columns:
    """What is drawn: the rate, the metric over it, and the axis that varies the rate."""

    rate: str
    metric: str
    along: str


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """A quality over the payload's bits, or over another rate (``axis``: channel_uses, bpp).

    ``against``: the axis along which a curve's rate rises; found if left out.

    Raises:
        ScenarioError: No such KPI, no axis that varies the rate.
    """
    frame = frames.sweep_table(folder, options.where, options.label)
    if options.axis == "bpp":
        frame = bits_per_pixel(folder, frame)
    frame, rate = frames.kpi(frame, options.axis or "payload_bits")
    frame, metric = frames.kpi(frame, options.metric or _quality(frame))
    columns = Columns(rate, metric, rate_axis(frame, rate, options.against))
    curves = frames.curves(frame, [columns.along], options.by)
    deltas = delta_table(curves, columns)
    style = style_named(options.style)
    share = _heights(deltas, style)
    with blank_figure(options.style, sum(share)) as figure:
        axes = figure.subplots(2, 1, height_ratios=share) if len(deltas) else [figure.subplots()]
        data = rate_distortion(curves, columns, axes[0])
        if len(deltas):
            write_deltas(deltas, metric, axes[1])
        note_below(figure, frame_note(frame))
    return Drawing(figure, data, {"bd": deltas} if len(deltas) else {})


def _quality(frame: DataFrame) -> str:
    """The task's score, else the first score there is."""
    kpis = kpi_names([str(column) for column in frame.columns])
    scores = [name for name in kpis if name.startswith("score_")]
    return next((name for name in (*HEADLINES, *scores) if name in kpis), "accuracy")


def bits_per_pixel(folder: Path, frame: DataFrame) -> DataFrame:
    """The table with ``bpp``: payload bits over the pixels of the task's picture."""
    pixels = {}
    for name in frame["folder"].unique():
        task = read_result(Path(folder) / name).scenario.task
        digits = data_spec(task.dataset).kind == "digits"
        pixels[name] = 8 * 8 if digits else task.height_px * task.width_px
    count = frame["folder"].map(pixels)
    ends = ("", "_ci_low", "_ci_high")
    return frame.assign(**{f"bpp{end}": frame[f"payload_bits{end}"] / count for end in ends})


def rate_axis(frame: DataFrame, rate: str, name: str | None = None) -> str:
    """The axis along which the rate changes most while all others are held.

    Raises:
        ScenarioError: None does.
    """
    if name is not None:
        return frames.named_column(frame, name)
    axes = [axis for axis in frames.varying(frame) if axis != frames.POINT]
    spans = {axis: _span(frame, rate, axis) for axis in axes}
    best = max(spans, key=lambda axis: spans[axis], default=frames.POINT)
    if spans.get(best, 0.0) < 1e-3:  # no axis within the operating points: across them
        best = frames.POINT
    if _span(frame, rate, best) < 1e-3:
        message = f"no axis leads every curve through several {rate} above 0: sweep a codec's bits"
        raise ScenarioError(f"{message}, or pick rows (--where)", value=axes)
    return best


def _span(frame: DataFrame, rate: str, axis: str) -> float:
    """Median over the curves of the logarithm of largest over smallest rate."""
    spans = [
        float(np.ptp(np.log(rates)))
        for curve in frames.curves(frame, [axis])
        if len(rates := curve.rows[rate].dropna().to_numpy(float)) and (rates > 0).all()
    ]
    return float(np.median(spans)) if spans else 0.0


def rate_distortion(curves: Sequence[frames.Curve], columns: Columns, ax: Axes) -> DataFrame:
    """The metric over the rate on a logarithmic axis, a curve per design, with 95 % bands.

    A design without such a rate (local, analog without bits) has no place on that axis: it is a
    horizontal line.

    Returns:
        What was drawn: ``curve``, the axis along it, rate and metric with their intervals.
    """
    whole = stacked([curve.rows for curve in curves])
    units = [quantity(column, whole[column]) for column in (columns.rate, columns.metric)]
    drawn = []
    for curve in curves:
        part = curve.rows.sort_values(columns.rate)
        _curve(ax, part, columns, [unit.factor for unit in units], curve)
        table = interval_table(part, curve.name, [columns.along], columns.rate)
        drawn.append(table.join(interval_table(part, "", [], columns.metric).iloc[:, 1:4]))
    log_scale(ax)
    ax.set_xlabel(units[0].label)
    ax.set_ylabel(units[1].label)
    grid(ax, "both")
    legend_above(ax)
    return stacked(drawn)


def _curve(
    ax: Axes, part: DataFrame, columns: Columns, factors: list[float], curve: frames.Curve
) -> None:
    style = look_at(curve.rank)
    rate = factors[0] * part[columns.rate].to_numpy(float)
    mean, low, high = (
        factors[1] * part[columns.metric + end].to_numpy(float)
        for end in ("", "_ci_low", "_ci_high")
    )
    if np.isnan(rate).all():
        ax.plot([], [], label=f"{curve.name} (no requests)", **style)
        return
    if not (rate > 0).any():
        line = style | {"marker": "none"}
        what = "no bits" if columns.rate in ("payload_bits", "bpp") else "sends nothing"
        ax.axhline(float(np.nanmean(mean)), label=f"{curve.name} ({what})", **line)
        return
    ax.plot(rate, mean, label=curve.name, **style)
    shade: dict[str, Any] = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
    ax.fill_between(rate, low, high, **shade)


# --- Bjøntegaard deltas -----------------------------------------------------------------------


def delta_table(curves: Sequence[frames.Curve], columns: Columns) -> DataFrame:
    """Deltas of every curve of two rates or more against the first; empty if there is no second.

    Columns: ``curve``, ``anchor``, ``method``, ``bd_rate_percent``, ``bd_metric``, ``reason`` (why
    there is none). See `simsplit.results.bd`.
    """
    import pandas as pd

    rates = [curve.rows[columns.rate] for curve in curves]
    sent = [c for c, rate in zip(curves, rates, strict=True) if rate[rate > 0].nunique() > 1]
    rows = [_delta(sent[0], curve, columns) for curve in sent[1:]]
    names = ("curve", "anchor", "method", "bd_rate_percent", "bd_metric", "reason")
    return pd.DataFrame(rows, columns=list(names))


def _delta(anchor: frames.Curve, test: frames.Curve, columns: Columns) -> dict[str, Any]:
    names = [columns.rate, columns.metric]  # of points with requests
    points = [
        curve.rows.dropna(subset=names)[column].to_numpy(float)
        for curve in (anchor, test)
        for column in names
    ]
    rate, no_rate = _or_reason(bd_rate, points)
    metric, no_metric = _or_reason(bd_metric, points)
    return {
        "curve": test.name,
        "anchor": anchor.name,
        "method": METHOD,
        "bd_rate_percent": rate,
        "bd_metric": metric,
        "reason": "; ".join(dict.fromkeys(filter(None, (no_rate, no_metric)))),
    }


def _or_reason(compute: Any, points: list[Any]) -> tuple[float, str]:
    try:
        return float(compute(*points, method=METHOD)), ""
    except ScenarioError as error:
        return math.nan, str(error).removeprefix("no BD: ")


def _heights(deltas: DataFrame, style: Style) -> tuple[float, ...]:
    """Inches of the curves and of the table below them."""
    if not len(deltas):
        return (style.height_in,)
    return style.height_in, 1.5 * style.small_pt / 72 * _lines(deltas)


def _lines(deltas: DataFrame) -> float:
    return 2.6 + len(deltas) + sum(map(len, _notes(deltas).values()))


def _notes(deltas: DataFrame, width: int = 78) -> dict[str, list[str]]:
    """Every reason once, numbered, in lines as short as the column."""
    reasons = dict.fromkeys(_without_numbers(reason) for reason in deltas["reason"] if reason)
    return {reason: wrap(f"({number}) {reason}", width) for number, reason in enumerate(reasons, 1)}


def _without_numbers(reason: str) -> str:
    """The gist of a reason; its numbers are in the CSV."""
    gist = reason.split(": anchor ")[0].split("; it does not")[0].removesuffix(" (rate, metric)")
    return re.sub(r"share [\d.e+-]+ %", "share too little", gist).split(" are needed")[0]


def write_deltas(deltas: DataFrame, metric: str, ax: Axes) -> None:
    """The deltas as a table with rules above, below and under its header."""
    ax.set_axis_off()
    small_pt = style_of(ax.get_figure()).small_pt  # type: ignore[arg-type]
    notes, whole = _notes(deltas), _lines(deltas)
    name, unit = name_and_unit(metric)
    anchor = deltas["anchor"].iat[0]
    header = (f"against {anchor}", "BD rate [%]", f"BD {name}" + (f" [{unit}]" if unit else ""))
    lines = [header, *_cells(deltas, list(notes))]
    for index, cells in enumerate(lines):
        _line(ax, 1 - (index + 0.8 + 0.3 * (index > 0)) / whole, cells, small_pt)
    bottom = 1 - (len(lines) + 0.75) / whole
    for height, width in ((1 - 0.1 / whole, 0.8), (1 - 1.35 / whole, 0.4), (bottom, 0.8)):
        ax.plot([0, 1], [height] * 2, color="k", lw=width, transform=ax.transAxes, clip_on=False)
    for index, text in enumerate(text for part in notes.values() for text in part):
        at = bottom - (index + 0.75) / whole
        ax.text(0, at, text, size=small_pt - 1, va="center", transform=ax.transAxes)


def _cells(deltas: DataFrame, reasons: list[str]) -> list[tuple[str, str, str]]:
    rows = []
    for _, row in deltas.iterrows():
        why = row["reason"] and reasons.index(_without_numbers(row["reason"])) + 1
        note = f" ({why})" if why else ""
        numbers = (row["bd_rate_percent"], row["bd_metric"])
        rate, gain = (
            f"–{note}"
            if math.isnan(number)
            else format(number, form).replace("-", "\N{MINUS SIGN}")
            for number, form in zip(numbers, ("+.1f", "+.3g"), strict=True)
        )
        rows.append((row["curve"], rate, gain))
    return rows


def _line(ax: Axes, height: float, cells: tuple[str, str, str], size: float) -> None:
    places: tuple[tuple[float, Any], ...] = ((0.0, "left"), (0.68, "right"), (1.0, "right"))
    for (x, side), text in zip(places, cells, strict=True):
        ax.text(x, height, text, ha=side, va="center", size=size, transform=ax.transAxes)
