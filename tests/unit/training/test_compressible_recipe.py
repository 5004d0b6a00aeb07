"""Recipes of networks whose features are trained to be compressible: what they refuse and make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from simsplit.errors import ScenarioError
from simsplit.networks.artefact import load_artefact
from simsplit.training.fitting import schedule, start
from simsplit.training.recipe import NetRecipe, parse_net_recipe
from simsplit.training.train import train

SMALL: dict[str, Any] = {
    "kind": "compressible",
    "dataset": "streets",
    "height": 16,
    "width": 32,
    "train_images": 8,
    "test_images": 3,
    "steps": 4,
    "shares": {"direct": 1, "digital": 3, "jscc": 0},
    "objective": "uncertainty",
    "network": {
        "encoder": "encoder2",
        "widths": [4, 4, 8, 8],
        "blocks": [1, 1, 1, 1],
        "stem_stride": 1,
        "head_widths": [8, 8],
    },
}
SIZES = {"height": 8, "width": 8, "train_images": 96, "test_images": 24, "steps": 20}
DIGITS: dict[str, Any] = {"kind": "digits", "dataset": "digits", **SIZES}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))


def recipe_in(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(SMALL | changes))
    return folder / "recipe.yaml"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def parse(**changes: Any) -> NetRecipe:
    return parse_net_recipe(SMALL | changes)


def network(**changes: Any) -> dict[str, Any]:
    return {"network": SMALL["network"] | changes}


def test_a_good_one() -> None:
    assert parse().batch == 4
    for weight in ("learned", 0.5, 2, None):
        assert parse(compressibility=weight).compressibility == weight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"direct": 2, "digital": 2}}, "shares.jscc: 0"),  # 6 unless said
        ({"network": None}, "network and kind: compressible need each other"),
        ({"objective": "weighted"}, "needs objective: uncertainty"),
        ({"objective": "weighted", "compressibility": 0.1}, "needs objective: uncertainty"),
        ({"nested": True}, "no JSCC path"),
        ({"compressibility_by": "energy"}, "need compressibility$"),
        ({"compressibility_from_step": 3}, "need compressibility$"),
        ({"train_only": "jscc", "start_from": "net"}, "no JSCC path"),
        ({"shares": {"direct": 0, "digital": 0, "jscc": 0}}, "a batch needs pictures"),
    ],
)
def test_parts_that_do_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as caught:
        parse(**changes)
    assert "found" not in str(caught.value)  # the whole recipe would drown the message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": SMALL["network"]}, "network and kind: compressible need each other"),
        ({"objective": "uncertainty"}, "belong to kind compressible"),
        ({"compressibility": 0.1}, "belong to kind compressible"),
        ({"compressibility": "learned"}, "belong to kind compressible"),
        ({"shares": {"jscc": 0}}, "every one of shares must be above 0"),
        ({"validation_images": 4}, "belong to kind compressible"),
    ],
)
def test_other_kinds_have_none_of_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse_net_recipe(DIGITS | changes)


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "lerned", [1]])
def test_a_weight_is_a_number_above_zero_or_learned(value: Any) -> None:
    with pytest.raises(ScenarioError, match=r"^compressibility: .*above 0 nor 'learned'"):
        parse(compressibility=value)


@pytest.mark.parametrize(
    ("key", "near"),
    [("encodr", "encoder"), ("width", "widths"), ("stem_strid", "stem_stride")],
)
def test_unknown_key_of_the_network_names_the_nearest(key: str, near: str) -> None:
    wrong = rf"^network\.{key}: unknown key .*Did you mean '{near}'\? Choices: .*head_widths"
    with pytest.raises(ScenarioError, match=wrong):
        parse(**network(**{key: 1}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("encoder", "encoder3"), ("widths", [4, 4, 8]), ("blocks", [1, 1, 0, 1])),
        *(("classes", 0), ("stem_stride", 3), ("stem_stride", 8)),
    ],
)
def test_bad_value_of_the_network_names_its_path(key: str, value: Any) -> None:
    with pytest.raises(ScenarioError, match=rf"^network\.{key}"):
        parse(**network(**{key: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 30}, r"^network: .*16x30 is not a multiple of 4"),
        ({"network": SMALL["network"] | {"head_widths": [8]}}, r"^network: 1 stages"),
    ],
)
def test_a_network_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        start(parse(**changes), torch.ones(8))


def test_digest_is_of_what_is_said_beyond_the_defaults() -> None:
    digest = parse().digest
    defaults: dict[str, Any] = {
        "precision": "float32",
        "schedule": "cosine",
        "nested": False,
        "seed": 1,
    }
    assert parse(**defaults, compressibility=None, budget_s=None).digest == digest
    assert parse(**network(classes=8)).digest == digest
    shares = {"direct": 5, "digital": 5, "jscc": 6}
    plain, said = (parse_net_recipe(DIGITS | more) for more in ({}, {"shares": shares}))
    assert plain.digest == said.digest
    others: list[dict[str, Any]] = [
        *({"precision": "bfloat16"}, {"schedule": "polynomial"}, {"compressibility": 0.5}),
        *({"compressibility": "learned"}, {"seed": 2}, network(classes=9)),
        *(network(encoder="encoder1"), network(head_widths=[8, 16])),
    ]
    assert len({digest, *(parse(**other).digest for other in others)}) == 9


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_they_train_through_the_same_loop(tmp_path: Path, precision: str) -> None:
    changes = {"precision": precision, "compressibility": 1.0, "steps": 12, "warmup_steps": 1}
    recipe = recipe_in(tmp_path / "net", **changes)
    losses: list[float] = []
    folder = train(recipe, progress=lambda step, steps, loss: losses.append(loss))
    card = json.loads((folder / "card.json").read_text())
    assert losses[-1] < losses[0]
    assert card["network"]["encoder"] == "encoder2" and card["splits"] == ["layer3"]
    learned = card["trained"]["log_variance"]
    assert set(learned) == {"segmentation", "disparity", "reconstruction"} and all(learned.values())
    assert not card["channel_uses"].get("jscc") and "jscc" not in card["macs"]
    assert not any("jscc" in way for way in card["scores"])
    found = load_artefact(tmp_path, "net")
    assert found.model.latent_shape == (8, 4, 8) and found.tables[8].shape == (8, 256)
    assert all(value.dtype != torch.bfloat16 for value in weights(folder).values())


def test_pictures_for_choosing_have_a_ladder_of_their_own(tmp_path: Path) -> None:
    folder = train(recipe_in(tmp_path / "net", validation_images=2, steps=1))
    card = json.loads((folder / "card.json").read_text())
    test, chosen_by = card["rate_distortion"], card["rate_distortion_validation"]
    assert (test["pictures"], chosen_by["pictures"]) == (3, 2)
    assert test["rows"] != chosen_by["rows"]
    assert [row["codec"] for row in test["rows"]] == [row["codec"] for row in chosen_by["rows"]]


def test_precision_changes_what_is_learned(tmp_path: Path) -> None:
    first, second = (
        weights(train(recipe_in(tmp_path / precision, precision=precision)))
        for precision in ("float32", "bfloat16")
    )
    assert not torch.equal(first["stem.0.weight"], second["stem.0.weight"])
    assert torch.allclose(first["stem.0.weight"], second["stem.0.weight"], atol=2e-2)


def test_polynomial_schedule_is_a_power_of_what_is_left() -> None:
    run = start(parse(steps=100, schedule="polynomial", warmup_steps=10), torch.ones(8))
    factors = {}
    for run.step in (0, 4, 50, 99):
        factors[run.step] = schedule(run)
    assert factors == pytest.approx(
        {0: 0.1, 4: 0.5 * 0.96**0.9, 50: 0.5**0.9, 99: 0.01**0.9}, rel=1e-9
    )
