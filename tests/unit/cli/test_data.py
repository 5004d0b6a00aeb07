"""`simsplit data`: contact sheets and checks of bundled sets, folders, names and scenarios."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import data_folders as folders
from simsplit.cli import app
from simsplit.scenario.data import VARIABLE
from simsplit.scenario.load import digest, load, resolved_yaml

SCENARIO = """
name: own_data
task: {dataset: DATA, height_px: 12, width_px: 16, samples: 4}
model: null
networks: [{name: net, source: resnet18, weights: random}]
operating_points: [{name: here, scheme: local, network: net}]
devices:
  - name: phone
    count: 1
    hardware: phone_soc
    operating_point: here
    arrivals: {kind: periodic, period_s: 1}
cell: {channel: {kind: fixed_snr, snr_db: 20}}
"""


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["data", *words])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets with one in it, named by SIMSPLIT_DATA."""
    folders.clothing_splits(tmp_path / "sets" / "cloths")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sets"))
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["coco", "voc", "kitti", "clothing"])
def test_a_sheet_of_a_folder(kind: str, tmp_path: Path) -> None:
    getattr(folders, kind)(tmp_path / "d")
    code, text = _run(str(tmp_path / "d"), "--show", str(tmp_path / "sheet.png"))
    assert code == 0 and "Contact sheet" in text
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 5


def test_a_check_counts_classes(top: Path) -> None:
    code, text = _run("cloths", "--check")
    assert code == 0
    for part in ("train", "24", "dress 6, hat 6, pants 6, shirt 6", "validation", "8", "dress 2"):
        assert part in text


def test_a_check_lists_every_fault(top: Path) -> None:
    for name in ("0000", "0001"):
        (top / "sets/cloths/train/hat" / f"{name}.png").write_text("x")
    (top / "sets/cloths/test/dress/0008.png").write_text("x")
    code, text = _run("cloths", "--check")
    assert code == 2 and "3 mistakes" in text and "Traceback" not in text
    for name in ("train/hat/0000.png", "train/hat/0001.png", "test/dress/0008.png"):
        assert name in text.replace(" ", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--show", "a.png"], "no such bundled data set, folder of data, or scenario"),
        (["streets"], "nothing to do"),
        (["streets", "--show", "a.jpg"], "ends in"),
        (["streets", "--show", "a.png", "--split", "tset"], "unknown split"),
        (["streets", "--show", "a.png", "--fit", "stretch"], "no such fit"),
        (["cloths", "--show", "a.png", "--split", "train", "--fit", "crop", "--check"], ""),
    ],
)
def test_words_that_mean_nothing(top: Path, words: list[str], message: str) -> None:
    code, text = _run(*words)
    assert (code == 2) == bool(message) and message in text


class TestScenario:
    @pytest.mark.parametrize("said", ["cloths", "{kind: image_folder, path: cloths}"])
    def test_names_a_set_in_the_folder_of_sets(self, top: Path, said: str) -> None:
        (top / "own.yaml").write_text(SCENARIO.replace("DATA", said))
        scenario = load(top / "own.yaml")
        assert scenario.task.dataset.path == str(top / "sets/cloths")  # type: ignore[union-attr]
        assert load_again(scenario, top) == scenario
        code, text = _run("own.yaml", "--check")
        assert code == 0 and "dress 6" in text

    def test_finds_what_lies_beside_it_first(self, top: Path) -> None:
        folders.clothing_splits(top / "else" / "cloths")
        (top / "else" / "own.yaml").write_text(
            SCENARIO.replace("DATA", "{kind: image_folder, path: cloths}")
        )
        dataset = load(top / "else" / "own.yaml").task.dataset
        assert dataset.path == str(top / "else/cloths")  # type: ignore[union-attr]

    def test_means_the_same_wherever_the_set_lies(self, top: Path) -> None:
        (top / "own.yaml").write_text(SCENARIO.replace("DATA", "cloths"))
        before = digest(load(top / "own.yaml"))
        (top / "sets").rename(top / "moved")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(top / "moved"))
            assert digest(load(top / "own.yaml")) == before


def load_again(scenario: object, folder: Path) -> object:
    """A scenario through its resolved YAML."""
    (folder / "again.yaml").write_text(resolved_yaml(scenario))  # type: ignore[arg-type]
    return load(folder / "again.yaml")
