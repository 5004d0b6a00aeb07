"""Other training seeds and folds: where they go, what they train on, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from coded_digits import CLOTHES as SMALL_CLOTHES
from coded_digits import NETWORK, code_recipe, trained, write_module, write_recipe
from data_folders import clothing_splits
from simsplit.errors import ScenarioError
from simsplit.files import json_digest
from simsplit.training.train import train, trained_already
from simsplit.training.variants import varied

SHORT: dict[str, Any] = {"train_images": 64, "test_images": 8, "batch": 16}
ONE_STEP: dict[str, Any] = {"phases": [{"train": "network", "steps": 1}]}
DIGITS = NETWORK | SHORT | ONE_STEP
CLOTHES = SMALL_CLOTHES | {"train_images": 24, "test_images": 2}
JSCC = {"kind": "jscc", "symbols": 32, "hidden": 8}
ON_CLOTHES = code_recipe(
    JSCC,
    network=CLOTHES["network"] | {"weights": "../net/weights.safetensors"},
    data=CLOTHES["data"],
    phases=[{"train": "code", "steps": 1}],
    test_images=2,
    batch=8,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path / "data"))
    clothing_splits(tmp_path / "data" / "clothing")
    return tmp_path


def _card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def test_another_seed_is_trained_below_and_its_weights_are_not_kept(folder: Path) -> None:
    recipe = write_recipe(folder / "net", DIGITS)
    there = train(recipe, seed=2)
    assert there == folder / "net" / "seed2"
    names = {path.name for path in there.iterdir()}
    assert names == {"card.json", "recipe.yaml"}
    assert yaml.safe_load((there / "recipe.yaml").read_text()) == DIGITS | {"seed": 2}
    assert _card(there)["seed"] == 2
    assert _card(there)["recipe_digest"] == json_digest(DIGITS | {"seed": 2})
    assert not (folder / "net" / "card.json").exists()
    train(recipe, seed=2, keep_weights=True)
    assert (there / "weights.safetensors").is_file()


def test_the_recipe_s_own_seed_is_its_own_folder(folder: Path) -> None:
    recipe = write_recipe(folder / "net", DIGITS)
    assert train(recipe, seed=1) == folder / "net"
    assert (folder / "net" / "weights.safetensors").is_file()


def test_what_a_variant_wrote_trains_the_same(folder: Path) -> None:
    """Weights that the recipe names from its folder are named from below."""
    trained(folder / "net", DIGITS)
    recipe = write_recipe(folder / "code", code_recipe(JSCC, **SHORT) | {"phases": [{"steps": 1}]})
    there = train(recipe, seed=3, keep_weights=True)
    again = train(there / "recipe.yaml", out=folder / "again")
    weights = "weights.safetensors"
    assert (again / weights).read_bytes() == (there / weights).read_bytes()
    assert _card(again)["recipe_digest"] == _card(there)["recipe_digest"]
    written = yaml.safe_load((there / "recipe.yaml").read_text())
    assert written["network"]["weights"] == "../../net/weights.safetensors"


def test_folds_are_scored_on_all_their_pictures(folder: Path) -> None:
    recipe = write_recipe(folder / "net", CLOTHES)
    digests = set()
    for fold in (1, 2):
        card = _card(train(recipe, fold=fold))
        assert card["test_images"] == 8 and card["data"]["fold"] == fold
        digests.add(card["data_digest"])
    assert len(digests) == 2


def test_a_fold_and_a_seed(folder: Path) -> None:
    recipe = write_recipe(folder / "net", CLOTHES)
    there = train(recipe, fold=4, seed=7, out=folder / "out")
    assert there == folder / "out" / "fold4" / "seed7"
    assert train(recipe, fold=5, seed=7, out=folder / "out").is_dir()  # beside the other one
    assert train(recipe, fold=1, max_steps=1) == folder / "net" / "fold1" / "partial-1"


def test_the_recipe_s_own_fold_is_its_own_folder(folder: Path) -> None:
    data = CLOTHES["data"] | {"folds": 3, "fold": 2}
    recipe = write_recipe(folder / "net", CLOTHES | {"data": data})
    assert train(recipe, fold=2) == folder / "net"
    assert _card(train(recipe, fold=3))["data"]["folds"] == 3


def test_a_code_on_a_fold_has_the_network_of_that_fold(folder: Path) -> None:
    net = write_recipe(folder / "net", CLOTHES)
    train(net)
    recipe = write_recipe(folder / "code", ON_CLOTHES)
    with pytest.raises(ScenarioError, match=r"fold: .*simsplit train net --fold 2 --keep-weights"):
        train(recipe, fold=2)
    train(net, fold=2, keep_weights=True)
    there = train(recipe, fold=2)
    assert _card(there)["network"]["weights"] == _card(net.parent / "fold2")["weights_digest"]
    written = yaml.safe_load((there / "recipe.yaml").read_text())
    assert written["network"]["weights"] == "../../net/fold2/weights.safetensors"


def test_a_fold_s_network_may_lie_on_the_search_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = write_recipe(folder / "net", CLOTHES)
    train(net)
    train(net, fold=2, keep_weights=True, out=folder / "folds" / "net")
    monkeypatch.setenv("SIMSPLIT_PATH", f"{folder}:{folder / 'folds'}")
    there = train(write_recipe(folder / "code", ON_CLOTHES), fold=2)
    made = _card(folder / "folds" / "net" / "fold2")
    assert _card(there)["network"]["weights"] == made["weights_digest"]


def test_a_distilled_teacher_is_of_the_fold_too(folder: Path) -> None:
    net = write_recipe(folder / "net", CLOTHES)
    train(net)
    train(net, fold=1, keep_weights=True)
    teacher = ON_CLOTHES["network"]
    phase = {"train": "network", "steps": 1, "objectives": {"distill": {"teacher": teacher}}}
    (folder / "pupil").mkdir()
    variant = varied(CLOTHES | {"phases": [phase]}, folder / "pupil", fold=1)
    written = variant.written["phases"][0]["objectives"]["distill"]["teacher"]["weights"]
    assert written == "../../net/fold1/weights.safetensors"


def test_what_is_trained_already(folder: Path) -> None:
    recipe = write_recipe(folder / "net", DIGITS)
    assert trained_already(recipe, seed=2) is None
    train(recipe, seed=2)
    assert trained_already(recipe, seed=2) == folder / "net" / "seed2"
    assert trained_already(recipe, seed=2, keep_weights=True) is None  # no weights were kept
    assert trained_already(recipe, seed=3) is None and trained_already(recipe) is None
    train(recipe)
    assert trained_already(recipe) == folder / "net"
    write_recipe(folder / "net", DIGITS | {"batch": 15})
    assert trained_already(recipe) is None and trained_already(recipe, seed=2) is None


def test_a_damaged_card_is_of_nothing(folder: Path) -> None:
    recipe = write_recipe(folder / "net", DIGITS)
    train(recipe)
    (folder / "net" / "card.json").write_text("{")
    assert trained_already(recipe) is None


def test_models_of_a_fold_may_lie_beside_each_other(folder: Path) -> None:
    net = write_recipe(folder / "net", CLOTHES)
    train(net)
    train(net, fold=2, keep_weights=True, out=folder / "short" / "net")
    there = train(write_recipe(folder / "code", ON_CLOTHES), fold=2, out=folder / "short" / "code")
    made = _card(folder / "short" / "net" / "fold2")
    assert _card(there)["network"]["weights"] == made["weights_digest"]


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "fold of digits": (
        lambda top: train(write_recipe(top / "a", DIGITS), fold=1),
        r"^fold: only data of kind image_folder have folds; those of this recipe are \(found: 'd",
    ),
    "weights of a fold missing": (
        lambda top: train(write_recipe(top / "a", ON_CLOTHES), fold=1),
        r"^network\.weights: no such weights file",
    ),
    "fold beyond": (
        lambda top: train(write_recipe(top / "a", CLOTHES), fold=6),
        r"^fold: no such fold among 5 \(found: 6\)",
    ),
    "weights that are kept anyway": (
        lambda top: train(write_recipe(top / "a", DIGITS), keep_weights=True),
        r"^keep_weights: is for another seed or fold, .*always kept \(found: True\)",
    ),
    "weights that are kept anyway, if needed": (
        lambda top: trained_already(write_recipe(top / "a", DIGITS), keep_weights=True),
        r"^keep_weights: is for another seed or fold",
    ),
    "steps of a table": (
        lambda top: train("bler_5g", max_steps=2, out=top / "out"),
        r"^max_steps: only networks and codes have steps; .* \(found: 'bler_table'\)",
    ),
    "a table elsewhere": (
        lambda top: train("latency_cpu", device="cuda", out=top / "out"),
        r"^device: only recipes of kind network and code .* \(found: 'cuda'\)",
    ),
    "seed of a table": (
        lambda top: train("bler_5g", seed=2, out=top / "out"),
        r"^seed: only networks and codes have a training seed; .* \(found: 'bler_table'\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_is_told(folder: Path, case: str) -> None:
    act, message = BAD[case]
    with pytest.raises(ScenarioError, match=message):
        act(folder)
