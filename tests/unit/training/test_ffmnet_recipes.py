"""FFMNet's recipes: those of streets are trained alike, and the same network learns other sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import data_folders as folders
from coded_digits import trained
from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.scenario.bundled import models_dir
from simsplit.tasks import cityscapes
from simsplit.training.phases import NetworkRecipe, parse_phased_recipe

STREETS = {
    "ffmnet_streets": {"tasks": ["segmentation", "detection"]},
    "ffmnet_streets_plain": {"tasks": ["segmentation", "detection"], "fusion": False},
    "ffmnet_streets_segmentation": {"tasks": ["segmentation"]},
    "ffmnet_streets_detection": {"tasks": ["detection"]},
}
LARGE = ("ffmnet_cityscapes", "ffmnet_coco")


def content(name: str) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((models_dir() / name / "recipe.yaml").read_text())
    return said


def shrunk(name: str, options: dict[str, Any], **sizes: Any) -> dict[str, Any]:
    """A recipe for so few and small pictures that two steps take no time; else as it is."""
    said = content(name)
    said["network"]["options"] |= {"width": 0.125, "channels": 8} | options
    said["phases"][0] |= {"steps": 2, "warmup_steps": 1}
    return said | {"batch": 2, "train_images": 2, "test_images": 2} | sizes


@pytest.mark.parametrize("name", STREETS)
def test_streets_are_trained_alike_whatever_the_tasks(name: str, tmp_path: Path) -> None:
    recipe = parse_phased_recipe(content(name), tmp_path)
    assert isinstance(recipe, NetworkRecipe)
    assert content(name)["network"]["options"] == STREETS[name]
    apart = {"network", "phases"}
    first, own = (
        {key: value for key, value in content(each).items() if key not in apart}
        for each in ("ffmnet_streets", name)
    )
    assert own == first and (recipe.height, recipe.width) == (128, 256)
    (phase,), (whole,) = content(name)["phases"], content("ffmnet_streets")["phases"]
    asked, wanted = phase.pop("objectives"), whole.pop("objectives")
    assert phase == whole
    tasks = STREETS[name]["tasks"]
    assert asked["task"] == {task: wanted["task"][task] for task in tasks}
    assert asked.get("jaccard") == (wanted["jaccard"] if "segmentation" in tasks else None)


@pytest.mark.parametrize("name", [*STREETS, *LARGE])
def test_weights_stay_below_8_mb(name: str) -> None:
    said = content(name)
    options = said["network"]["options"]
    module = open_network("ffmnet", height=said["height"], width=said["width"], options=options)
    assert said["weights_dtype"] == "float16"
    assert 2 * sum(values.numel() for values in module.state_dict().values()) < 8e6


def test_cityscapes_are_learned_by_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYSCAPES_DATASET", str(folders.cityscapes(tmp_path / "c", scale=8)))
    options = content("ffmnet_cityscapes")["network"]["options"]
    classes = len(cityscapes.CLASSES), len(cityscapes.THINGS)
    assert (options["classes"], options["box_classes"]) == classes
    folder = trained(tmp_path / "net", shrunk("ffmnet_cityscapes", {}, height=32, width=64))
    card = json.loads((folder / "card.json").read_text())
    assert {"dataset_miou", "map50"} <= set(card["pooled"]["direct"])
    assert card["data"] == {"kind": "cityscapes", "boxes": True}


def test_coco_is_learned_by_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.coco(tmp_path / "coco", splits=("train2017", "val2017"))
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path))
    sizes = {"height": 32, "width": 32}
    with pytest.raises(ScenarioError, match="gives 81 classes; the data set wants 4"):
        trained(tmp_path / "net", shrunk("ffmnet_coco", {}, **sizes))
    folder = trained(
        tmp_path / "net", shrunk("ffmnet_coco", {"classes": 4, "box_classes": 3}, **sizes)
    )
    card = json.loads((folder / "card.json").read_text())
    assert {"dataset_miou", "map50"} <= set(card["pooled"]["direct"])
    weights = load_file(folder / "weights.safetensors")
    assert weights["fuse.smooth.0.weight"].dtype == torch.float16
    assert weights["centre_head.centres.weight"].shape[0] == 3


@pytest.mark.slow
def test_both_tasks_are_learned_from_the_fused_tensor(tmp_path: Path) -> None:
    """On few small pictures: the loss falls by half, and both scores leave those of chance."""
    said = shrunk("ffmnet_streets", {"width": 0.25, "channels": 32}, height=48, width=96)
    said |= {"batch": 16, "train_images": 256, "validation_images": 0, "test_images": 64}
    said["phases"][0] |= {"steps": 240, "warmup_steps": 20}
    losses: list[float] = []
    folder = trained(tmp_path / "net", said, progress=lambda *told: losses.append(told[-1]))
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    pooled = json.loads((folder / "card.json").read_text())["pooled"]["direct"]
    assert pooled["dataset_miou"]["value"] > 0.3
    assert pooled["map50_by_class"]["vehicle"] > 0.1
