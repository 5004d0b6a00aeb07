"""What stands where in a street, drawn at random in metres: nothing here knows a picture's size."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from simsplit.tasks.canvas import Colour, Floats

WEATHERS = ("clear", "rain", "fog", "snow")
TIMES = ("day", "dusk", "night")


@dataclass(frozen=True)
class Surroundings:
    """What all things in one scene share; lengths in metres, ``sun_side`` is -1 or +1."""

    weather: int
    time_of_day: int
    sun_side: int
    road_centre_m: float
    road_half_m: float
    lane_m: float
    verge_m: float
    kerb_to_wall_m: float
    cloud: float
    texture_offset: tuple[float, float]

    @property
    def snowy(self) -> bool:
        """Whether snow lies on the ground."""
        return self.weather == WEATHERS.index("snow")


@dataclass(frozen=True)
class Building:
    """A house from ``z_m`` to ``z_m + length_m``, its street wall in the plane x = ``x_m``."""

    z_m: float
    x_m: float
    length_m: float
    height_m: float
    wall: Colour
    shop: Colour
    bay_m: float
    storey_m: float
    gable: bool
    key: int


@dataclass(frozen=True)
class Tree:
    """A trunk and a ragged crown."""

    z_m: float
    x_m: float
    height_m: float
    width_m: float
    leaf: Colour
    offset: tuple[float, float]


@dataclass(frozen=True)
class Sign:
    """A pole that carries a disc (0), square (1), triangle (2), traffic light (3) or lamp (4)."""

    z_m: float
    x_m: float
    height_m: float
    shape: int
    tint: int


@dataclass(frozen=True)
class Vehicle:
    """A car (0), van (1) or lorry (2) along the street, or a car across it (3)."""

    z_m: float
    x_m: float
    kind: int
    width_m: float
    height_m: float
    length_m: float
    paint: Colour
    oncoming: bool


@dataclass(frozen=True)
class Person:
    """Somebody standing or walking."""

    z_m: float
    x_m: float
    height_m: float
    stride: float
    skin: Colour
    coat: Colour
    legs: Colour


Thing = Tree | Sign | Vehicle | Person
_PAINTS: tuple[Colour, ...] = (
    (0.62, 0.62, 0.64), (0.03, 0.03, 0.035), (0.4, 0.03, 0.03), (0.03, 0.08, 0.3),
    (0.24, 0.25, 0.26), (0.5, 0.36, 0.05), (0.05, 0.2, 0.12), (0.8, 0.8, 0.78),
)  # fmt: skip
_WALLS: tuple[Colour, ...] = (
    (0.42, 0.2, 0.14), (0.5, 0.44, 0.34), (0.36, 0.36, 0.36), (0.55, 0.5, 0.42),
    (0.3, 0.23, 0.19), (0.52, 0.38, 0.26), (0.36, 0.4, 0.44), (0.6, 0.58, 0.54),
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """All that is random about a scene except sensor noise, free of the picture's size."""

    around: Surroundings
    horizon: float  # share of the height
    centre: float  # share of the width
    haze_per_m: float
    buildings: tuple[Building, ...]
    things: tuple[Thing, ...]
    streaks: Floats  # (n, 4): x, y, length, strength; shares of the picture


def draw_layout(rng: np.random.Generator) -> Layout:
    """Draw a street in metres."""
    around = _draw_surroundings(rng)
    haze = (rng.uniform(0.002, 0.005), 0.010, rng.uniform(0.02, 0.05), 0.014)[around.weather]
    return Layout(
        around=around,
        horizon=rng.uniform(0.36, 0.46),
        centre=rng.uniform(0.42, 0.58),
        haze_per_m=haze,
        buildings=_draw_buildings(rng, around),
        things=_draw_things(rng, around),
        streaks=_draw_streaks(rng, around),
    )


def _pick(rng: np.random.Generator, shares: tuple[float, ...]) -> int:
    """Draw an index with these probabilities (they sum to one)."""
    return min(bisect(list(accumulate(shares)), rng.random()), len(shares) - 1)


def _side_of(rng: np.random.Generator) -> int:
    """Draw -1 (left) or +1 (right)."""
    return 1 if rng.random() < 0.5 else -1


def _draw_surroundings(rng: np.random.Generator) -> Surroundings:
    half = float(rng.uniform(4.2, 7.5))
    return Surroundings(
        weather=_pick(rng, (0.4, 0.2, 0.2, 0.2)),
        time_of_day=_pick(rng, (0.5, 0.2, 0.3)),
        sun_side=_side_of(rng),
        road_centre_m=float(rng.uniform(-0.35, -0.1) * half),
        road_half_m=half,
        lane_m=float(rng.uniform(2.9, 3.5)),
        verge_m=float(rng.uniform(0.8, 2.0)) if rng.random() < 0.35 else 0.0,
        kerb_to_wall_m=float(rng.uniform(3.5, 7.5)),
        cloud=float(rng.uniform(0.0, 0.6)),
        texture_offset=(float(rng.uniform(0, 512)), float(rng.uniform(0, 512))),
    )


def _draw_buildings(rng: np.random.Generator, around: Surroundings) -> tuple[Building, ...]:
    houses: list[Building] = []
    for side in (-1, 1):
        z_m = float(rng.uniform(-4, 14))
        while z_m < 95:
            house = _draw_building(rng, around, side, z_m)
            before = houses[-1] if houses and houses[-1].x_m == house.x_m else None
            hidden = before is not None and _hides(before, house)
            houses.append(replace(house, gable=not hidden))
            gap_m = rng.uniform(5, 14) if rng.random() < 0.35 else 0.0
            z_m += house.length_m + float(gap_m)
    return tuple(sorted(houses, key=lambda house: -house.z_m))


def _hides(near: Building, far: Building) -> bool:
    return near.height_m >= far.height_m and near.z_m + near.length_m == far.z_m


def _draw_building(
    rng: np.random.Generator, around: Surroundings, side: int, z_m: float
) -> Building:
    away_m = around.road_half_m + around.kerb_to_wall_m + 1.5 * (rng.random() < 0.33)
    return Building(
        z_m=z_m,
        x_m=around.road_centre_m + side * away_m,
        length_m=float(rng.uniform(11, 28)),
        height_m=float(rng.uniform(5, 19)),
        wall=_tinted(rng, _WALLS, 0.75, 1.15),
        shop=_tinted(rng, _WALLS + _PAINTS, 0.5, 0.9),
        bay_m=float(rng.uniform(2.0, 3.6)),
        storey_m=float(rng.uniform(2.8, 3.6)),
        gable=True,
        key=int(rng.integers(512)),
    )


def _tinted(
    rng: np.random.Generator, colours: tuple[Colour, ...], least: float, most: float
) -> Colour:
    red, green, blue = colours[int(rng.integers(len(colours)))]
    bright = float(rng.uniform(least, most))
    return red * bright, green * bright, blue * bright


def _draw_things(rng: np.random.Generator, around: Surroundings) -> tuple[Thing, ...]:
    things: list[Thing] = [_draw_tree(rng, around) for _ in range(rng.integers(2, 8))]
    things += [_draw_sign(rng, around) for _ in range(rng.integers(3, 8))]
    things += _draw_vehicles(rng, around)
    things += [_draw_person(rng, around) for _ in range(rng.integers(1, 10))]
    return tuple(sorted(things, key=lambda thing: -thing.z_m))


def _beside(rng: np.random.Generator, around: Surroundings, least: float, most: float) -> float:
    """Draw an x (m) on either pavement; least and most are shares of its width."""
    side = _side_of(rng)
    away_m = around.road_half_m + around.kerb_to_wall_m * float(rng.uniform(least, most))
    return around.road_centre_m + side * away_m


def _draw_tree(rng: np.random.Generator, around: Surroundings) -> Tree:
    leaf = ((0.10, 0.21, 0.05), (0.14, 0.24, 0.07), (0.3, 0.21, 0.05))[int(rng.integers(3))]
    height_m = float(rng.uniform(3.5, 8))
    return Tree(
        z_m=float(rng.uniform(7, 55)),
        x_m=_beside(rng, around, 0.2, 0.6),
        height_m=height_m,
        width_m=height_m * float(rng.uniform(0.5, 0.75)),
        leaf=leaf,
        offset=(float(rng.uniform(0, 512)), float(rng.uniform(0, 512))),
    )


def _draw_sign(rng: np.random.Generator, around: Surroundings) -> Sign:
    shape = int(rng.integers(5))
    return Sign(
        z_m=float(rng.uniform(5, 30)),
        x_m=_beside(rng, around, 0.08, 0.25),
        height_m=float(rng.uniform(2.4, 3.6) if shape < 4 else rng.uniform(4.5, 6.5)),
        shape=shape,
        tint=int(rng.integers(3)),
    )


def _draw_vehicles(rng: np.random.Generator, around: Surroundings) -> list[Thing]:
    """Fill the lanes and both kerbs, keeping a gap between one vehicle and the next."""
    lanes_m = (-0.72, -0.3, 0.25, 0.72)
    free_m = [float(rng.uniform(5.5, 16)) for _ in lanes_m]
    free_m[2] += 3.0  # the camera's own lane
    cars: list[Thing] = []
    for _ in range(rng.integers(1, 8)):
        lane = _pick(rng, (0.3, 0.2, 0.2, 0.3))
        car = _draw_vehicle(rng, around, lanes_m[lane], free_m[lane])
        cars.append(car)
        free_m[lane] = car.z_m + (car.length_m if car.kind < 3 else 3.0) + float(rng.uniform(1, 12))
    return cars


def _draw_vehicle(
    rng: np.random.Generator, around: Surroundings, lane: float, z_m: float
) -> Vehicle:
    kind = _pick(rng, (0.62, 0.17, 0.09, 0.12))
    wide = ((1.7, 1.9), (1.9, 2.1), (2.3, 2.5), (1.7, 1.9))[kind]
    high = ((1.38, 1.65), (1.9, 2.5), (2.9, 3.5), (1.38, 1.6))[kind]
    long = ((3.9, 4.7), (4.8, 5.8), (7.0, 9.5), (3.9, 4.7))[kind]
    return Vehicle(
        z_m=z_m if kind < 3 else z_m + 6.0,
        x_m=around.road_centre_m + lane * around.road_half_m,
        kind=kind,
        width_m=float(rng.uniform(*wide)),
        height_m=float(rng.uniform(*high)),
        length_m=float(rng.uniform(*long)),
        paint=_tinted(rng, _PAINTS, 0.8, 1.1),
        oncoming=lane < 0,
    )


def _draw_person(rng: np.random.Generator, around: Surroundings) -> Person:
    crossing = rng.random() < 0.3
    lane_m = around.road_centre_m + float(rng.uniform(-0.9, 0.9)) * around.road_half_m
    aside_m = _beside(rng, around, 0.1, 0.85)
    skin = float(rng.uniform(0.25, 1.0))
    return Person(
        z_m=float(rng.uniform(4, 24)) + 2.0 * crossing,
        x_m=lane_m if crossing else aside_m,
        height_m=float(rng.uniform(1.4, 1.9)),
        stride=float(rng.uniform(0.02, 0.32)),
        skin=(0.55 * skin, 0.36 * skin, 0.26 * skin),
        coat=_any_colour(rng, 0.6),
        legs=_any_colour(rng, 0.25),
    )


def _any_colour(rng: np.random.Generator, most: float) -> Colour:
    red, green, blue = (most * rng.random(3) ** 1.5 + 0.02).tolist()
    return red, green, blue


def _draw_streaks(rng: np.random.Generator, around: Surroundings) -> Floats:
    count = {"rain": 90, "snow": 110}.get(WEATHERS[around.weather], 0)
    near = rng.random(count) ** 2
    length = 0.03 + 0.09 * near if WEATHERS[around.weather] == "rain" else 0.014 * near
    columns = (rng.random(count), rng.random(count), length, 0.3 + 0.7 * near)
    return np.stack(columns, axis=1).astype(np.float32)
