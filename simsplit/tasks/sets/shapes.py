"""Shapes: rooms with one object as in 3D Shapes (Burgess and Kim, 2018), 480,000 combinations.

A combination's index counts its six factors like digits, the last the fastest, as in the official
file: floor_hue (10), wall_hue (10), object_hue (10), scale (8), shape (4), orientation (15). Every
position of a split stands for one index: the place of all indices in the order of a permutation
(seed 0), of which the first 384,000 are train, then 48,000 validation, then 48,000 test. So no
combination is in two splits, and the first N of each are a mixed lot.

With ``hold_out`` training keeps of its combinations those whose pair of floor and wall hue is not
held out, validation and test keep of theirs those whose pair is (`held_out`), in the same order.

Heads: ``label_floor_hue`` ... ``label_orientation``. With ``noise`` that share of the pixels is
black or white, drawn by (index, size), and ``clean`` is the picture without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.scenario.data import SHAPES_FACTORS, ShapesData
from simsplit.seeds import generator
from simsplit.tasks import rooms
from simsplit.tasks.sets.contract import Arrays, DataError, Dataset, Split
from simsplit.tasks.sets.noise import with_noise
from simsplit.tasks.sets.samples import settings_of

COUNTS = (10, 10, 10, 8, 4, 15)
TOTAL = prod(COUNTS)
BOUNDS: dict[str, tuple[int, int]] = {
    "train": (0, 384_000),
    "validation": (384_000, 432_000),
    "test": (432_000, 480_000),
}
SIZES_PX = (64, 128)
_NAMES = (
    *[tuple(f"{hue:.1f}" for hue in rooms.HUES)] * 3,
    tuple(f"{scale:.3f}" for scale in rooms.SCALES),
    rooms.FORMS,
    tuple(f"{angle:.1f}" for angle in rooms.ORIENTATIONS_DEG),
)
_PAIRS = 100  # of floor and wall hue


@lru_cache(maxsize=1)
def order() -> NDArray[np.int64]:
    """All indices in the order in which the splits take them, ``(480000,)``."""
    return generator(0, TOTAL).permutation(TOTAL)


def held_out(share: float) -> frozenset[int]:
    """Pairs of floor and wall hue, numbered 10 floor + wall, that training never shows.

    The first ``share`` of the 100 pairs in the order of a permutation (seed 0), so that those of a
    smaller share are among those of a larger one.
    """
    pairs = generator(0, _PAIRS).permutation(_PAIRS)
    return frozenset(pairs[: round(share * _PAIRS)].tolist())


@lru_cache(maxsize=8)
def indices_of(split: Split, hold_out: float) -> NDArray[np.int64]:
    """The combinations of a split, by position."""
    start, end = BOUNDS[split]
    indices = order()[start:end]
    if not hold_out:
        return indices
    pairs = indices // (TOTAL // _PAIRS)
    is_held_out = np.isin(pairs, list(held_out(hold_out)))
    return indices[~is_held_out if split == "train" else is_held_out]


def factors_of(indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """The six factors of each index, ``(N, 6)``, in the order of ``SHAPES_FACTORS``."""
    return np.stack(np.unravel_index(np.asarray(indices, np.int64), COUNTS), axis=-1)


@dataclass(frozen=True, kw_only=True)
class Shapes(Dataset):
    """``image`` and a label per factor; ``clean`` if there is noise."""

    noise: float = 0.0
    hold_out: float = 0.0
    file: Path | None = None
    settings: str = ""

    def indices(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """The combinations that these positions stand for."""
        return indices_of(self.split, self.hold_out)[np.asarray(positions, np.int64)]

    def read(self, positions: Sequence[int]) -> Arrays:
        """The rooms at these positions."""
        indices = self.indices(positions)
        factors = factors_of(indices)
        clean = self._drawn(factors) if self.file is None else _stored(self.file, indices, factors)
        labels = {f"label_{name}": factors[:, n] for n, name in enumerate(SHAPES_FACTORS)}
        if not self.noise:
            return {"image": clean, **labels}
        pairs = zip(clean, indices, strict=True)
        noisy = [with_noise(picture, self.noise, int(index)) for picture, index in pairs]
        return {"image": np.stack(noisy), "clean": clean, **labels}

    def _drawn(self, factors: NDArray[np.int64]) -> NDArray[np.uint8]:
        size = self.image_shape[0]
        rows = factors.tolist()
        return np.stack([rooms.picture((f, w, o), s, k, t, size) for f, w, o, s, k, t in rows])

    def identity(self, count: int | None = None) -> list[Any]:
        """Settings, and size of the official file; nothing for what is drawn without settings."""
        del count
        if self.file is None and not self.noise and not self.hold_out:
            return []
        return [self.settings, 0 if self.file is None else self.file.stat().st_size]


def open_shapes(
    spec: ShapesData, split: Split, height: int | None, width: int | None, where: str
) -> Shapes:
    """A split at 64 x 64 (as if none is given) or 128 x 128 px.

    Raises:
        DataError: Another size, or a file that is not the official one.
    """
    size = (SIZES_PX[0] if height is None else height, SIZES_PX[0] if width is None else width)
    allowed = SIZES_PX[:1] if spec.path is not None else SIZES_PX
    if size not in [(px, px) for px in allowed]:
        choices = [f"{px} x {px}" for px in allowed]
        said = "{} x {}".format(*size)
        raise DataError("shapes have another size, px", key="", value=said, choices=choices)
    file = None if spec.path is None else Path(spec.path)
    if file is not None:
        _check_file(file)
    heads = zip(SHAPES_FACTORS, _NAMES, strict=True)
    return Shapes(
        name="shapes",
        split=split,
        length=len(indices_of(split, spec.hold_out)),
        image_shape=(*size, 3),
        heads={f"label_{factor}": names for factor, names in heads},
        where=where,
        noise=spec.noise,
        hold_out=spec.hold_out,
        file=file,
        settings=settings_of(spec),
    )


# --- the official file ------------------------------------------------------------------------


def _check_file(file: Path) -> None:
    with _opened(file) as stored:
        for name, shape in (("images", (TOTAL, 64, 64, 3)), ("labels", (TOTAL, len(COUNTS)))):
            there = stored[name].shape if name in stored else None
            if there != shape:
                message = f"is not the official 3dshapes.h5: '{name}' must be {shape}"
                raise DataError(message, file=file, value=there)


def _opened(file: Path) -> Any:
    try:
        import h5py  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        raise DataError("reading it needs h5py: pip install h5py", file=file) from None
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"cannot be read as HDF5: {error}", file=file) from None


def _stored(
    file: Path, indices: NDArray[np.int64], factors: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Pictures of the official file, whose labels must be the factors' values."""
    values = (rooms.HUES, rooms.HUES, rooms.HUES, rooms.SCALES, range(4), rooms.ORIENTATIONS_DEG)
    with _opened(file) as stored:
        rows = [(stored["images"][int(i)], stored["labels"][int(i)]) for i in indices]
    for (_, labels), index, combination in zip(rows, indices, factors, strict=True):
        expected = [choices[number] for choices, number in zip(values, combination, strict=True)]
        if not np.allclose(labels, expected, atol=1e-3):
            message = f"labels of picture {index} are not {expected}"
            raise DataError(message, file=file, value=labels.tolist())
    return np.stack([picture for picture, _ in rows]).astype(np.uint8)
