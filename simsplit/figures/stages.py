"""Where the time and the energy of a request go, against the split: stacked bars of a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.requests import (
    lacking_text,
    mean_parts,
    mean_stages,
    measured_requests,
)
from simsplit.figures.style import (
    blank_figure,
    grid,
    grow,
    note_below,
    shown_above,
    style_named,
    style_of,
)
from simsplit.figures.timeline import LOOKS
from simsplit.results import frames
from simsplit.results.drops import frame_note
from simsplit.results.labels import label, quantity, value_text
from simsplit.results.stage_table import PARTS
from simsplit.results.stages import STAGES
from simsplit.results.store import read_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


# the energy's parts by the stage in which they are spent, so that one legend serves both
_STAGE_OF = {part.name: part.stage for part in PARTS}
PANELS = (("latency_s", "_s"), ("energy_j", "_j"))


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Latency and energy by stage over the split, or another axis of few values.

    The bars of other designs (operating points first) stand in groups side by side.

    Raises:
        ScenarioError: More bars than the figure's width can show.
    """
    frame = frames.sweep_table(folder, options.where, options.label)
    axis = _axis(frame, options)
    bars = _bars(frame, axis, options)
    names = {text: name for name, text in options.label.items()}
    data = stage_table(folder, bars, axis, names)
    style = style_named(options.style)
    with blank_figure(options.style, 1.5 * style.height_in) as figure:
        panels = figure.subplots(2, 1, sharex=True)
        for ax, panel in zip(panels, PANELS, strict=True):
            stacked_stages(data, panel, ax)
            ax.tick_params(axis="x", length=0)
        _places(data, axis, panels[-1])
        _legend(figure, data)
        note_below(figure, frame_note(frame))
        return Drawing(figure, data.drop(columns=["place"]))


def _axis(frame: DataFrame, options: PlotOptions) -> str:
    """The axis named, else the split, else another column of words, else any that varies.

    An axis that would leave every bar a group of its own is passed over, and one that does not
    apply to every bar.
    """
    if options.axis is not None:
        return frames.named_column(frame, options.axis)
    moving = [name for name in frames.varying(frame) if frame[name].notna().all()]
    split = [name for name in moving if name.endswith("split")]
    words = [name for name in moving[::-1] if not frames.is_numeric(frame[name])]
    candidates = [*split, *words, *moving, frames.POINT]
    for name in candidates:
        if len(frames.curves(frame, [name], options.by)) < len(frame):
            return name
    return candidates[0]


def _bars(frame: DataFrame, axis: str, options: PlotOptions) -> list[tuple[str, Any]]:
    """``(group, row)`` of every bar from left to right; where the axis does not apply, last."""
    order = dict(zip(frames.categories(frame[axis]), itertools.count(), strict=False))
    bars = [
        (curve.name, row)
        for curve in frames.curves(frame, [axis], options.by)
        for _, row in sorted(
            curve.rows.iterrows(), key=lambda item: order.get(item[1][axis], len(order))
        )
    ]
    style = style_named(options.style)
    room = int(72 * style.width_in / (2 * style.small_pt))
    if len(bars) > room:
        others = frames.apart(frame, [axis], options.by)
        message = f"{len(bars)} bars, room for {room}: pick some (--where 'column == value')"
        raise ScenarioError(message, choices=[axis, *others])
    return bars


def stage_table(
    folder: Path, bars: Sequence[tuple[str, Any]], axis: str, names: Mapping[str, str]
) -> DataFrame:
    """A row per bar: seconds and joules by stage, the totals and their intervals.

    ``names``: of operating points in the runs, by what they are called in print if it is another.

    Columns: ``curve``, the axis, ``<stage>_s`` and ``<stage>_j``, ``latency_s`` and ``energy_j``
    with ``_ci_low`` and ``_ci_high``; ``place`` on the horizontal axis, a gap between groups.
    """
    rows, requests = [], {}
    x, before = 0.0, bars[0][0]
    for group, row in bars:
        x, before = x + (1.0 if group == before else 1.7), group
        name = row["folder"]
        if name not in requests:
            requests[name] = measured_requests(read_result(Path(folder) / name))
        whole = requests[name]
        point = names.get(row[frames.POINT], row[frames.POINT])
        spent = _spent(whole[whole[frames.POINT] == point])
        rows.append({"curve": group, axis: row[axis]} | spent | _totals(row) | {"place": x})
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
    return {total + end: row[total + end] for total, _ in PANELS for end in ends}


def stacked_stages(data: DataFrame, panel: tuple[str, str], ax: Axes) -> None:
    """The stages of every bar on each other, the total's 95 % interval as a whisker.

    Args:
        data: `stage_table`.
        panel: Column of the total, ending of the stages' columns.
        ax: Where to draw.
    """
    total, ending = panel
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
    _say_what_is_missing(data, total, ax)
    ax.set_xlim(0.4, data["place"].max() + 0.6)
    highest = float(np.nan_to_num(np.fmax(mean, high)).max())
    ax.set_ylim(0, 1.06 * unit.factor * highest or 1.0)
    ax.set_ylabel(unit.label)
    grid(ax, "y")


def _say_what_is_missing(data: DataFrame, total: str, ax: Axes) -> None:
    """Words in place of a bar that there is not: every request costs energy, answered or not."""
    small_pt = style_of(ax.get_figure()).small_pt  # type: ignore[arg-type]
    for place, value, energy_j in zip(data["place"], data[total], data["energy_j"], strict=True):
        if np.isnan(value):
            text = " " + lacking_text(int(not np.isnan(energy_j)), is_answered=False)
            style: dict[str, Any] = {"rotation": 90, "ha": "center", "fontsize": small_pt}
            ax.text(place, 0.0, text, va="bottom", **style)


def _places(data: DataFrame, axis: str, ax: Axes) -> None:
    """The axis' value below each bar, the group's name below its bars."""
    applies = data[axis].notna()
    texts = [value_text(v) if a else "–" for v, a in zip(data[axis], applies, strict=True)]
    figure: Any = ax.get_figure()
    style = style_of(figure)
    letter_pt = 0.5 * style.small_pt
    bar_pt = 72 * 0.8 * style.width_in / (data["place"].max() + 1)
    longest_pt = letter_pt * max(map(len, texts))
    crowded = longest_pt > bar_pt
    turned: dict[str, Any] = {"rotation": 90} if crowded else {}
    ax.set_xticks(data["place"], texts, **turned)
    grow(figure, longest_pt / 72 if crowded else 0.0)
    groups = data.groupby("curve", sort=False)["place"]
    if groups.ngroups < 2:
        ax.set_xlabel(label(axis))
        return
    names = [str(name) for name in groups.groups]
    spans_pt = bar_pt * (groups.count().to_numpy() + 0.7)
    names_pt = letter_pt * np.array([len(name) for name in names])
    overlap = bool((names_pt > spans_pt).any())
    below = ax.secondary_xaxis("bottom")
    drop_pt = (1.12 * longest_pt if crowded else style.small_pt) + 4
    upright: dict[str, Any] = {"rotation": 90} if overlap else {}
    below.set_xticks(groups.mean(), names, **upright)
    grow(figure, float(names_pt.max()) / 72 if overlap else 0.0)
    below.tick_params(length=0, pad=drop_pt, labelsize=style.small_pt)
    below.spines["bottom"].set_visible(False)
    below.set_xlabel(label(axis))


def _legend(figure: Any, data: DataFrame) -> None:
    """One legend for both panels."""
    handle_of: dict[str, Any] = {}
    for ax in figure.axes:
        handles, names = ax.get_legend_handles_labels()
        handle_of |= dict(zip(names, handles, strict=True))
    names = [stage for stage in STAGES if stage in handle_of]
    shown_above(figure, [handle_of[name] for name in names], names)
