"""Data sets that are read sample by sample and brought to one size: what all of them share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simsplit.files import file_digest
from simsplit.tasks.sets.contract import Arrays, DataError, Dataset
from simsplit.tasks.sets.fit import Sample, fitted

PADDING = {"boxes": np.nan, "box_labels": -1, "box_crowd": False}


@dataclass(frozen=True, kw_only=True)
class SampleSet(Dataset):
    """A data set of pictures of any size.

    Attributes:
        fit: How they are brought to ``image_shape``.
        most_boxes: M of ``boxes``: the most that any picture of the split has.
        settings: What the YAML says of the set, without its path: part of its identity.
    """

    fit: str | None = None
    most_boxes: int = 0
    settings: str = ""

    @abstractmethod
    def sample(self, position: int) -> Sample:
        """Arrays of one sample as it is on disk, see `simsplit.tasks.sets.fit`."""

    @abstractmethod
    def files_of(self, position: int) -> tuple[Path, ...]:
        """The files of a sample, its picture first; empty if they are not one by one."""

    def fitted_sample(self, position: int) -> Sample:
        """A sample at the size of the pictures that circulate; errors name its file."""
        try:
            sample = self.sample(position)
            if sample["image"].shape[-1] != self.image_shape[-1]:
                message = f"the picture has {sample['image'].shape[-1]} channels"
                raise DataError(message, key="channels", value=self.image_shape[-1])
            return fitted(sample, self.image_shape[:2], self.fit)
        except DataError as error:
            files = self.files_of(position)
            raise error.of(files[0] if files else f"sample {position}") from None

    def without_area(self, position: int) -> int:
        """How many boxes of a sample have no area on disk; they are left out."""
        boxes = self.sample(position).get("boxes", np.empty((0, 4)))
        return len(boxes) - int((boxes[:, 2:] > boxes[:, :2]).all(axis=1).sum())

    def read(self, positions: Sequence[int]) -> Arrays:
        """The samples at these positions, stacked."""
        samples = [self.fitted_sample(position) for position in positions]
        return {key: self._stacked(key, [s[key] for s in samples]) for key in samples[0]}

    def _stacked(self, key: str, values: list[Any]) -> Any:
        if key not in PADDING:
            return np.stack(values)
        most = max(self.most_boxes, *(len(value) for value in values), 0)
        return np.stack([padded(value, most, PADDING[key]) for value in values])

    def identity(self, count: int | None = None) -> list[Any]:
        """The set's settings, and name and content of each sample's files."""
        positions = range(self.length if count is None else min(count, self.length))
        files = [file for position in positions for file in self.files_of(position)]
        return [self.settings, self.fit, *((f.name, file_digest(f)) for f in files)]


def padded(rows: Any, most: int, value: Any) -> Any:
    """Rows filled up with a value: ``(n, ...)`` → ``(most, ...)``."""
    filled = np.full((most, *rows.shape[1:]), value, rows.dtype)
    filled[: len(rows)] = rows
    return filled


def settings_of(spec: Any) -> str:
    """What a spec says without the path, as text."""
    return str(spec.model_dump_json(exclude={"path"}))


def shape_of(
    height: int | None, width: int | None, channels: int, first: tuple[int, int]
) -> tuple[int, int, int]:
    """(H, W, C) as asked for; of what is not said that of the first picture."""
    return (
        first[0] if height is None else height,
        first[1] if width is None else width,
        channels,
    )
