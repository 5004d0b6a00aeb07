"""How far from the site that serves it a device may be: where its path loss is made for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from simsplit.errors import ScenarioError
from simsplit.phy.environment import distance_range_m
from simsplit.scenario.channel import Channel, Tr38901
from simsplit.sim.radio.mobility import Path, Point
from simsplit.sim.radio.path_loss import environment_of

_SLACK = 1.0 + 1e-9  # a place on a ring at the limit is off it by a rounding


class Reach:
    """Refuses a serving site beyond the longest distance of the path loss (TR 38.901).

    Other sites may stand further off: their path loss is that of the law continued.

    Args:
        channel: Of the cell; channels other than TR 38.901's have no limit.
        paths: Of the devices.
        sites: (x, y) in m of the base stations.
    """

    def __init__(self, channel: Channel, paths: Sequence[Path], sites: Sequence[Point]) -> None:
        self._kind, self._paths, self._sites = channel.kind, paths, sites
        self._furthest_m = math.inf
        if isinstance(channel, Tr38901):
            self._furthest_m = distance_range_m(environment_of(channel))[1]

    def check(self, device: int, site: int, time_s: float) -> None:
        """Raise ScenarioError if the site is too far from the device to serve it at this time."""
        distance_m = math.dist(self._paths[device].at(time_s), self._sites[site])
        if distance_m <= self._furthest_m * _SLACK:
            return
        message = (
            f"device {device} is {distance_m:.0f} m from the site that serves it at {time_s:g} s; "
            f"{self._kind} holds to {self._furthest_m:.0f} m; more sites, or smaller rings"
        )
        raise ScenarioError(message, path="cell.sites", value=round(distance_m, 3))
