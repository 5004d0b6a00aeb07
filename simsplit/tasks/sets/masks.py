"""Masks of objects as COCO writes them: polygons, and run lengths as a list or packed as text.

Source: the COCO API, ``common/maskApi.c``: runs go down the columns and begin with 0; packed counts
are 5 bits per character from 48 on, low bits first, differences to the last but one from the third.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from simsplit.tasks.sets.contract import DataError

Mask = NDArray[np.bool_]


def mask_of(segmentation: Any, height: int, width: int) -> Mask:
    """The pixels of an object, ``(height, width)``.

    Polygons are filled by Pillow, which differs from the COCO API by pixels at the edge.

    Raises:
        DataError: Another form, or another size than the picture's.
    """
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation, height, width)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise DataError("a mask is a list of polygons or run lengths", value=segmentation)
    picture = Image.new("1", (width, height))
    draw = ImageDraw.Draw(picture)
    for polygon in segmentation:
        if not isinstance(polygon, Sequence) or len(polygon) < 6 or len(polygon) % 2:
            raise DataError("a polygon needs three points or more, as x y x y ...", value=polygon)
        draw.polygon([float(number) for number in polygon], fill=1)
    return np.asarray(picture)


def _of_runs(content: Mapping[str, Any], height: int, width: int) -> Mask:
    size, counts = content.get("size"), content.get("counts")
    if list(size or ()) != [height, width]:
        message = f"a mask is of another size than its picture, {height} x {width} px"
        raise DataError(message, value=size)
    runs = unpacked(counts) if isinstance(counts, str) else list(counts or ())
    if sum(runs) != height * width or min(runs, default=0) < 0:
        message = f"a mask's runs must sum to {height * width} pixels"
        raise DataError(message, value=sum(runs))
    values = np.arange(len(runs)) % 2 == 1
    mask: Mask = np.repeat(values, runs).reshape(width, height).T
    return mask


def unpacked(text: str) -> list[int]:
    """Run lengths of the COCO API's packed text.

    Raises:
        DataError: It ends inside a number, or holds other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise DataError("these are no packed run lengths", value=text)
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise DataError("packed run lengths end inside a number", value=text)
    return counts
