"""What a data set gives: its length, the shape of its pictures, and arrays by name.

Arrays of N samples, H x W px (`Dataset.arrays`):

    image         uint8 (N, H, W, C), C 1 or 3; always there
    label         int64 (N,); with several heads label_<head> int64 (N,)
    segmentation  uint8 (N, H, W), class of each pixel, 255 where it has none
    disparity     float32 (N, H, W), px, NaN where it is unknown
    boxes         float32 (N, M, 4), x0 y0 x1 y1 in px; rows beyond a picture's own are NaN
    box_labels    int64 (N, M), -1 beyond
    box_crowd     bool (N, M): a region of many, or one too hard to count; only where a set says so
    clean         uint8 (N, H, W, C), what a reconstruction is held against if it is not the image
    target        float32 (N, K), numbers to be estimated
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from simsplit.errors import ScenarioError

Arrays = dict[str, NDArray[Any]]
Split = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")


class DataError(ScenarioError):
    """What is wrong with a data set, and in which file.

    Args:
        message: One sentence.
        file: Where it is.
        key: Of the data set's mapping that has to do with it; ``path`` if none is said.
        value: What was found.
        choices: What would have been right.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | None = None,
        key: str = "path",
        value: object = None,
        choices: Sequence[str] = (),
    ) -> None:
        said = message if file is None else f"{file}: {message}"
        self.file = file
        super().__init__(said, path=key, value=value, choices=choices)

    def of(self, name: object) -> DataError:
        """The same error, with the file or sample that it is about if it names none."""
        if self.file is None:
            self.message = f"{name}: {self.message}"
        return self

    def below(self, where: str) -> DataError:
        """The same error, its path counted from the YAML's top: ``task.dataset.path``."""
        self.path = f"{where}.{self.path}" if self.path else where
        return self


class NoSplit(DataError):
    """The data set has splits of its own, but not this one."""


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """One split of one data set; samples are named by their position in it, from 0.

    Attributes:
        name: Bare name or kind.
        split: Train, validation or test.
        length: How many samples a recipe or a scenario counts on.
        image_shape: (H, W, C).
        heads: Names of the classes, from 0, by the array that holds them: ``label``,
            ``label_<head>``, ``segmentation``, ``box_labels``.
        where: The data set's place in the YAML, for errors.
    """

    name: str
    split: Split
    length: int
    image_shape: tuple[int, int, int]
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where: str = "dataset"

    def __len__(self) -> int:
        """Count the samples of the split."""
        return self.length

    @property
    def capacity(self) -> int:
        """How many positions ``arrays`` answers for: more than ``len`` only for streets' train."""
        return self.length

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of the first head; empty without one."""
        return next(iter(self.heads.values()), ())

    def arrays(self, indices: Sequence[int]) -> Arrays:
        """Give the samples at these positions, see the module for names, types and shapes.

        Raises:
            IndexError: A position outside the split.
            DataError, ArtefactError: A file is damaged, or does not fit the others.
        """
        wrong = [index for index in indices if not 0 <= index < self.capacity]
        if wrong:
            raise IndexError(f"{self.name} {self.split} has no position {wrong[0]}")
        try:
            return self.read([int(index) for index in indices])
        except DataError as error:
            raise error.below(self.where) from None

    @abstractmethod
    def read(self, positions: Sequence[int]) -> Arrays:
        """The arrays of checked positions."""

    def identity(self, count: int | None = None) -> list[Any]:
        """What the first ``count`` samples (all by default) depend on besides code, name, split
        and size, as JSON knows it: digests go by it. Empty for what simsplit makes itself.
        """
        del count
        return []
