"""The published trainings begin here as they did there: the first 40 steps of their recipes.

Against the card that is published with the weights: of every ten steps of the whole schedule the
mean loss, in float32 on one thread, is within 5 % of the card's. One recipe per system, of those
whose data are at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario.bundled import data_root
from simsplit.scenario.data import NAMES, find_data
from simsplit.training.beginnings import beginning_here

TOLERANCE = 0.05
MODELS = data_root() / "models"
SYSTEMS = {  # by the beginning of their names; of each the first whose card and data are here
    "features trained to be compressible": "features_",
    "one backbone, a head per task": "mtl_",
    "a student that compresses": "*_student",
    "segmentation, boxes and disparity from one network": "streets_teacher",
    "segmentation and boxes from one fused tensor": "ffmnet_streets",
    "symbols of a picture network": "clothing_jscc",
}

pytestmark = pytest.mark.slow


def _card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def _data(folder: Path) -> Any:
    card = _card(folder)
    return card.get("data", card.get("dataset"))


def _with_a_beginning(prefix: str) -> list[Path]:
    folders = [card.parent for card in sorted(MODELS.glob(f"{prefix}*/card.json"))]
    return [folder for folder in folders if "beginning" in _card(folder)]


def _are_here(data: Any) -> bool:
    if isinstance(data, str):
        return data in NAMES and data != "cityscapes"
    try:
        return "path" not in data or bool(find_data(data["path"]))
    except ScenarioError:
        return False


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_loss_begins_as_published(system: str) -> None:
    folders = _with_a_beginning(SYSTEMS[system])
    if not folders:
        pytest.skip("no published card of this system has a beginning")
    here = [folder for folder in folders if _are_here(_data(folder))]
    if not here:
        pytest.skip("this system's data are not on this machine")
    published = _card(here[0])["beginning"]
    assert len(published) == 4
    assert beginning_here(here[0]) == pytest.approx(published, rel=TOLERANCE)
