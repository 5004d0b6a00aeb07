"""Every YAML example of docs/data.md opens, on look-alikes of the sets that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import data_folders as folders
from markdown_pages import ROOT, fences, read
from simsplit.scenario.data import KINDS, NAMES, data_spec
from simsplit.scenario.operating_points import Task
from simsplit.tasks.datasets import test_samples as samples_of

PAGE = ROOT / "docs" / "data.md"
BLOCKS = [text for language, text in fences(read(PAGE)) if language == "yaml"]


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the page names, in the folder of data sets."""
    folders.clothing_splits(tmp_path / "clothing")
    folders.clothing(tmp_path / "cloths_undivided")
    for kind in ("coco", "voc", "kitti"):
        getattr(folders, kind)(tmp_path / kind)
    folders.npz(tmp_path / "arrays.npz")
    folders.own_module(tmp_path / "own", "my_squares")
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path))
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path / "own"))
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("sets")
@pytest.mark.parametrize("text", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_opens(text: str) -> None:
    task = Task.model_validate(yaml.safe_load(text)["task"])
    arrays = samples_of(task.dataset, task.height_px, task.width_px, task.samples)
    assert arrays["image"].shape[:3] == (task.samples, task.height_px, task.width_px)


def test_every_kind_has_its_row_and_most_an_example() -> None:
    text = read(PAGE)
    assert all(f"| `{kind}` |" in text for kind in KINDS)
    shown = {data_spec(Task.model_validate(yaml.safe_load(t)["task"]).dataset).kind for t in BLOCKS}
    assert set(KINDS) - shown <= set(NAMES)
