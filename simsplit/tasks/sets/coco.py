"""COCO's layout: one JSON of instances per split, and folders of pictures.

    annotations/instances_train2017.json   also ..._val2017, ..._test2017; any year or none
    train2017/*.jpg                        or images/train2017, train, images/train, images

Where there is no test file, test is the val file like validation (the labels of COCO's own test are
withheld, and papers score on val); a single file without a split's name is divided as ``split``
says. Samples come by picture id. Categories count from 0 in the order of their ids, gaps closed.
Crowds are in ``box_crowd``, and without label in ``segmentation`` (0 is background, category k is
k + 1, what is smaller lies above). Boxes without area are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.files import Stamp, file_digest, stamp
from simsplit.scenario.data import CocoData
from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.sets.contract import DataError, NoSplit, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.masks import mask_of
from simsplit.tasks.sets.pictures import read_picture
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of
from simsplit.tasks.sets.splits import FOLDERS, divided

BACKGROUND = "background"


@dataclass(frozen=True)
class Annotated:
    """A picture with its objects, as the JSON has them."""

    file: Path
    size: tuple[int, int]  # height, width
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Coco(SampleSet):
    """``image``, ``boxes``, ``box_labels``, ``box_crowd``; ``segmentation`` with ``masks``."""

    pictures: tuple[Annotated, ...] = field(repr=False)
    numbers: Mapping[int, int] = field(repr=False)  # category id → class
    annotations: Path
    masks: bool = False

    def sample(self, position: int) -> Sample:
        """The picture and its objects."""
        picture = self.pictures[position]
        image = read_picture(picture.file, self.image_shape[-1])
        if image.shape[:2] != picture.size:
            said = "{} x {} px".format(*picture.size)
            message = f"{self.annotations.name} says {said} of this picture"
            raise DataError(message, value="{} x {} px".format(*image.shape[:2]))
        corners = np.array([o["bbox"] for o in picture.objects], np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        sample: Sample = {
            "image": image,
            "boxes": corners,
            "box_labels": np.array(
                [self.numbers[o["category_id"]] for o in picture.objects], np.int64
            ),
            "box_crowd": np.array([bool(o.get("iscrowd", 0)) for o in picture.objects], np.bool_),
        }
        return sample | ({"segmentation": self._class_map(picture)} if self.masks else {})

    def _class_map(self, picture: Annotated) -> NDArray[np.uint8]:
        classes = np.zeros(picture.size, np.uint8)
        for one in sorted(picture.objects, key=lambda o: -float(o.get("area", 0))):
            mask = mask_of(one.get("segmentation"), *picture.size)
            crowd = bool(one.get("iscrowd", 0))
            classes[mask] = IGNORED if crowd else 1 + self.numbers[one["category_id"]]
        return classes

    def files_of(self, position: int) -> tuple[Path, ...]:
        """The picture."""
        return (self.pictures[position].file,)

    def identity(self, count: int | None = None) -> list[Any]:
        """The pictures', and that of the annotations."""
        return [*super().identity(count), file_digest(self.annotations)]


def open_coco(
    spec: CocoData, split: Split, height: int | None, width: int | None, where: str
) -> Coco:
    """A split of a data set in COCO's layout.

    Raises:
        DataError: No annotations, damaged ones, an unknown category, a box outside its picture,
            pictures that are not there.
    """
    file, is_divided = _annotation_file(Path(spec.path), split)
    content = _read(file, stamp(file))
    categories = sorted(content["categories"], key=lambda one: int(one["id"]))
    numbers = {int(one["id"]): number for number, one in enumerate(categories)}
    names = tuple(str(one["name"]) for one in categories)
    pictures = _pictures(content, file, numbers, _folder(Path(spec.path), file))
    if is_divided:
        parts = divided([p.file.name for p in pictures], [0] * len(pictures), spec.split)
        pictures = [pictures[position] for position in parts[split]]
    if not pictures:
        raise DataError(f"the {split} split is empty", file=file)
    if spec.masks and len(names) >= IGNORED:
        raise DataError("at most 254 categories fit into a map of classes", file=file, key="masks")
    heads = {"box_labels": names}
    return Coco(
        name="coco",
        split=split,
        length=len(pictures),
        image_shape=shape_of(height, width, spec.channels, pictures[0].size),
        heads=heads | ({"segmentation": (BACKGROUND, *names)} if spec.masks else {}),
        where=where,
        fit=spec.fit,
        most_boxes=max(len(picture.objects) for picture in pictures),
        settings=settings_of(spec),
        pictures=tuple(pictures),
        numbers=numbers,
        annotations=file,
        masks=spec.masks,
    )


def _annotation_file(top: Path, split: Split) -> tuple[Path, bool]:
    """The JSON of a split, and whether it has to be divided."""
    folder = top / "annotations"
    files = sorted(folder.glob("instances*.json")) or sorted(folder.glob("*.json"))
    if not files:
        message = "no annotations; expected is annotations/instances_<split>.json"
        raise DataError(message, file=top)
    of_split = {name: _of_split(files, name) for name in FOLDERS}
    if not any(of_split.values()):
        if len(files) > 1:
            names = [file.name for file in files]
            raise DataError(
                "which of these is which split is not to be seen", file=folder, value=names
            )
        return files[0], True
    chosen = of_split[split] or (of_split["validation"] if split == "test" else [])
    if not chosen:
        raise NoSplit(f"there is no {split} split", file=folder, value=[f.name for f in files])
    if len(chosen) != 1:
        names = [file.name for file in chosen]
        raise DataError(f"one file of the {split} split is expected", file=folder, value=names)
    return chosen[0], False


def _of_split(files: Sequence[Path], split: str) -> list[Path]:
    stems = {file: file.stem.removeprefix("instances_").rstrip("0123456789_-") for file in files}
    return [file for file, stem in stems.items() if stem in FOLDERS[split]]


def _folder(top: Path, annotations: Path) -> Path:
    name = annotations.stem.removeprefix("instances_")
    short = name.rstrip("0123456789_-")
    tried = [top / name, top / "images" / name, top / short, top / "images" / short, top / "images"]
    return next((folder for folder in tried if folder.is_dir()), top)


@lru_cache(maxsize=1)  # a run opens its data set several times, and the JSON may be large
def _read(file: Path, stamped: Stamp) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"is no JSON: {error}", file=file) from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"has no list '{key}'", file=file)
        for one in content[key]:
            lacking = [field for field in _FIELDS[key] if field not in one]
            if lacking:
                raise DataError(f"an entry of '{key}' has no {lacking[0]}", file=file, value=one)
    if not content["categories"]:
        raise DataError("there are no categories", file=file)
    return content


_FIELDS = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def _pictures(
    content: dict[str, Any], file: Path, numbers: Mapping[int, int], folder: Path
) -> list[Annotated]:
    images = {int(one["id"]): one for one in content["images"]}
    objects: dict[int, list[Mapping[str, Any]]] = {number: [] for number in images}
    for one in content["annotations"]:
        _check_object(one, file, images, numbers)
        objects[int(one["image_id"])].append(one)
    return [
        Annotated(
            folder / str(images[number]["file_name"]),
            (int(images[number]["height"]), int(images[number]["width"])),
            tuple(objects[number]),
        )
        for number in sorted(images)
    ]


def _check_object(
    one: Mapping[str, Any], file: Path, images: Mapping[int, Any], numbers: Mapping[int, int]
) -> None:
    called = f"annotation {one.get('id', '')}".strip()
    if one["image_id"] not in images:
        raise DataError(f"{called} is of no picture in the list", file=file, value=one["image_id"])
    if one["category_id"] not in numbers:
        ids = [str(number) for number in numbers]
        message = f"{called} is of an unknown category"
        raise DataError(message, file=file, value=one["category_id"], choices=ids)
    box = one["bbox"]
    if not isinstance(box, list) or len(box) != 4 or min(box[2:]) < 0:
        raise DataError(f"{called}: a box is x, y, width, height", file=file, value=box)
    image = images[one["image_id"]]
    right, bottom = box[0] + box[2] - image["width"], box[1] + box[3] - image["height"]
    if min(box[:2]) < -1 or max(right, bottom) > 1:
        size = f"{image['height']} x {image['width']} px"
        message = f"{called}: the box lies outside its picture {image['file_name']} of {size}"
        raise DataError(message, file=file, value=box)
