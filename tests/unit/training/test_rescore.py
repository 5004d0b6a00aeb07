"""``simsplit train --rescore``: what a training left is measured once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coded_digits import NETWORK, code_recipe, trained, write_module, write_recipe
from simsplit.cli import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.training.train import rescore, train

SHORT: dict[str, Any] = {"train_images": 64, "test_images": 24, "batch": 16}
NET = NETWORK | SHORT | {"phases": [{"train": "network", "steps": 4}]}
PHASES = [
    {"train": "code", "steps": 6, "objectives": {"feature": 1, "rate": 0.05}},
    {"train": ["decoder", "tail"], "steps": 3, "objectives": {"task": 1}},
]
CODE = code_recipe({"kind": "entropic", "channels": 4, "hidden": 8}, phases=PHASES, **SHORT)
MEASURED = ("scores", "paired", "payload_bits", "payload_bytes", "payload_over_information")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    trained(tmp_path / "net", NET)
    trained(tmp_path / "code", CODE)
    return tmp_path


def card_of(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


@pytest.mark.parametrize("model", ["net", "code"])
def test_a_card_of_other_numbers_gets_those_of_its_weights(folder: Path, model: str) -> None:
    place, right = folder / model, card_of(folder / model)
    weights = (place / "weights.safetensors").read_bytes()
    wrong = right | {key: {} for key in MEASURED if key in right}
    (place / "card.json").write_text(json.dumps(wrong))
    done = CliRunner().invoke(app, ["train", str(place / "recipe.yaml"), "--rescore"])
    assert done.exit_code == 0, done.output
    assert "Scored: " in done.output
    assert card_of(place) == right
    assert (place / "weights.safetensors").read_bytes() == weights


def test_of_another_seed(folder: Path) -> None:
    recipe = folder / "code" / "recipe.yaml"
    below = train(recipe, seed=7, keep_weights=True)
    right = card_of(below)
    (below / "card.json").write_text(json.dumps(right | {"scores": {}}))
    assert rescore(recipe, seed=7) == below
    assert card_of(below) == right


def test_a_card_of_another_recipe(folder: Path) -> None:
    recipe = write_recipe(folder / "code", CODE | {"seed": 3})
    with pytest.raises(ScenarioError, match=r"of another recipe: train it first"):
        rescore(recipe)


@pytest.mark.parametrize("model", ["net", "code"])
def test_foreign_weights(folder: Path, model: str) -> None:
    (folder / model / "weights.safetensors").write_bytes(b"something")
    with pytest.raises(ArtefactError, match="not those of"):
        rescore(folder / model / "recipe.yaml")


def test_nothing_trained_yet(folder: Path) -> None:
    with pytest.raises(ArtefactError, match="not trained yet"):
        rescore(write_recipe(folder / "new", CODE))


@pytest.mark.parametrize(
    "words",
    [
        ("--max-steps", "3"),
        ("--if-needed",),
        ("--keep-weights",),
        ("--threads", "2"),
        ("--device", "cuda"),
    ],
)
def test_it_trains_nothing(folder: Path, words: tuple[str, ...]) -> None:
    recipe = folder / "code" / "recipe.yaml"
    done = CliRunner().invoke(app, ["train", str(recipe), "--rescore", *words])
    assert done.exit_code == 2
    assert "goes with --out, --seed and --fold only" in done.output


def test_of_a_table_there_are_no_scores(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"of networks and codes .*found: .latency"):
        rescore("latency_cpu", out=tmp_path)
