"""Crops of two photographs: always the same, of any shape, no two alike, nothing to train on."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.tasks import photographs
from simsplit.tasks.datasets import open_dataset
from simsplit.tasks.photographs import LENGTH, _sources, photograph


def test_a_picture_depends_on_its_number_alone() -> None:
    first = [photograph(index, 20, 30) for index in range(6)]
    _sources.cache_clear()
    np.random.seed(9)  # changes nothing
    again = {index: photograph(index, 20, 30) for index in (5, 4, 3, 2, 1, 0)}
    assert all((again[index] == picture).all() for index, picture in enumerate(first))


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (30, 200), (200, 30), (8, 128), (500, 900)])
def test_any_shape(size: tuple[int, int]) -> None:
    for index in range(4):
        picture = photograph(index, *size)
        assert picture.shape == (*size, 3) and picture.dtype == np.uint8
    if min(size) > 1:
        assert picture.std() > 5  # a picture, not a colour


def test_all_of_them_differ() -> None:
    seen = {photograph(index, 16, 16).tobytes() for index in range(LENGTH)}
    assert len(seen) == LENGTH == 512


@pytest.mark.parametrize("size", [(64, 64), (40, 160), (160, 40)])
def test_a_crop_keeps_proportions_and_is_not_too_small(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Red tells the column and green the row, so a crop tells which part of the picture it is."""
    rows, columns = np.mgrid[0:427, 0:640]
    ruler = np.stack([columns * 255 / 640, rows * 255 / 640, 0 * rows], axis=-1).astype(np.uint8)
    monkeypatch.setattr(photographs, "_sources", lambda: (ruler, ruler))
    largest = min(427 / size[0], 640 / size[1])
    spans = []
    for index in range(40):
        picture = photographs.photograph(index, *size).astype(float)
        wide = (picture[:, -1, 0] - picture[:, 0, 0]).mean() * 640 / 255
        tall = (picture[-1, :, 1] - picture[0, :, 1]).mean() * 640 / 255
        assert wide / (size[1] - 1) == pytest.approx(tall / (size[0] - 1), rel=0.1, abs=0.15)
        spans.append(max(wide, tall) / (max(size) - 1) / largest)
    assert 0.38 < min(spans) < 0.55 and 0.85 < max(spans) < 1.02


def test_the_two_photographs_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = [np.full((50, 70, 3), level, np.uint8) for level in (10, 200)]
    monkeypatch.setattr(photographs, "_sources", lambda: tuple(flat))
    means = [photographs.photograph(index, 9, 9).mean() for index in range(4)]
    assert means == [10, 200, 10, 200]


def test_as_a_data_set() -> None:
    data = open_dataset("photographs", "test")
    truth = open_dataset("photographs", "test", height=24, width=40).arrays(range(3))
    assert len(data) == LENGTH and set(truth) == {"image"}
    assert truth["image"].shape == (3, 24, 40, 3)
    assert (truth["image"][2] == photograph(2, 24, 40)).all()


def test_there_is_nothing_to_train_on() -> None:
    with pytest.raises(ScenarioError) as caught:
        open_dataset("photographs", "train")
    assert "train" in str(caught.value) and "test" in str(caught.value)
