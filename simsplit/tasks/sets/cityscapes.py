"""Cityscapes from a user's own folder: their train and val; see `simsplit.tasks.cityscapes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.scenario.data import CityscapesData
from simsplit.tasks import cityscapes
from simsplit.tasks.sets.contract import Arrays, Dataset, Split


@dataclass(frozen=True, kw_only=True)
class Cityscapes(Dataset):
    """``image``, ``segmentation``, ``disparity``; maybe ``boxes`` with their labels and crowds.

    ``files``: of the samples.
    """

    files: tuple[cityscapes.Files, ...] = field(repr=False)

    def read(self, positions: Sequence[int]) -> Arrays:
        """The samples at these positions."""
        height, width, _ = self.image_shape
        return cityscapes.read([self.files[index] for index in positions], height, width)

    def identity(self, count: int | None = None) -> list[Any]:
        """Names and sizes of the files."""
        return list(cityscapes.identity(self.files[:count]))


def open_cityscapes(
    spec: CityscapesData, split: Split, height: int | None, width: int | None, where: str
) -> Cityscapes:
    """A split; 256 x 512 px if no size is given."""
    tall, wide = cityscapes.DEFAULT_SIZE_PX
    tall, wide = tall if height is None else height, wide if width is None else width
    if min(tall, wide) < 1:
        raise ScenarioError("pictures need at least 1 x 1 px", value=(tall, wide))
    files = cityscapes.samples(split, spec.path, boxes=spec.boxes)
    heads = {"segmentation": cityscapes.CLASSES}
    return Cityscapes(
        name="cityscapes",
        split=split,
        length=len(files),
        image_shape=(tall, wide, 3),
        heads=heads | ({"box_labels": cityscapes.THINGS} if spec.boxes else {}),
        where=where,
        files=files,
    )
