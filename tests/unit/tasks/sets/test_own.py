"""Arrays and classes of a user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

import data_folders as folders
from simsplit.errors import ScenarioError
from simsplit.scenario.data import CustomData, NpzData, Shares
from simsplit.scenario.permission import give
from simsplit.tasks.datasets import SPLITS, open_dataset


class TestNpz:
    def test_one_file_is_divided_by_class(self, tmp_path: Path) -> None:
        file = folders.npz(tmp_path / "d.npz")
        spec = NpzData(
            kind="npz", path=str(file), split=Shares(train=0.5, validation=0.2, test=0.3),
            classes=("even", "odd"),
        )  # fmt: skip
        splits = [open_dataset(spec, split) for split in SPLITS]
        assert [len(data) for data in splits] == [10, 4, 6]
        arrays = [data.arrays(range(len(data))) for data in splits]
        numbers = np.concatenate([each["image"][:, 0, 0, 0] for each in arrays])
        assert sorted(numbers.tolist()) == list(range(20))
        for each in arrays:
            np.testing.assert_array_equal(each["image"][:, 0, 0, 0] % 2, each["label"])
        assert splits[0].heads == {"label": ("even", "odd")}

    def test_files_of_splits_keep_their_order(self, tmp_path: Path) -> None:
        for split in SPLITS:
            folders.npz(tmp_path / "d" / f"{split}.npz")
        data = open_dataset(NpzData(kind="npz", path=str(tmp_path / "d")), "test")
        assert data.arrays(range(20))["image"][:, 0, 0, 0].tolist() == list(range(20))

    def test_all_arrays_of_the_contract_pass(self, tmp_path: Path) -> None:
        boxes = np.full((20, 2, 4), np.nan, np.float32)
        boxes[:, 0] = (1, 1, 5, 4)
        more = {
            "boxes": boxes,
            "box_labels": np.tile([1, -1], (20, 1)),
            "segmentation": np.full((20, 6, 8), 255, np.uint8),
            "disparity": np.ones((20, 6, 8), np.float32),
            "target": np.ones((20, 3)),
            "label_size": np.arange(20) % 3,
        }
        folders.npz(tmp_path / "test.npz", **more)
        data = open_dataset(NpzData(kind="npz", path=str(tmp_path)), "test")
        arrays = data.arrays([4, 5])
        assert set(arrays) == {"image", "label", *more}
        np.testing.assert_array_equal(arrays["boxes"], boxes[:2])
        assert arrays["target"].dtype == np.float32 and arrays["label_size"].tolist() == [1, 2]
        assert data.heads["segmentation"] == () and data.heads["label_size"] == ("0", "1", "2")

    def test_grey_becomes_colour_if_colour_is_said(self, tmp_path: Path) -> None:
        grey = np.full((20, 6, 8, 1), 9, np.uint8)
        folders.npz(tmp_path / "test.npz", image=grey)
        data = open_dataset(NpzData(kind="npz", path=str(tmp_path)), "test")
        assert (data.arrays([0])["image"] == 9).all() and data.image_shape == (6, 8, 3)


class Tensors(TorchDataset):  # type: ignore[type-arg]
    """Pictures as floats, as torchvision's ToTensor gives them; numbers to estimate."""

    def __init__(self, split: str, shade: float = 0.2) -> None:
        self.shade = shade

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((3, 8, 10), self.shade), torch.tensor([index, 0.5])


def named(split: str) -> list[dict[str, object]]:
    """Items as mappings, pictures by Pillow."""
    picture = Image.new("L", (10, 8), 30)
    return [{"image": picture, "label_a": 1, "label_b": 2, "disparity": np.ones((8, 10))}] * 2


class TestCustom:
    def test_a_torch_data_set(self) -> None:
        spec = CustomData(kind="custom", target=give(Tensors), options={"shade": 0.4})
        data = open_dataset(spec, "train")
        arrays = data.arrays([0, 2])
        assert len(data) == 3 and arrays["image"].shape == (2, 8, 10, 3)
        assert (arrays["image"] == 102).all()
        np.testing.assert_array_equal(arrays["target"], np.float32([[0, 0.5], [2, 0.5]]))

    def test_items_as_mappings(self) -> None:
        data = open_dataset(CustomData(kind="custom", target=give(named), channels=1), "test")
        arrays = data.arrays([1])
        assert arrays["image"].shape == (1, 8, 10, 1) and (arrays["image"] == 30).all()
        assert (arrays["label_a"], arrays["label_b"]) == (1, 2)
        assert arrays["disparity"].dtype == np.float32

    def test_a_class_on_the_path_by_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))
        module = folders.own_module(tmp_path, "own_squares_by_name")
        spec = CustomData(kind="custom", target=f"{module}:squares", options={"count": 4})
        data = open_dataset(spec, "test", height=8, width=8)
        arrays = data.arrays(range(4))
        assert arrays["label"].tolist() == [0, 1, 0, 1] and data.class_names == ("left", "right")
        lit = arrays["image"][:, 0, :4, 0] > 0
        assert lit.all(axis=1).tolist() == [True, False, True, False]

    def test_nothing_is_imported_without_permission(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        module = folders.own_module(tmp_path, "squares_off_the_path")
        with pytest.raises(ScenarioError, match="--allow-code") as caught:
            open_dataset(CustomData(kind="custom", target=f"{module}:Squares"), "test")
        assert caught.value.path == "dataset.target"

    def test_identity_is_the_content(self) -> None:
        said = [
            open_dataset(CustomData(kind="custom", target=give(Tensors), options=o), "test")
            for o in ({"shade": 0.4}, {"shade": 0.5})
        ]
        assert said[0].identity(2) != said[1].identity(2)
        assert said[0].identity(2) == said[0].identity(2)
