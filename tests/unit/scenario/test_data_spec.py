"""What a scenario or recipe may say of data: names, mappings, places, and what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

import data_folders as folders
from simsplit.errors import ScenarioError
from simsplit.scenario.data import (
    KINDS,
    NAMES,
    VARIABLE,
    CocoData,
    CustomData,
    ImageFolderData,
    StreetsData,
    data_name,
    data_spec,
    find_data,
    found_data,
    is_same_data,
    portable,
    truth_of,
)
from simsplit.scenario.operating_points import Task
from simsplit.training.recipe import parse_net_recipe, read_mapping, with_data

FOLDER = ImageFolderData(kind="image_folder", path="/data/cloths", fit="pad")
RECIPE = {
    "kind": "digits", "height": 8, "width": 8, "train_images": 9, "test_images": 9, "steps": 1,
}  # fmt: skip


def test_a_bare_name_is_written_as_it_was() -> None:
    for name in NAMES:
        task = Task.model_validate({"dataset": name})
        assert task.dataset == name and task.model_dump(mode="json")["dataset"] == name
        assert data_spec(name).kind == name


def test_the_schema_takes_names_and_mappings() -> None:
    schema = Task.model_json_schema()
    good: list[Any] = ["streets", {"kind": "streets"}, {"kind": "coco", "path": "x", "masks": True}]
    for dataset in good:
        jsonschema.validate({"dataset": dataset}, schema)
    for dataset in ("street", {"kind": "coco"}, {"kind": "voc", "path": "x", "mask": True}, 3):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"dataset": dataset}, schema)


def test_there_are_eleven_kinds() -> None:
    assert len(KINDS) == 11 and set(NAMES) <= set(KINDS)


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'streets'"):
        data_spec("street")


def test_data_are_named_in_a_few_words() -> None:
    assert data_name("streets") == "streets" and data_name(FOLDER) == "image_folder cloths"
    own = CustomData(kind="custom", target="my.sets:Squares")
    assert data_name(own) == "custom my.sets:Squares"


def test_folds_are_part_of_what_a_set_is_and_unsaid_without() -> None:
    fold = ImageFolderData(kind="image_folder", path="/data/cloths", folds=5, fold=2)
    assert data_name(fold) == "image_folder cloths, fold 2"
    remembered = {"kind": "image_folder", "path": "cloths", "folds": 5, "fold": 2}
    assert portable(fold) == remembered and is_same_data(remembered, fold)
    assert not is_same_data(remembered | {"fold": 1}, fold) and not is_same_data(FOLDER, fold)
    assert "fold" not in FOLDER.model_dump_json().replace("image_folder", "")


def test_truth_is_known_beforehand_where_it_can_be() -> None:
    assert truth_of("digits") == ("label",) and truth_of("photographs") == ()
    assert "segmentation" not in (truth_of(CocoData(kind="coco", path="x")) or ())
    assert "segmentation" in (truth_of(CocoData(kind="coco", path="x", masks=True)) or ())
    assert "label_shape" in (truth_of("shapes") or ())
    assert truth_of(CustomData(kind="custom", target="a:B")) is None


def test_a_card_remembers_no_place() -> None:
    assert portable("streets") == "streets"
    assert portable(FOLDER) == {"kind": "image_folder", "path": "cloths", "fit": "pad"}
    assert is_same_data(portable(FOLDER), FOLDER)
    assert is_same_data("streets", StreetsData(kind="streets"))
    assert not is_same_data("streets", "digits")
    assert not is_same_data(FOLDER, ImageFolderData(kind="image_folder", path="/data/hats"))


class TestPlaces:
    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for place in ("beside", "here", "path", "sets"):
            (tmp_path / place / "cloths").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path / "path"))
        monkeypatch.setenv(VARIABLE, str(tmp_path / "sets"))

    def test_are_looked_at_in_order(self, tmp_path: Path) -> None:
        for place in ("beside", "here", "path", "sets"):
            assert find_data("cloths", beside=tmp_path / "beside") == tmp_path / place / "cloths"
            (tmp_path / place / "cloths").rmdir()
        with pytest.raises(ScenarioError, match=r"^d\.path: no such data set \(looked in .*sets"):
            find_data("cloths", path="d.path")

    def test_of_a_spec(self, tmp_path: Path) -> None:
        spec = ImageFolderData(kind="image_folder", path="cloths")
        assert found_data(spec) == spec.model_copy(
            update={"path": str(tmp_path / "here" / "cloths")}
        )
        assert found_data("streets") == StreetsData(kind="streets")


class TestRecipes:
    def test_take_names_and_mappings(self) -> None:
        assert parse_net_recipe(RECIPE | {"dataset": "digits"}).dataset == "digits"
        said = {"kind": "image_folder", "path": "x"}
        assert parse_net_recipe(RECIPE | {"dataset": said}).dataset == data_spec(
            ImageFolderData(kind="image_folder", path="x")
        )

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ("digit", r"^dataset: .*'digit'"),
            ({"kind": "imagefolder"}, r"^dataset: "),
            ({"kind": "coco", "path": "x", "fit": "stretch"}, r"^dataset\.fit: "),
        ],
    )
    def test_tell_mistakes(self, said: object, message: str) -> None:
        with pytest.raises(ScenarioError, match=message):
            parse_net_recipe(RECIPE | {"dataset": said})

    def test_mean_the_same_wherever_the_set_lies(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        text = "".join(
            f"{key}: {value}\n" for key, value in (RECIPE | {"dataset": "cloths"}).items()
        )
        (tmp_path / "recipe.yaml").write_text(text)
        digests = []
        for place in ("one", "two"):
            folders.clothing(tmp_path / place / "cloths", 1)
            monkeypatch.setenv(VARIABLE, str(tmp_path / place))
            recipe = with_data(parse_net_recipe(read_mapping(tmp_path / "recipe.yaml")), tmp_path)
            assert recipe.dataset.path == str(tmp_path / place / "cloths")  # type: ignore[union-attr]
            digests.append(recipe.digest)
        assert digests[0] == digests[1]
