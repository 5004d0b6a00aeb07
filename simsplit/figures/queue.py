"""How many requests wait and are served at device, radio and edge, and how busy these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.nothing import nothing_drawn
from simsplit.figures.style import (
    blank_figure,
    colour,
    grid,
    look,
    shown_above,
    style_named,
    style_of,
)
from simsplit.results.frames import where
from simsplit.results.stages import is_retried
from simsplit.results.store import Result, read_result
from simsplit.scenario.edge import QueueScaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from simsplit.scenario.scenario import Scenario


Floats = NDArray[np.float64]
STATIONS = ("device", "radio", "edge", "cloud")
_WINDOWS = 50  # of the utilisation
_STEPS = 400  # curves of more steps would be black areas: all are drawn as means over windows
_BINS = 200
_PICKS = ("group", "device", "operating_point", "scheme")  # filters that pick groups of devices


def count_steps(start_s: Floats, end_s: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How many of the intervals [start, end) hold a time: a step function, exact.

    Args:
        start_s, end_s: ``(N,)``; an interval without start (NaN) does not count, one without end
            never ends.

    Returns:
        Rising times ``(K,)`` and the number from each on, ``(K,)``; 0 before the first.
    """
    begun = np.isfinite(start_s)
    ends = end_s[begun]
    times = np.concatenate([start_s[begun], ends[np.isfinite(ends)]])
    steps = np.ones(times.size, dtype=np.int64)
    steps[int(begun.sum()) :] = -1
    moments, index = np.unique(times, return_inverse=True)
    change = np.zeros(moments.size, dtype=np.int64)
    np.add.at(change, index, steps)
    return moments, np.cumsum(change)


def time_integral(times_s: Floats, numbers: NDArray[Any], at_s: Floats) -> Floats:
    """Integral of a step function (see `count_steps`) from minus infinity up to each time."""
    if not times_s.size:
        return np.zeros(np.shape(at_s))
    areas = np.concatenate([[0.0], np.cumsum(numbers[:-1] * np.diff(times_s))])
    index = np.searchsorted(times_s, at_s, side="right") - 1
    since = np.where(index >= 0, at_s - times_s[index], 0.0)
    return np.where(index >= 0, areas[index] + numbers[index] * since, 0.0)


def time_average(times_s: Floats, numbers: NDArray[Any], from_s: float, to_s: float) -> float:
    """Mean of a step function over [from_s, to_s].

    Of the number in a system that is empty at both ends this is Little's law, L = lambda W, as an
    identity: (requests / length) x their mean stay (Little, Operations Research 9(3), 1961).

    Raises:
        ScenarioError: The window is empty.
    """
    if not from_s < to_s:
        raise ScenarioError("a mean over time needs from_s before to_s", value=(from_s, to_s))
    return float(window_means(times_s, numbers, np.array([from_s, to_s]))[0])


def window_means(times_s: Floats, numbers: NDArray[Any], edges_s: Floats) -> Floats:
    """Mean of a step function between neighbouring edges, ``(W + 1,)`` → ``(W,)``."""
    return np.diff(time_integral(times_s, numbers, edges_s)) / np.diff(edges_s)


def intervals(rows: DataFrame) -> DataFrame:
    """Every stay of a request at a station, of the rows of one replication.

    States are ``waiting`` and ``in service``. At the device the processor serves, at edge and cloud
    a worker with the whole batch. On the air a request waits and is served in turns, slot by slot,
    which rows do not hold: it is in service from the end of its computation until the edge has it
    or it is given up. Waiting at the cloud includes the hop to it. A stay without end (NaN) goes on
    to the end of the run; a request whose batch the end of the run cut off counts as waiting. A
    local answer after a lost uplink is at the device again; after a lost downlink rows do not say
    since when, and it is left out.

    Returns:
        ``station`` (see `STATIONS`), ``state``, ``device``, ``worker``, ``start_s``, ``end_s``.
    """
    times = {name: rows[name].astype(float) for name in rows if str(name).endswith("_s")}
    closed_s = times["closed_s"]
    parts = [
        ("device", "waiting", times["arrival_s"], times["device_start_s"].fillna(closed_s)),
        ("device", "in service", times["device_start_s"], times["device_end_s"]),
        ("radio", "in service", times["radio_start_s"], times["radio_end_s"]),
    ]
    tier = rows["tier"] if "tier" in rows else pd.Series("edge", rows.index)
    for name in ("edge", "cloud"):
        at_s, begun_s = (times[c].where(tier == name) for c in ("edge_arrival_s", "edge_start_s"))
        parts.append((name, "waiting", at_s, begun_s.fillna(closed_s)))
        parts.append((name, "in service", begun_s, times["edge_end_s"]))
    retries = _retries(rows)
    wait_s, begin_s, end_s = (retries[name] for name in ("wait_s", "begin_s", "end_s"))
    parts += [("device", "waiting", wait_s, begin_s), ("device", "in service", begin_s, end_s)]
    return pd.concat([_stay(rows, *part) for part in parts], ignore_index=True)


def _stay(rows: DataFrame, station: str, state: str, start_s: Series, end_s: Series) -> DataFrame:
    columns = {"device": rows["device"], "worker": rows["worker"], "start_s": start_s}
    stays = rows[[]].assign(station=station, state=state, **columns, end_s=end_s)
    return stays[stays["start_s"].notna()]


def _retries(rows: DataFrame) -> DataFrame:
    """When the device's answer to a request lost on its way up waited, began, ended.

    The processor serves in the order of coming and never idles while somebody waits, so that an
    answer begins when the one before it has ended. One that is still open counts as waiting.
    """
    again = rows[is_retried(rows)]
    first = rows.loc[rows["device_end_s"].notna(), ["device", "device_end_s"]]
    over = again[["device", "closed_s"]].rename(columns={"closed_s": "device_end_s"})
    jobs = pd.concat([first, over.dropna()])
    ends_s = {device: np.sort(ends) for device, ends in jobs.groupby("device")["device_end_s"]}
    lost = again["edge_end_s"].isna() & again["radio_end_s"].notna()
    wait_s, end_s = again["radio_end_s"].where(lost), again["closed_s"].where(lost)
    begin_s = [
        _begin_s(ends_s.get(device, np.empty(0)), wait, end)
        for device, wait, end in zip(again["device"], wait_s, end_s, strict=True)
    ]
    retries = pd.DataFrame({"wait_s": wait_s, "end_s": end_s}).assign(begin_s=begin_s)
    return retries.reindex(rows.index)


def _begin_s(ends_s: Floats, wait_s: float, end_s: float) -> float:
    """The later of coming and the last end before its own."""
    before = int(np.searchsorted(ends_s, end_s))
    if np.isnan(end_s) or not before:
        return end_s if np.isnan(end_s) else wait_s
    return max(wait_s, float(ends_s[before - 1]))


def capacities(scenario: Scenario, devices: int) -> dict[str, int]:
    """How many each station can serve at once: processors, the air, workers at most."""
    edge = scenario.edge
    workers = edge.scaling.max_workers if isinstance(edge.scaling, QueueScaling) else edge.workers
    counts = {"device": devices, "radio": 1, "edge": workers}
    return counts if edge.cloud is None else counts | {"cloud": edge.cloud.workers}


def queue_lengths(
    stays: DataFrame, from_s: float, to_s: float, averaged: bool = False
) -> DataFrame:
    """Numbers waiting and in service over time at one station, between two times.

    Args:
        stays: `intervals` of one station.
        averaged: Means over 200 windows instead of the exact steps.

    Returns:
        ``time_s`` (a step or window begins), ``waiting``, ``in service``.
    """
    states = ("waiting", "in service")
    steps = {state: _steps_of(stays[stays["state"] == state]) for state in states}
    if averaged:
        edges = np.linspace(from_s, to_s, _BINS + 1)
        means = {state: window_means(*step, edges) for state, step in steps.items()}
        return pd.DataFrame({"time_s": edges[:-1]} | means)
    moments = np.unique(np.concatenate([times for times, _ in steps.values()]))
    moments = moments[(moments > from_s) & (moments < to_s)]
    times_s = np.concatenate([[from_s], moments])
    return pd.DataFrame(
        {"time_s": times_s} | {state: _numbers_at(*step, times_s) for state, step in steps.items()}
    )


def _steps_of(stays: DataFrame) -> tuple[Floats, NDArray[np.int64]]:
    return count_steps(stays["start_s"].to_numpy(float), stays["end_s"].to_numpy(float))


def _numbers_at(times_s: Floats, numbers: NDArray[np.int64], at_s: Floats) -> NDArray[np.int64]:
    return np.concatenate([[0], numbers])[np.searchsorted(times_s, at_s, side="right")]


def utilisation(stays: DataFrame, station: str, capacity: int, edges_s: Floats) -> Floats:
    """Busy share of one station between neighbouring edges, ``(W + 1,)`` → ``(W,)``.

    Device: busy processors over ``capacity`` of them. Edge and cloud: busy workers over
    ``capacity``; a batch is one interval of its worker. Radio: the share of time in which anybody
    is on the air, an upper bound of the share of granted resource blocks, which rows do not hold.
    """
    served = stays[(stays["station"] == station) & (stays["state"] == "in service")]
    if station in ("edge", "cloud"):
        served = served.drop_duplicates(["worker", "start_s"])
    times_s, numbers = _steps_of(served)
    if station == "radio":
        numbers = np.minimum(numbers, 1)
    return window_means(times_s, numbers, edges_s) / capacity


def queue_panel(lengths: DataFrame, ax: Axes, end_s: float) -> None:
    """Requests in service and, on top of them, those that wait (see `queue_lengths`)."""
    from matplotlib.ticker import MaxNLocator

    times_s = np.append(lengths["time_s"], end_s)
    served, waiting = (
        np.append(lengths[name], lengths[name].iloc[-1]) for name in ("in service", "waiting")
    )
    style: dict[str, Any] = {"step": "post", "linewidth": 0}
    ax.fill_between(times_s, served, color=colour(5), label="in service", **style)
    ax.fill_between(times_s, served, served + waiting, color=colour(3), label="waiting", **style)
    ax.set_ylim(0, 1.35 * max(1.0, float((served + waiting).max())))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    grid(ax, "both")


def utilisation_panel(shares: DataFrame, ax: Axes, edges_s: Floats) -> None:
    """Busy share over time, a line per station (columns of ``shares``, ``(W,)`` each)."""
    for position, station in enumerate(shares.columns):
        style = look(position) | {"marker": ""}
        label = "somebody on the air" if station == "radio" else f"{station} busy"
        share = np.append(shares[station], shares[station].iloc[-1])
        ax.step(edges_s, share, where="post", label=label, **style)
    ax.set_ylim(0, 1.05)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("busy share")
    grid(ax, "both")


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Numbers waiting and in service at each station, and how busy it is, over simulated time.

    One replication, the first, from its beginning to its end or within ``start_s`` and ``end_s``.
    ``where`` leaves the requests it names, e.g. of a group, everywhere in the figure; the devices'
    panel holds all devices of the scenario, or those of the groups that ``where`` picks (by group,
    device, operating point or scheme), or ``device`` alone. Where exact steps
    would be too many to see, all panels show means over 200 windows, and the title says so. The
    data: ``station``, ``quantity`` (``waiting``, ``in service``, ``busy``), ``time_s`` where a step
    or window begins, ``value``.

    Raises:
        ScenarioError: No such device, an empty window, or a filter that leaves nothing.
        ArtefactError: ``folder`` is no result.
    """
    result = read_result(folder)
    if result.requests.empty:
        columns = ("station", "quantity", "time_s", "value")
        return nothing_drawn(columns, options.style, result.scenario.duration_s)
    rows, first = _first_replication(where(result.requests, options.where))
    stays = _of_device(intervals(rows), options.device)
    window_s = _window(rows, result.summary, first, options)
    count = 1 if options.device is not None else _devices(result, options.where)
    capacity = capacities(result.scenario, count)
    edges_s = np.linspace(*window_s, _WINDOWS + 1)
    busy = {name: utilisation(stays, name, most, edges_s) for name, most in capacity.items()}
    shares = pd.DataFrame(busy)
    parts = {name: stays[stays["station"] == name] for name in capacity}
    lengths = {name: queue_lengths(part, *window_s) for name, part in parts.items()}
    count = int(result.summary["replications"])
    title = _title(count, first, options.device, capacity)
    if any(len(numbers) > _STEPS for numbers in lengths.values()):
        lengths = {name: queue_lengths(part, *window_s, True) for name, part in parts.items()}
        title += f", means over {1e3 * (window_s[1] - window_s[0]) / _BINS:.3g} ms"
    arrivals_s = result.scenario.duration_s
    figure = _figure(parts, lengths, shares, edges_s, arrivals_s, title, options.style)
    return Drawing(figure, _long(lengths, shares, edges_s))


def _devices(result: Result, texts: Sequence[str]) -> int:
    """How many processors the devices' panel shows, whether or not they made a request."""
    groups = result.scenario.devices
    picking = [text for text in texts if text.partition("==")[0].strip() in _PICKS]
    names = set(where(result.requests, picking)["group"]) if picking else {g.name for g in groups}
    return sum(group.count for group in groups if group.name in names)


def _title(count: int, replication: int, device: int | None, capacity: Mapping[str, int]) -> str:
    which = f"the first of {count}" + (" with such requests" if replication else "")
    title = f"replication {replication}, {which}, " if count > 1 else ""
    return title + (f"{capacity['device']} devices" if device is None else f"device {device}")


def _first_replication(requests: DataFrame) -> tuple[DataFrame, int]:
    first = int(requests["replication"].min())
    return requests[requests["replication"] == first], first


def _of_device(stays: DataFrame, device: int | None) -> DataFrame:
    """All stays, but at the device only those of one."""
    if device is None:
        return stays
    if not (stays["device"] == device).any():
        choices = [str(number) for number in sorted(stays["device"].unique())]
        message = "the device made no request in the first replication"
        raise ScenarioError(message, path="device", value=device, choices=choices)
    return stays[(stays["station"] != "device") | (stays["device"] == device)]


def _window(
    rows: DataFrame, summary: Any, replication: int, options: PlotOptions
) -> tuple[float, float]:
    ends = [s["end_s"] for s in summary.get("stations", ()) if s.get("replication") == replication]
    end_s = ends[0] if ends else rows[["arrival_s", "closed_s"]].max().max()
    from_s = 0.0 if options.start_s is None else options.start_s
    to_s = float(end_s) if options.end_s is None else options.end_s
    if not from_s < to_s:
        raise ScenarioError("start_s must be before end_s", value=(from_s, to_s))
    return from_s, to_s


def _figure(
    parts: dict[str, DataFrame],
    lengths: dict[str, DataFrame],
    shares: DataFrame,
    edges_s: Floats,
    arrivals_s: float,
    title: str,
    style: str,
) -> Figure:
    """A panel per station and one of the busy shares."""
    start_s, end_s = float(edges_s[0]), float(edges_s[-1])
    letters = style_named(style).font_pt / 8.0
    with blank_figure(style, letters * (1.65 + 0.75 * len(parts))) as figure:
        panels = figure.subplots(len(parts) + 1, 1, sharex=True)
        for panel, (station, stays) in zip(panels, parts.items(), strict=False):
            queue_panel(lengths[station], panel, end_s)
            panel.set_ylabel(f"{station}\nrequests")
            _note(panel, stays, start_s, end_s)
        utilisation_panel(shares, panels[-1], edges_s)
        for panel in panels:
            if start_s < arrivals_s < 0.999 * end_s:
                panel.axvline(arrivals_s, color="k", ls=":", lw=0.9, label="arrivals end")
        panels[0].set_title(title, fontsize=style_of(figure).small_pt, loc="left")
        panels[-1].set_xlim(start_s, end_s)
        panels[-1].set_xlabel("simulated time [s]")
        figure.align_ylabels(panels)
        _legend(figure, panels)
        return figure


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One for all panels, nothing twice."""
    entries: dict[str, Any] = {}
    for panel in panels:
        artists, names = panel.get_legend_handles_labels()
        entries |= {name: entries.get(name, a) for name, a in zip(names, artists, strict=True)}
    shown_above(figure, list(entries.values()), list(entries), 3)


def _note(ax: Axes, stays: DataFrame, from_s: float, to_s: float) -> None:
    """Exact mean and maximum of all that are there, waiting or served, in the corner."""
    times_s, numbers = _steps_of(stays)
    mean = time_average(times_s, numbers, from_s, to_s)
    inside = np.append(times_s[(times_s > from_s) & (times_s < to_s)], from_s)
    most = _numbers_at(times_s, numbers, inside).max()
    figure: Any = ax.get_figure()
    small_pt = style_of(figure).small_pt
    style: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 0.93 * small_pt}
    ax.text(0.985, 0.98, f"mean {mean:.3g}, max {most}", transform=ax.transAxes, **style)


def _long(lengths: dict[str, DataFrame], shares: DataFrame, edges_s: Floats) -> DataFrame:
    """Every number in the figure, one per row."""
    busy = pd.DataFrame({"time_s": edges_s[:-1]}).assign(**{str(n): shares[n] for n in shares})
    parts = [
        frame.melt("time_s", var_name="quantity").assign(station=station)
        for station, frame in lengths.items()
    ]
    parts.append(busy.melt("time_s", var_name="station").assign(quantity="busy"))
    return pd.concat(parts, ignore_index=True)[["station", "quantity", "time_s", "value"]]
