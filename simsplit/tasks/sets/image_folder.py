"""One folder of pictures per class.

    top/<class>/*.jpg                      divided as ``split`` says, see `tasks.sets.splits`
    top/{train,validation,test}/<class>/*  splits as folders; ``val`` and ``valid`` are validation

Classes are the folders' names in alphabetical order, the same in all splits, or those of
``classes`` in its order. Folds are dealt from the pictures of all splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from simsplit.scenario.data import ImageFolderData
from simsplit.tasks.sets.contract import DataError, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.pictures import picture_files, read_picture
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of
from simsplit.tasks.sets.splits import divided, folded, mixed, split_path, split_paths


@dataclass(frozen=True, kw_only=True)
class ImageFolder(SampleSet):
    """``image`` and ``label``."""

    files: tuple[Path, ...] = field(repr=False)
    labels: tuple[int, ...] = field(repr=False)

    def sample(self, position: int) -> Sample:
        """The picture and the number of its class."""
        image = read_picture(self.files[position], self.image_shape[-1])
        return {"image": image, "label": np.int64(self.labels[position])}

    def files_of(self, position: int) -> tuple[Path, ...]:
        """The picture."""
        return (self.files[position],)


def open_image_folder(
    spec: ImageFolderData, split: Split, height: int | None, width: int | None, where: str
) -> ImageFolder:
    """A split of a folder of classes.

    Raises:
        DataError: No classes, an empty class folder, splits with other classes, an empty split.
    """
    top = Path(spec.path)
    if not top.is_dir():
        raise DataError("this is a file; a folder with one folder per class is expected", file=top)
    folders = split_paths(top)
    for name, folder in folders.items():
        _check_classes(folder, class_folders(next(iter(folders.values()))), name)
    here = _read_from(top, folders, split, all_of_them=spec.folds is not None)
    names = _classes(here[0], spec.classes)
    files, labels = _listed(here, names)
    below = here[0] if len(here) == 1 else top
    chosen = _chosen(
        spec, [f.relative_to(below).as_posix() for f in files], labels, split, bool(folders)
    )
    if not chosen:
        message = f"the {split} split is empty"
        if spec.folds is None:
            raise DataError(message, file=top, key="split")
        message += f": {len(files)} pictures are dealt into {spec.folds} folds"
        raise DataError(message, file=top, key="folds", value=spec.folds)
    first = read_picture(files[chosen[0]], spec.channels).shape
    return ImageFolder(
        name="image_folder",
        split=split,
        length=len(chosen),
        image_shape=shape_of(height, width, spec.channels, (first[0], first[1])),
        heads={"label": names},
        where=where,
        fit=spec.fit,
        settings=settings_of(spec),
        files=tuple(files[i] for i in chosen),
        labels=tuple(labels[i] for i in chosen),
    )


def _read_from(
    top: Path, folders: dict[str, Path], split: Split, *, all_of_them: bool
) -> list[Path]:
    """The folders whose classes are read: that of the split, or all that there are."""
    if not folders:
        return [top]
    return list(folders.values()) if all_of_them else [split_path(top, folders, split)]


def _chosen(
    spec: ImageFolderData, names: list[str], labels: list[int], split: Split, has_splits: bool
) -> Sequence[int]:
    """Positions of a split's pictures among those that were read."""
    seed = spec.split.seed
    if spec.folds is not None and spec.fold is not None:
        return folded(names, labels, spec.folds, spec.fold, spec.fold_validation, seed)[split]
    return mixed(names, seed) if has_splits else divided(names, labels, spec.split)[split]


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out.

    Raises:
        DataError: There are none.
    """
    if not folder.is_dir():
        raise DataError("this is a file; a folder of classes is expected", file=folder)
    names = sorted(e.name for e in folder.iterdir() if e.is_dir() and not e.name.startswith("."))
    if not names:
        raise DataError("there is no class folder; expected is one folder per class", file=folder)
    return names


def _check_classes(folder: Path, expected: list[str], split: str) -> None:
    names = class_folders(folder)
    for name in sorted(set(names) ^ set(expected)):
        verb = "has a class that another split lacks" if name in names else "lacks a class"
        raise DataError(f"the {split} split {verb}", file=folder, value=name)


def _classes(folder: Path, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    there = class_folders(folder)
    for index, name in enumerate(wanted or ()):
        if name not in there:
            key = f"classes[{index}]"
            raise DataError("no such class folder", file=folder, key=key, value=name, choices=there)
    return wanted or tuple(there)


def _listed(folders: Sequence[Path], names: Sequence[str]) -> tuple[list[Path], list[int]]:
    files: list[Path] = []
    labels: list[int] = []
    for folder, (label, name) in product(folders, enumerate(names)):
        inside = picture_files(folder / name)
        if not inside:
            raise DataError("the class folder holds no pictures", file=folder / name)
        files += inside
        labels += [label] * len(inside)
    return files, labels
