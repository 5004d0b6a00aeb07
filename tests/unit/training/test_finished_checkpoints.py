"""A checkpoint is of use until its training is done: whose it is, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from coded_digits import NETWORK, write_module, write_recipe
from simsplit.cli import app
from simsplit.errors import ArtefactError
from simsplit.seeds import one_thread
from simsplit.training.checkpoints import CHECKPOINT, read_checkpoint, write_checkpoint
from simsplit.training.train import train

SHORT: dict[str, Any] = {"train_images": 64, "test_images": 8, "batch": 16, "checkpoint_steps": 2}
RECIPE: dict[str, Any] = NETWORK | SHORT | {"phases": [{"train": "network", "steps": 5}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    return tmp_path / "net"


def stopped(recipe: Path, step: int = 3) -> None:
    """A training that is stopped after a step."""

    def stop(done: int, _: int, __: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, progress=stop)


def steps_of(folder: Path) -> int:
    return int(json.loads((folder / "card.json").read_text())["trained"]["steps"])


def test_a_finished_training_leaves_none(folder: Path) -> None:
    train(write_recipe(folder, RECIPE))
    assert not (folder / CHECKPOINT).exists()


@pytest.mark.parametrize("words", [(), ("--if-needed",)])
def test_an_edited_recipe_is_trained_without_a_question(
    folder: Path, words: tuple[str, ...]
) -> None:
    train(write_recipe(folder, RECIPE))
    edited = write_recipe(folder, RECIPE | {"phases": [{"train": "network", "steps": 4}]})
    done = CliRunner().invoke(app, ["train", str(edited), *words])
    assert done.exit_code == 0, done.output
    assert steps_of(folder) == 4


def test_one_that_an_earlier_version_left_is_no_question_either(folder: Path) -> None:
    """It says nothing of the card that its training has written."""
    recipe = write_recipe(folder, RECIPE)
    stopped(recipe, 5)
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    train(recipe)
    torch.save({key: value for key, value in state.items() if key != "card"}, folder / CHECKPOINT)
    train(write_recipe(folder, RECIPE | {"phases": [{"train": "network", "steps": 4}]}))
    assert steps_of(folder) == 4


def test_one_of_an_unfinished_training_asks(folder: Path) -> None:
    stopped(write_recipe(folder, RECIPE))
    with pytest.raises(ArtefactError, match=r"whose training is not finished; delete it"):
        train(write_recipe(folder, RECIPE | {"batch": 8}))
    assert (folder / CHECKPOINT).exists()


def test_so_does_one_beside_the_card_of_a_third_recipe(folder: Path) -> None:
    """The first was finished; the second had all its steps, but has no card yet."""
    train(write_recipe(folder, RECIPE))
    stopped(write_recipe(folder, RECIPE | {"batch": 8}), 5)
    with pytest.raises(ArtefactError, match=r"whose training is not finished; delete it"):
        train(write_recipe(folder, RECIPE | {"batch": 4}))


def test_a_training_that_was_killed_before_its_card_goes_on(folder: Path) -> None:
    recipe, seen = write_recipe(folder, RECIPE), list[int]()
    stopped(recipe, 5)
    train(recipe, progress=lambda step, _, __: seen.append(step))
    assert seen == [] and steps_of(folder) == 5


def test_a_longer_training_of_the_same_recipe_begins_anew(folder: Path) -> None:
    """What was shortened into a folder of its own, then trained there as a whole."""
    recipe = write_recipe(folder, RECIPE)
    out = train(recipe, out=folder.parent / "out", max_steps=2)
    train(recipe, out=out)
    assert steps_of(out) == 5


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_a_damaged_one_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(ArtefactError, match=r"checkpoint\.pt: damaged checkpoint"):
        read_checkpoint(tmp_path / CHECKPOINT, "a")


def test_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save([1], tmp_path / CHECKPOINT)
    with pytest.raises(ArtefactError, match="damaged checkpoint"):
        read_checkpoint(tmp_path / CHECKPOINT, "a")


def test_of_another_recipe_is_told_before_other_threads(tmp_path: Path) -> None:
    with one_thread(2):
        write_checkpoint(tmp_path / CHECKPOINT, {"recipe": "a", "step": 1})
    with one_thread(), pytest.raises(ArtefactError, match="another recipe"):
        read_checkpoint(tmp_path / CHECKPOINT, "b")
    with one_thread(), pytest.raises(ArtefactError, match="go on with --threads 2"):
        read_checkpoint(tmp_path / CHECKPOINT, "a")
