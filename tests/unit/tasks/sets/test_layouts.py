"""COCO, VOC and KITTI as their files say it: boxes, classes, masks, disparities to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import data_folders as folders
from simsplit.scenario.data import CityscapesData, CocoData, KittiData, Shares, VocData
from simsplit.tasks.datasets import open_dataset
from simsplit.tasks.sets.contract import DataError, NoSplit
from simsplit.tasks.sets.masks import mask_of, unpacked


class TestCoco:
    def test_samples_come_by_id_and_categories_close_their_gaps(self, tmp_path: Path) -> None:
        data = open_dataset(CocoData(kind="coco", path=str(folders.coco(tmp_path))), "test")
        assert data.heads == {"box_labels": ("car", "dog", "boat")}  # ids 3, 18 and 90
        arrays = data.arrays([0, 1])
        assert arrays["image"][:, 0, 0].tolist() == [[200, 0, 0], [0, 200, 0]]
        np.testing.assert_array_equal(arrays["boxes"][0], [[10, 5, 18, 11], [5, 0, 9, 20]])
        np.testing.assert_array_equal(arrays["boxes"][1], [[0, 0, 30, 10], [np.nan] * 4])
        assert arrays["box_labels"].tolist() == [[0, 1], [2, -1]]
        assert arrays["box_crowd"].tolist() == [[False, False], [True, False]]

    def test_masks_become_a_map_of_classes(self, tmp_path: Path) -> None:
        spec = CocoData(kind="coco", path=str(folders.coco(tmp_path)), masks=True)
        data = open_dataset(spec, "test")
        assert data.heads["segmentation"] == ("background", "car", "dog", "boat")
        first, second = data.arrays([0, 1])["segmentation"]
        assert (first[5:11, 10:18] == 1).all() and (first == 1).sum() == 48
        assert (first[:, 5:9] == 2).all() and (first == 2).sum() == 80
        assert (second[:10] == 255).all() and (second[10:] == 0).all()  # a crowd has no label

    def test_test_is_val_without_a_test_file_and_train_is_missing(self, tmp_path: Path) -> None:
        spec = CocoData(kind="coco", path=str(folders.coco(tmp_path)))
        assert len(open_dataset(spec, "validation")) == len(open_dataset(spec, "test")) == 2
        with pytest.raises(NoSplit, match="there is no train split"):
            open_dataset(spec, "train")

    def test_a_single_file_is_divided(self, tmp_path: Path) -> None:
        top = folders.coco(tmp_path)
        (top / "annotations/instances_val2017.json").rename(top / "annotations/instances.json")
        (top / "val2017").rename(top / "images")
        spec = CocoData(kind="coco", path=str(top), split=Shares(train=0.5, validation=0, test=0.5))
        train, test = (
            open_dataset(spec, split).arrays([0])["image"] for split in ("train", "test")
        )
        assert not np.array_equal(train, test)

    def test_resizing_moves_the_boxes(self, tmp_path: Path) -> None:
        spec = CocoData(kind="coco", path=str(folders.coco(tmp_path)), fit="resize")
        boxes = open_dataset(spec, "test", height=40, width=15).arrays([0])["boxes"]
        np.testing.assert_allclose(boxes[0], [[5, 10, 9, 22], [2.5, 0, 4.5, 40]])


class TestMasks:
    def test_packed_runs(self) -> None:
        """Five bits a character from '0' on, differences to the last but one from the fourth."""
        assert unpacked("5292") == [5, 2, 9, 4]
        assert unpacked("P1") == [32] and unpacked("N") == [-2]

    @pytest.mark.parametrize("counts", [[5, 2, 9, 4], [0, 1000, 3, 40, 100000, 7], [31, 32, 33]])
    def test_packing_and_unpacking(self, counts: list[int]) -> None:
        assert unpacked(_packed(counts)) == counts

    def test_runs_go_down_the_columns(self) -> None:
        mask = mask_of({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3)
        assert mask.tolist() == [[False, True, False], [True, False, False]]

    def test_text_that_ends_inside_a_number(self) -> None:
        with pytest.raises(DataError, match="end inside a number"):
            unpacked("P")


def _packed(counts: list[int]) -> str:
    """The COCO API's rleToString, written down again from its C source."""
    text = ""
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            text += chr(48 + (bits | 32 if more else bits))
    return text


class TestVoc:
    def test_boxes_count_from_one_ends_included(self, tmp_path: Path) -> None:
        data = open_dataset(VocData(kind="voc", path=str(folders.voc(tmp_path))), "train")
        arrays = data.arrays([0])
        assert arrays["boxes"].tolist() == [[[2, 1, 10, 12], [0, 0, 30, 20]]]
        assert [data.class_names[n] for n in arrays["box_labels"][0]] == ["cat", "dog"]
        assert arrays["box_crowd"].tolist() == [[False, True]]  # difficult

    def test_the_list_says_what_and_in_which_order(self, tmp_path: Path) -> None:
        data = open_dataset(VocData(kind="voc", path=str(folders.voc(tmp_path))), "test")
        assert [data.class_names[n] for n in data.arrays([0, 1])["box_labels"][:, 0]] == [
            "person", "cat",
        ]  # fmt: skip

    def test_maps_are_the_palette_s_bytes(self, tmp_path: Path) -> None:
        spec = VocData(kind="voc", path=str(folders.voc(tmp_path)), masks=True)
        data = open_dataset(spec, "train")
        classes = data.arrays([0])["segmentation"][0]
        assert data.heads["segmentation"][8] == "cat"
        assert (classes[2:12, 3:10] == 8).all() and (classes[0] == 255).all()
        assert set(np.unique(classes)) == {0, 8, 255}

    def test_a_devkit_with_one_year_is_found(self, tmp_path: Path) -> None:
        folders.voc(tmp_path / "VOCdevkit" / "VOC2012")
        assert len(open_dataset(VocData(kind="voc", path=str(tmp_path)), "test")) == 2

    def test_own_classes(self, tmp_path: Path) -> None:
        spec = VocData(
            kind="voc", path=str(folders.voc(tmp_path)), classes=("person", "dog", "cat")
        )
        assert open_dataset(spec, "train").arrays([0])["box_labels"].tolist() == [[2, 1]]


class TestKitti:
    def test_disparity_is_the_file_s_over_256(self, tmp_path: Path) -> None:
        spec = KittiData(kind="kitti", path=str(folders.kitti(tmp_path)))
        data = open_dataset(spec, "test")
        disparity = data.arrays([0])["disparity"][0]
        assert data.image_shape == (8, 24, 3) and np.isnan(disparity[0]).all()
        assert (disparity[1:, :12] == 4).all() and (disparity[1:, 12:] == 12).all()

    def test_it_is_px_of_the_smaller_picture(self, tmp_path: Path) -> None:
        spec = KittiData(kind="kitti", path=str(folders.kitti(tmp_path)), fit="resize")
        disparity = open_dataset(spec, "test", height=4, width=12).arrays([0])["disparity"][0]
        assert (disparity[1:, :6] == 2).all() and (disparity[1:, 6:] == 6).all()

    def test_it_is_divided(self, tmp_path: Path) -> None:
        spec = KittiData(kind="kitti", path=str(folders.kitti(tmp_path)))
        numbers = []
        for split in ("train", "validation", "test"):
            data = open_dataset(spec, split)
            numbers += data.arrays(range(len(data)))["image"][:, 0, 0, 0].tolist()
        assert sorted(numbers) == list(range(10))


def test_cityscapes_may_be_named_by_a_path(tmp_path: Path) -> None:
    spec = CityscapesData(kind="cityscapes", path=str(folders.cityscapes(tmp_path)))
    assert len(open_dataset(spec, "train", height=2, width=4)) == 2
    arrays = open_dataset(spec, "test", height=2, width=4).arrays([2])
    assert (arrays["segmentation"] == 0).all() and (arrays["disparity"] == 1).all()
