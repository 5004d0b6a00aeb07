"""How well a cell is heard everywhere: the uplink's mean Es/N0 over the plane, and the devices.

The path loss, the transmit power, the noise and the margin are the simulator's own
(`simsplit.sim.radio.path_loss`, `simsplit.sim.radio.power`, `simsplit.phy`); nothing is modelled a
second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy import propagation
from simsplit.phy.environment import Environment
from simsplit.phy.environment import distance_range_m as model_range_m
from simsplit.phy.fading import thermal_noise_dbm
from simsplit.phy.propagation import CorrelatedNormal
from simsplit.scenario.cell import Cell, InterferenceMargin, NoInterference
from simsplit.scenario.channel import (
    CustomChannel,
    FixedSnr,
    FreeSpace,
    LogDistance,
    TraceChannel,
    distance_range_m,
)
from simsplit.scenario.devices import DeviceGroup
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.frame import frame_of
from simsplit.sim.radio.mobility import Point
from simsplit.sim.radio.path_loss import (
    STEP_S,
    Draws,
    Geometric,
    PowerLaw,
    StandardLaw,
    build_losses,
)
from simsplit.sim.radio.positions import Spot, Tracks, build_path, site_points, spots
from simsplit.sim.radio.power import build_power
from simsplit.sim.radio.tracks import read_tracks
from simsplit.sim.streams import Streams

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.sim.radio.mobility import Path


Floats = NDArray[np.float64]
GEOMETRIC = ("free_space", "log_distance", "umi_street_canyon", "uma", "rma", "inh_office", "inf")
"""Kinds of channel whose path loss follows from positions."""
_POINTS = 100  # of the grid, along each side; even: no cell's middle is the first site itself
_MARGIN = 1.08  # the map's half side over what it has to show
_TRACK_POINTS = 200
_HIGH_M = 13.0  # UMa devices above it have a random environment height


@dataclass(frozen=True, slots=True)
class Coverage:
    """A map of the uplink's mean Es/N0.

    Attributes:
        x_m, y_m: Middles of the grid's cells along both axes, ``(N,)``.
        snr_db: Mean Es/N0 towards the strongest site, ``(N, N)``, rows along y; NaN where every
            site is further off than its path loss is made for.
        site: Number of that site, ``(N, N)``; -1 where there is none.
        sites: (x, y) in m of the base stations.
        group: Name of the group whose transmit power it is.
        tx_power_dbm: That power, at most.
        n_prb: Resource blocks of the grant that the power is spread over.
        left_out: What the run has and the map has not, in words.
    """

    x_m: Floats
    y_m: Floats
    snr_db: Floats
    site: NDArray[np.int64]
    sites: tuple[Point, ...]
    group: str
    tx_power_dbm: float
    n_prb: int
    left_out: tuple[str, ...]


# --- the map ----------------------------------------------------------------------------------


def coverage(
    scenario: Scenario, *, group: str | None = None, n_prb: int | None = None, points: int = _POINTS
) -> Coverage:
    """The map of a scenario's cell, or cells, as it is before chance decides anything.

    At each point it is the mean over the LOS state, weighted by its probability, of the Es/N0 in
    dB without shadowing, which has a mean of 0 dB: the expectation over both, for a device out of
    doors; under fractional power control too, but for what shadowing changes at the power's limit.
    Fading is averaged out, channel estimation is perfect. Of several sites the best on average.
    A constant interference margin counts, other cells' transmissions do not.

    Args:
        group: Whose transmit power; the first group's if None.
        n_prb: Width of the grant; the whole carrier if None. A run's grants are narrower when the
            carrier is shared or the payload is small: full power on fewer blocks is a higher Es/N0.
        points: Cells of the grid along each side.

    Raises:
        ScenarioError: A channel without positions, no such group, or a grant that does not fit.
    """
    cell, owner = scenario.cell, _group(scenario, group)
    width = _width(cell, n_prb)
    sites = site_points(cell.sites)
    half_m = _half_side_m(scenario, sites)
    axis_m = (np.arange(points) + 0.5) / points * 2.0 * half_m - half_m
    budget = mean_budget(cell, owner.tx_power_dbm, width)
    each = np.stack([_from_site(budget, axis_m, position) for position in sites])
    each[np.isnan(each)] = -np.inf
    best, site = each.max(axis=0), each.argmax(axis=0)
    best[np.isneginf(best)] = np.nan
    site[np.isnan(best)] = -1
    whose = (owner.name, owner.tx_power_dbm, width)
    return Coverage(axis_m, axis_m, best, site, tuple(sites), *whose, left_out(cell))


def geometric(cell: Cell) -> Geometric:
    """The cell's channel, if its path loss follows from positions.

    Raises:
        ScenarioError: The channel gives levels whatever the positions are.
    """
    spec = cell.channel
    if isinstance(spec, FixedSnr | TraceChannel | CustomChannel):
        message = "this channel knows no places: there is no map of it; a map can be made of"
        raise ScenarioError(message, path="cell.channel.kind", value=spec.kind, choices=GEOMETRIC)
    return spec


def _group(scenario: Scenario, name: str | None) -> DeviceGroup:
    names = [group.name for group in scenario.devices]
    if name is None:
        return scenario.devices[0]
    if name not in names:
        raise ScenarioError("no such group of devices", value=name, choices=names)
    return scenario.devices[names.index(name)]


def _width(cell: Cell, n_prb: int | None) -> int:
    most = frame_of(cell).n_prb
    if n_prb is None:
        return most
    if not 1 <= n_prb <= most:
        raise ScenarioError(f"a grant has 1 to {most} resource blocks", value=n_prb)
    return n_prb


def _half_side_m(scenario: Scenario, sites: Sequence[Point]) -> float:
    rings = [group.distance_max_m for group in scenario.devices]
    return _MARGIN * max(*rings, *(math.hypot(*position) for position in sites))


def left_out(cell: Cell) -> tuple[str, ...]:
    """What a run of this cell has and its map has not, in words."""
    spec = cell.channel
    shadowed = getattr(spec, "shadowing", getattr(spec, "shadowing_db", 0.0) > 0.0)
    interfered = not isinstance(cell.interference, NoInterference | InterferenceMargin)
    parts = {
        "shadowing": bool(shadowed),
        "walls": getattr(spec, "indoor_share", 0.0) > 0.0,
        "fading": cell.fading.kind != "none",
        "interference": interfered or cell.sites.kind != "single",
    }
    return tuple(name for name, there in parts.items() if there)


def _from_site(budget: Callable[[float], float], axis_m: Floats, site: Point) -> Floats:
    """The budget over the grid, ``(N, N)``; each distance is worked out once."""
    distance_m = np.hypot(axis_m[None, :] - site[0], axis_m[:, None] - site[1])
    distances, index = np.unique(np.round(distance_m, 6), return_inverse=True)
    values = np.array([budget(d) for d in distances.tolist()])
    levels_db: Floats = values[index].reshape(distance_m.shape)
    return levels_db


# --- the link budget --------------------------------------------------------------------------


def mean_budget(cell: Cell, tx_power_dbm: float, n_prb: int) -> Callable[[float], float]:
    """Distance from a site in m → mean Es/N0 in dB over LOS and NLOS; NaN beyond the model's range.

    Nearer than the model's shortest distance that distance counts, as in a run; free space, which
    has none, is NaN at the mast itself.

    Raises:
        ScenarioError: A channel without positions.
    """
    states, furthest_m = _states(cell), distance_range_m(cell.channel)[1]
    is_free = isinstance(cell.channel, FreeSpace)

    def budget(distance_m: float) -> float:
        if distance_m > furthest_m * (1.0 + 1e-9) or (is_free and distance_m == 0.0):
            return math.nan
        levels = ((w, snr_db(cell, tx_power_dbm, n_prb, loss)) for w, loss in states(distance_m))
        return sum(weight * level_db for weight, level_db in levels)

    return budget


def snr_db(cell: Cell, tx_power_dbm: float, n_prb: int, loss_db: float) -> float:
    """Es/(N0 + margin) in dB of a grant of ``n_prb`` blocks over this path loss, without fading.

    Transmit power per block - path loss - thermal noise in one block (290 K, 12 subcarriers, the
    site's noise figure) - interference margin; fractional power control: TS 38.213 clause 7.1.1.
    """
    noise_dbm = thermal_noise_dbm(12.0 * cell.subcarrier_spacing_hz, cell.noise_figure_db)
    spec = cell.interference
    margin_db = spec.margin_db if isinstance(spec, InterferenceMargin) else 0.0
    power_dbm = build_power(cell, tx_power_dbm, lambda slot: loss_db).per_prb_db(n_prb, 0)
    return power_dbm - loss_db - noise_dbm - margin_db


class _Steady(CorrelatedNormal):
    """A draw that is not random: always the same value."""

    def __init__(self, value: float) -> None:
        self._value = value

    def at(self, travelled_m: float) -> float:
        """The value, however far the way."""
        return self._value


_MIDDLE = {True: _Steady(0.0), False: _Steady(0.0)}
State = tuple[float, float]
"""Probability, and path loss in dB without shadowing."""


def _states(cell: Cell) -> Callable[[float], list[State]]:
    """Distance → every state that a link may be in.

    The run's own law is asked with its draws fixed: shadowing at its mean, and the normal variable
    that decides on LOS at either end.
    """
    spec = geometric(cell)
    if isinstance(spec, FreeSpace | LogDistance):
        plain = PowerLaw(spec, cell.carrier_hz)
        return lambda distance_m: [(1.0, plain.loss_db(distance_m, 0.0, _Steady(0.0)))]
    law = StandardLaw(spec, cell.carrier_hz)
    shortest_m = model_range_m(law.environment)[0]
    return lambda distance_m: _both(law, max(distance_m, shortest_m))


def _both(law: StandardLaw, distance_m: float) -> list[State]:
    """LOS and NLOS, if there is a chance of both, with every height of the environment."""
    chance = propagation.los_probability(law.environment, distance_m)
    sides = ((chance, -math.inf), (1.0 - chance, math.inf))
    heights = environment_heights(law.environment, distance_m)
    return [
        (weight * share, law.loss_db(distance_m, 0.0, Draws(_MIDDLE, _Steady(at), height_m=height)))
        for weight, at in sides
        for share, height in heights
        if weight * share > 0.0
    ]


def environment_heights(
    environment: Environment, distance_m: float
) -> list[tuple[float, list[float]]]:
    """(probability, h_E) of a link (TR 38.901 Table 7.4.1-1 note 1); no h_E where it is certain.

    C of the note is also what raises the LOS probability of a high device: P = P(low) (1 + C).
    """
    height_m = environment.device_height_m
    if environment.kind != "uma" or height_m <= _HIGH_M:
        return [(1.0, [])]
    low = replace(environment, device_height_m=_HIGH_M)
    chance = propagation.los_probability
    ratio = chance(low, distance_m) / chance(environment, distance_m)  # 1 / (1 + C)
    count = max(1, int((height_m - 13.5) // 3.0) + 1)
    above = [((1.0 - ratio) / count, [12.0 + 3.0 * step]) for step in range(count)]
    return [(ratio, [1.0]), *above]


# --- the devices of a run -----------------------------------------------------------------------


def places(scenario: Scenario, replication: int = 0) -> DataFrame:
    """Where each device of a run stands at time 0, and its link there as the run draws it.

    ``snr_db`` is what the run has there on a grant of the whole carrier before fading: LOS state,
    shadowing and walls as drawn, towards the strongest site, with the margin.

    Returns:
        ``device``, ``group``, ``stands_as`` (the group whose positions it shares, or its own),
        ``x_m``, ``y_m``, ``site``, ``distance_m`` (horizontal, to that site), ``loss_db``,
        ``snr_db``; in the order of the devices.

    Raises:
        ScenarioError: A channel without positions, or a track that cannot be read.
    """
    import pandas as pd

    spec = geometric(scenario.cell)
    tracks, sites = read_tracks(scenario), site_points(scenario.cell.sites)
    streams = Streams(scenario, replication)
    rows = [
        _position(scenario.cell, spec, spot, streams, tracks, sites)
        for spot in spots(scenario.devices)
    ]
    return pd.DataFrame(rows)


def _position(
    cell: Cell,
    spec: Geometric,
    spot: Spot,
    streams: Streams,
    tracks: Mapping[str, Tracks],
    sites: Sequence[Point],
) -> dict[str, Any]:
    path = _path(spot, streams, tracks)
    x_m, y_m = path.at(0.0)
    random = partial(streams.random, spot.owner)
    losses = build_losses(spec, cell.carrier_hz, path, sites, random)
    losses_db = [loss.loss_db(0.0) for loss in losses]
    site = int(np.argmin(losses_db))
    level_db = snr_db(cell, spot.group.tx_power_dbm, frame_of(cell).n_prb, losses_db[site])
    return {
        "device": spot.index,
        "group": spot.group.name,
        "stands_as": spot.owner_group.name,
        "x_m": x_m,
        "y_m": y_m,
        "site": site,
        "distance_m": math.dist((x_m, y_m), sites[site]),
        "loss_db": losses_db[site],
        "snr_db": level_db,
    }


def ways(scenario: Scenario, replication: int = 0) -> DataFrame:
    """The ways of the devices that move, over the time in which requests arrive.

    Returns:
        ``device``, ``group``, ``time_s``, ``x_m``, ``y_m``, device after device; without rows if
        nobody moves. Devices that share another group's positions are left out.

    Raises:
        ScenarioError: A track that cannot be read.
    """
    import pandas as pd

    tracks, streams = read_tracks(scenario), Streams(scenario, replication)
    step_s = max(STEP_S, scenario.duration_s / _TRACK_POINTS)
    times_s = np.append(np.arange(0.0, scenario.duration_s, step_s), scenario.duration_s).tolist()
    rows = [
        (spot.index, spot.group.name, time_s, *path.at(time_s))
        for spot in spots(scenario.devices)
        if spot.owner_group is spot.group and spot.group.mobility.kind != "static"
        for path in [_path(spot, streams, tracks)]
        for time_s in times_s
    ]
    return pd.DataFrame(rows, columns=["device", "group", "time_s", "x_m", "y_m"])


def _path(spot: Spot, streams: Streams, tracks: Mapping[str, Tracks]) -> Path:
    random, group = partial(streams.random, spot.owner), spot.owner_group
    return build_path(group, spot.number, random, tracks.get(group.name, {}))
