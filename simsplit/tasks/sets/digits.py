"""Digits (scikit-learn, 1797 pictures of 8 x 8).

Of every class the samples are counted in file order, 0, 1, 2 ...; count mod 5 = 3 is validation,
4 is test, the rest is train. No permutation, no seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.scenario.data import DigitsData
from simsplit.tasks.sets.contract import Arrays, Dataset, Split


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """``image`` uint8 (N, 8, 8, 1), 0..255; ``label`` int64 (N,)."""

    def read(self, positions: Sequence[int]) -> Arrays:
        """The digits at these positions."""
        image, label = _source()
        here = digit_positions(self.split)[np.asarray(positions, np.int64)]
        return {"image": image[here], "label": label[here]}


def open_digits(
    spec: DigitsData, split: Split, height: int | None, width: int | None, where: str
) -> Digits:
    """A split; the size is 8 x 8 px."""
    if (height or 8, width or 8) != (8, 8):
        raise ScenarioError("digits are 8 x 8 px", value=(height, width))
    return Digits(
        name=spec.kind,
        split=split,
        length=len(digit_positions(split)),
        image_shape=(8, 8, 1),
        heads={"label": tuple("0123456789")},
        where=where,
    )


@lru_cache(maxsize=1)
def _source() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    source = load_digits()
    image = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., None]
    return image, source.target.astype(np.int64)


@lru_cache(maxsize=3)
def digit_positions(split: Split) -> NDArray[np.int64]:
    """Places in scikit-learn's file of a split's samples."""
    _, label = _source()
    turn = np.zeros(len(label), np.int64)
    for digit in range(10):
        turn[label == digit] = np.arange(np.count_nonzero(label == digit)) % 5
    which = {"train": turn < 3, "validation": turn == 3, "test": turn == 4}[split]
    return np.flatnonzero(which)
