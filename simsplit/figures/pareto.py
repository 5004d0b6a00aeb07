"""Designs of a sweep by what they cost and what they give, and the front that none beats."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.curves import within_reach
from simsplit.figures.labelling import label_points
from simsplit.figures.log_axes import log_scale
from simsplit.figures.style import (
    blank_figure,
    grid,
    look,
    note_below,
    shown_above,
    style_named,
    style_of,
)
from simsplit.results import frames
from simsplit.results.drops import frame_note
from simsplit.results.kpis import non_dominated
from simsplit.results.labels import quantity
from simsplit.results.metrics import higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame


COSTS = ("latency", "energy", "bandwidth")
Pair = tuple[str, str]


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Two KPIs against each other; accuracy against each of the costs if none is named.

    Whether a design is dominated is decided over all the KPIs shown together.
    """
    frame, pairs = _pairs(frames.sweep_table(folder, options.where, options.label), options)
    data = design_table(frame, list(dict.fromkeys(sum(pairs, ()))), options.by)
    with _figure(len(pairs), options.style) as (figure, axes):
        for ax, pair in zip(axes, pairs, strict=True):
            front(data, pair, ax)
        _legend(figure, data)
        note_below(figure, frame_note(frame))
        figure.draw_without_rendering()  # labels need the layout
        for ax, pair in zip(axes, pairs, strict=True):
            name_designs(data, pair, ax)
        return Drawing(figure, data.drop(columns=["group", "label", "first", "lacks"]))


def _pairs(frame: DataFrame, options: PlotOptions) -> tuple[DataFrame, list[Pair]]:
    """The table with the KPIs' columns, and the pairs of columns across and up."""
    up = options.against or options.metric or "accuracy"
    named = options.axis or options.against or options.metric
    across = [options.axis or "latency"] if named else list(COSTS)
    columns = []
    for name in (*across, up):
        frame, column = frames.kpi(frame, _meant(frame, name))
        columns.append(column)
    return frame, [(column, columns[-1]) for column in columns[:-1]]


def _meant(frame: DataFrame, name: str) -> str:
    """KPI of an objective: channel uses are the bandwidth if any are counted, else bits."""
    if name == "bandwidth":
        counted = "channel_uses" in frame and (frame["channel_uses"] > 0).any()
        return "channel_uses" if counted else "payload_bits"
    return {"latency": "latency_s", "energy": "energy_j"}.get(name, name)


def design_table(frame: DataFrame, columns: list[str], by: str | None = None) -> DataFrame:
    """A row per design: its name, the KPIs and their intervals, ``non_dominated`` over all of them.

    ``group`` and ``label``: the setting that has a colour and the rest; ``first``: its place;
    ``lacks``: why it is nowhere in the plane.
    """
    keys = frames.apart(frame, [], by)
    rows = []
    for name, part, (first, _) in frames.curves(frame, [], by):
        settings = [part[key].iat[0] for key in keys]
        texts = {
            "curve": name,
            "group": frames.design_text(keys[:1], settings[:1]),
            "label": frames.design_text(keys[1:], settings[1:]),
            "first": first,
        }
        texts["lacks"] = _lacks(part, columns)
        rows += [texts | row for row in part[_with_ends(columns)].to_dict("records")]
    table = pd.DataFrame(rows)
    table["non_dominated"] = non_dominated(costs(table, columns))
    return table


def _lacks(part: DataFrame, columns: Sequence[str]) -> str:
    """Why a design is nowhere in the plane; empty if it is somewhere."""
    if part[list(columns)].notna().all(axis=1).any():
        return ""
    return "no value" if part["n"].any() else "no requests"


def _with_ends(columns: Sequence[str]) -> list[str]:
    return [name + ending for name in columns for ending in ("", "_ci_low", "_ci_high")]


def costs(table: DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """The KPIs as ``(designs, KPIs)``, smaller is better."""
    signs = [-1.0 if higher_is_better(column) else 1.0 for column in columns]
    signed: NDArray[np.float64] = table[list(columns)].to_numpy(float) * np.array(signs)
    return signed


def front(data: DataFrame, pair: Pair, ax: Axes) -> None:
    """Two KPIs of every design, dominated ones faded, intervals as crosses, the front as a stair.

    Args:
        data: `design_table`.
        pair: Columns across and up. The stair is the front of these two alone.
        ax: Where to draw.
    """
    units = [quantity(column, data[column]) for column in pair]
    stair = stair_of(data, pair)
    x, y = (unit.factor * stair[column] for unit, column in zip(units, pair, strict=True))
    ax.step(x, y, where="post", color="0.45", lw=0.8, zorder=1)
    for keep in (False, True):
        for _, row in data[data["non_dominated"] == keep].iterrows():
            _design(ax, row, pair, [unit.factor for unit in units])
    across = data[pair[0]].to_numpy(float)
    if not higher_is_better(pair[0]) and 0 < np.nanmin(across) < np.nanmax(across) / 5:
        log_scale(ax)
    ax.margins(0.08)
    within_reach(ax.get_xlim, ax.set_xlim, pair[0], units[0].factor)
    within_reach(ax.get_ylim, ax.set_ylim, pair[1], units[1].factor)
    ax.set_xlabel(units[0].label)
    ax.set_ylabel(units[1].label)
    grid(ax, "both")


def stair_of(data: DataFrame, pair: Pair) -> DataFrame:
    """The designs that none beats in these two KPIs, from the best of the first on."""
    both = costs(data, pair)
    kept = non_dominated(both)
    order = np.lexsort((both[kept, 1], both[kept, 0]))
    return data[kept].iloc[order]


def _design(ax: Axes, row: Any, pair: Pair, factors: list[float]) -> None:
    style = look(row["first"])
    kept = bool(row["non_dominated"])
    colour, alpha = style["color"], 1.0 if kept else 0.3
    (x, across), (y, up) = (
        _interval(row, column, factor) for column, factor in zip(pair, factors, strict=True)
    )
    cross: dict[str, Any] = {"ecolor": colour, "elinewidth": 0.5, "capsize": 0}
    fill = colour if kept else "w"
    ax.errorbar(
        x,
        y,
        xerr=across,
        yerr=up,
        marker=style["marker"],
        color=colour,
        markerfacecolor=fill,
        alpha=alpha,
        linestyle="none",
        zorder=3 if kept else 2,
        clip_on=False,
        **cross,
    )


def _interval(row: Any, column: str, factor: float) -> tuple[float, Any]:
    """The mean, and how far its interval reaches down and up ``(2, 1)``; NaN draws nothing."""
    mean = float(row[column])
    ends = mean - float(row[f"{column}_ci_low"]), float(row[f"{column}_ci_high"]) - mean
    return factor * mean, factor * np.array(ends)[:, None]


def name_designs(data: DataFrame, pair: Pair, ax: Axes) -> list[str]:
    """Labels beside the designs that are not dominated, where there is room.

    Returns:
        The labels that were written.
    """
    ordered = data.sort_values("non_dominated", ascending=False, kind="stable")
    kept = ordered[ordered["non_dominated"]]
    factors = [quantity(column, data[column]).factor for column in pair]
    points = ordered[list(pair)].to_numpy(float) * factors
    points = points[np.isfinite(points).all(axis=1)]
    stair = stair_of(data, pair)[list(pair)].to_numpy(float) * factors
    texts = kept["label"] if kept["label"].any() else kept["group"]
    small_pt = style_of(ax.get_figure()).small_pt - 1  # type: ignore[arg-type]
    lines = np.concatenate([_segments(stair), _crosses(kept, pair, factors)])
    return label_points(ax, points, list(texts), lines, small_pt)


def _crosses(kept: DataFrame, pair: Pair, factors: list[float]) -> NDArray[np.float64]:
    """The intervals' lines, those that are known, ``(M, 2, 2)``."""
    lines = []
    for side, (column, factor) in enumerate(zip(pair, factors, strict=True)):
        middle = kept[list(pair)].to_numpy(float) * factors
        ends = np.stack([middle, middle], axis=1)
        for index, end in enumerate(("low", "high")):
            ends[:, index, side] = factor * kept[f"{column}_ci_{end}"].to_numpy(float)
        lines.append(ends[np.isfinite(ends).all(axis=(1, 2))])
    return np.concatenate(lines)


def _segments(stair: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stair's lines ``(M, 2, 2)``: across at the old height, then up or down."""
    lines = []
    for here, there in itertools.pairwise(stair):
        corner = np.array([there[0], here[1]])
        lines += [(here, corner), (corner, there)]
    return np.array(lines).reshape(-1, 2, 2)


@contextmanager
def _figure(panels: int, style: str) -> Iterator[tuple[Figure, list[Axes]]]:
    """Panels side by side where the width allows 2 inches each, else below each other."""
    look = style_named(style)
    abreast = look.width_in >= 2 * panels * look.font_pt / 8
    columns = panels if abreast else 1
    rows = panels // columns
    height_in = look.height_in * (1 if rows == 1 else 0.2 + 0.72 * rows)
    with blank_figure(style, height_in) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        yield figure, list(axes.flat)
        for ax in axes[:, 1:].flat:
            ax.set_ylabel("")


def _group_text(group: DataFrame) -> str:
    """A group's name, and why none of its designs is drawn."""
    name, lacks = str(group["group"].iat[0]), group["lacks"]
    return f"{name} ({lacks.iat[0]})" if lacks.all() else name


def _legend(figure: Figure, data: DataFrame) -> None:
    """A colour per operating point, then what the fading and the line mean."""
    from matplotlib.lines import Line2D

    groups = data.drop_duplicates("first").sort_values("first")
    named = groups["label"].any() or len(groups) > 1
    texts = [_group_text(data[data["first"] == first]) for first in groups["first"] if named]
    lines = [Line2D([], [], **look(first) | {"linestyle": "none"}) for first in groups["first"]]
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "w", "color": "0.3", "alpha": 0.5}
    shown = [*lines[: len(texts)], Line2D([], [], linestyle="none", **hollow)]
    shown.append(Line2D([], [], color="0.45", lw=0.8))
    shown_above(figure, shown, [*texts, "dominated", "front"])
