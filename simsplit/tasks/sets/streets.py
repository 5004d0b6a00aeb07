"""Street scenes, made on the spot.

Positions in a split count from 0 and stand for these scene indices (seed 0), disjoint: train
0..99 999, validation 1 000 000..1 000 511, test 2 000 000..2 000 511. A train set is
``TRAIN_RANGE`` = 4096 long, which is what the recipes use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.scenario.data import StreetsData
from simsplit.tasks import streets
from simsplit.tasks.canvas import CLASSES
from simsplit.tasks.sets.contract import Arrays, Dataset, Split

TRAIN_RANGE = range(0, 4096)
"""The scene indices of the ``train`` split that recipes use; up to 99 999 is theirs."""
RANGES = {
    "train": range(0, 100_000),
    "validation": range(1_000_000, 1_000_512),
    "test": range(2_000_000, 2_000_512),
}
DEFAULT_SIZE_PX = (64, 128)


@dataclass(frozen=True, kw_only=True)
class Streets(Dataset):
    """``image``, ``clean``, ``segmentation`` and ``disparity`` in px."""

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
        for row, position in enumerate(positions):
            drawn = self.scene(position)
            for key, array in arrays.items():
                array[row] = getattr(drawn, key)
        return arrays


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
        heads={"segmentation": CLASSES},
        where=where,
    )
