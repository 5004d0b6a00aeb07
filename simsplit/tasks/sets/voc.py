"""PASCAL VOC's layout (Everingham et al., IJCV 2010), as VOC2012 is unpacked.

    JPEGImages/<name>.jpg  Annotations/<name>.xml  SegmentationClass/<name>.png
    ImageSets/Main/{train,val,test}.txt  ImageSets/Segmentation/{train,val,test}.txt

``path`` is that folder, or a VOCdevkit with one year in it. Where there is no test list, test is
val like validation. Samples come as the list has them. Boxes: x0 = xmin - 1, x1 = xmax (VOC counts
from 1, ends included). Objects marked difficult are in ``box_crowd``. In ``segmentation`` 0 is
background, class k is k + 1, and 255 is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from simsplit.scenario.data import VocData
from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.sets.contract import DataError, NoSplit, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.pictures import ENDINGS, check_there, read_class_map, read_picture
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


class Objects(NamedTuple):
    """The objects of one picture."""

    boxes: tuple[tuple[float, float, float, float], ...]
    labels: tuple[int, ...]
    difficult: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Voc(SampleSet):
    """``image``, ``boxes``, ``box_labels``, ``box_crowd``; ``segmentation`` with ``masks``."""

    files: tuple[tuple[Path, ...], ...] = field(repr=False)  # picture, annotation, maybe map
    objects: tuple[Objects, ...] = field(repr=False)

    def sample(self, position: int) -> Sample:
        """The picture and its objects."""
        picture, _, *maps = self.files[position]
        objects = self.objects[position]
        sample: Sample = {
            "image": read_picture(picture, self.image_shape[-1]),
            "boxes": np.array(objects.boxes, np.float32).reshape(-1, 4),
            "box_labels": np.array(objects.labels, np.int64),
            "box_crowd": np.array(objects.difficult, np.bool_),
        }
        for file in maps:
            sample["segmentation"] = classes = read_class_map(file)
            most = len(self.heads["segmentation"]) - 1
            wrong = classes[(classes > most) & (classes != IGNORED)]
            if wrong.size:
                message = f"the map holds a class beyond {most}"
                raise DataError(message, file=file, key="classes", value=int(wrong[0]))
        return sample

    def files_of(self, position: int) -> tuple[Path, ...]:
        """Picture, annotation and map."""
        return self.files[position]


def open_voc(spec: VocData, split: Split, height: int | None, width: int | None, where: str) -> Voc:
    """A split of a data set in VOC's layout.

    Raises:
        DataError: No such layout or list, files missing, an unknown class, a damaged annotation.
    """
    top = _top(Path(spec.path))
    names = _listed(top, split, spec.masks)
    classes = spec.classes or CLASSES
    files = [_files(top, name, spec.masks) for name in names]
    for place, noun in enumerate(("pictures", "annotations", "maps of classes")):
        check_there([f[place] for f in files if len(f) > place], noun, top)
    objects = [_objects(of_one[1], classes) for of_one in files]
    first = read_picture(files[0][0], spec.channels).shape
    heads = {"box_labels": classes}
    return Voc(
        name="voc",
        split=split,
        length=len(files),
        image_shape=shape_of(height, width, spec.channels, (first[0], first[1])),
        heads=heads | ({"segmentation": ("background", *classes)} if spec.masks else {}),
        where=where,
        fit=spec.fit,
        most_boxes=max(len(of_one.boxes) for of_one in objects),
        settings=settings_of(spec),
        files=tuple(files),
        objects=tuple(objects),
    )


def _top(path: Path) -> Path:
    if (path / "JPEGImages").is_dir():
        return path
    years = sorted(path.glob("VOC[0-9]*/JPEGImages")) + sorted(path.glob("VOCdevkit/*/JPEGImages"))
    if len(years) != 1:
        message = "expected is a folder with JPEGImages, Annotations and ImageSets"
        raise DataError(message, file=path, value=[year.parent.name for year in years] or None)
    return years[0].parent


def _listed(top: Path, split: Split, masks: bool) -> list[str]:
    folder = top / "ImageSets" / ("Segmentation" if masks else "Main")
    lists = {"train": ["train"], "validation": ["val"], "test": ["test", "val"]}[split]
    file = next((folder / f"{n}.txt" for n in lists if (folder / f"{n}.txt").is_file()), None)
    if file is None:
        raise NoSplit(f"there is no list {lists[-1]}.txt", file=folder)
    names = [
        line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    if not names:
        raise DataError("the list is empty", file=file)
    return names


def _files(top: Path, name: str, masks: bool) -> tuple[Path, ...]:
    stem = top / "JPEGImages" / name
    there = (stem.with_name(f"{name}{ending}") for ending in (".jpg", *ENDINGS))
    picture = next((file for file in there if file.is_file()), stem.with_name(f"{name}.jpg"))
    maps = (top / "SegmentationClass" / f"{name}.png",) if masks else ()
    return (picture, top / "Annotations" / f"{name}.xml", *maps)


def _objects(file: Path, classes: Sequence[str]) -> Objects:
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"is no XML: {error}", file=file) from None
    boxes, labels, difficult = [], [], []
    for one in root.findall("object"):
        name = (one.findtext("name") or "").strip()
        if name not in classes:
            message = "an object of an unknown class"
            raise DataError(message, file=file, key="classes", value=name, choices=classes)
        boxes.append(_box(one, file))
        labels.append(classes.index(name))
        difficult.append((one.findtext("difficult") or "0").strip() == "1")
    return Objects(tuple(boxes), tuple(labels), tuple(difficult))


def _box(one: ElementTree.Element, file: Path) -> tuple[float, float, float, float]:
    texts = [one.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x0, y0, x1, y1 = (float(text or "") for text in texts)
    except ValueError:
        raise DataError("a box needs xmin, ymin, xmax and ymax", file=file, value=texts) from None
    return x0 - 1, y0 - 1, x1, y1
