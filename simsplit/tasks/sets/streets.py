"""Street scenes, made on the spot.

Positions in a split count from 0 and stand for these scene indices (seed 0), disjoint: train
0..99 999, validation 1 000 000..1 000 511, test 2 000 000..2 000 511. A train set is
``TRAIN_RANGE`` = 4096 long, which is what the recipes use.

With ``labels`` heads of the whole picture: ``label_weather`` ... ``label_road``. With ``noise``
that share of the pixels is black or white, drawn by (scene index, height).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.scenario.data import StreetsData
from simsplit.tasks import streets
from simsplit.tasks.canvas import CLASSES, Floats
from simsplit.tasks.layout import TIMES, WEATHERS
from simsplit.tasks.sets.contract import Arrays, Dataset, Split
from simsplit.tasks.sets.noise import with_noise
from simsplit.tasks.sets.samples import PADDING, padded, settings_of
from simsplit.tasks.streets import BOX_CLASSES

TRAIN_RANGE = range(0, 4096)
"""The scene indices of the ``train`` split that recipes use; up to 99 999 is theirs."""
RANGES = {
    "train": range(0, 100_000),
    "validation": range(1_000_000, 1_000_512),
    "test": range(2_000_000, 2_000_512),
}
DEFAULT_SIZE_PX = (64, 128)
_COUNTED = ("0", "1", "2", "3 or more")
_LABELS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # attribute of a scene, names of its classes
    "weather": ("weather", WEATHERS),
    "time": ("time_of_day", TIMES),
    "vehicles": ("vehicle_count", _COUNTED),
    "persons": ("person_count", _COUNTED),
    "signs": ("sign_count", _COUNTED),
    "nearest": ("nearest_vehicle", ("near", "middle", "far")),
    "road": ("road_width", ("narrow", "middle", "wide")),
}


@dataclass(frozen=True, kw_only=True)
class Streets(Dataset):
    """``image``, ``clean``, ``segmentation``, ``disparity`` in px, ``boxes``; labels asked for."""

    noise: float = 0.0
    labels: tuple[str, ...] = ()
    settings: str = ""

    @property
    def capacity(self) -> int:
        """All scene indices of the split."""
        return len(RANGES[self.split])

    def scene(self, position: int) -> streets.Scene:
        """Render the street at a position, boxes and attributes included."""
        height, width, _ = self.image_shape
        return streets.render(RANGES[self.split][position], height=height, width=width)

    def read(self, positions: Sequence[int]) -> Arrays:
        """Render the streets at these positions."""
        height, width, _ = self.image_shape
        count = len(positions)
        arrays: Arrays = {
            "image": np.empty((count, height, width, 3), np.uint8),
            "clean": np.empty((count, height, width, 3), np.uint8),
            "segmentation": np.empty((count, height, width), np.uint8),
            "disparity": np.empty((count, height, width), np.float32),
        }
        labels: Arrays = {f"label_{name}": np.empty(count, np.int64) for name in self.labels}
        boxes = []
        for row, position in enumerate(positions):
            drawn = self.scene(position)
            for key, array in arrays.items():
                array[row] = getattr(drawn, key)
            for name in self.labels:
                labels[f"label_{name}"][row] = label_of(drawn, name)
            if self.noise:
                index = RANGES[self.split][position]
                arrays["image"][row] = with_noise(drawn.image, self.noise, index)
            boxes.append(drawn.boxes)
        return arrays | labels | _stacked(boxes)

    def identity(self, count: int | None = None) -> list[Any]:
        """Labels and noise; nothing without either."""
        del count
        return [self.settings] if self.noise or self.labels else []


def label_of(scene: streets.Scene, name: str) -> int:
    """The class of a scene's attribute; counts from the last class on are one class."""
    attribute, classes = _LABELS[name]
    return min(scene.attributes[attribute], len(classes) - 1)


def _stacked(boxes: Sequence[Floats]) -> Arrays:
    """Boxes with their class last, ``(n, 5)`` of each picture, as the contract has them."""
    most = max(map(len, boxes), default=0)
    rows = [padded(own[:, :4], most, PADDING["boxes"]) for own in boxes]
    labels = [padded(own[:, 4].astype(np.int64), most, PADDING["box_labels"]) for own in boxes]
    return {"boxes": np.stack(rows), "box_labels": np.stack(labels)}


def open_streets(
    spec: StreetsData, split: Split, height: int | None, width: int | None, where: str
) -> Streets:
    """A split at a size of at least 16 x 16 px; 64 x 128 if none is given."""
    tall, wide = DEFAULT_SIZE_PX
    tall, wide = tall if height is None else height, wide if width is None else width
    if min(tall, wide) < 16:
        raise ScenarioError("streets need at least 16 x 16 px", value=(tall, wide))
    return Streets(
        name=spec.kind,
        split=split,
        length=len(TRAIN_RANGE) if split == "train" else len(RANGES[split]),
        image_shape=(tall, wide, 3),
        heads={
            "segmentation": CLASSES,
            "box_labels": BOX_CLASSES,
            **{f"label_{name}": _LABELS[name][1] for name in spec.labels},
        },
        where=where,
        noise=spec.noise,
        labels=spec.labels,
        settings=settings_of(spec),
    )
