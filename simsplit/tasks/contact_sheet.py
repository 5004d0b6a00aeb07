"""Contact sheets: the first samples of a data set in one picture, with their truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simsplit.tasks import cityscapes, streets
from simsplit.tasks.sets.cityscapes import Cityscapes
from simsplit.tasks.sets.contract import Arrays, Dataset
from simsplit.tasks.sets.digits import Digits
from simsplit.tasks.sets.streets import Streets
from simsplit.tasks.truth_tiles import tile

_SHEET_BOXES = ((0, 0, 255), (255, 0, 0), (255, 255, 0))


def contact_sheet(dataset: Dataset, count: int | None = None) -> NDArray[np.uint8]:
    """Draw the first samples as one uint8 (h, w, 3) picture; 12, or all of a smaller split.

    Streets: two columns of image with boxes | classes in colour | disparity (brighter is nearer).
    Digits: a grid, each with its label beneath. Cityscapes without boxes: two columns of image |
    classes | disparity. Others: a grid of image with boxes | classes | disparity, as far as there
    are, with the classes' names beneath. Raises IndexError for a count beyond the split.
    """
    count = min(12, dataset.capacity) if count is None else count
    if not 0 < count <= dataset.capacity:
        raise IndexError(f"{dataset.name} {dataset.split} has 1..{dataset.capacity} samples")
    match dataset:
        case Digits():
            return _grid(_digit_tiles(dataset, count), columns=8)
        case Cityscapes() if "box_labels" not in dataset.heads:
            return _grid(_cityscapes_rows(dataset.arrays(range(count))), columns=2)
        case Streets():
            return _grid([_street_row(dataset.scene(i)) for i in range(count)], columns=2)
    return _grid(_tiles(dataset, dataset.arrays(range(count))), columns=4)


def _tiles(dataset: Dataset, arrays: Arrays) -> list[NDArray[np.uint8]]:
    rows = [{key: values[i] for key, values in arrays.items()} for i in range(len(arrays["image"]))]
    return [tile(row, dataset.heads) for row in rows]


def _grid(tiles: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    columns = min(columns, len(tiles))
    blank = np.zeros_like(tiles[0])
    tiles = tiles + [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, 0)


def _cityscapes_rows(arrays: Arrays) -> list[NDArray[np.uint8]]:
    samples = zip(arrays["image"], arrays["segmentation"], arrays["disparity"], strict=True)
    return [cityscapes.sheet_row(*sample) for sample in samples]


def _street_row(drawn: streets.Scene) -> NDArray[np.uint8]:
    nearness = np.sqrt(np.clip(drawn.disparity / 24, 0, 1)) * 255
    grey = np.repeat(nearness.astype(np.uint8)[..., None], 3, axis=-1)
    return np.concatenate([_framed(drawn), streets.PALETTE[drawn.segmentation], grey], axis=1)


def _framed(drawn: streets.Scene) -> NDArray[np.uint8]:
    image = drawn.image.copy()
    for x0, y0, x1, y1, label in drawn.boxes.astype(int).tolist():
        image[y0:y1, [x0, x1 - 1]] = _SHEET_BOXES[label]
        image[[y0, y1 - 1], x0:x1] = _SHEET_BOXES[label]
    return image


def _digit_tiles(dataset: Dataset, count: int) -> list[NDArray[np.uint8]]:
    arrays = dataset.arrays(range(count))
    return [
        _digit_tile(image, int(label))
        for image, label in zip(arrays["image"], arrays["label"], strict=True)
    ]


def _digit_tile(image: NDArray[np.uint8], label: int) -> NDArray[np.uint8]:
    """Draw a digit at 4 x with its label beneath: (46, 36, 3)."""
    tile = np.zeros((46, 36, 3), np.uint8)
    tile[2:34, 2:34] = np.kron(image, np.ones((4, 4, 1), np.uint8))
    glyph = np.array([[bit == "1" for bit in row] for row in _GLYPHS[label].split()])
    tile[36:46, 14:20] = np.kron(glyph, np.ones((2, 2), np.uint8))[..., None] * _GLYPH_COLOUR
    return tile


_GLYPH_COLOUR = np.array((255, 220, 0), np.uint8)
_GLYPHS = (
    "111 101 101 101 111", "010 110 010 010 111", "111 001 111 100 111", "111 001 111 001 111",
    "101 101 111 001 001", "111 100 111 001 111", "111 100 111 101 111", "111 001 001 010 010",
    "111 101 111 101 111", "111 101 111 001 111",
)  # fmt: skip
