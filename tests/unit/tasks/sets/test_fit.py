"""One placement for picture, classes, disparity and boxes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.tasks.sets.contract import DataError
from simsplit.tasks.sets.fit import Sample, fitted


def _sample(height: int = 20, width: int = 40) -> Sample:
    """White where x >= half; classes and disparity likewise; a box around the white half."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 255
    return {
        "image": image,
        "segmentation": (image[..., 0] > 0).astype(np.uint8),
        "disparity": np.where(image[..., 0] > 0, 8, 4).astype(np.float32),
        "boxes": np.array([[width / 2, 0, width, height], [0, 0, 2, 2]], np.float32),
        "box_labels": np.array([5, 6]),
        "label": np.int64(3),
    }


def test_what_has_the_size_stays() -> None:
    sample = _sample()
    same = fitted(sample, (20, 40), None)
    for key, value in sample.items():
        np.testing.assert_array_equal(same[key], value)


def test_resize_takes_all_of_it() -> None:
    small = fitted(_sample(), (10, 10), "resize")
    white = small["image"][..., 0] > 127
    np.testing.assert_array_equal(white, small["segmentation"] == 1)
    assert white[:, 5:].all() and not white[:, :5].any()
    assert set(np.unique(small["disparity"])) == {1.0, 2.0}  # a quarter as wide, so a quarter px
    np.testing.assert_allclose(small["boxes"], [[5, 0, 10, 10], [0, 0, 0.5, 1]])
    assert small["label"] == 3


def test_crop_keeps_the_aspect_and_cuts_the_sides() -> None:
    small = fitted(_sample(), (10, 10), "crop")  # half as large, columns 5..15 of 20
    assert (small["image"][:, 5:] > 200).all() and (small["image"][:, :5] < 50).all()
    assert set(np.unique(small["disparity"])) == {2.0, 4.0}
    np.testing.assert_allclose(small["boxes"], [[5, 0, 10, 10]])  # the box in the corner is gone
    assert small["box_labels"].tolist() == [5]


def test_pad_keeps_all_and_centres_it() -> None:
    small = fitted(_sample(), (20, 20), "pad")  # 10 x 20, rows 5..15
    assert (small["image"][5:15, 10:] > 200).all() and (small["image"][5:15, :10] < 50).all()
    assert (small["image"][:5] == 0).all() and (small["image"][15:] == 0).all()
    assert (small["segmentation"][:5] == 255).all() and (small["segmentation"][15:] == 255).all()
    assert np.isnan(small["disparity"][:5]).all() and not np.isnan(small["disparity"][5:15]).any()
    np.testing.assert_allclose(small["boxes"], [[10, 5, 20, 15], [0, 5, 1, 6]])


def test_scaling_down_is_antialiased() -> None:
    stripes: NDArray[np.uint8] = np.zeros((32, 32, 1), np.uint8)
    stripes[:, ::2] = 255
    small = fitted({"image": stripes}, (8, 8), "resize")["image"]
    assert small.shape == (8, 8, 1) and np.abs(small.astype(int) - 127).max() <= 16


def test_odd_sizes_take_the_pixel_at_the_centre() -> None:
    row = np.arange(8, dtype=np.uint8)[None].repeat(3, 0)
    sample = {"image": np.zeros((3, 8, 3), np.uint8), "segmentation": row}
    assert fitted(sample, (3, 3), "resize")["segmentation"][0].tolist() == [1, 4, 6]


def test_other_sizes_need_a_fit() -> None:
    with pytest.raises(DataError, match=r"picture is 20 x 40 px.*are 10 x 10; say how") as caught:
        fitted(_sample(), (10, 10), None)
    assert caught.value.path == "fit" and "crop" in str(caught.value)


def test_truth_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="segmentation is 10 x 40 px, its picture 20 x 40"):
        fitted(_sample() | {"segmentation": np.zeros((10, 40), np.uint8)}, (20, 40), None)


@pytest.mark.parametrize("box", [[-3, 0, 5, 5], [0, 0, 43, 5], [5, 5, 4, 6], [0, np.nan, 5, 5]])
def test_a_box_outside_is_refused(box: list[float]) -> None:
    sample = _sample() | {"boxes": np.array([box], np.float32), "box_labels": np.array([0])}
    with pytest.raises(DataError, match="a box lies outside the picture of 20 x 40 px"):
        fitted(sample, (20, 40), None)


def test_a_box_over_the_edge_by_rounding_is_cut() -> None:
    boxes = np.array([[-0.5, 0, 40.7, 20.2]], np.float32)
    kept = fitted(_sample() | {"boxes": boxes, "box_labels": np.array([0])}, (20, 40), None)
    assert kept["boxes"].tolist() == [[0, 0, 40, 20]]
