"""The recipes and the scenario of docs/codes.md are what the program reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from markdown_pages import ROOT, fences, read
from simsplit.scenario.code_specs import CodeSpec, CustomCodeSpec, EntropicCodeSpec, JsccCodeSpec
from simsplit.scenario.operating_points import Network
from simsplit.training.phases import CodeRecipe, NetworkRecipe, Phase, parse_phased_recipe

BLOCKS: list[dict[str, Any]] = [
    yaml.safe_load(content)
    for language, content in fences(read(ROOT / "docs" / "codes.md"))
    if language == "yaml"
]
RECIPES = [block for block in BLOCKS if "kind" in block]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "weights.safetensors").write_bytes(b"")
    (tmp_path / "code").mkdir()
    return tmp_path / "code"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: str(r["kind"]))
def test_a_recipe_is_read(recipe: dict[str, Any], folder: Path) -> None:
    parsed = parse_phased_recipe(recipe, folder)
    assert isinstance(parsed, NetworkRecipe if recipe["kind"] == "network" else CodeRecipe)
    assert len(yaml.safe_dump(recipe).splitlines()) <= 40


def test_the_scenario_names_its_codes() -> None:
    block = next(block for block in BLOCKS if "operating_points" in block)
    assert Network.model_validate(block["networks"][0]).name == "cnn"
    assert [point["code"] for point in block["operating_points"]] == ["jscc", "entropic"]


def test_defaults_are_as_the_page_says() -> None:
    phase, spec = Phase(), JsccCodeSpec(kind="jscc", symbols=1)
    assert (phase.train, phase.learning_rate, phase.weight_decay) == (("code",), 1e-3, 1e-4)
    assert (phase.warmup_steps, phase.schedule, phase.step_count(320, 32)) == (20, "cosine", 100)
    assert (phase.noise.snr_db, phase.noise.fading_share) == ((-5.0, 20.0), 0.5)
    assert (spec.hidden, spec.stride, spec.nested) == (64, 1, False)


def test_the_published_students_sizes_are_the_defaults() -> None:
    spec = EntropicCodeSpec(kind="entropic", channels=24, stride=4, transforms="gdn")
    assert spec.gdn_channels == ((96, 48), (512, 256))
    student = next(recipe for recipe in RECIPES if "until" in recipe)
    assert (student["cut"], student["until"]) == ("input", "body.2")
    assert [phase["train"] for phase in student["phases"]] == ["code", ["decoder", "tail"]]


def test_an_own_code_is_spelled_right() -> None:
    spec: CodeSpec = CustomCodeSpec.model_validate(RECIPES[-1]["code"])
    assert isinstance(spec, CustomCodeSpec) and spec.symbol_power == 2.0
