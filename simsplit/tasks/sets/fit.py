"""One place where a picture and its truth are brought to the size of the pictures that circulate.

What ``fit`` means is said in `simsplit.scenario.data`. A `Placement` maps a rectangle of the source
onto a rectangle of the target; everything of a sample goes through the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.sets.contract import DataError

Sample = dict[str, Any]  # arrays of one sample, without the axis of samples; boxes as many as are


@dataclass(frozen=True)
class Placement:
    """A rectangle of the source on one of the target.

    Attributes:
        box: x0, y0, x1, y1 in px of the source, fractions allowed.
        rectangle: left, top, width, height in px of the target.
        size: height and width of the target.
    """

    box: tuple[float, float, float, float]
    rectangle: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Px of the target per px of the source, horizontally and vertically."""
        x0, y0, x1, y1 = self.box
        _, _, width, height = self.rectangle
        return width / (x1 - x0), height / (y1 - y0)


def placement(
    source: tuple[int, int], target: tuple[int, int], fit: str | None
) -> Placement | None:
    """How a picture of ``source`` (height, width) comes to ``target``; None: it is of that size.

    Raises:
        DataError: The sizes differ and no fit is said.
    """
    (tall, wide), (height, width) = source, target
    if source == target:
        return None
    whole = (0.0, 0.0, float(wide), float(tall))
    if fit == "resize":
        return Placement(whole, (0, 0, width, height), target)
    if fit == "crop":
        scale = max(height / tall, width / wide)
        h, w = height / scale, width / scale
        x0, y0 = max(0.0, (wide - w) / 2), max(0.0, (tall - h) / 2)
        return Placement(
            (x0, y0, min(x0 + w, wide), min(y0 + h, tall)), (0, 0, *target[::-1]), target
        )
    if fit == "pad":
        scale = min(height / tall, width / wide)
        h, w = max(1, round(tall * scale)), max(1, round(wide * scale))
        return Placement(whole, ((width - w) // 2, (height - h) // 2, w, h), target)
    message = f"the picture is {tall} x {wide} px, those that circulate are {height} x {width}; say"
    raise DataError(f"{message} how it is to fit", key="fit", choices=("resize", "crop", "pad"))


def fitted(sample: Sample, target: tuple[int, int], fit: str | None) -> Sample:
    """The sample at ``target`` (height, width).

    Raises:
        DataError: The sizes differ and no fit is said; truth of another size than its picture.
    """
    source = sample["image"].shape[:2]
    for key in ("segmentation", "disparity", "clean"):
        if key in sample and sample[key].shape[:2] != source:
            tall, wide = sample[key].shape[:2]
            message = f"{key} is {tall} x {wide} px, its picture {source[0]} x {source[1]}"
            raise DataError(message)
    _check_boxes(sample, source)
    place = placement(source, target, fit)
    if place is None:
        return _with_boxes(sample, _cut(sample, source))
    moved: Sample = {}
    for key, value in sample.items():
        match key:
            case "image" | "clean":
                moved[key] = scaled(value, place)
            case "segmentation":
                moved[key] = nearest(value, place, IGNORED)
            case "disparity":
                x_scale = np.float32(place.scale[0])
                moved[key] = nearest(value, place, np.float32(np.nan)) * x_scale
            case _:
                moved[key] = value
    return _with_boxes(moved, _cut(moved | _moved_boxes(sample, place), target))


# --- pixels -----------------------------------------------------------------------------------


def scaled(pixels: NDArray[np.uint8], place: Placement) -> NDArray[np.uint8]:
    """A picture ``(h, w, C)`` in its place, ``(H, W, C)``: antialiased bilinear, black around."""
    left, top, width, height = place.rectangle
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(pixels[..., 0] if grey else pixels)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=place.box))
    target = np.zeros((*place.size, pixels.shape[-1]), np.uint8)
    target[top : top + height, left : left + width] = small[..., None] if grey else small
    return target


def nearest(values: NDArray[Any], place: Placement, around: Any) -> NDArray[Any]:
    """A map ``(h, w)`` in its place: the source pixel in which each target's centre lies."""
    x0, y0, x1, y1 = place.box
    left, top, width, height = place.rectangle
    rows = _centres(y0, y1, height, values.shape[0])
    columns = _centres(x0, x1, width, values.shape[1])
    target = np.full(place.size, around, values.dtype)
    target[top : top + height, left : left + width] = values[np.ix_(rows, columns)]
    return target


def _centres(start: float, end: float, count: int, most: int) -> NDArray[np.intp]:
    centres = start + (np.arange(count) + 0.5) * ((end - start) / count)
    places: NDArray[np.intp] = np.minimum(np.floor(centres + 1e-9), most - 1).astype(np.intp)
    return places


# --- boxes ------------------------------------------------------------------------------------

_TOLERANCE_PX = 1.0  # rounding of those who wrote the boxes down


def _check_boxes(sample: Sample, size: tuple[int, int]) -> None:
    """Boxes lie in the picture, but for rounding."""
    boxes = sample.get("boxes")
    if boxes is None or not len(boxes):
        return
    height, width = size
    low, high = boxes[:, :2], boxes[:, 2:] - (width, height)
    outside = ((low < -_TOLERANCE_PX) | (high > _TOLERANCE_PX)).any(axis=1)
    wrong = outside | ~np.isfinite(boxes).all(axis=1) | (boxes[:, :2] > boxes[:, 2:]).any(axis=1)
    if wrong.any():
        box = [round(float(edge), 2) for edge in boxes[wrong.argmax()]]
        raise DataError(f"a box lies outside the picture of {height} x {width} px", value=box)


def _moved_boxes(sample: Sample, place: Placement) -> Sample:
    if "boxes" not in sample:
        return {}
    (x_scale, y_scale), (x0, y0, *_), (left, top, *_) = place.scale, place.box, place.rectangle
    scale = np.array([x_scale, y_scale, x_scale, y_scale])
    shift = np.array([left - x0 * x_scale, top - y0 * y_scale] * 2)
    return {"boxes": (sample["boxes"] * scale + shift).astype(np.float32)}


def _cut(sample: Sample, size: tuple[int, int]) -> Sample:
    """Boxes cut at the picture's edges; those of which nothing is left are gone."""
    if "boxes" not in sample:
        return {}
    height, width = size
    edges = np.array([width, height, width, height], np.float32)
    boxes = np.clip(sample["boxes"], 0, edges).astype(np.float32)
    left = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    keys = [key for key in ("box_labels", "box_crowd") if key in sample]
    return {"boxes": boxes[left]} | {key: sample[key][left] for key in keys}


def _with_boxes(sample: Sample, boxes: Sample) -> Sample:
    return {**sample, **boxes}
