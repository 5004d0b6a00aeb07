"""Procedural street scenes with pixel-true labels, in numpy only: nothing to download or to ship.

A scene is a function of (seed, index). The layout is drawn in metres before anything that depends
on the picture's size, so one index shows the same street at every size (with the same 2:1 shape).
Geometry: pinhole camera, focal length f = W px, 1.5 m above the ground, stereo baseline b = 0.5 m;
disparity = f b / Z, and on the ground Z = f h / (y - horizon), y at the pixel's centre.
Seeds: SeedSequence((seed, index, cause)), cause 0 = layout, 1 = sensor noise.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from simsplit.tasks import scenery
from simsplit.tasks.scenery import (
    BASELINE_M,
    CLASSES,
    TIMES,
    WEATHERS,
    Building,
    Camera,
    Canvas,
    Colour,
    Floats,
    Person,
    Sign,
    Surroundings,
    Thing,
    Tree,
    Vehicle,
)

__all__ = ["BOX_CLASSES", "CLASSES", "GENERATOR_VERSION", "PALETTE", "Scene", "render"]

GENERATOR_VERSION = 1
"""Goes up whenever a pixel or a label changes; part of every cache key."""

BOX_CLASSES = ("vehicle", "person", "sign")
PALETTE: NDArray[np.uint8] = np.array(
    [
        (128, 64, 128), (244, 35, 232), (90, 90, 90), (107, 142, 35),
        (70, 130, 180), (0, 0, 180), (220, 20, 60), (240, 220, 0),
    ],
    np.uint8,
)  # fmt: skip
"""One RGB colour per class, (8, 3)."""

_BOXED = (scenery.VEHICLE, scenery.PERSON, scenery.POLE_SIGN)
_AIR_COLOURS: tuple[Colour, ...] = ((0.52, 0.56, 0.6), (0.36, 0.27, 0.25), (0.055, 0.055, 0.07))
_AMBIENT: tuple[Colour, ...] = ((1.0, 1.0, 1.0), (0.62, 0.52, 0.5), (0.2, 0.21, 0.26))
_PAINTS: tuple[Colour, ...] = (
    (0.62, 0.62, 0.64), (0.03, 0.03, 0.035), (0.4, 0.03, 0.03), (0.03, 0.08, 0.3),
    (0.24, 0.25, 0.26), (0.5, 0.36, 0.05), (0.05, 0.2, 0.12), (0.8, 0.8, 0.78),
)  # fmt: skip
_WALLS: tuple[Colour, ...] = (
    (0.42, 0.2, 0.14), (0.5, 0.44, 0.34), (0.36, 0.36, 0.36), (0.55, 0.5, 0.42),
    (0.3, 0.23, 0.19), (0.52, 0.38, 0.26), (0.36, 0.4, 0.44), (0.6, 0.58, 0.54),
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One street picture and its labels.

    image, clean: uint8 (H, W, 3), RGB; ``clean`` is before streaks and sensor noise.
    segmentation: uint8 (H, W), index into ``CLASSES``.  disparity: float32 (H, W), px; sky is 0.
    boxes: float32 (N, 5), x0, y0, x1, y1 (px, x1 and y1 exclusive), index into ``BOX_CLASSES``;
    they enclose what is visible, and things nearly hidden or tiny have none.
    attributes: weather and time_of_day (indices), vehicle_count, person_count, sign_count.
    """

    image: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    disparity: Floats
    boxes: Floats
    attributes: dict[str, int]


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


def render(index: int, *, height: int, width: int, seed: int = 0) -> Scene:
    """Render scene ``index`` at ``height`` x ``width`` px; the same arguments give the same bytes.

    Raises ValueError for a negative index or a picture below 16 x 16 px.
    """
    if index < 0 or min(height, width) < 16:
        raise ValueError(f"no scene {index} at {height}x{width}: index >= 0, size >= 16 px")
    layout = draw_layout(np.random.default_rng((seed, index, 0)))
    camera = camera_of(layout, height, width)
    canvas = _paint(layout, camera)
    light = _develop(_lit(canvas, layout))
    noisy = _sensor(_streaked(light, layout), layout, np.random.default_rng((seed, index, 1)))
    boxes = _boxes(canvas)
    return Scene(
        image=_to_bytes(noisy),
        clean=_to_bytes(light),
        segmentation=canvas.segmentation,
        disparity=(camera.focal_px * BASELINE_M / canvas.depth_m).astype(np.float32),
        boxes=boxes,
        attributes=_attributes(layout, boxes),
    )


def camera_of(layout: Layout, height: int, width: int) -> Camera:
    """Give the camera that takes this layout at ``height`` x ``width`` px."""
    return Camera(height, width, layout.horizon * height, layout.centre * width)


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
    houses = []
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


def _paint(layout: Layout, camera: Camera) -> Canvas:
    canvas = Canvas(camera)
    scenery.paint_sky(canvas, layout.around)
    scenery.paint_ground(canvas, layout.around)
    scenery.paint_skyline(canvas, layout.around)
    for house in layout.buildings:
        scenery.paint_building(canvas, layout.around, house)
    for owner, thing in enumerate(layout.things, start=1):
        scenery.paint_thing(canvas, layout.around, thing, owner)
    return canvas


def _lit(canvas: Canvas, layout: Layout) -> Floats:
    """Turn painted colours into light that reaches the lens: (H, W, 3), linear, 1 = white."""
    time = layout.around.time_of_day
    colour = canvas.colour
    if WEATHERS[layout.around.weather] == "rain":
        colour = _wet(canvas)
    lamps = np.maximum(colour - 1.0, 0.0)
    glows = (lamps[..., 0] + lamps[..., 1] > 0)[..., None]
    light = np.where(glows, colour, colour * _ground_light(canvas, layout))
    through = np.exp(-layout.haze_per_m * np.minimum(canvas.depth_m, 130.0))[..., None]
    light = light * through + scenery.rgb(_AIR_COLOURS[time]) * (1 - through)
    if time:
        light = light + 1.2 * _blurred(lamps * through, max(canvas.camera.width_px // 48, 1))
    return light


def _ground_light(canvas: Canvas, layout: Layout) -> Floats:
    """Give daylight with soft cloud shadows; after dark also the camera car's own headlights."""
    camera, around = canvas.camera, layout.around
    down, right = around.texture_offset
    step = 180 / camera.width_px
    shadow = scenery.sample("soft", right + canvas.rows_px * step, down + canvas.columns_px * step)
    depth = 0.14 if around.weather == 0 else 0.07
    light = np.clip(1 + depth * shadow, 0.55, 1.4)[..., None] * scenery.rgb(
        _AMBIENT[around.time_of_day]
    )
    if TIMES[around.time_of_day] != "night":
        return light
    x = (canvas.columns_px - camera.centre_px) / (0.34 * camera.width_px)
    y = (canvas.rows_px - camera.horizon_px) / camera.height_px - 0.16
    beam = np.exp(-(x**2) - (y / 0.26) ** 2 - np.minimum(canvas.depth_m, 500.0) / 28)
    return light + 1.1 * beam[..., None] * scenery.rgb((1.0, 0.97, 0.88))


def _wet(canvas: Canvas) -> Floats:
    """Mirror what stands above the horizon in the wet road."""
    height = canvas.camera.height_px
    rows = (2 * canvas.camera.horizon_px - canvas.rows_px[:, 0]).astype(np.int32)
    mirrored = _blurred(canvas.colour[np.clip(rows, 0, height - 1)], 1)
    road = (canvas.segmentation == scenery.ROAD)[..., None]
    return np.where(road, 0.72 * canvas.colour + 0.2 * np.minimum(mirrored, 1.5), canvas.colour)


def _blurred(light: Floats, radius: int) -> Floats:
    """Blur (H, W, C) with two passes of a box (2 radius + 1 px wide) along each axis."""
    for axis in (0, 1, 0, 1):
        light = _box_blurred(light, radius, axis)
    return light


def _box_blurred(light: Floats, radius: int, axis: int) -> Floats:
    size, window = light.shape[axis], 2 * radius + 1
    pad = [(0, 0)] * light.ndim
    pad[axis] = (radius, radius)
    padded = np.pad(light, pad, mode="edge")
    ahead = (slice(None),) * axis
    total = padded[(*ahead, slice(0, size))].copy()
    for shift in range(1, window):
        total += padded[(*ahead, slice(shift, shift + size))]
    return total / np.float32(window)


def _develop(light: Floats) -> Floats:
    """Lens and tone: a slight blur, vignette and gamma; gives (H, W, 3) in 0..1."""
    for axis in (0, 1):
        ahead, behind = np.roll(light, 1, axis), np.roll(light, -1, axis)
        edge = (slice(None),) * axis
        ahead[(*edge, 0)] = light[(*edge, 0)]
        behind[(*edge, -1)] = light[(*edge, -1)]
        light = 0.8 * light + 0.1 * (ahead + behind)
    height, width = light.shape[:2]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    vignette = 1 - 0.5 * (x**2 + y**2)
    exposed = np.maximum(light * vignette[..., None], 0) * np.float32(1.25)
    return np.minimum(exposed, 1.0) ** np.float32(1 / 2.2)


def _streaked(picture: Floats, layout: Layout) -> Floats:
    """Draw rain lines or snow flakes over a developed picture."""
    if not len(layout.streaks):
        return picture
    height, width = picture.shape[:2]
    rain = WEATHERS[layout.around.weather] == "rain"
    bright = (0.14 if rain else 0.4) * (1.0, 0.85, 0.6)[layout.around.time_of_day]
    veil = np.zeros((height, width), np.float32)
    for x, y, length, strength in layout.streaks.tolist():
        tall = max(round(length * height), 1)
        wide = 1 if rain else max(tall, 1)
        top, left = int(y * height), int(x * width)
        veil[top : top + tall, left : left + wide] += bright * strength
    return picture + np.minimum(veil, 0.5)[..., None] * (1 - picture)


def _sensor(picture: Floats, layout: Layout, rng: np.random.Generator) -> Floats:
    """Add grain: after gamma, shot noise is nearly even, and it grows when the light goes."""
    amount = (0.006, 0.009, 0.014)[layout.around.time_of_day]
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 4), dtype=np.float32) * np.float32(amount)
    return picture + 0.8 * grain[..., 3:] + 0.6 * grain[..., :3]


def _to_bytes(picture: Floats) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _boxes(canvas: Canvas) -> Floats:
    """Enclose the visible pixels of every vehicle, person and sign: (N, 5)."""
    least_px = max(6, canvas.owner.size // 1024)
    found = []
    for owner, painted_px in canvas.painted.items():
        rows, columns = np.nonzero(canvas.owner == owner)
        if len(rows) < max(least_px, 0.15 * painted_px):
            continue
        label = _BOXED.index(int(canvas.segmentation[rows[0], columns[0]]))
        left, right = columns.min(), columns.max() + 1
        found.append((left, rows.min(), right, rows.max() + 1, label))
    return np.array(found, np.float32).reshape(-1, 5)


def _attributes(layout: Layout, boxes: Floats) -> dict[str, int]:
    counts = np.bincount(boxes[:, 4].astype(np.int64), minlength=len(BOX_CLASSES)).tolist()
    names = [f"{name}_count" for name in BOX_CLASSES]
    around = layout.around
    return {
        "weather": around.weather,
        "time_of_day": around.time_of_day,
        **dict(zip(names, counts, strict=True)),
    }
