"""A folder per class: labels, splits, order, and what the identity notices. 40 pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_folders import CLOTHING, clothing, clothing_splits, flat, save
from simsplit.scenario.data import ImageFolderData, Shares
from simsplit.tasks import datasets
from simsplit.tasks.datasets import SPLITS, Dataset, cached_arrays, open_dataset

HALF = Shares(train=0.5, validation=0.25, test=0.25)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))


def _open(top: Path, part: str = "test", /, **settings: object) -> Dataset:
    spec = ImageFolderData.model_validate({"kind": "image_folder", "path": str(top), **settings})
    return open_dataset(spec, part)


def _pairs(data: Dataset) -> set[tuple[int, int]]:
    arrays = data.arrays(range(len(data)))
    colours = arrays["image"][:, 0, 0, 0] // 60
    return set(zip(colours.tolist(), arrays["label"].tolist(), strict=True))


def test_a_picture_s_label_is_its_folder(tmp_path: Path) -> None:
    data = _open(clothing(tmp_path / "d"))
    assert data.image_shape == (12, 16, 3) and data.class_names == CLOTHING
    assert all(colour == label for colour, label in _pairs(data))


def test_a_divided_folder_has_its_shares_in_every_class(tmp_path: Path) -> None:
    top = clothing(tmp_path / "d")
    splits = [_open(top, split, split=HALF) for split in SPLITS]
    assert [len(data) for data in splits] == [20, 10, 10]
    arrays = [data.arrays(range(len(data))) for data in splits]
    assert Counter(arrays[0]["label"].tolist()) == dict.fromkeys(range(4), 5)
    pictures = [picture.tobytes() for each in arrays for picture in each["image"]]
    assert len(set(pictures)) == len(pictures) == 40


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    top = clothing_splits(tmp_path / "d")
    assert [len(_open(top, split)) for split in SPLITS] == [24, 8, 8]
    arrays = _open(top).arrays(range(8))
    assert set(arrays["image"][:, 0, 0, 1].tolist()) == {80, 90}  # pictures 8 and 9
    assert arrays["label"].tolist() != sorted(arrays["label"].tolist())  # a mixed lot


def test_classes_may_be_chosen_and_ordered(tmp_path: Path) -> None:
    data = _open(clothing(tmp_path / "d"), classes=("shirt", "dress"))
    assert data.heads == {"label": ("shirt", "dress")}
    assert _pairs(data) == {(3, 0), (0, 1)}


def test_grey_is_said(tmp_path: Path) -> None:
    data = _open(clothing(tmp_path / "d"), channels=1)
    assert data.image_shape == (12, 16, 1) and data.arrays([0])["image"].shape == (1, 12, 16, 1)


def test_the_cache_gives_what_the_files_gave(tmp_path: Path) -> None:
    data = _open(clothing(tmp_path / "d"), fit="crop")
    first, again, made = cached_arrays(data, 3), cached_arrays(data, 3), data.arrays(range(3))
    for key, array in made.items():
        np.testing.assert_array_equal(first[key], array)
        np.testing.assert_array_equal(again[key], array)


def test_identity_notices_pixels_settings_and_no_place(tmp_path: Path) -> None:
    top = clothing(tmp_path / "d")
    keys = [
        datasets._digest(_open(top, **said), 4) for said in ({}, {"fit": "pad"}, {"channels": 1})
    ]
    moved = top.rename(tmp_path / "elsewhere")
    assert datasets._digest(_open(moved), 4) == keys[0]
    for label, name in enumerate(CLOTHING):  # as many bytes as before
        for number in range(10):
            save(flat((60 * label, 10 * number, 8)), moved / name / f"{number:04d}.png")
    keys.append(datasets._digest(_open(moved), 4))
    assert len(set(keys)) == 4


@pytest.mark.parametrize("layout", [clothing, clothing_splits])
def test_folds_are_dealt_from_the_pictures_of_all_splits(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    top = layout(tmp_path / "d")
    tested: list[bytes] = []
    for fold in range(1, 6):
        parts = [_open(top, split, folds=5, fold=fold) for split in SPLITS]
        assert [len(part) for part in parts] == [29, 3, 8]
        pictures = [[p.tobytes() for p in part.arrays(range(len(part)))["image"]] for part in parts]
        assert len(set().union(*pictures)) == 40
        labels = parts[2].arrays(range(8))["label"]
        assert Counter(labels.tolist()) == dict.fromkeys(range(4), 2)
        tested += pictures[2]
    assert len(set(tested)) == len(tested) == 40


def test_identity_notices_the_fold(tmp_path: Path) -> None:
    top = clothing_splits(tmp_path / "d")
    folds = [{}, {"folds": 5, "fold": 1}, {"folds": 5, "fold": 2}, {"folds": 4, "fold": 1}]
    assert len({datasets._digest(_open(top, **said), 4) for said in folds}) == 4
