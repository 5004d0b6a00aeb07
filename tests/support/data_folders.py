"""Small data sets in the layouts of the real ones, written by tests; every pixel is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLOTHING = ("dress", "hat", "pants", "shirt")
COCO_CATEGORIES = ({"id": 3, "name": "car"}, {"id": 90, "name": "boat"}, {"id": 18, "name": "dog"})
CUSTOM = """
import numpy as np


class Squares:
    classes = ["left", "right"]

    def __init__(self, split, count=6, size=8):
        self.split, self.count, self.size = split, count, size

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        picture = np.zeros((self.size, self.size, 3), np.uint8)
        side = index % 2
        half = self.size // 2
        picture[:, side * half : (side + 1) * half] = 40 + index
        return picture, side


def squares(split, **options):
    return Squares(split, **options)
"""


def flat(
    colour: tuple[int, int, int] | int, height: int = 12, width: int = 16
) -> NDArray[np.uint8]:
    """A picture of one colour, or grey."""
    shape = (height, width) if isinstance(colour, int) else (height, width, 3)
    return np.full(shape, colour, np.uint8)


def save(pixels: NDArray[Any], file: Path, **options: Any) -> Path:
    """Write a picture, folders included."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)
    return file


def clothing(top: Path, per_class: int = 10) -> Path:
    """40 pictures of four classes, 12 x 16 px; picture i of class c is (60 c, 10 i, 7)."""
    for label, name in enumerate(CLOTHING):
        for number in range(per_class):
            save(flat((60 * label, 10 * number, 7)), top / name / f"{number:04d}.png")
    return top


def clothing_splits(top: Path) -> Path:
    """The same in folders of splits: 6, 2 and 2 pictures per class."""
    for split, numbers in (("train", range(6)), ("validation", (6, 7)), ("test", (8, 9))):
        for label, name in enumerate(CLOTHING):
            for number in numbers:
                save(flat((60 * label, 10 * number, 7)), top / split / name / f"{number:04d}.png")
    return top


def coco_content() -> dict[str, Any]:
    """Two pictures of 20 x 30 px: a car with a polygon and a dog with runs; a crowd of boats."""
    runs = [5 * 20, 4 * 20, 21 * 20]  # columns 5..8, whole height
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "height": 20, "width": 30},
            {"id": 2, "file_name": "a.png", "height": 20, "width": 30},
        ],
        "categories": list(COCO_CATEGORIES),
        "annotations": [
            {
                "id": 1, "image_id": 2, "category_id": 3, "bbox": [10, 5, 8, 6], "area": 48,
                "iscrowd": 0, "segmentation": [[10, 5, 17, 5, 17, 10, 10, 10]],
            },
            {
                "id": 2, "image_id": 2, "category_id": 18, "bbox": [5, 0, 4, 20], "area": 80,
                "iscrowd": 0, "segmentation": {"size": [20, 30], "counts": runs},
            },
            {
                "id": 3, "image_id": 7, "category_id": 90, "bbox": [0, 0, 30, 10], "area": 300,
                "iscrowd": 1,
                "segmentation": {"size": [20, 30], "counts": [0, *[10, 10] * 30]},
            },
        ],
    }  # fmt: skip


def coco(
    top: Path, content: dict[str, Any] | None = None, splits: tuple[str, ...] = ("val2017",)
) -> Path:
    """COCO's layout, with a val split only if none are said; picture a is red, b green."""
    folder = top / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(coco_content() if content is None else content)
    for split in splits:
        (folder / f"instances_{split}.json").write_text(text)
        save(flat((200, 0, 0), 20, 30), top / split / "a.png")
        save(flat((0, 200, 0), 20, 30), top / split / "b.png")
    return top


VOC_XML = """<annotation><filename>{name}.jpg</filename>
<size><width>30</width><height>20</height><depth>3</depth></size>{objects}</annotation>"""
VOC_OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def voc(top: Path) -> Path:
    """VOC's layout: pictures p1 (a cat, a difficult dog) and p2 (a person), 20 x 30 px."""
    cat = VOC_OBJECT.format(3, 2, 10, 12, name="cat", difficult=0)
    dog = VOC_OBJECT.format(1, 1, 30, 20, name="dog", difficult=1)
    person = VOC_OBJECT.format(5, 5, 6, 8, name="person", difficult=0)
    for name, objects in (("p1", cat + dog), ("p2", person)):
        save(flat((90, 90, 90), 20, 30), top / "JPEGImages" / f"{name}.jpg", quality=95)
        (top / "Annotations").mkdir(exist_ok=True)
        (top / "Annotations" / f"{name}.xml").write_text(VOC_XML.format(name=name, objects=objects))
        classes = np.zeros((20, 30), np.uint8)
        classes[2:12, 3:10], classes[0] = 8, 255  # cat is class 7 of VOC's list
        palette = Image.fromarray(classes)
        palette.putpalette([n * 37 % 256 for n in range(768)])  # makes it mode P, bytes as they are
        (top / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(top / "SegmentationClass" / f"{name}.png")
    for kind in ("Main", "Segmentation"):
        (top / "ImageSets" / kind).mkdir(parents=True)
        (top / "ImageSets" / kind / "train.txt").write_text("p1\n")
        (top / "ImageSets" / kind / "val.txt").write_text("p2\np1\n")
    return top


def kitti(top: Path, count: int = 10) -> Path:
    """KITTI's layout: pictures of 8 x 24 px, disparity 4 px in the left half, unknown in row 0."""
    for number in range(count):
        name = f"{number:06d}_10.png"
        save(flat((number, 50, 50), 8, 24), top / "training" / "image_2" / name)
        raw = np.full((8, 24), 12 * 256, np.uint16)
        raw[:, :12], raw[0] = 4 * 256, 0
        save(raw, top / "training" / "disp_occ_0" / name)
    return top


def npz_arrays(count: int = 20) -> dict[str, NDArray[Any]]:
    """20 pictures of 6 x 8 px with labels of two classes; picture i is i."""
    image = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 6, 8, 3))
    return {"image": image.copy(), "label": np.arange(count) % 2}


def npz(file: Path, **changes: NDArray[Any]) -> Path:
    """An archive of these arrays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **(npz_arrays() | changes))
    return file


def cityscapes(top: Path, scale: int = 1) -> Path:
    """Cityscapes' layout: three pictures of 4 x 8 px in val, two in train, or ``scale`` times that.

    All road, with two cars, the second on a quarter of the picture, and a group of persons.
    """
    frames = [("val", "ulm", n) for n in range(3)] + [("train", "bonn", n) for n in range(2)]
    instances = np.full((4, 8), 7, np.uint16)
    instances[1, 1], instances[2:, :4], instances[:2, 6] = 26_000, 26_001, 24
    for split, city, number in frames:
        name = f"{city}_{number:06d}_000019"
        for kind, suffix, pixels in (
            ("leftImg8bit", "leftImg8bit", flat((10 * number, 5, 5), 4, 8)),
            ("gtFine", "gtFine_labelIds", np.full((4, 8), 7, np.uint8)),
            ("gtFine", "gtFine_instanceIds", instances),
            ("disparity", "disparity", np.full((4, 8), 513, np.uint16)),
        ):
            large = pixels.repeat(scale, 0).repeat(scale, 1)
            save(large, top / kind / split / city / f"{name}_{suffix}.png")
    return top


def own_module(folder: Path, name: str, text: str = CUSTOM) -> str:
    """A module of a user's; the folder has to be on ``SIMSPLIT_PATH``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return name
