"""Procedural street scenes with pixel-true labels, in numpy only: nothing to download or to ship.

A scene is a function of (seed, index). The layout is drawn in metres before anything that depends
on the picture's size, so one index shows the same street at every size (with the same 2:1 shape).
Geometry: pinhole camera, focal length f = W px, 1.5 m above the ground, stereo baseline b = 0.5 m;
disparity = f b / Z, and on the ground Z = f h / (y - horizon), y at the pixel's centre.
Seeds: SeedSequence((seed, index, cause)), cause 0 = layout, 1 = sensor noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsplit.tasks import canvas as world
from simsplit.tasks import scenery
from simsplit.tasks.canvas import (
    BASELINE_M,
    CLASSES,
    Camera,
    Canvas,
    Colour,
    Floats,
    floats,
    rgb,
    sample,
)
from simsplit.tasks.layout import TIMES, WEATHERS, Layout, draw_layout

__all__ = ["BOX_CLASSES", "CLASSES", "PALETTE", "Scene", "render"]
BOX_CLASSES = ("vehicle", "person", "sign")
NEAR_M = (8.0, 11.0)  # from near to middle, from middle to far: about a third of the streets each
WIDE_M = (10.6, 12.8)  # from narrow to middle, from middle to wide: a third each
PALETTE: NDArray[np.uint8] = np.array(
    [
        (128, 64, 128), (244, 35, 232), (90, 90, 90), (107, 142, 35),
        (70, 130, 180), (0, 0, 180), (220, 20, 60), (240, 220, 0),
    ],
    np.uint8,
)  # fmt: skip
"""One RGB colour per class, (8, 3)."""
_BOXED = (world.VEHICLE, world.PERSON, world.POLE_SIGN)
_AIR_COLOURS: tuple[Colour, ...] = ((0.52, 0.56, 0.6), (0.36, 0.27, 0.25), (0.055, 0.055, 0.07))
_AMBIENT: tuple[Colour, ...] = ((1.0, 1.0, 1.0), (0.62, 0.52, 0.5), (0.2, 0.21, 0.26))


@dataclass(frozen=True)
class Scene:
    """One street picture and its labels.

    image, clean: uint8 (H, W, 3), RGB; ``clean`` is before streaks and sensor noise.
    segmentation: uint8 (H, W), index into ``CLASSES``.  disparity: float32 (H, W), px; sky is 0.
    boxes: float32 (N, 5), x0, y0, x1, y1 (px, x1 and y1 exclusive), index into ``BOX_CLASSES``;
    they enclose what is visible, and things nearly hidden or tiny have none.
    attributes: weather and time_of_day (indices), vehicle_count, person_count, sign_count, and
    nearest_vehicle: 0 nearer than 8 m, 1 nearer than 11 m, 2 farther or none; road_width: 0 below
    10.6 m, 1 below 12.8 m, 2 wider.
    """

    image: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    disparity: Floats
    boxes: Floats
    attributes: dict[str, int]


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
        attributes=_attributes(layout, boxes) | {"nearest_vehicle": _nearest_vehicle(canvas)},
    )


def camera_of(layout: Layout, height: int, width: int) -> Camera:
    """Give the camera that takes this layout at ``height`` x ``width`` px."""
    return Camera(height, width, layout.horizon * height, layout.centre * width)


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
    light = light * through + rgb(_AIR_COLOURS[time]) * (1 - through)
    if time:
        light = light + 1.2 * _blurred(lamps * through, max(canvas.camera.width_px // 48, 1))
    return floats(light)


def _ground_light(canvas: Canvas, layout: Layout) -> Floats:
    """Give daylight with soft cloud shadows; after dark also the camera car's own headlights."""
    camera, around = canvas.camera, layout.around
    down, right = around.texture_offset
    step = 180 / camera.width_px
    shadow = sample("soft", right + canvas.rows_px * step, down + canvas.columns_px * step)
    depth = 0.14 if around.weather == 0 else 0.07
    light = np.clip(1 + depth * shadow, 0.55, 1.4)[..., None] * rgb(_AMBIENT[around.time_of_day])
    if TIMES[around.time_of_day] != "night":
        return floats(light)
    x = (canvas.columns_px - camera.centre_px) / (0.34 * camera.width_px)
    y = (canvas.rows_px - camera.horizon_px) / camera.height_px - 0.16
    beam = np.exp(-(x**2) - (y / 0.26) ** 2 - np.minimum(canvas.depth_m, 500.0) / 28)
    return floats(light + 1.1 * beam[..., None] * rgb((1.0, 0.97, 0.88)))


def _wet(canvas: Canvas) -> Floats:
    """Mirror what stands above the horizon in the wet road."""
    height = canvas.camera.height_px
    rows = (2 * canvas.camera.horizon_px - canvas.rows_px[:, 0]).astype(np.int32)
    mirrored = _blurred(canvas.colour[np.clip(rows, 0, height - 1)], 1)
    road = (canvas.segmentation == world.ROAD)[..., None]
    wet = 0.72 * canvas.colour + 0.2 * np.minimum(mirrored, 1.5)
    return floats(np.where(road, wet, canvas.colour))


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


def _softened(light: Floats) -> Floats:
    """Mix each row of (H, W, C) with a tenth of either neighbour."""
    padded = np.pad(light, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return floats(0.8 * light + 0.1 * (padded[:-2] + padded[2:]))


def _develop(light: Floats) -> Floats:
    """Lens and tone: a slight blur, vignette and gamma; gives (H, W, 3) in 0..1."""
    light = _softened(_softened(light).swapaxes(0, 1)).swapaxes(0, 1)
    height, width = light.shape[:2]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    vignette = 1 - 0.5 * (x**2 + y**2)
    exposed = np.maximum(light * vignette[..., None], 0) * np.float32(1.25)
    return floats(np.minimum(exposed, 1.0) ** np.float32(1 / 2.2))


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
    return floats(picture + np.minimum(veil, 0.5)[..., None] * (1 - picture))


def _sensor(picture: Floats, layout: Layout, rng: np.random.Generator) -> Floats:
    """Add grain: after gamma, shot noise is nearly even, and it grows when the light goes."""
    amount = (0.006, 0.009, 0.014)[layout.around.time_of_day]
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 4), dtype=np.float32) * np.float32(amount)
    return floats(picture + 0.8 * grain[..., 3:] + 0.6 * grain[..., :3])


def _to_bytes(picture: Floats) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _boxes(canvas: Canvas) -> Floats:
    """Enclose the visible pixels of every vehicle, person and sign: (N, 5)."""
    least_px = max(6, canvas.owner.size // 1024)
    boxes = []
    for owner, painted_px in canvas.painted.items():
        rows, columns = np.nonzero(canvas.owner == owner)
        if len(rows) < max(least_px, 0.15 * painted_px):
            continue
        label = _BOXED.index(int(canvas.segmentation[rows[0], columns[0]]))
        left, right = columns.min(), columns.max() + 1
        boxes.append((left, rows.min(), right, rows.max() + 1, label))
    return np.array(boxes, np.float32).reshape(-1, 5)


def _nearest_vehicle(canvas: Canvas) -> int:
    """How far the nearest pixel of a vehicle is, as a class."""
    nearest_m = canvas.depth_m[canvas.segmentation == world.VEHICLE].min(initial=np.inf)
    return int(np.searchsorted(NEAR_M, nearest_m, side="right"))


def _attributes(layout: Layout, boxes: Floats) -> dict[str, int]:
    counts = np.bincount(boxes[:, 4].astype(np.int64), minlength=len(BOX_CLASSES)).tolist()
    names = [f"{name}_count" for name in BOX_CLASSES]
    around = layout.around
    return {
        "weather": around.weather,
        "time_of_day": around.time_of_day,
        "road_width": int(np.searchsorted(WIDE_M, 2 * around.road_half_m, side="right")),
        **dict(zip(names, counts, strict=True)),
    }
