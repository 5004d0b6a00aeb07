"""Timeline of one device's requests: a bar per request, a piece per stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.nothing import nothing_drawn
from simsplit.figures.style import (
    colour,
    grid,
    hatch,
    legend_above,
    paper_figure,
    style_named,
    style_of,
)
from simsplit.results.frames import where
from simsplit.results.stages import ALWAYS, STAGES, stage_intervals
from simsplit.results.store import read_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

"""In the order of a request's way; every figure of stages gives them the same looks."""
"""Stages of every figure, and those shown only where a request was in them."""
_MARKS = {"lost": "lost", "rejected": "refused", "open": "open", "no_power": "no power"}
LOOKS: dict[str, tuple[str, str]] = {
    name: (colour(place), hatch(place)) for place, name in enumerate(ALWAYS)
} | {"local retry": ("#F0E442", "---"), "other": ("#FFFFFF", "")}
_SHOWN = 12  # requests in the window that is chosen without asking
_MOST = 60  # rows on a page
_FAR = 2.5  # deadlines so many times further off than the bars reach are left out
_THIN = 0.05  # a request's share of the window below which its stages cannot be told apart


# --- which requests ---------------------------------------------------------------------------


def device_rows(requests: DataFrame, device: int | None = None) -> DataFrame:
    """One device's requests in one replication, in the order of arrivals.

    That of its slowest request; without ``device`` that of the slowest of all. Open requests count
    as slower than any other, the first one first.

    Raises:
        ArtefactError: There are no requests.
        ScenarioError: The device made none.
    """
    if requests.empty:
        raise ArtefactError("no request was made: there is no timeline to draw")
    rows = requests if device is None else requests[requests["device"] == device]
    if rows.empty:
        choices = [str(number) for number in sorted(requests["device"].unique())]
        raise ScenarioError(
            "the device made no request", path="device", value=device, choices=choices
        )
    slowest = rows.loc[slowest_of(rows)]
    same = rows["device"].eq(slowest["device"]) & rows["replication"].eq(slowest["replication"])
    return rows[same].sort_values(["arrival_s", "request_id"], kind="stable")


def slowest_of(rows: DataFrame) -> Any:
    """Index label of the slowest request; an open one is slower than any closed one."""
    return rows["latency_s"].astype(float).fillna(np.inf).idxmax()


def around_slowest(rows: DataFrame, shown: int = _SHOWN) -> DataFrame:
    """Up to ``shown`` neighbouring requests of a device, the slowest in the middle if it can be."""
    index = int(np.flatnonzero(rows.index == slowest_of(rows))[0])
    first = max(0, min(index - shown // 2, len(rows) - shown))
    return rows.iloc[first : first + shown]


def in_window(rows: DataFrame, start_s: float | None, end_s: float | None) -> DataFrame:
    """The requests that were in the system at some time of [start_s, end_s].

    Raises:
        ScenarioError: The window is empty, or no request falls into it, or more than 60.
    """
    start = -np.inf if start_s is None else start_s
    end = np.inf if end_s is None else end_s
    if not start < end:
        raise ScenarioError("start_s must be before end_s", value=(start_s, end_s))
    inside = rows[(rows["arrival_s"] <= end) & ~(rows["closed_s"] < start)]
    if inside.empty:
        low, high = rows["arrival_s"].min(), rows["arrival_s"].max()
        message = (
            f"the device's requests arrive from {low:.4g} s to {high:.4g} s; none in the window"
        )
        raise ScenarioError(message, value=(start_s, end_s))
    if len(inside) > _MOST:
        message = f"{len(inside)} requests in the window, at most {_MOST} can be read: narrow it"
        raise ScenarioError(message, value=(start_s, end_s))
    return inside


# --- the picture ------------------------------------------------------------------------------


def timeline(rows: DataFrame, ax: Axes, *, until_s: float | None = None) -> None:
    """Requests from top to bottom over the simulated time.

    A thick tick is a request's deadline, unless it lies so far off that the bars would be squeezed;
    what did not end as an answer in time says so.
    """
    _bars(rows, ax, np.zeros(len(rows)), 1.0, until_s)
    ax.set_yticks(np.arange(len(rows)), [str(number) for number in rows["request_id"]])
    ax.set_ylabel("request")
    ax.set_xlabel("simulated time [s]")


def aligned_timeline(rows: DataFrame, ax: Axes, *, until_s: float | None = None) -> None:
    """The same with every request from its own arrival on: for requests far apart in time."""
    _bars(rows, ax, rows["arrival_s"].to_numpy(float), 1e3, until_s)
    ax.set_yticks(np.arange(len(rows)), [f"{time_s:.3f}" for time_s in rows["arrival_s"]])
    ax.set_ylabel("arrival at [s]")
    ax.set_xlabel("time since arrival [ms]")


def is_sparse(rows: DataFrame) -> bool:
    """Whether the requests are so short, next to the time they span, that the clock hides them."""
    closed_s = rows["closed_s"].max()
    span_s = max(float(rows["arrival_s"].max()), float(closed_s)) - float(rows["arrival_s"].min())
    return bool(rows["latency_s"].median() < _THIN * span_s)


def _bars(
    rows: DataFrame, ax: Axes, origin_s: np.ndarray[Any, Any], scale: float, until_s: float | None
) -> None:
    """A row per request, ``scale`` units per second after its origin, with deadline and fate."""
    row_of = {number: row for row, number in enumerate(rows["request_id"])}
    pieces = stage_intervals(rows, until_s)
    row = pieces["request_id"].map(row_of).to_numpy(int)
    left = scale * (pieces["start_s"].to_numpy(float) - origin_s[row])
    width = scale * (pieces["end_s"] - pieces["start_s"]).to_numpy(float)
    for stage in STAGES:
        mine = (pieces["stage"] == stage).to_numpy()
        if mine.any():
            face, pattern = LOOKS[stage]
            style: dict[str, Any] = {"color": face, "hatch": pattern, "edgecolor": "k", "lw": 0.4}
            ax.barh(row[mine], width[mine], 0.7, left=left[mine], label=stage, **style)
    reach = _FAR * float((left + width).max(initial=0.0) - left.min(initial=np.inf))
    _deadlines(rows, ax, origin_s, scale, reach)
    _fates(rows, ax, origin_s, scale, until_s)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    grid(ax, "x")


def _deadlines(
    rows: DataFrame, ax: Axes, origin_s: np.ndarray[Any, Any], scale: float, reach: float
) -> None:
    """Ticks, but for those that would squeeze the bars: further off than ``reach``."""
    arrival = rows["arrival_s"].to_numpy(float)
    due = scale * (arrival + rows["deadline_s"].to_numpy(float) - origin_s)
    first = float((scale * (arrival - origin_s)).min())
    shown = np.flatnonzero(due - first <= reach)
    if shown.size:
        low, high = shown - 0.47, shown + 0.47
        ax.vlines(due[shown], low, high, color="k", linewidth=1.6, label="deadline", zorder=3)


def _fates(
    rows: DataFrame,
    ax: Axes,
    origin_s: np.ndarray[Any, Any],
    scale: float,
    until_s: float | None,
) -> None:
    """A word behind every request that was not answered in time."""
    end_s = rows["closed_s"].fillna(rows["arrival_s"] if until_s is None else until_s)
    ends = scale * (end_s.to_numpy(float) - origin_s)
    figure: Any = ax.get_figure()
    style: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
    style |= {"fontsize": 0.93 * style_of(figure).small_pt, "style": "italic"}
    for row, (end, word) in enumerate(zip(ends, fates(rows), strict=True)):
        if word:
            ax.annotate(word, (end, row), **style)


def fates(rows: DataFrame) -> list[str]:
    """Per request: lost, refused, open, no power, late, or nothing if it was answered in time."""
    late = (rows["status"] == "done") & ~rows["deadline_met"].astype(bool)
    words = rows["status"].map(_MARKS).fillna("")
    return [str(word) for word in words.where(~late, "late")]


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Timeline of one device of a stored run; the data are the stage intervals of its requests.

    ``where`` leaves the requests it names. Without ``device`` it is that of the slowest request;
    without a window (``start_s``, ``end_s``) its twelve requests around its slowest one are shown;
    the title says of how many.
    If those are short and far apart, every one starts at its own arrival; a window that was asked
    for always shows the clock.

    Raises:
        ScenarioError: The device made no request, or none in the window.
        ArtefactError: ``folder`` is no result.
    """
    result = read_result(folder)
    if result.requests.empty:
        columns = ("request_id", "stage", "start_s", "end_s")
        return nothing_drawn(columns, options.style, result.scenario.duration_s)
    rows = device_rows(where(result.requests, options.where), options.device)
    asked = options.start_s is not None or options.end_s is not None
    shown = in_window(rows, options.start_s, options.end_s) if asked else around_slowest(rows)
    until_s = _stopped_s(result.summary, shown)
    kind = aligned_timeline if not asked and is_sparse(shown) else timeline
    look = style_named(options.style)
    title = _title(result.requests, shown) + part_text(len(shown), len(rows), asked)
    height_in = (1.15 + 0.165 * len(shown) + 0.12 * title.count("\n")) * look.font_pt / 8.0
    with paper_figure(height_in, options.style) as (figure, ax):
        kind(shown, ax, until_s=until_s)
        if asked:
            ax.set_xlim(options.start_s, options.end_s)
        else:
            _widen(ax)
        ax.set_title(title, fontsize=look.small_pt, loc="left")
        legend_above(ax, columns=3)
    return Drawing(figure, stage_intervals(shown, until_s))


def _stopped_s(summary: Any, rows: DataFrame) -> float | None:
    """When the clock of these rows' replication stopped, as the run wrote it down."""
    number = int(rows["replication"].iloc[0])
    stations = [s for s in summary.get("stations", ()) if s.get("replication") == number]
    return float(stations[0]["end_s"]) if stations else None


def _title(requests: DataFrame, shown: DataFrame) -> str:
    first = shown.iloc[0]
    title = f"device {first['device']} ({first['group']})"
    if requests["replication"].nunique() > 1:
        title += f", replication {first['replication']}"
    deadline_s = float(first["deadline_s"])
    return title if np.isnan(deadline_s) else f"{title}, deadline {1e3 * deadline_s:g} ms"


def part_text(shown: int, of: int, asked: bool) -> str:
    """A line that says how many of a device's requests are shown, unless it is all of them."""
    if shown == of:
        return ""
    return f"\n{shown} of {of} requests" + (", around the slowest" if not asked else "")


def _widen(ax: Axes) -> None:
    """Room for the words behind the bars."""
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.08 * (high - low))
