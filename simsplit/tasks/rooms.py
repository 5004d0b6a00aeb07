"""Rooms with one object, drawn by casting rays: what the data set ``shapes`` shows.

As 3D Shapes (Burgess and Kim, 2018, github.com/deepmind/3d-shapes): a floor, two walls that meet in
a corner, and one object in the middle, of six factors: hues of floor, wall and object, size, form
and orientation of the view. Drawn here from the description, not copied: pixels differ from theirs.

What is where, and how bright, depends on size, form and orientation alone (`layers`); hues are
multiplied in afterwards. Lengths are in units of the largest object's height; y is up.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (..., 3)

FORMS = ("cube", "cylinder", "sphere", "capsule")
HUES = tuple(step / 10 for step in range(10))
SCALES = tuple(float(scale) for scale in np.linspace(0.75, 1.25, 8))
ORIENTATIONS_DEG = tuple(float(angle) for angle in np.linspace(-30, 30, 15))

_SUBPIXELS = 2  # per pixel and axis
_DISTANCE, _HEIGHT, _HALF_FIELD_DEG = 3.6, 1.6, 21.0  # of the camera
_CORNER = 2.4  # the walls stand at x = _CORNER and z = _CORNER
_TOWARDS_LIGHT = np.array((-0.45, 0.8, -0.4)) / np.linalg.norm((-0.45, 0.8, -0.4))  # of the camera
_AMBIENT, _SHADOW = 0.45, 0.55
_HALF = 0.4  # half an edge or the radius at scale 1
_REACH = 0.95  # of any object from its centre, at most
_STEPS, _NEAR, _FAR = 48, 1e-3, 10.0


class Layers(NamedTuple):
    """Brightness 0..1 of each surface in each pixel, 0 where it is not seen, ``(size, size)``."""

    floor: NDArray[np.float64]
    wall: NDArray[np.float64]
    thing: NDArray[np.float64]
    thing_share: NDArray[np.float64]  # of the pixel's area that the object covers


def colour(hue: float) -> NDArray[np.float64]:
    """The full colour of a hue, RGB in 0..1 (HSV with saturation and value 1)."""
    return np.array(colorsys.hsv_to_rgb(hue, 1.0, 1.0))


def picture(
    hues: tuple[int, int, int], scale: int, form: int, orientation: int, size: int
) -> NDArray[np.uint8]:
    """A room, ``(size, size, 3)`` uint8.

    Args:
        hues: Numbers of floor's, wall's and object's hue.
        scale: Number of the size.
        form: Number of the form.
        orientation: Number of the angle.
        size: Px.
    """
    seen = layers(scale, form, orientation, size)
    surfaces = zip((seen.floor, seen.wall, seen.thing), hues, strict=True)
    total = np.zeros((size, size, 3))
    for light, hue in surfaces:
        total += light[..., None] * colour(HUES[hue])
    pixels: NDArray[np.uint8] = np.rint(total * 255).clip(0, 255).astype(np.uint8)
    return pixels


@lru_cache(maxsize=480)
def layers(scale: int, form: int, orientation: int, size: int) -> Layers:
    """What is seen of each surface, antialiased by 2 x 2 rays per pixel."""
    angle = np.deg2rad(ORIENTATIONS_DEG[orientation] + 45)  # 45: straight into the corner
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )  # camera's axes → room's
    eye, rays = _camera(turn, size * _SUBPIXELS)
    surface = _solid(FORMS[form], SCALES[scale])
    light = turn @ _TOWARDS_LIGHT
    ahead = _first_hit(eye, rays, surface, SCALES[scale])
    is_thing = np.isfinite(ahead)
    to_floor = np.where(rays[..., 1] < 0, -eye[1] / np.minimum(rays[..., 1], -1e-12), np.inf)
    to_walls = [(_CORNER - eye[axis]) / np.maximum(rays[..., axis], 1e-12) for axis in (0, 2)]
    to_wall = np.where(rays[..., (0, 2)].T.swapaxes(1, 2) > 0, to_walls, np.inf)
    is_floor = ~is_thing & (to_floor < to_wall.min(axis=0))
    is_wall = ~is_thing & ~is_floor
    on_floor = eye + rays * np.where(is_floor, to_floor, 0)[..., None]
    dark = is_floor & np.isfinite(_first_hit_of(on_floor, light, surface, SCALES[scale], is_floor))
    wall_light = np.where(to_wall[0] < to_wall[1], *(_lit(-light[axis]) for axis in (0, 2)))
    thing_light = np.zeros(is_thing.shape)
    normals = _normals(surface, (eye + rays * np.where(is_thing, ahead, 0)[..., None])[is_thing])
    thing_light[is_thing] = _lit(normals @ light)
    parts = (
        is_floor * np.where(dark, _lit(light[1]) * _SHADOW, _lit(light[1])),
        is_wall * wall_light,
        thing_light,
        is_thing.astype(np.float64),
    )
    return Layers(*(_smaller(part) for part in parts))


def _lit(cosine: Any) -> Any:
    """Brightness of a matt surface (Lambert) under ambient light and one lamp."""
    return _AMBIENT + (1 - _AMBIENT) * np.maximum(cosine, 0)


def _smaller(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(fine) // _SUBPIXELS
    blocks = fine.reshape(size, _SUBPIXELS, size, _SUBPIXELS)
    coarse: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return coarse


def _camera(turn: NDArray[np.float64], count: int) -> tuple[Points, Points]:
    """Eye ``(3,)`` and unit rays ``(count, count, 3)`` in the room, rows from the top."""
    tilt = np.arctan2(_HEIGHT - 0.55, _DISTANCE)  # it looks at a point at 0.55 above the floor
    across = np.tan(np.deg2rad(_HALF_FIELD_DEG)) * ((2 * np.arange(count) + 1) / count - 1)
    right, down = np.meshgrid(across, across)
    up_cos, up_sin = np.cos(tilt), np.sin(tilt)
    rays = np.stack([right, -down * up_cos - up_sin, up_cos - down * up_sin], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return turn @ np.array((0, _HEIGHT, -_DISTANCE)), rays @ turn.T


# --- objects ----------------------------------------------------------------------------------


def _solid(form: str, scale: float) -> Callable[[Points], NDArray[np.float64]]:
    """Signed distance of points to an object that stands on the floor.

    Source: I. Quilez, "Distance functions" (box, cylinder, capsule), 2008.
    """
    half = _HALF * scale

    def cube(p: Points) -> NDArray[np.float64]:
        return _outside(np.abs(p - (0, half, 0)) - half)

    def cylinder(p: Points) -> NDArray[np.float64]:
        radial = np.hypot(p[..., 0], p[..., 2]) - half
        return _outside(np.stack([radial, np.abs(p[..., 1] - half) - half], axis=-1))

    def sphere(p: Points) -> NDArray[np.float64]:
        distance: NDArray[np.float64] = np.linalg.norm(p - (0, half, 0), axis=-1) - half
        return distance

    def capsule(p: Points) -> NDArray[np.float64]:
        radius = 0.65 * half
        nearest = np.clip(p[..., 1], radius, 2.2 * half - radius)  # on its axis
        axis = np.stack([np.zeros_like(nearest), nearest, np.zeros_like(nearest)], axis=-1)
        distance: NDArray[np.float64] = np.linalg.norm(p - axis, axis=-1) - radius
        return distance

    return {"cube": cube, "cylinder": cylinder, "sphere": sphere, "capsule": capsule}[form]


def _outside(excess: Points) -> NDArray[np.float64]:
    """Distance to a box-like solid from how far a point is beyond each of its faces."""
    outer = np.linalg.norm(np.maximum(excess, 0), axis=-1)
    distance: NDArray[np.float64] = outer + np.minimum(excess.max(axis=-1), 0)
    return distance


def _normals(surface: Callable[[Points], NDArray[np.float64]], points: Points) -> Points:
    """Unit normals by central differences."""
    steps = np.eye(3) * 1e-4
    slopes = [surface(points + step) - surface(points - step) for step in steps]
    normals = np.stack(slopes, axis=-1)
    unit: Points = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    return unit


def _first_hit(
    eye: Points, rays: Points, surface: Callable[[Points], NDArray[np.float64]], scale: float
) -> NDArray[np.float64]:
    """Distance along unit rays from one point to the object, ``(...)``; inf without a hit."""
    origins = np.broadcast_to(eye, rays.shape)
    near = _passes_near(origins, rays, scale)
    return _marched(origins, rays, surface, near)


def _first_hit_of(
    origins: Points,
    direction: Points,
    surface: Callable[[Points], NDArray[np.float64]],
    scale: float,
    those: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Likewise from many points in one direction, for ``those`` of them."""
    rays = np.broadcast_to(direction, origins.shape)
    near = those & _passes_near(origins, rays, scale)
    return _marched(origins + 2 * _NEAR * direction, rays, surface, near)


def _passes_near(origins: Points, rays: Points, scale: float) -> NDArray[np.bool_]:
    """Whether a ray comes within an object's reach of its centre."""
    to_centre = (0, _HALF * scale, 0) - origins
    along = (to_centre * rays).sum(axis=-1)
    off = (to_centre**2).sum(axis=-1) - along**2
    within: NDArray[np.bool_] = (off < (_REACH * scale) ** 2) & (along > -_REACH)
    return within


def _marched(
    origins: Points,
    rays: Points,
    surface: Callable[[Points], NDArray[np.float64]],
    those: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Sphere tracing (Hart, The Visual Computer 12, 1996)."""
    start, ray = origins[those], rays[those]
    travelled = np.zeros(len(start))
    left = np.full(len(start), np.inf)  # to the surface, after the last step
    moving = np.arange(len(start))
    for _ in range(_STEPS):
        left[moving] = surface(start[moving] + ray[moving] * travelled[moving, None])
        moving = moving[(left[moving] > _NEAR / 100) & (travelled[moving] < _FAR)]
        travelled[moving] += left[moving]
    distance = np.full(those.shape, np.inf)
    distance[those] = np.where(left < _NEAR, travelled, np.inf)
    return distance
