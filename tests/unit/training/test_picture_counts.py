"""How many pictures a recipe asks for, and how many there are; places of a recipe in errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coded_digits import CLOTHES, NETWORK, code_recipe, write_module, write_recipe
from data_folders import clothing_splits
from simsplit.errors import ScenarioError
from simsplit.training.phases import parse_phased_recipe
from simsplit.training.pictures import check_counts
from simsplit.training.recipe import read_mapping
from simsplit.training.train import train

ONE_STEP: dict[str, Any] = {"phases": [{"train": "network", "steps": 1}], "batch": 8}
DIGITS: dict[str, Any] = NETWORK | ONE_STEP | {"train_images": 64, "test_images": 8}
CODE = code_recipe(
    {"kind": "jscc", "symbols": 32, "hidden": 8}, network={"source": "coded_nets:Cnn"}
)
OWN_KIND: dict[str, Any] = {
    "kind": "digits", "dataset": "digits", "height": 8, "width": 8, "train_images": 5000,
    "test_images": 5000, "steps": 1,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path / "data"))
    clothing_splits(tmp_path / "data" / "clothing")
    return tmp_path


@pytest.mark.parametrize("content", [DIGITS, CODE], ids=["network", "code"])
@pytest.mark.parametrize(
    ("key", "there"),
    [("train_images", "1,085"), ("validation_images", "357"), ("test_images", "355")],
)
def test_more_than_there_are_is_told(
    folder: Path, content: dict[str, Any], key: str, there: str
) -> None:
    split = key.removesuffix("_images")
    recipe = write_recipe(folder / "net", content | {key: 5000})
    message = rf"^{key}: the {split} split of digits has {there} pictures \(found: 5000\)"
    with pytest.raises(ScenarioError, match=message):
        train(recipe, out=folder / "out")
    assert not (folder / "out").exists()


def test_all_that_there_are_can_be_asked_for(folder: Path) -> None:
    most = {"train_images": 1085, "validation_images": 357, "test_images": 355}
    card = json.loads((train(write_recipe(folder / "n", DIGITS | most)) / "card.json").read_text())
    assert (card["validation_images"], card["test_images"]) == (357, 355)


def test_recipes_of_simsplit_s_own_kinds_say_the_most(folder: Path) -> None:
    there = train(write_recipe(folder / "net", OWN_KIND))
    assert json.loads((there / "card.json").read_text())["test_images"] == 355


def test_what_is_left_out_takes_what_there_is(folder: Path) -> None:
    """The default of 256 test pictures is not asked of a set of few."""
    card = json.loads((train(write_recipe(folder / "net", CLOTHES)) / "card.json").read_text())
    assert 0 < card["test_images"] < 256


def test_folds_differ_in_size(folder: Path) -> None:
    """The same recipe holds for all of them; the card says how many pictures it is of."""
    asked = CLOTHES | {"train_images": 39, "validation_images": 30}
    with pytest.raises(ScenarioError, match=r"^train_images: the train split of image_folder"):
        train(write_recipe(folder / "net", asked))
    folded = asked | {"data": CLOTHES["data"] | {"folds": 5, "fold": 2}}
    there = train(write_recipe(folder / "fold", folded), seed=3)
    card = json.loads((there / "card.json").read_text())
    assert 0 < card["validation_images"] < 30


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"data": CLOTHES["data"] | {"folds": 500, "fold": 400}}, "data.folds"),
        ({"data": CLOTHES["data"] | {"classes": ["boots"]}}, "data.classes[0]"),
        ({"data": {"kind": "image_folder", "path": "clothing"}}, "data.fit"),
        ({"data": "digits", "height": 9}, "data"),
        ({"data": "streets", "height": 8}, "data"),
    ],
)
def test_errors_about_the_data_have_the_recipe_s_path(
    folder: Path, change: dict[str, Any], place: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        train(write_recipe(folder / "net", CLOTHES | change))
    assert caught.value.path == place


def test_a_fold_s_emptiness_is_told_with_how_many_pictures_there_are(folder: Path) -> None:
    data = CLOTHES["data"] | {"folds": 500, "fold": 400}
    recipe = parse_phased_recipe(
        read_mapping(write_recipe(folder / "net", CLOTHES | {"data": data})), folder / "net"
    )
    told = r"^data\.folds: .*: the test split is empty: 40 pictures are dealt into 500 folds .*500"
    with pytest.raises(ScenarioError, match=told):
        check_counts(recipe)
