"""Splits: as the set has them, or drawn class by class with stated shares, or as folds.

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

    Args:
        names: Of the samples, each once.
        classes: Of the samples.
        shares: Of the splits.
    """
    parts = _dealt(mixed(names, shares.seed), classes, [getattr(shares, s) for s in SPLITS])
    train, validation, test = parts
    return {"train": train, "validation": validation, "test": test}


def folded(
    names: Sequence[str],
    classes: Sequence[int],
    folds: int,
    fold: int,
    validation: float = 0.1,
    seed: int = 0,
) -> dict[Split, tuple[int, ...]]:
    """Positions of each split in cross-validation: disjoint, all of them, even in each class.

    The test splits of all folds together are all samples, each once (stratified cross-validation,
    Kohavi, IJCAI 1995).

    Args:
        names: Of the samples, each once.
        classes: Of the samples.
        folds: Into how many parts the samples are dealt.
        fold: 1 … folds, the part that is the test split.
        validation: Share of the other parts that is the validation split.
        seed: Of the order in which they are dealt.
    """
    order = mixed(names, seed)
    parts = _dealt(order, classes, [1.0 / folds] * folds)
    test = set(parts[fold - 1])
    rest = [position for position in order if position not in test]
    train, held_back = _dealt(rest, classes, [1.0 - validation, validation])
    return {"train": train, "validation": held_back, "test": parts[fold - 1]}


def _dealt(
    order: Sequence[int], classes: Sequence[int], shares: Sequence[float]
) -> list[tuple[int, ...]]:
    """Positions in parts by their shares, each part in the given order.

    Class after class is dealt out like cards, every part taking part as often as its share says
    and what is left over of one class going on into the next, so that the counts over all classes
    are within one of the shares too.
    """
    owed = [0.0] * len(shares)
    dealt: list[set[int]] = [set() for _ in shares]
    for position in sorted(order, key=classes.__getitem__):  # stable: mixed within a class
        owed = [due + share for due, share in zip(owed, shares, strict=True)]
        taker = max(range(len(owed)), key=owed.__getitem__)
        owed[taker] -= 1
        dealt[taker].add(position)
    return [tuple(p for p in order if p in part) for part in dealt]
