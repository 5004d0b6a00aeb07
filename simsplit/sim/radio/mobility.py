"""Where a device is at a time: static, random waypoint, straight line, recorded track.

Paths are made of straight legs at constant speed, drawn when they are first needed and kept, so
that any order of times gives the same way. The origin is the middle of the ring.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError

Point = tuple[float, float]

_SLACK = 1e-9  # relative: a point computed to lie on a circle may miss it by this much
_GRAZING = 1e-6  # sine of the flattest angle at which a line may meet the outer circle


class Path(Protocol):
    """A device's way over time."""

    def at(self, time_s: float) -> Point:
        """Position (x, y) in m at a time."""

    def travelled_m(self, time_s: float) -> float:
        """Length of the way since time 0 in m; never shrinks."""


class Static:
    """Always at (x, y)."""

    def __init__(self, x_m: float, y_m: float) -> None:
        self._point = (x_m, y_m)

    def at(self, time_s: float) -> Point:
        return self._point

    def travelled_m(self, time_s: float) -> float:
        return 0.0


class Leg(NamedTuple):
    """From a position on at a constant velocity; speed 0 is a pause."""

    x_m: float
    y_m: float
    velocity_x_mps: float
    velocity_y_mps: float
    duration_s: float


class _Way:
    """Legs one after the other from time 0 on."""

    def __init__(self, first: Leg) -> None:
        self._legs: list[Leg] = [first]
        self._starts_s: list[float] = [0.0]
        self._travelled_m: list[float] = [0.0]
        self._end_s = first.duration_s

    def at(self, time_s: float) -> Point:
        """Position (x, y) in m; raises ScenarioError for times before 0."""
        number, spent_s = self._leg_at(time_s)
        leg = self._legs[number]
        return leg.x_m + leg.velocity_x_mps * spent_s, leg.y_m + leg.velocity_y_mps * spent_s

    def travelled_m(self, time_s: float) -> float:
        """Length of the way since time 0 in m; raises ScenarioError for times before 0."""
        number, spent_s = self._leg_at(time_s)
        return self._travelled_m[number] + _speed_mps(self._legs[number]) * spent_s

    def legs(self, until_s: float) -> list[tuple[float, Leg]]:
        """(start in s, leg) of every leg that begins before ``until_s``, in their order."""
        number, _ = self._leg_at(until_s)
        legs = list(zip(self._starts_s, self._legs, strict=True))[: number + 1]
        return [(start_s, leg) for start_s, leg in legs if start_s < until_s]

    def _leg_at(self, time_s: float) -> tuple[int, float]:
        """(number of the leg, time spent on it, which rounding never makes longer than it is)."""
        if not 0.0 <= time_s < math.inf:
            raise ScenarioError("a way starts at time 0", value=time_s)
        while time_s >= self._end_s:
            self._append(self._next(self._legs[-1]))
        number = bisect_right(self._starts_s, time_s) - 1
        return number, time_s - self._starts_s[number]

    def _append(self, leg: Leg) -> None:
        last = self._legs[-1]
        self._travelled_m.append(self._travelled_m[-1] + _speed_mps(last) * last.duration_s)
        self._starts_s.append(self._end_s)
        self._legs.append(leg)
        self._end_s += leg.duration_s

    def _next(self, last: Leg) -> Leg:
        raise NotImplementedError


def _speed_mps(leg: Leg) -> float:
    return math.hypot(leg.velocity_x_mps, leg.velocity_y_mps)


def _end(leg: Leg) -> Point:
    return (
        leg.x_m + leg.velocity_x_mps * leg.duration_s,
        leg.y_m + leg.velocity_y_mps * leg.duration_s,
    )


class RandomWaypoint(_Way):
    """Straight to a waypoint at a random speed, a pause, on to the next (Johnson & Maltz 1996).

    Waypoints are uniform over the area of the ring, speeds between their bounds. A waypoint hidden
    behind the inner circle is drawn anew, so that the device keeps to the ring. The lowest speed
    must be above 0: near it, devices get stuck in endless legs and the mean speed decays for ever
    (Yoon, Liu & Noble, INFOCOM 2003). The start is not drawn from the steady state, in which
    devices are nearer to the middle (Le Boudec & Vojnovic, INFOCOM 2005): let a run warm up.

    Args:
        start: Position at time 0, within the ring.
        inner_m, outer_m: Radii of the ring.
        speed_min_mps, speed_max_mps: Bounds of the speed, drawn for each leg.
        pause_s: Rest at each waypoint.
        rng: Its own generator.

    Raises:
        ScenarioError: Ring without area, start outside, speeds not 0 < min <= max, pause negative.
    """

    def __init__(
        self,
        start: Point,
        inner_m: float,
        outer_m: float,
        speed_min_mps: float,
        speed_max_mps: float,
        pause_s: float,
        rng: np.random.Generator,
    ) -> None:
        if not 0.0 <= inner_m < outer_m:
            message = "random waypoints need a ring with an area; its radii"
            raise ScenarioError(message, value=(inner_m, outer_m))
        if not 0.0 < speed_min_mps <= speed_max_mps < math.inf:
            message = "speeds of random waypoints need 0 < min <= max, or they decay for ever"
            raise ScenarioError(message, value=(speed_min_mps, speed_max_mps))
        if not 0.0 <= pause_s < math.inf:
            raise ScenarioError("pause_s must not be negative", value=pause_s)
        _check_start(start, inner_m, outer_m)
        self._ring_m = (inner_m, outer_m)
        self._speeds_mps = (speed_min_mps, speed_max_mps)
        self._pause_s = pause_s
        self._rng = rng
        super().__init__(self._leg_from(start))

    def _next(self, last: Leg) -> Leg:
        position = _end(last)
        if self._pause_s > 0.0 and _speed_mps(last) > 0.0:
            return Leg(*position, 0.0, 0.0, self._pause_s)
        return self._leg_from(position)

    def _leg_from(self, start: Point) -> Leg:
        goal = self._waypoint(start)
        speed_mps = float(self._rng.uniform(*self._speeds_mps))
        length_m = math.dist(start, goal)
        across, up = (goal[0] - start[0]) / length_m, (goal[1] - start[1]) / length_m
        return Leg(*start, across * speed_mps, up * speed_mps, length_m / speed_mps)

    def _waypoint(self, start: Point) -> Point:
        """Uniform over what of the ring is in sight from a position."""
        inner_m, outer_m = self._ring_m
        while True:
            radius_m = math.sqrt(self._rng.uniform(inner_m**2, outer_m**2))
            angle = self._rng.uniform(0.0, 2.0 * math.pi)
            goal = (radius_m * math.cos(angle), radius_m * math.sin(angle))
            if goal != start and _nearest_m(start, goal) >= inner_m * (1.0 - _SLACK):
                return goal


def _nearest_m(start: Point, goal: Point) -> float:
    """Distance of the origin from the straight way between two positions."""
    across, up = goal[0] - start[0], goal[1] - start[1]
    share = -(start[0] * across + start[1] * up) / (across**2 + up**2)
    share = min(max(share, 0.0), 1.0)
    return math.hypot(start[0] + share * across, start[1] + share * up)


class StraightLine(_Way):
    """Straight on, reflected at the outer circle like light at a mirror.

    Args:
        start: Position at time 0, within the circle.
        heading_rad: Direction, counter-clockwise from the x axis.
        speed_mps: Speed; 0 stands still.
        outer_m: Radius of the circle.

    Raises:
        ScenarioError: Start outside, speed negative, or a line that only grazes the circle.
    """

    def __init__(self, start: Point, heading_rad: float, speed_mps: float, outer_m: float) -> None:
        if not outer_m > 0.0:
            raise ScenarioError("outer radius must be positive", value=outer_m)
        if not 0.0 <= speed_mps < math.inf:
            raise ScenarioError("speed_mps must not be negative", value=speed_mps)
        _check_start(start, 0.0, outer_m)
        self._outer_m = outer_m
        across, up = math.cos(heading_rad), math.sin(heading_rad)
        if speed_mps == 0.0:
            super().__init__(Leg(*start, 0.0, 0.0, math.inf))
            return
        _check_grazing(start, (across, up), outer_m)
        super().__init__(self._leg(start, across * speed_mps, up * speed_mps))

    def _next(self, last: Leg) -> Leg:
        """v' = v - 2 (v n) n, with n from the circle's middle to where it is met."""
        x_m, y_m = _end(last)
        radius_m = math.hypot(x_m, y_m)
        normal_x, normal_y = x_m / radius_m, y_m / radius_m
        out_mps = last.velocity_x_mps * normal_x + last.velocity_y_mps * normal_y
        velocity_x = last.velocity_x_mps - 2.0 * out_mps * normal_x
        velocity_y = last.velocity_y_mps - 2.0 * out_mps * normal_y
        return self._leg(
            (self._outer_m * normal_x, self._outer_m * normal_y), velocity_x, velocity_y
        )

    def _leg(self, start: Point, velocity_x_mps: float, velocity_y_mps: float) -> Leg:
        """Until |p + v t| is the radius: the later root of v^2 t^2 + 2 (p v) t + p^2 - R^2 = 0."""
        squared = velocity_x_mps**2 + velocity_y_mps**2
        along = start[0] * velocity_x_mps + start[1] * velocity_y_mps
        inside_m2 = max(self._outer_m**2 - start[0] ** 2 - start[1] ** 2, 0.0)
        duration_s = (math.sqrt(along**2 + squared * inside_m2) - along) / squared
        return Leg(*start, velocity_x_mps, velocity_y_mps, duration_s)


def _check_grazing(start: Point, heading: Point, outer_m: float) -> None:
    """A line at distance b from the middle meets the circle at an angle of cosine b / R."""
    offset_m = start[0] * heading[1] - start[1] * heading[0]
    sine = math.sqrt(max(1.0 - (offset_m / outer_m) ** 2, 0.0))
    if sine < _GRAZING:
        message = "a straight line must not run along the outer circle; start"
        raise ScenarioError(message, value=start)


class Recorded:
    """A recorded track: linear between its points, held before the first and after the last.

    Args:
        time_s: Times ``(N,)``, rising.
        x_m, y_m: Positions ``(N,)``.

    Raises:
        ScenarioError: No point, lengths that differ, times that do not rise, values not finite.
    """

    def __init__(
        self,
        time_s: Sequence[float] | NDArray[np.float64],
        x_m: Sequence[float] | NDArray[np.float64],
        y_m: Sequence[float] | NDArray[np.float64],
    ) -> None:
        self._times_s, self._xs_m, self._ys_m = (
            [float(value) for value in column] for column in (time_s, x_m, y_m)
        )
        self._check()
        points = list(zip(self._xs_m, self._ys_m, strict=True))
        self._lengths_m = [math.dist(start, end) for start, end in pairwise(points)] + [0.0]
        self._travelled_m = list(accumulate(self._lengths_m[:-1], initial=0.0))

    def _check(self) -> None:
        times_s, columns = self._times_s, (self._times_s, self._xs_m, self._ys_m)
        if not times_s or len({len(column) for column in columns}) != 1:
            message = "a track needs as many times as places, at least one"
            raise ScenarioError(message, value=tuple(map(len, columns)))
        if not all(math.isfinite(value) for column in columns for value in column):
            raise ScenarioError("a track's times and places must be finite")
        for before, after in pairwise(times_s):
            if after <= before:
                raise ScenarioError("a track's times must rise", value=after)

    def at(self, time_s: float) -> Point:
        number, share = self._where(time_s)
        return _between(self._xs_m, number, share), _between(self._ys_m, number, share)

    def travelled_m(self, time_s: float) -> float:
        number, share = self._where(time_s)
        return self._travelled_m[number] + share * self._lengths_m[number]

    def _where(self, time_s: float) -> tuple[int, float]:
        """(number of the point before, share of the leg to the next that is done)."""
        times_s = self._times_s
        number = bisect_right(times_s, time_s) - 1
        if number < 0:
            return 0, 0.0
        if number == len(times_s) - 1:
            return number, 0.0
        return number, (time_s - times_s[number]) / (times_s[number + 1] - times_s[number])


def _between(values: list[float], number: int, share: float) -> float:
    if share == 0.0:
        return values[number]
    return values[number] + share * (values[number + 1] - values[number])


def _check_start(start: Point, inner_m: float, outer_m: float) -> None:
    radius_m = math.hypot(*start)
    if not inner_m * (1.0 - _SLACK) <= radius_m <= outer_m * (1.0 + _SLACK):
        message = f"the start must lie {inner_m:g} to {outer_m:g} m from the middle"
        raise ScenarioError(message, value=start)
