"""The data sets and their fixed splits: street scenes (made on the spot), digits, photographs,
and Cityscapes from a user's own folder.

Streets: positions in a split count from 0 and stand for these scene indices (seed 0), disjoint:
train 0..99 999, validation 1 000 000..1 000 511, test 2 000 000..2 000 511. A train ``Dataset`` is
``TRAIN_RANGE`` = 4096 long, which is what the recipes use.
Digits (scikit-learn, 1797 pictures of 8 x 8): of every class the samples are counted in file order,
0, 1, 2 ...; count mod 5 = 3 is validation, 4 is test, the rest is train. No permutation, no seed.
Photographs: 512 crops of any size in the test split; no truth (see `simsplit.tasks.photographs`).
Cityscapes: their train and val; see `simsplit.tasks.cityscapes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.files import text_digest, whole_file
from simsplit.sources import code_digest
from simsplit.tasks import cityscapes, photographs, streets
from simsplit.tasks.cache_folder import cache_directory
from simsplit.tasks.canvas import CLASSES

DATASETS = ("streets", "digits", "photographs", "cityscapes")
SPLITS = ("train", "validation", "test")
TRAIN_RANGE = range(0, 4096)
"""The scene indices of the ``train`` split that recipes use; up to 99 999 is theirs."""

STREETS_RANGES = {
    "train": range(0, 100_000),
    "validation": range(1_000_000, 1_000_512),
    "test": range(2_000_000, 2_000_512),
}
DEFAULT_SIZE_PX = (64, 128)

Arrays = dict[str, NDArray[Any]]
Split = Literal["train", "validation", "test"]

_SHEET_BOXES = ((0, 0, 255), (255, 0, 0), (255, 255, 0))


@dataclass(frozen=True)
class Dataset:
    """One split of one data set; samples are named by their position in it, from 0.

    ``image_shape`` is (H, W, C); ``files`` are those of the samples, for a data set on disk.
    """

    name: str
    split: Split
    length: int
    image_shape: tuple[int, int, int]
    files: tuple[cityscapes.Files, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        """Count the samples of the split."""
        return self.length

    def arrays(self, indices: Sequence[int]) -> Arrays:
        """Give the samples at these positions.

        Streets: image, clean uint8 (N, H, W, 3); segmentation uint8 (N, H, W); disparity float32
        (N, H, W), px.  Digits: image uint8 (N, 8, 8, 1), 0..255; label int64 (N,).
        Photographs: image uint8 (N, H, W, 3).  Cityscapes: as streets without clean; segmentation
        255 = ignored, disparity NaN = unknown.
        Raises IndexError for a position outside the split; ArtefactError for a damaged file.
        """
        wrong = [index for index in indices if not 0 <= index < self.capacity]
        if wrong:
            raise IndexError(f"{self.name} {self.split} has no position {wrong[0]}")
        height, width, _ = self.image_shape
        match self.name:
            case "photographs":
                pictures = [photographs.photograph(int(i), height, width) for i in indices]
                return {"image": np.stack(pictures)}
            case "cityscapes":
                return cityscapes.read([self.files[int(i)] for i in indices], height, width)
            case "streets":
                return _streets(self, indices)
        return _digits(self, indices)

    @property
    def capacity(self) -> int:
        """How many positions ``arrays`` answers for: more than ``len`` only for streets' train."""
        return len(STREETS_RANGES[self.split]) if self.name == "streets" else self.length


def open_dataset(
    name: str, split: str, *, height: int | None = None, width: int | None = None
) -> Dataset:
    """Open a split; pictures are ``height`` x ``width`` px.

    When left out: streets 64 x 128, photographs 224 x 224, cityscapes 256 x 512.
    Raises ScenarioError for an unknown name or split, for a size the data set does not have, and
    for Cityscapes that are not there; ArtefactError for a picture without its truth.
    """
    _check(name, DATASETS, "data set")
    _check(split, SPLITS, "split")
    checked = cast(Split, split)
    if name == "streets":
        return _open_streets(checked, height, width)
    if name == "cityscapes":
        return _open_cityscapes(checked, height, width)
    if name == "photographs":
        return _open_photographs(checked, height or 224, width or 224)
    if (height or 8, width or 8) != (8, 8):
        raise ScenarioError("digits are 8 x 8 px", value=(height, width))
    return Dataset(name, checked, len(_digit_positions(checked)), (8, 8, 1))


def _check(value: str, choices: tuple[str, ...], noun: str) -> None:
    if value not in choices:
        raise ScenarioError(f"unknown {noun}", value=value, choices=choices)


def _open_streets(split: Split, height: int | None, width: int | None) -> Dataset:
    tall, wide = DEFAULT_SIZE_PX
    tall, wide = tall if height is None else height, wide if width is None else width
    if min(tall, wide) < 16:
        raise ScenarioError("streets need at least 16 x 16 px", value=(tall, wide))
    length = len(TRAIN_RANGE) if split == "train" else len(STREETS_RANGES[split])
    return Dataset("streets", split, length, (tall, wide, 3))


def _open_photographs(split: Split, height: int, width: int) -> Dataset:
    if split != "test":
        raise ScenarioError("photographs have a test split only", value=split)
    return Dataset("photographs", split, photographs.LENGTH, (height, width, 3))


def _open_cityscapes(split: Split, height: int | None, width: int | None) -> Dataset:
    tall, wide = cityscapes.DEFAULT_SIZE_PX
    tall, wide = tall if height is None else height, wide if width is None else width
    if min(tall, wide) < 1:
        raise ScenarioError("pictures need at least 1 x 1 px", value=(tall, wide))
    files = cityscapes.samples(split)
    return Dataset("cityscapes", split, len(files), (tall, wide, 3), files)


def class_names(name: str) -> tuple[str, ...]:
    """What the values of a data set's ``segmentation`` stand for, from 0; empty without one."""
    _check(name, DATASETS, "data set")
    return {"streets": CLASSES, "cityscapes": cityscapes.CLASSES}.get(name, ())


def scene(dataset: Dataset, position: int) -> streets.Scene:
    """Render the street at a position, boxes and attributes included."""
    height, width, _ = dataset.image_shape
    return streets.render(STREETS_RANGES[dataset.split][position], height=height, width=width)


def _streets(dataset: Dataset, indices: Sequence[int]) -> Arrays:
    height, width, _ = dataset.image_shape
    count = len(indices)
    arrays: Arrays = {
        "image": np.empty((count, height, width, 3), np.uint8),
        "clean": np.empty((count, height, width, 3), np.uint8),
        "segmentation": np.empty((count, height, width), np.uint8),
        "disparity": np.empty((count, height, width), np.float32),
    }
    for row, position in enumerate(indices):
        drawn = scene(dataset, int(position))
        for key, array in arrays.items():
            array[row] = getattr(drawn, key)
    return arrays


@lru_cache(maxsize=1)
def _digit_source() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    source = load_digits()
    image = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., None]
    return image, source.target.astype(np.int64)


@lru_cache(maxsize=3)
def _digit_positions(split: Split) -> NDArray[np.int64]:
    _, label = _digit_source()
    turn = np.zeros(len(label), np.int64)
    for digit in range(10):
        turn[label == digit] = np.arange(np.count_nonzero(label == digit)) % 5
    which = {"train": turn < 3, "validation": turn == 3, "test": turn == 4}[split]
    return np.flatnonzero(which)


def _digits(dataset: Dataset, indices: Sequence[int]) -> Arrays:
    image, label = _digit_source()
    here = _digit_positions(dataset.split)[np.asarray(indices, np.int64)]
    return {"image": image[here], "label": label[here]}


def cached_arrays(dataset: Dataset, count: int) -> Arrays:
    """Give the first ``count`` samples, from disk when they were made before.

    The file's name holds a digest of data set, size, count, libraries and the code that makes it,
    for Cityscapes also of the names and sizes of the files. Disparity is float16 in the file and
    float32 in the answer, cached or not (rounding below 0.05 %). Everything is in memory at once:
    of Cityscapes 10 bytes per pixel while it is read and 8 from then on, that is 3.9 and 3.1 GB for
    all 2,975 at 256 x 512.
    Raises IndexError for a count beyond the split.
    """
    if not 0 < count <= dataset.capacity:
        raise IndexError(f"{dataset.name} {dataset.split} has 1..{dataset.capacity} samples")
    path = cache_directory() / "datasets" / f"{dataset.name}-{_digest(dataset, count)}.npz"
    if not path.exists():
        with whole_file(path) as aside:
            np.savez(aside, **cast(Any, _small(dataset.arrays(range(count)))))
    with np.load(path, allow_pickle=False) as stored:
        return {key: _wide(stored[key]) for key in stored.files}


def _digest(dataset: Dataset, count: int) -> str:
    code = code_digest("simsplit.tasks.datasets")
    libraries = [version(name) for name in ("numpy", "pillow", "scikit-learn")]
    identity: tuple[object, ...] = (
        dataset.name, dataset.split, dataset.image_shape, count, code, libraries,
    )  # fmt: skip
    if dataset.files:
        identity = (*identity, cityscapes.identity(dataset.files[:count]))
    return text_digest(repr(identity))[:20]


def _small(arrays: Arrays) -> Arrays:
    return {
        key: array.astype(np.float16) if array.dtype == np.float32 else array
        for key, array in arrays.items()
    }


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def contact_sheet(dataset: Dataset, count: int | None = None) -> NDArray[np.uint8]:
    """Draw the first samples as one uint8 (h, w, 3) picture; 12, or all of a smaller split.

    Streets: two columns of image with boxes | classes in colour | disparity (brighter is nearer).
    Digits: a grid, each with its label beneath. Photographs: a grid. Cityscapes: two columns of
    image | classes | disparity. Raises IndexError for a count beyond the split.
    """
    count = min(12, dataset.capacity) if count is None else count
    if not 0 < count <= dataset.capacity:
        raise IndexError(f"{dataset.name} {dataset.split} has 1..{dataset.capacity} samples")
    if dataset.name == "digits":
        return _grid(_digit_tiles(dataset, count), columns=8)
    if dataset.name == "photographs":
        return _grid(list(dataset.arrays(range(count))["image"]), columns=4)
    if dataset.name == "cityscapes":
        return _grid(_cityscapes_rows(dataset.arrays(range(count))), columns=2)
    return _grid([_street_row(scene(dataset, i)) for i in range(count)], columns=2)


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


def test_samples(dataset_name: str, height: int, width: int, samples: int) -> Arrays:
    """The first ``samples`` of the test range; ScenarioError if there are not so many."""
    dataset = open_dataset(dataset_name, "test", height=height, width=width)
    if not 0 < samples <= len(dataset):
        message = f"the test range of {dataset_name} holds {len(dataset)} samples"
        raise ScenarioError(message, path="task.samples", value=samples)
    return cached_arrays(dataset, samples)
