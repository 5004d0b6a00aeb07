"""The beginning of the loss: what a card holds, however the training went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coded_digits import NETWORK, code_recipe, trained, write_module, write_recipe
from simsplit.training.beginnings import beginning_here, refresh_beginning
from simsplit.training.loop import means_of_losses
from simsplit.training.train import train

SHORT: dict[str, Any] = {"train_images": 64, "test_images": 8, "batch": 8, "checkpoint_steps": 7}
STEPS: dict[str, Any] = {"phases": [{"train": "network", "steps": n} for n in (27, 25)]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    return tmp_path


def _card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def _losses(recipe: Path, **how: Any) -> list[float]:
    losses: list[float] = []
    train(recipe, progress=lambda _, __, loss: losses.append(loss), **how)
    return losses


def test_means_over_tens() -> None:
    assert means_of_losses([1.0] * 10 + [2.0] * 10 + [9.0] * 9) == [1.0, 2.0]
    assert means_of_losses([0.123456789] * 10) == [0.12346] and means_of_losses([1.0] * 9) == []
    assert means_of_losses([float(n) for n in range(40)]) == [4.5, 14.5, 24.5, 34.5]


def test_the_card_holds_the_losses_of_the_loop(folder: Path) -> None:
    losses = _losses(write_recipe(folder / "net", NETWORK | SHORT | STEPS))
    assert _card(folder / "net")["beginning"] == means_of_losses(losses[:40])
    assert len(_card(folder / "net")["beginning"]) == 4


def test_it_can_be_measured_again_without_training(folder: Path) -> None:
    trained(folder / "net", NETWORK | SHORT | STEPS)
    assert beginning_here(folder / "net") == _card(folder / "net")["beginning"]
    code = code_recipe({"kind": "jscc", "symbols": 32, "hidden": 8}, **SHORT)
    trained(folder / "code", code | {"phases": [{"train": "code", "steps": 41, "warmup_steps": 5}]})
    assert beginning_here(folder / "code") == _card(folder / "code")["beginning"]


def test_a_killed_training_has_the_same_beginning(folder: Path) -> None:
    whole = trained(folder / "whole", NETWORK | SHORT | STEPS)
    recipe = write_recipe(folder / "killed", NETWORK | SHORT | STEPS)

    def killed(step: int, _: int, __: float) -> None:
        if step in (16, 30, 45):
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, progress=killed)
    train(recipe)
    assert _card(folder / "killed")["beginning"] == _card(whole)["beginning"]


def test_it_is_in_float32_on_one_thread_whatever_the_training_was(folder: Path) -> None:
    plain = trained(folder / "plain", NETWORK | SHORT | STEPS)
    low = write_recipe(folder / "low", NETWORK | SHORT | STEPS | {"precision": "bfloat16"})
    losses = _losses(low)
    assert _card(folder / "low")["beginning"] == _card(plain)["beginning"]
    assert means_of_losses(losses[:40]) != _card(plain)["beginning"]
    wide = trained(folder / "wide", NETWORK | SHORT | STEPS, threads=2)
    assert _card(wide)["beginning"] == _card(plain)["beginning"]


def test_a_shortened_schedule_has_none(folder: Path) -> None:
    recipe = write_recipe(folder / "net", NETWORK | SHORT | STEPS)
    assert "beginning" not in _card(train(recipe, max_steps=20))
    assert "beginning" in _card(train(recipe, max_steps=60))  # longer than the whole


def test_a_short_training_has_whole_tens_only(folder: Path) -> None:
    short = {"phases": [{"train": "network", "steps": 15}]}
    assert len(_card(trained(folder / "a", NETWORK | SHORT | short))["beginning"]) == 1
    short["phases"][0]["steps"] = 9
    assert "beginning" not in _card(trained(folder / "b", NETWORK | SHORT | short))


def test_it_is_of_the_kinds_that_simsplit_brings_too(tmp_path: Path) -> None:
    steps = {"steps": 21, "train_images": 32, "test_images": 4, "checkpoint_steps": 10}
    content = {"kind": "digits", "dataset": "digits", "height": 8, "width": 8, **steps}
    there = trained(tmp_path / "net", content)
    low = trained(tmp_path / "low", content | {"precision": "bfloat16"})
    assert len(_card(there)["beginning"]) == 2
    assert beginning_here(there) == _card(there)["beginning"] == _card(low)["beginning"]
    assert "beginning" not in _card(train(there / "recipe.yaml", max_steps=20))


def test_a_card_without_it_can_be_given_it(folder: Path) -> None:
    there = trained(folder / "net", NETWORK | SHORT | STEPS)
    card = _card(there)
    less = {key: value for key, value in card.items() if key != "beginning"}
    (there / "card.json").write_text(json.dumps(less))
    refresh_beginning(there)
    assert _card(there) == card and list(_card(there)) == list(card)
