"""Where the time and the energy of a request go, against the split: stacked bars of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.plots import frames
from simsplit.plots.contract import Drawing, PlotOptions
from simsplit.plots.labels import label, quantity, value_text
from simsplit.plots.requests import PARTS, mean_parts, mean_stages, measured_requests
from simsplit.plots.style import (
    blank_figure,
    grid,
    shown_above,
    style_named,
    style_of,
)
from simsplit.plots.timeline import LOOKS, STAGES
from simsplit.results import read_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

# the energy's parts by the stage in which they are spent, so that one legend serves both
_STAGE_OF = dict(zip(PARTS, ("device compute", "radio", "downlink", "edge compute"), strict=True))
PANELS = (("latency_s", "_s", "mean latency"), ("energy_j", "_j", "energy per request"))


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Latency and energy by stage over the split, or another axis of few values.

    The bars of other designs (operating points first) stand in groups side by side.

    Raises:
        ScenarioError: More bars than the figure's width can show.
    """
    frame = frames.sweep_table(folder, options.where)
    axis = _axis(frame, options)
    bars = _bars(frame, axis, options)
    data = stage_table(folder, bars, axis)
    style = style_named(options.style)
    with blank_figure(options.style, 1.5 * style.height_in) as figure:
        panels = figure.subplots(2, 1, sharex=True)
        for ax, panel in zip(panels, PANELS, strict=True):
            stacked_stages(data, panel, ax)
            ax.tick_params(axis="x", length=0)
        _places(data, axis, panels[-1])
        _legend(figure, data)
        return Drawing(figure, data.drop(columns=["place"]))


def _axis(frame: DataFrame, options: PlotOptions) -> str:
    """The axis named, else the split, else another column of words, else any that varies.

    An axis that would leave every bar a group of its own is passed over.
    """
    if options.axis is not None:
        return frames.named_column(frame, options.axis)
    moving = frames.varying(frame)
    split = [name for name in moving if name.endswith("split")]
    words = [name for name in moving[::-1] if not frames.is_numeric(frame[name])]
    found = [*split, *words, *moving, frames.POINT]
    for name in found:
        if len(frames.curves(frame, [name], options.by)) < len(frame):
            return name
    return found[0]


def _bars(frame: DataFrame, axis: str, options: PlotOptions) -> list[tuple[str, Any]]:
    """``(group, row)`` of every bar from left to right."""
    order = frames.categories(frame[axis])
    bars = [
        (curve.name, row)
        for curve in frames.curves(frame, [axis], options.by)
        for _, row in sorted(curve.rows.iterrows(), key=lambda item: order.index(item[1][axis]))
    ]
    style = style_named(options.style)
    room = int(72 * style.width_in / (2 * style.small_pt))
    if len(bars) > room:
        others = frames.apart(frame, [axis], options.by)
        message = f"{len(bars)} bars, room for {room}: pick some (--where 'column == value')"
        raise ScenarioError(message, choices=[axis, *others])
    return bars


def stage_table(folder: Path, bars: Sequence[tuple[str, Any]], axis: str) -> DataFrame:
    """A row per bar: seconds and joules by stage, the totals and their intervals.

    Columns: ``curve``, the axis, ``<stage>_s`` and ``<stage>_j``, ``latency_s`` and ``energy_j``
    with ``_ci_low`` and ``_ci_high``; ``place`` on the horizontal axis, a gap between groups.
    """
    import pandas as pd

    rows, requests = [], {}
    place, before = 0.0, bars[0][0]
    for group, row in bars:
        place, before = place + (1.0 if group == before else 1.7), group
        name = row["folder"]
        if name not in requests:
            requests[name] = measured_requests(read_result(Path(folder) / name))
        whole = requests[name]
        spent = _spent(whole[whole[frames.POINT] == row[frames.POINT]])
        rows.append({"curve": group, axis: row[axis]} | spent | _totals(row) | {"place": place})
    return pd.DataFrame(rows)


def _spent(requests: DataFrame) -> dict[str, float]:
    """Mean seconds and joules by stage."""
    times, joules = mean_stages(requests), mean_parts(requests)
    seconds = {f"{name}_s": mean for name, mean in _first_row(times).items()}
    return seconds | {f"{_STAGE_OF[part]}_j": mean for part, mean in _first_row(joules).items()}


def _first_row(means: DataFrame) -> dict[str, float]:
    """The only row, if any request was answered at all."""
    return dict(zip(means.columns, means.to_numpy(float)[0], strict=True)) if len(means) else {}


def _totals(row: Any) -> dict[str, float]:
    ends = ("", "_ci_low", "_ci_high")
    return {total + end: row[total + end] for total, *_ in PANELS for end in ends}


def stacked_stages(data: DataFrame, panel: tuple[str, str, str], ax: Axes) -> None:
    """The stages of every bar on each other, the total's 95 % interval as a whisker.

    Args:
        data: `stage_table`.
        panel: Column of the total, ending of the stages' columns, name in print.
        ax: Where to draw.
    """
    total, ending, name = panel
    unit = quantity(total, data[total])
    base = np.zeros(len(data))
    for stage in STAGES:
        if stage + ending not in data:
            continue
        height = unit.factor * data[stage + ending].fillna(0.0).to_numpy(float)
        style: dict[str, Any] = dict(zip(("color", "hatch"), LOOKS[stage], strict=True))
        ax.bar(
            data["place"], height, 0.72, bottom=base, label=stage, edgecolor="k", lw=0.4, **style
        )
        base = base + height
    mean = data[total].to_numpy(float)
    low, high = (data[f"{total}_ci_{end}"].to_numpy(float) for end in ("low", "high"))
    reach = unit.factor * np.array([mean - low, high - mean])
    whisker: dict[str, Any] = {"fmt": "none", "ecolor": "k", "elinewidth": 0.8, "capsize": 2}
    ax.errorbar(data["place"], unit.factor * mean, yerr=reach, **whisker)
    highest = float(np.nan_to_num(np.fmax(mean, high)).max())
    ax.set_ylim(0, 1.06 * unit.factor * highest or 1.0)
    ax.set_ylabel(f"{name} {unit.label[unit.label.index('[') :]}")
    grid(ax, "y")


def _places(data: DataFrame, axis: str, ax: Axes) -> None:
    """The axis' value below each bar, the group's name below its bars."""
    texts = [value_text(value) for value in data[axis]]
    style = style_of(ax.get_figure())  # type: ignore[arg-type]
    bar_pt = 72 * 0.8 * style.width_in / (data["place"].max() + 1)
    crowded = max(len(text) for text in texts) * 0.5 * style.small_pt > bar_pt
    turned: dict[str, Any] = {"rotation": 90} if crowded else {}
    ax.set_xticks(data["place"], texts, **turned)
    groups = data.groupby("curve", sort=False)["place"]
    if groups.ngroups < 2:
        ax.set_xlabel(label(axis))
        return
    below = ax.secondary_xaxis("bottom")
    drop_pt = style.small_pt * (0.56 * max(map(len, texts)) if crowded else 1.0) + 4
    below.set_xticks(groups.mean(), [str(name) for name in groups.groups])
    below.tick_params(length=0, pad=drop_pt, labelsize=style.small_pt)
    below.spines["bottom"].set_visible(False)
    below.set_xlabel(label(axis))


def _legend(figure: Any, data: DataFrame) -> None:
    """One legend for both panels."""
    found: dict[str, Any] = {}
    for ax in figure.axes:
        handles, names = ax.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    names = [stage for stage in STAGES if stage in found]
    shown_above(figure, [found[name] for name in names], names)
