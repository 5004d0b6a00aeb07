"""One contract for every bundled data set: shapes, types, positions, and samples that stay put."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.tasks.datasets import Dataset, class_names, open_dataset

SIZES = {"streets": (32, 64), "digits": (8, 8), "photographs": (40, 56)}
OPENED = [
    open_dataset(name, split, height=SIZES[name][0], width=SIZES[name][1])
    for name in SIZES
    for split in (("test",) if name == "photographs" else ("train", "validation", "test"))
]
TRUTH = {
    "streets": {
        "segmentation": np.uint8,
        "disparity": np.float32,
        "clean": np.uint8,
        "boxes": np.float32,
        "box_labels": np.int64,
    },
    "digits": {"label": np.int64},
    "photographs": {},
}
every_dataset = pytest.mark.parametrize(
    "dataset", OPENED, ids=[f"{opened.name} {opened.split}" for opened in OPENED]
)


@every_dataset
def test_a_row_per_position(dataset: Dataset) -> None:
    height, width = SIZES[dataset.name]
    assert dataset.image_shape[:2] == (height, width) and len(dataset) > 0
    arrays = dataset.arrays([0, len(dataset) - 1])
    assert arrays["image"].shape == (2, *dataset.image_shape)
    assert arrays["image"].dtype == np.uint8
    assert {key: values.dtype for key, values in arrays.items() if key != "image"} == {
        key: np.dtype(kind) for key, kind in TRUTH[dataset.name].items()
    }
    assert all(len(values) == 2 for values in arrays.values())


@every_dataset
def test_a_sample_is_the_same_in_any_company(dataset: Dataset) -> None:
    together, alone = dataset.arrays([5, 2, 5]), dataset.arrays([5])
    for key, values in alone.items():
        for row in (0, 2):  # boxes are padded to the most that any of these pictures has
            one = (
                together[key][row][: len(values[0])]
                if key.startswith("box")
                else together[key][row]
            )
            np.testing.assert_array_equal(one, values[0])
        if key.startswith("box"):
            beyond = together[key][0][len(values[0]) :]
            assert (np.isnan(beyond) if key == "boxes" else beyond == -1).all()
    assert not np.array_equal(together["image"][0], together["image"][1])


@every_dataset
@pytest.mark.parametrize("beyond", [-1, 0])
def test_positions_outside_are_refused(dataset: Dataset, beyond: int) -> None:
    position = beyond if beyond < 0 else dataset.capacity
    with pytest.raises(IndexError, match=rf"has no position {position}$"):
        dataset.arrays([0, position])


@every_dataset
def test_labels_are_among_the_classes(dataset: Dataset) -> None:
    arrays = dataset.arrays(range(4))
    if "segmentation" in arrays:
        assert arrays["segmentation"].max() < len(class_names(dataset.name))
    if "label" in arrays:
        assert set(arrays["label"].tolist()) <= set(range(10))


def test_splits_share_no_picture() -> None:
    """The first pictures of every split differ from those of the others, pixel for pixel."""
    for name in ("streets", "digits"):
        pictures = [
            picture.tobytes()
            for dataset in OPENED
            if dataset.name == name
            for picture in dataset.arrays(range(40))["image"]
        ]
        assert len(set(pictures)) == len(pictures) == 120


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ScenarioError) as caught:
        open_dataset("street", "test")
    assert "streets" in str(caught.value)
