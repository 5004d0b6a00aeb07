"""One contract for every kind of data set: shapes, types, classes, positions, and its identity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import data_folders as folders
from simsplit.scenario.data import KINDS, data_spec
from simsplit.scenario.data_layouts import spec_of
from simsplit.scenario.operating_points import Task
from simsplit.tasks.datasets import Dataset, open_dataset
from simsplit.tasks.sets.arrays import check_classes, kind_of

SIZE = {
    "streets": (16, 32), "digits": (8, 8), "photographs": (24, 32), "shapes": (64, 64),
    "cityscapes": (2, 4),
}  # fmt: skip
PADDED = {"boxes", "box_labels", "box_crowd"}


@pytest.fixture(params=KINDS)
def dataset(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Dataset:
    """The test split of each kind, at a size that is not that of its pictures."""
    kind: str = request.param
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))
    content = {"kind": kind, **_settings(kind, tmp_path)}
    spec = Task.model_validate({"dataset": content}).dataset
    height, width = SIZE.get(kind, (10, 14))
    return open_dataset(spec, "test", height=height, width=width)


def _settings(kind: str, top: Path) -> dict[str, object]:
    match kind:
        case "streets" | "digits" | "photographs":
            return {}
        case "shapes":
            return {"noise": 0.15}
        case "custom":
            name = folders.own_module(top, f"squares_{abs(hash(top))}")
            return {"target": f"{name}:Squares", "fit": "resize"}
        case "npz":
            return {"path": str(folders.npz(top / "d.npz")), "fit": "pad"}
        case "image_folder":
            return {"path": str(folders.clothing(top / "d")), "fit": "crop"}
        case "cityscapes":
            return {"path": str(folders.cityscapes(top / "d")), "boxes": True}
    masks = {"masks": True} if kind in ("coco", "voc") else {}
    return {"path": str(getattr(folders, kind)(top / "d")), "fit": "crop", **masks}


def test_a_row_per_position_of_the_type_that_the_contract_says(dataset: Dataset) -> None:
    arrays = dataset.arrays([0, len(dataset) - 1])
    height, width, channels = dataset.image_shape
    assert arrays["image"].shape == (2, height, width, channels) and channels in (1, 3)
    for name, array in arrays.items():
        dtype, axes = kind_of(name)
        assert (len(array), array.dtype, array.ndim) == (2, np.dtype(dtype), axes + 1), name
        if axes >= 2 and name != "boxes":
            assert array.shape[1:3] == (height, width), name


def test_classes_have_names(dataset: Dataset) -> None:
    arrays = dataset.arrays(range(min(4, len(dataset))))
    check_classes(arrays, dataset.heads)
    labelled = {n for n in arrays if n.startswith("label") or n in ("segmentation", "box_labels")}
    assert labelled == set(dataset.heads)
    assert all(len(set(names)) == len(names) > 0 for names in dataset.heads.values())
    assert dataset.class_names == next(iter(dataset.heads.values()), ())


def test_boxes_lie_in_the_picture_and_padding_is_marked(dataset: Dataset) -> None:
    arrays = dataset.arrays(range(min(4, len(dataset))))
    if "boxes" not in arrays:
        return
    height, width, _ = dataset.image_shape
    boxes, beyond = arrays["boxes"], arrays["box_labels"] < 0
    np.testing.assert_array_equal(np.isnan(boxes).all(axis=-1), beyond)
    own = boxes[~beyond]
    assert len(own) and (own >= 0).all() and (own <= [width, height, width, height]).all()
    assert (own[:, 2:] > own[:, :2]).all()


def test_a_sample_is_the_same_in_any_company(dataset: Dataset) -> None:
    last = len(dataset) - 1
    together, alone = dataset.arrays([last, 0, last]), dataset.arrays([last])
    for key, values in alone.items():
        for row in (0, 2):
            same = together[key][row]
            own = same[: values.shape[1]] if key in PADDED else same
            np.testing.assert_array_equal(own, values[0])


@pytest.mark.parametrize("beyond", [-1, 0])
def test_positions_outside_are_refused(dataset: Dataset, beyond: int) -> None:
    position = beyond if beyond < 0 else dataset.capacity
    with pytest.raises(IndexError, match=rf"has no position {position}$"):
        dataset.arrays([0, position])


def test_its_identity_is_json_and_stays(dataset: Dataset) -> None:
    said = json.dumps(dataset.identity(1))
    assert said == json.dumps(dataset.identity(1))
    is_made_here = dataset.name in ("streets", "digits", "photographs")
    assert (said == "[]") == is_made_here


@pytest.mark.parametrize("kind", ["image_folder", "coco", "voc", "cityscapes", "kitti"])
def test_a_layout_is_known_by_what_lies_in_it(kind: str, tmp_path: Path) -> None:
    write = folders.clothing if kind == "image_folder" else getattr(folders, kind)
    assert spec_of(write(tmp_path / "d")).kind == kind


def test_bare_names_and_mappings_mean_the_same() -> None:
    task = Task.model_validate({"dataset": {"kind": "streets"}})
    assert data_spec(task.dataset) == data_spec("streets")
    assert Task().model_dump(mode="json")["dataset"] == "streets"
