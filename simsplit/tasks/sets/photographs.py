"""Photographs: 512 crops of any size in the test split, without truth.

See `simsplit.tasks.photographs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simsplit.scenario.data import PhotographsData
from simsplit.tasks import photographs
from simsplit.tasks.sets.contract import Arrays, Dataset, NoSplit, Split


@dataclass(frozen=True, kw_only=True)
class Photographs(Dataset):
    """``image`` only."""

    def read(self, positions: Sequence[int]) -> Arrays:
        """The crops at these positions."""
        height, width, _ = self.image_shape
        pictures = [photographs.photograph(index, height, width) for index in positions]
        return {"image": np.stack(pictures)}


def open_photographs(
    spec: PhotographsData, split: Split, height: int | None, width: int | None, where: str
) -> Photographs:
    """The test split, the only one there is; 224 x 224 px if no size is given."""
    if split != "test":
        raise NoSplit("photographs have a test split only", key="", value=split)
    return Photographs(
        name=spec.kind,
        split=split,
        length=photographs.LENGTH,
        image_shape=(height or 224, width or 224, 3),
        where=where,
    )
