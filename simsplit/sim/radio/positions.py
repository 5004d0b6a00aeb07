"""Where devices and sites stand: a hexagonal grid of sites, and each device's path in its ring."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from simsplit.scenario.cell import HexSites, Sites
from simsplit.scenario.devices import DeviceGroup, RandomWaypoint, StraightLine, TraceMobility
from simsplit.seeds import Cause
from simsplit.sim.radio import mobility
from simsplit.sim.radio.mobility import Point

RandomOf = Callable[[Cause, int], np.random.Generator]
"""(cause, site) -> the device's generator."""
Tracks = Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]
"""Device number in its group -> times in s, x and y in m of a recorded track, ``(N,)`` each."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One device of a scenario, and whose position and fading it has.

    Attributes:
        index, group, number: Of the device: its number in all, its group, its number therein.
        owner, owner_group: The device itself, or the one of that number in its ``place_group``.
    """

    index: int
    group: DeviceGroup
    number: int
    owner: int
    owner_group: DeviceGroup


def spots(groups: Sequence[DeviceGroup]) -> list[Spot]:
    """Every device of a scenario's groups, in the order of the devices."""
    firsts = list(accumulate((group.count for group in groups), initial=0))
    named = {group.name: (group, first) for group, first in zip(groups, firsts, strict=False)}
    devices: list[Spot] = []
    for group, first in named.values():
        owner, owner_first = named[group.place_group or group.name]
        numbers = range(group.count)
        devices += [Spot(first + n, group, n, owner_first + n, owner) for n in numbers]
    return devices


def site_points(sites: Sites) -> list[Point]:
    """(x, y) in m of the base stations: the origin, then ring by ring of a hexagonal grid."""
    if not isinstance(sites, HexSites):
        return [(0.0, 0.0)]
    across = range(-sites.rings, sites.rings + 1)
    cells = [(q, r) for q in across for r in across if abs(q + r) <= sites.rings]
    cells.sort(key=lambda c: (max(abs(c[0]), abs(c[1]), abs(c[0] + c[1])), c))
    step_m = sites.inter_site_distance_m
    return [(step_m * (q + r / 2), step_m * r * math.sqrt(3) / 2) for q, r in cells]


def build_path(group: DeviceGroup, number: int, random: RandomOf, tracks: Tracks) -> mobility.Path:
    """The device's path: it starts uniformly over the area of the group's ring.

    Args:
        number: The device's number in its group.
        random: Its generators; `Cause.PLACE` draws the start, `Cause.MOBILITY` the way.
        tracks: Recorded tracks of the group, for mobility of kind ``trace``.

    Raises:
        ScenarioError: A ring, speed or track that the kind of mobility refuses.
    """
    rng = random(Cause.PLACE, 0)
    distance_m = math.sqrt(rng.uniform(group.distance_min_m**2, group.distance_max_m**2))
    angle = rng.uniform(0.0, 2.0 * math.pi)
    start = (distance_m * math.cos(angle), distance_m * math.sin(angle))
    match group.mobility:
        case RandomWaypoint() as walk:
            speeds = (walk.speed_min_mps, walk.speed_max_mps, walk.pause_s)
            ring = (group.distance_min_m, group.distance_max_m)
            return mobility.RandomWaypoint(start, *ring, *speeds, random(Cause.MOBILITY, 0))
        case StraightLine() as line:
            heading = line.heading_deg
            if heading is None:
                heading = random(Cause.MOBILITY, 0).uniform(0.0, 360.0)
            turn = math.radians(heading)
            return mobility.StraightLine(start, turn, line.speed_mps, group.distance_max_m)
        case TraceMobility():
            return mobility.Recorded(*tracks[number])
        case _:
            return mobility.Static(*start)
