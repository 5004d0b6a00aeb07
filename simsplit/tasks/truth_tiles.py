"""One sample of any data set as a tile: picture with boxes | classes | disparity, names beneath."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from simsplit.tasks.metrics import IGNORED

Row = Mapping[str, NDArray[Any]]  # one sample of a data set's arrays
Heads = Mapping[str, tuple[str, ...]]

_SMALLEST_PX = 96  # smaller pictures are enlarged by whole factors
_LINE_PX = 12
_INK, _PAPER = (255, 220, 0), (24, 24, 24)
_UNKNOWN = np.array((64, 0, 0), np.uint8)  # disparity that is not known
_GOLDEN = 0.61803398875  # turns of the hue from class to class: neighbours differ


def tile(row: Row, heads: Heads) -> NDArray[np.uint8]:
    """A sample as a picture, uint8 ``(h, w, 3)``; of one data set all are of one size."""
    factor = max(1, -(-_SMALLEST_PX // min(row["image"].shape[:2])))
    panels = [np.kron(panel, np.ones((factor, factor, 1), np.uint8)) for panel in _panels(row)]
    picture = Image.fromarray(np.concatenate(panels, axis=1))
    if "boxes" in row:
        _draw_boxes(picture, row, heads, factor)
    lines = list(_lines(row, heads))
    sheet = Image.new("RGB", (picture.width, picture.height + _LINE_PX * len(lines) + 4), _PAPER)
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((2, picture.height + 1 + _LINE_PX * number), line, fill=_INK)
    return np.asarray(sheet)


def class_colour(number: int) -> tuple[int, int, int]:
    """A colour of a class; 0 of a map is dark, what has no label is black."""
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _panels(row: Row) -> Iterator[NDArray[np.uint8]]:
    for key in ("image", "clean"):
        if key in row:
            yield np.repeat(row[key], 3, axis=-1) if row[key].shape[-1] == 1 else row[key]
    if "segmentation" in row:
        colours = np.array([class_colour(number) for number in range(256)], np.uint8)
        colours[0], colours[IGNORED] = (40, 40, 40), (0, 0, 0)
        yield colours[row["segmentation"]]
    if "disparity" in row:
        yield _shades(row["disparity"])


def _shades(disparity: NDArray[np.float32]) -> NDArray[np.uint8]:
    unknown = np.isnan(disparity)
    share = np.where(unknown, 0, disparity) / max(float(np.nanmax(disparity, initial=1e-6)), 1e-6)
    grey = np.repeat((np.sqrt(np.clip(share, 0, 1)) * 255).astype(np.uint8)[..., None], 3, axis=-1)
    grey[unknown] = _UNKNOWN
    return grey


def _draw_boxes(picture: Image.Image, row: Row, heads: Heads, factor: int) -> None:
    draw, names = ImageDraw.Draw(picture), heads.get("box_labels", ())
    for number, (box, label) in enumerate(zip(row["boxes"], row["box_labels"], strict=True)):
        if np.isnan(box).any():
            continue
        crowd = "box_crowd" in row and bool(row["box_crowd"][number])
        name = names[label] if label < len(names) else str(label)
        x0, y0, x1, y1 = (float(edge) * factor for edge in box)
        colour = class_colour(int(label))
        draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=2)
        draw.text((x0 + 3, y0 + 1), f"({name})" if crowd else name, fill=colour)


def _lines(row: Row, heads: Heads) -> Iterator[str]:
    for key, values in row.items():
        if key == "label" or key.startswith("label_"):
            names, number = heads.get(key, ()), int(values)
            name = names[number] if number < len(names) else str(number)
            yield name if key == "label" else f"{key.removeprefix('label_')} {name}"
        elif key == "target":
            yield " ".join(f"{value:.3g}" for value in values[:6])
