"""What a network takes over from the card beside its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simsplit.files import file_digest
from simsplit.scenario.load import load
from simsplit.scenario.network_files import take_preprocess
from simsplit.training.phases import network_content

CENTRED: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights with its card."""
    file = tmp_path / "net" / "weights.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    _write_card(file)
    return file


def _write_card(weights: Path, **changes: Any) -> None:
    card = {"kind": "network", "network": {"preprocess": CENTRED}}
    card |= {"weights_digest": file_digest(weights)} | changes
    (weights.parent / "card.json").write_text(json.dumps(card))


def _network(weights: Path | str, **more: Any) -> dict[str, Any]:
    return {"name": "n", "source": "resnet18", "weights": str(weights), **more}


def _taken(network: dict[str, Any]) -> Any:
    take_preprocess(network)
    return network.get("preprocess", "nothing")


def test_the_card_says_it_where_the_network_does_not(weights: Path) -> None:
    assert _taken(_network(weights)) == CENTRED
    assert _taken(_network(weights, preprocess=None)) is None
    assert _taken(_network(weights, preprocess={"scale": 2})) == {"scale": 2}


@pytest.mark.parametrize("changes", [{"kind": "code"}, {"weights_digest": "0"}, {"network": {}}])
def test_a_card_of_something_else_says_nothing(weights: Path, changes: dict[str, Any]) -> None:
    _write_card(weights, **changes)
    assert _taken(_network(weights)) == "nothing"


def test_no_card_or_none_of_ours_says_nothing(weights: Path) -> None:
    for text in ("{", "[]", "3"):
        (weights.parent / "card.json").write_text(text)
        assert _taken(_network(weights)) == "nothing"
    (weights.parent / "card.json").unlink()
    assert _taken(_network(weights)) == "nothing" == _taken(_network("random"))


def test_in_a_scenario_and_in_a_recipe(weights: Path) -> None:
    content = load("digits_smoke").model_dump(mode="json") | {"name": "mine", "model": None}
    content["networks"] = [_network(weights, answer="label")]
    content["operating_points"] = [{"name": "p", "scheme": "local", "network": "n"}]
    for group in content["devices"]:
        group["operating_point"] = "p"
    said = load(content).networks[0].preprocess
    assert not isinstance(said, str) and said is not None and said.mean == (0.5, 0.5, 0.5)
    recipe = network_content({"source": "a:B", "weights": weights.name}, weights.parent, "network")
    assert recipe["preprocess"] == CENTRED
