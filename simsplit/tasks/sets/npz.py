"""Arrays of a user's own, as NumPy saves them.

    data.npz                             divided as ``split`` says, class by class of ``label``
    folder/{train,validation,test}.npz   splits as files

The arrays have the names, types and shapes of the contract, see `simsplit.tasks.sets.contract`;
whole numbers may be of any width, reals float64 too. ``image`` must be there. In files of a split
the samples keep their order.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsplit.files import file_digest
from simsplit.scenario.data import NpzData
from simsplit.tasks.sets.arrays import checked, heads_of
from simsplit.tasks.sets.contract import Arrays, DataError, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.pictures import to_channels
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of
from simsplit.tasks.sets.splits import divided, split_path, split_paths


@dataclass(frozen=True, kw_only=True)
class Npz(SampleSet):
    """Whatever arrays the file has."""

    file: Path
    content: Arrays = field(repr=False)
    chosen: tuple[int, ...] = field(repr=False)

    def sample(self, position: int) -> Sample:
        """One row of every array, boxes without padding."""
        row = self.chosen[position]
        sample: Sample = {key: array[row] for key, array in self.content.items()}
        sample["image"] = with_channels(sample["image"], self.image_shape[-1])
        if "boxes" in sample:
            own = ~np.isnan(sample["boxes"]).all(axis=1)
            for key in ("boxes", "box_labels", "box_crowd"):
                if key in sample:
                    sample[key] = sample[key][own]
        return sample

    def files_of(self, position: int) -> tuple[Path, ...]:
        """None of a sample's own."""
        del position
        return ()

    def identity(self, count: int | None = None) -> list[Any]:
        """The settings, and the file's content."""
        del count
        return [self.settings, file_digest(self.file)]


def with_channels(pixels: Any, channels: int) -> Any:
    """A picture ``(h, w, C)`` with that many channels."""
    if pixels.shape[-1] == channels:
        return pixels
    return to_channels(Image.fromarray(pixels[..., 0] if channels == 3 else pixels), channels)


def open_npz(spec: NpzData, split: Split, height: int | None, width: int | None, where: str) -> Npz:
    """A split of arrays.

    Raises:
        DataError: No arrays, unknown names, wrong types or shapes, unlike lengths, wrong labels.
    """
    path = Path(spec.path)
    paths = split_paths(path, ".npz") if path.is_dir() else {}
    if path.is_dir() and not paths:
        raise DataError("expected are train.npz, validation.npz and test.npz", file=path)
    file = split_path(path, paths, split) if paths else path
    try:
        content = _loaded(file)
        heads = heads_of(content, spec.classes)
    except DataError as error:
        raise error.of(file) from None
    chosen = _chosen(content, spec, split, is_divided=not paths)
    if not chosen:
        raise DataError(f"the {split} split is empty", file=file, key="split")
    first = content["image"].shape[1:3]
    return Npz(
        name="npz",
        split=split,
        length=len(chosen),
        image_shape=shape_of(height, width, spec.channels, (first[0], first[1])),
        heads=heads,
        where=where,
        fit=spec.fit,
        most_boxes=content["boxes"].shape[1] if "boxes" in content else 0,
        settings=settings_of(spec),
        file=file,
        content=content,
        chosen=chosen,
    )


def _chosen(content: Arrays, spec: NpzData, split: Split, *, is_divided: bool) -> tuple[int, ...]:
    count = len(content["image"])
    if not is_divided:
        return tuple(range(count))
    labels: Sequence[int] = content["label"].tolist() if "label" in content else [0] * count
    return divided([str(number) for number in range(count)], labels, spec.split)[split]


def _loaded(file: Path) -> Arrays:
    try:
        with np.load(file, allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        message = "cannot be read as an .npz file of plain arrays"
        raise DataError(f"{message}: {str(error).splitlines()[0]}", file=file) from None
    if "image" not in content:
        raise DataError("there is no array 'image'", value=", ".join(content))
    arrays = {name: checked(name, array) for name, array in content.items()}
    count = len(arrays["image"])
    for name, array in arrays.items():
        if len(array) != count:
            message = f"'{name}' holds {len(array)} samples, 'image' {count}"
            raise DataError(message, value=array.shape)
    _check_boxes_together(arrays)
    return arrays


def _check_boxes_together(arrays: Arrays) -> None:
    if ("boxes" in arrays) != ("box_labels" in arrays):
        raise DataError("'boxes' and 'box_labels' need each other")
    for name in ("box_labels", "box_crowd"):
        if name in arrays and arrays[name].shape != arrays["boxes"].shape[:2]:
            message = f"'{name}' must have a number per box"
            raise DataError(message, value=arrays[name].shape)
