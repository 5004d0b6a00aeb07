"""The picture under work: a pinhole camera over a ground plane, and surfaces painted far to near.

World axes, metres: x to the right of the camera, z ahead of it, height above the ground plane.
Every surface writes colour, class, depth and owner, so picture and labels cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Window = tuple[slice, slice]
Colour = tuple[float, float, float]
CLASSES = (
    "road", "pavement", "building", "vegetation", "sky", "vehicle", "person", "pole_sign",
)  # fmt: skip
ROAD, PAVEMENT, BUILDING, VEGETATION, SKY, VEHICLE, PERSON, POLE_SIGN = range(8)
CAMERA_HEIGHT_M = 1.5
BASELINE_M = 0.5
_TEXELS = 512


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking along z: picture size, horizon row and vanishing column, in px."""

    height_px: int
    width_px: int
    horizon_px: float
    centre_px: float

    @property
    def focal_px(self) -> float:
        """Focal length: as many px as the picture is wide (53 degrees across)."""
        return float(self.width_px)


@dataclass(frozen=True)
class Patch:
    """A window of the picture in one object's own metres.

    ``across_m`` (1, w): along the surface; ``above_m`` (h, 1) or (h, w): height over the ground;
    ``depth_m`` (1, 1) or (1, w): distance along z.
    """

    window: Window
    across_m: Floats
    above_m: Floats
    depth_m: Floats


class Canvas:
    """The four pictures that grow together: colour (H, W, 3), class, depth (m) and owner (H, W)."""

    def __init__(self, camera: Camera) -> None:
        shape = (camera.height_px, camera.width_px)
        self.camera = camera
        self.colour: Floats = np.zeros((*shape, 3), np.float32)
        self.segmentation: NDArray[np.uint8] = np.full(shape, SKY, np.uint8)
        self.depth_m: Floats = np.full(shape, np.inf, np.float32)
        self.owner: NDArray[np.int16] = np.zeros(shape, np.int16)
        self.painted: dict[int, int] = {}
        self.rows_px: Floats = np.arange(shape[0], dtype=np.float32)[:, None] + 0.5
        self.columns_px: Floats = np.arange(shape[1], dtype=np.float32)[None] + 0.5

    def window(self, left: float, right: float, top: float, bottom: float) -> Window | None:
        """Give the part of the picture between these px edges, or None when they miss it."""
        x0, x1 = max(int(left), 0), min(int(right) + 1, self.camera.width_px)
        y0, y1 = max(int(top), 0), min(int(bottom) + 1, self.camera.height_px)
        return (slice(y0, y1), slice(x0, x1)) if left < right and x0 < x1 and y0 < y1 else None

    def paint(self, patch: Patch, mask: Flags, colour: Floats, label: int, owner: int = 0) -> None:
        """Write one surface (mask (h, w), colour broadcastable to (h, w, 3)) over what is there."""
        here = patch.window
        np.copyto(self.colour[here], colour, where=mask[..., None])
        np.copyto(self.depth_m[here], patch.depth_m, where=mask)
        self.segmentation[here][mask] = label
        self.owner[here][mask] = owner
        if owner:
            self.painted[owner] = self.painted.get(owner, 0) + int(np.count_nonzero(mask))

    def darken(self, patch: Patch, amount: Floats) -> None:
        """Multiply the colours of a window by ``1 - amount`` (h, w)."""
        self.colour[patch.window] *= (1.0 - amount)[..., None]


def upright(
    canvas: Canvas, x_m: float, z_m: float, half_m: float, top_m: float, foot_m: float = 0.0
) -> Patch | None:
    """Give the window of a surface that faces the camera, centred on x at distance z."""
    camera = canvas.camera
    scale = camera.focal_px / z_m
    middle = camera.centre_px + x_m * scale
    ground = camera.horizon_px + CAMERA_HEIGHT_M * scale
    half = max(half_m * scale, 0.5)
    here = canvas.window(
        middle - half, middle + half, ground - top_m * scale, ground - foot_m * scale
    )
    if here is None:
        return None
    across = (canvas.columns_px[:, here[1]] - middle) / scale
    above = (ground - canvas.rows_px[here[0]]) / scale
    return Patch(here, across, above, np.full((1, 1), z_m, np.float32))


def alongside(
    canvas: Canvas, x_m: float, near_m: float, far_m: float, top_m: float
) -> Patch | None:
    """Give the window of a surface in the plane x = ``x_m``, from ``near_m`` to ``far_m`` ahead."""
    camera = canvas.camera
    focal, middle = camera.focal_px, camera.centre_px
    left, right = sorted((middle + focal * x_m / near_m, middle + focal * x_m / far_m))
    top = camera.horizon_px - focal * max(top_m - CAMERA_HEIGHT_M, 0.0) / near_m
    here = canvas.window(left, right, top, camera.horizon_px + focal * CAMERA_HEIGHT_M / near_m)
    if here is None or abs(x_m) < 0.05:
        return None
    offset = (canvas.columns_px[:, here[1]] - middle) / x_m
    depth = focal / np.maximum(offset, np.float32(1e-3))
    above = CAMERA_HEIGHT_M - (canvas.rows_px[here[0]] - camera.horizon_px) * depth / focal
    return Patch(here, depth - near_m, above, depth)


def floats(values: ArrayLike) -> Floats:
    """Give an array as float32; nothing is copied when it is so already."""
    return np.asarray(values, np.float32)


def rgb(colour: Colour) -> Floats:
    """Turn three numbers into a (3,) array."""
    return np.array(colour, np.float32)


@lru_cache(maxsize=4)
def texture(kind: str) -> Floats:
    """Make one 512 x 512 periodic noise field, zero mean and unit deviation (spectrum 1/f^slope).

    ``kind`` is "rough" (slope 0.9) or "soft" (slope 1.5).
    """
    slope = {"rough": 0.9, "soft": 1.5}[kind]
    rng = np.random.default_rng((2718, int(slope * 10)))
    frequency = np.fft.fftfreq(_TEXELS)
    radius = np.hypot(frequency[:, None], frequency[None])
    radius[0, 0] = 1.0
    phase = np.exp(2j * np.pi * rng.random((_TEXELS, _TEXELS)))
    field = np.fft.ifft2(phase / radius**slope).real
    noise: Floats = ((field - field.mean()) / field.std()).astype(np.float32)
    return noise


def sample(kind: str, down: Floats, right: Floats) -> Floats:
    """Read a texture at texel coordinates (broadcast together, wrapped round)."""
    mask = _TEXELS - 1
    rows, columns = down.astype(np.int32) & mask, right.astype(np.int32) & mask
    return texture(kind).ravel().take(rows * _TEXELS + columns)
