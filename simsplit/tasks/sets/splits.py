"""Splits: as the set has them, else drawn class by class with stated shares.

Samples are ordered by SHA-256 of seed and name: no generator's stream decides, so that adding a
picture moves no other in the order. The first N of any split are therefore a mixed lot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from simsplit.scenario.data import Shares
from simsplit.tasks.sets.contract import SPLITS, DataError, NoSplit, Split

FOLDERS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
"""Names that a split's folder or file may have."""


def split_paths(top: Path, suffix: str = "") -> dict[str, Path]:
    """Folders (or files with a suffix) in ``top`` that are splits, by split; empty if none are."""
    there = {
        split: [top / f"{name}{suffix}" for name in names if (top / f"{name}{suffix}").exists()]
        for split, names in FOLDERS.items()
    }
    for split, paths in there.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DataError(f"both {names} are there, either would be {split}", file=top)
    return {split: paths[0] for split, paths in there.items() if paths}


def split_path(top: Path, paths: dict[str, Path], split: Split) -> Path:
    """The one of `split_paths` that is asked for.

    Raises:
        DataError: The data set has splits, but not this one.
    """
    if split not in paths:
        there = ", ".join(path.name for path in paths.values())
        raise NoSplit(f"there is no {split} split, only {there}", file=top)
    return paths[split]


def mixed(names: Sequence[str], seed: int) -> list[int]:
    """Positions in an order that has nothing to do with the names."""
    keys = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    return sorted(range(len(names)), key=keys.__getitem__)


def divided(
    names: Sequence[str], classes: Sequence[int], shares: Shares
) -> dict[Split, tuple[int, ...]]:
    """Positions of each split: disjoint, all of them, in each class by the shares.

    Class after class is dealt out like cards, every split taking part as often as its share says
    and what is left over of one class going on into the next, so that the counts over all classes
    are within one of the shares too.

    Args:
        names: Of the samples, each once.
        classes: Of the samples.
        shares: Of the splits.
    """
    order = mixed(names, shares.seed)
    owed = dict.fromkeys(SPLITS, 0.0)
    dealt: dict[str, set[int]] = {split: set() for split in SPLITS}
    for position in sorted(order, key=classes.__getitem__):  # stable: mixed within a class
        for split in SPLITS:
            owed[split] += getattr(shares, split)
        taker = max(SPLITS, key=owed.__getitem__)
        owed[taker] -= 1
        dealt[taker].add(position)
    train, validation, test = (tuple(p for p in order if p in dealt[s]) for s in SPLITS)
    return {"train": train, "validation": validation, "test": test}
