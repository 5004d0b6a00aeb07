"""Map of a cell: the uplink's mean Es/N0 at every place, the sites, and where the devices stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.style import COLOURS, blank_figure, legend_above, style_named, style_of
from simsplit.results.store import read_result
from simsplit.sim.radio.coverage import Coverage, coverage, places, ways

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from simsplit.scenario.devices import DeviceGroup
    from simsplit.scenario.scenario import Scenario


_GROUP_MARKERS = ("o", "s", "D", "v", "P", "X")  # sites have the triangle
_GROUP_COLOURS = (COLOURS[1], COLOURS[3], COLOURS[4], COLOURS[7], COLOURS[5], COLOURS[2])
_STEPS_DB = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_MOST_LEVELS = 13
_CIRCLE = 128


def radio_map(
    cover: Coverage,
    devices: DataFrame,
    tracks: DataFrame,
    groups: tuple[DeviceGroup, ...],
    ax: Axes,
) -> Any:
    """The map with its lines, sites, rings, ways and devices; gives the colours for a colour bar.

    Args:
        cover: See `simsplit.sim.radio.coverage.coverage`.
        devices: Places at time 0 (`simsplit.sim.radio.coverage.places`).
        tracks: Ways of those that move (`simsplit.sim.radio.coverage.ways`).
        groups: The scenario's; a group that stands where another does is not drawn again.
    """
    shades = _shades(cover, ax)
    shown = [group for group in groups if group.place_group is None]
    _rings(shown, ax)
    for number, group in enumerate(shown):
        mine = devices[devices["group"] == group.name]
        _devices(mine, tracks[tracks["group"] == group.name], _label(group, groups), number, ax)
    x_m, y_m = np.array(cover.sites).T
    style: dict[str, Any] = {
        "marker": "^",
        "s": _area(1.65, ax),
        "color": "k",
        "edgecolor": "w",
        "lw": 0.7,
    }
    ax.scatter(x_m, y_m, label="site" if len(x_m) == 1 else "sites", zorder=5, **style)
    ax.set_aspect("equal")
    ax.set_xlabel("x [m]")
    ax.set_ylabel("y [m]")
    return shades


def _shades(cover: Coverage, ax: Axes) -> Any:
    """Filled steps of 1, 2, 5, 10 … dB, a line at every other; those that close are labelled."""
    levels = _levels_db(cover)
    where = (cover.x_m, cover.y_m, np.ma.masked_invalid(cover.snr_db))
    shades = ax.contourf(*where, levels=levels, cmap="Blues")
    drawn = levels[1:-1:2]
    lines = ax.contour(*where, levels=drawn, colors="0.25", linewidths=0.4)
    middle = len(cover.x_m) // 2
    edges = [cover.snr_db[middle, [0, -1]], cover.snr_db[[0, -1], middle]]
    figure: Any = ax.get_figure()
    closed = drawn[drawn > np.nanmin(np.append(edges, np.inf))]
    ax.clabel(lines, levels=closed, fmt="%g", fontsize=0.8 * style_of(figure).small_pt)
    return shades


def _levels_db(cover: Coverage) -> np.ndarray[Any, Any]:
    low, high = float(np.nanmin(cover.snr_db)), float(np.nanmax(cover.snr_db))
    fitting = [step for step in _STEPS_DB if (high - low) / step <= _MOST_LEVELS - 1]
    step_db = fitting[0] if fitting else _STEPS_DB[-1]
    return np.arange(np.floor(low / step_db), np.ceil(high / step_db) + 1.0) * step_db


def _rings(groups: Sequence[DeviceGroup], ax: Axes) -> None:
    """The circles between which the groups' devices start; dark where several share one."""
    angle = np.linspace(0.0, 2.0 * np.pi, _CIRCLE)
    whose: dict[float, list[int]] = {}
    for number, group in enumerate(groups):
        for radius_m in {group.distance_min_m, group.distance_max_m}:
            whose.setdefault(radius_m, []).append(number)
    for radius_m, numbers in whose.items():
        shade = _colour(numbers[0]) if len(numbers) == 1 else "0.2"
        style: dict[str, Any] = {"color": shade, "linestyle": "--"}
        ax.plot(radius_m * np.cos(angle), radius_m * np.sin(angle), **style)


def _area(markers: float, ax: Axes) -> float:
    """Of a dot so many times as wide as the style's markers, as `Axes.scatter` wants it."""
    figure: Any = ax.get_figure()
    return (markers * style_of(figure).marker_pt) ** 2


def _colour(number: int) -> str:
    return _GROUP_COLOURS[number % len(_GROUP_COLOURS)]


def _devices(devices: DataFrame, tracks: DataFrame, label: str, number: int, ax: Axes) -> None:
    for _, way in tracks.groupby("device"):
        ax.plot(way["x_m"], way["y_m"], color=_colour(number), zorder=3)
    style: dict[str, Any] = {
        "marker": _GROUP_MARKERS[number % len(_GROUP_MARKERS)],
        "s": _area(1.15, ax),
        "edgecolor": "k",
        "lw": 0.5,
    }
    ax.scatter(
        devices["x_m"], devices["y_m"], color=_colour(number), label=label, zorder=4, **style
    )


def _label(group: DeviceGroup, groups: tuple[DeviceGroup, ...]) -> str:
    same = sum(other.place_group == group.name for other in groups)
    return f"{group.name}, {same} more there" if same else group.name


def scale_label(cover: Coverage) -> str:
    """What the colours are, with power, width and what is left out, in two lines."""
    parts = f"{cover.tx_power_dbm:g} dBm on {cover.n_prb} blocks"
    missing = f"without {', '.join(cover.left_out)}" if cover.left_out else "nothing left out"
    return f"mean uplink $E_s/N_0$ [dB], {parts}\n{missing}"


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """Map of a stored run's cell or cells, with the devices' places of the first replication.

    The colours are the mean over LOS and NLOS, by their probability, of the uplink's Es/N0 in dB
    at the strongest site, without shadowing, fading, walls and other cells' interference (see
    `simsplit.sim.radio.coverage.coverage`), for the transmit power of the first group, or of
    ``device``'s. Devices are where the run has them at time 0, those that move with their way
    until arrivals end. The data: ``what`` (``map``, ``site``, ``device``), ``x_m``, ``y_m``,
    ``snr_db`` (of a device as the run draws it: with LOS state, shadowing and walls, before
    fading), ``site``, ``device``, ``group``.

    Raises:
        ScenarioError: A channel that knows no places (``fixed_snr``, ``trace``), or no such device.
        ArtefactError: ``folder`` is no result.
    """
    scenario = read_result(folder).scenario
    devices = places(scenario)
    cover = coverage(scenario, group=_owner(devices, options.device))
    tracks = ways(scenario)
    return Drawing(_figure(cover, devices, tracks, scenario, options.style), _table(cover, devices))


def _owner(devices: DataFrame, device: int | None) -> str | None:
    if device is None:
        return None
    groups = devices.loc[devices["device"] == device, "group"]
    if groups.empty:
        raise ScenarioError(f"devices are numbered from 0 to {len(devices) - 1}", value=device)
    return str(groups.iloc[0])


def _figure(
    cover: Coverage, devices: DataFrame, tracks: DataFrame, scenario: Scenario, style: str
) -> Figure:
    look = style_named(style)
    with blank_figure(style, 0.86 * min(look.width_in, 1.4 * look.height_in)) as figure:
        figure.set_layout_engine("compressed")  # the one that heeds a fixed aspect
        ax = figure.add_subplot()
        shades = radio_map(cover, devices, tracks, scenario.devices, ax)
        bar = figure.colorbar(shades, ax=ax, pad=0.02, fraction=0.05)
        bar.set_label(scale_label(cover), fontsize=look.small_pt)
        legend_above(ax)
        return figure


def _table(cover: Coverage, devices: DataFrame) -> DataFrame:
    """Every number in the figure, one place per row."""
    x_m, y_m = np.meshgrid(cover.x_m, cover.y_m)
    grid = {"x_m": x_m.ravel(), "y_m": y_m.ravel(), "snr_db": cover.snr_db.ravel()}
    cells = pd.DataFrame(grid | {"site": cover.site.ravel(), "what": "map"})
    stations = pd.DataFrame(cover.sites, columns=["x_m", "y_m"])
    stations = stations.assign(what="site", site=range(len(cover.sites)))
    columns = ["what", "x_m", "y_m", "snr_db", "site", "device", "group"]
    frames = [stations, devices.assign(what="device"), cells]
    return pd.concat(frames, ignore_index=True)[columns].astype({"device": "Int64"})
