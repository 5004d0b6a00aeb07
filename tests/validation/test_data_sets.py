"""Readers of layouts against independent programs: torchvision's, and the COCO API's masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets as theirs

import data_folders as folders
from simsplit.scenario.data import ImageFolderData, KittiData, Shares, VocData
from simsplit.tasks.datasets import Dataset, open_dataset
from simsplit.tasks.sets.masks import mask_of, unpacked

ALL = Shares(train=0, validation=0, test=1)


def _ours(data: Dataset) -> dict[str, np.ndarray]:
    return data.arrays(range(len(data)))


def test_image_folder(tmp_path: Path) -> None:
    """The same pictures with the same labels, in whatever order."""
    top = folders.clothing(tmp_path / "d", 3)
    their = theirs.ImageFolder(str(top))
    spec = ImageFolderData(kind="image_folder", path=str(top), split=ALL)
    data = open_dataset(spec, "test")
    arrays = _ours(data)
    pairs = zip(arrays["image"], arrays["label"].tolist(), strict=True)
    ours = {(picture.tobytes(), label) for picture, label in pairs}
    assert ours == {(np.asarray(picture).tobytes(), label) for picture, label in their}
    assert list(data.class_names) == their.classes


def test_voc_boxes_and_maps(tmp_path: Path) -> None:
    top = folders.voc(tmp_path / "VOCdevkit" / "VOC2012")
    found = theirs.VOCDetection(str(tmp_path), year="2012", image_set="val")
    maps = theirs.VOCSegmentation(str(tmp_path), year="2012", image_set="val")
    spec = VocData(kind="voc", path=str(top), masks=True)
    arrays = _ours(open_dataset(spec, "test"))
    names = open_dataset(spec, "test").heads["box_labels"]
    for row, ((picture, said), (_, classes)) in enumerate(zip(found, maps, strict=True)):
        np.testing.assert_array_equal(arrays["image"][row], np.asarray(picture))
        np.testing.assert_array_equal(arrays["segmentation"][row], np.asarray(classes))
        for number, one in enumerate(said["annotation"]["object"]):
            edges = [float(one["bndbox"][edge]) for edge in ("xmin", "ymin", "xmax", "ymax")]
            expected = np.array(edges) - [1, 1, 0, 0]  # from 1, ends included → from 0, excluded
            np.testing.assert_array_equal(arrays["boxes"][row, number], expected)
            assert names[arrays["box_labels"][row, number]] == one["name"]


def test_kitti_disparity(tmp_path: Path) -> None:
    """torchvision wants right pictures and their disparities too; it gives (1, h, w), 0 unknown."""
    top = folders.kitti(tmp_path / "Kitti2015", 4)
    rng = np.random.default_rng(0)
    for number in range(4):
        name = f"{number:06d}_10.png"
        raw = rng.integers(0, 65536, (8, 24)).astype(np.uint16)
        raw[rng.random((8, 24)) < 0.3] = 0
        for folder in ("disp_occ_0", "disp_occ_1"):
            folders.save(raw, top / "training" / folder / name)
        folders.save(folders.flat((1, 1, 1), 8, 24), top / "training" / "image_3" / name)
    their = theirs.Kitti2015Stereo(str(tmp_path), split="train")
    arrays = _ours(open_dataset(KittiData(kind="kitti", path=str(top), split=ALL), "test"))
    ours = {int(p[0, 0, 0]): d for p, d in zip(arrays["image"], arrays["disparity"], strict=True)}
    for left, _, disparity, _ in (their[number] for number in range(4)):
        mine = ours[int(np.asarray(left)[0, 0, 0])]
        np.testing.assert_array_equal(np.nan_to_num(mine), np.abs(disparity[0]))
        np.testing.assert_array_equal(np.isnan(mine), disparity[0] == 0)


def test_masks_of_the_coco_api() -> None:
    """Packed runs to the pixel; polygons but for pixels at the edge."""
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for density in (0.02, 0.5, 0.97):
        mask = rng.random((37, 53)) < density
        packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        content = {"size": [37, 53], "counts": packed["counts"].decode()}
        np.testing.assert_array_equal(mask_of(content, 37, 53), mask)
        assert sum(unpacked(content["counts"])) == 37 * 53
    polygon = [5.2, 3.1, 45.7, 8.9, 38.3, 33.0, 10.5, 28.4]
    their = coco.decode(coco.merge(coco.frPyObjects([polygon], 37, 53))).astype(bool)
    ours = mask_of([polygon], 37, 53)
    edge = 2 * (37 + 53)
    assert (their ^ ours).sum() < edge and (their & ours).sum() / (their | ours).sum() > 0.9
