"""Cards of codes that are damaged or of something else are told with their file and place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import SimsplitError
from simsplit.scenario.codes import code_card
from simsplit.scenario.load import load
from simsplit.training.phases import parse_phased_recipe

CARD: dict[str, Any] = {
    "kind": "code",
    "network": {"source": "resnet18"},
    "network_digest": "n",
    "cut": "layer1",
    "scheme": "separate",
    "code": {"kind": "entropic", "channels": 2},
    "nested": False,
    "weights_digest": "w",
    "height": 64,
    "width": 64,
}
SCENARIO: dict[str, Any] = {
    "name": "coded",
    "duration_s": 1,
    "task": {"dataset": "streets", "height_px": 64, "width_px": 64, "samples": 2},
    "model": None,
    "networks": [{"name": "net", "source": "resnet18", "weights": "random"}],
    "operating_points": [{"name": "point", "network": "net", "code": "mine"}],
    "devices": [
        {
            "name": "one",
            "count": 1,
            "hardware": "raspberry_pi_4",
            "operating_point": "point",
            "arrivals": {"kind": "poisson", "rate_hz": 5},
        }
    ],
    "cell": {"channel": {"kind": "fixed_snr", "snr_db": 10}},
}
RECIPE: dict[str, Any] = {
    "kind": "code",
    "network": {"source": "resnet18"},
    "data": "digits",
    "height": 8,
    "width": 8,
    "cut": "layer1",
    "code": {"kind": "entropic", "channels": 2},
    "start": "mine",
}


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in CARD.items() if key not in keys}


DAMAGED: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "damaged card: Expecting property name"),
    "no text": (b"\xff\xfe", "damaged card: 'utf-8' codec can't decode"),
    "a list": ("[]", "damaged card: it is no mapping"),
    "keys missing": (without("cut", "scheme"), "the card lacks cut, scheme"),
    "a size missing": (without("height"), "the card lacks height"),
    "a network that is a list": (CARD | {"network": []}, "damaged card: network: must be"),
    "a cut that is a number": (CARD | {"cut": 3}, "damaged card: cut: must be"),
    "an unknown scheme": (
        CARD | {"scheme": "raw"},
        "damaged card: scheme: not among the choices (found: 'raw')",
    ),
    "a code of no kind": (
        CARD | {"code": {"kind": "entropc"}},
        "damaged card: code.kind: unknown kind (found: 'entropc')",
    ),
    "a code without a size": (
        CARD | {"code": {"kind": "jscc"}},
        "damaged card: code.symbols: this key is required",
    ),
    "a code that is a word": (CARD | {"code": "entropic"}, "damaged card: code: "),
}
FOREIGN: dict[str, Any] = {"a network's": {"kind": "network"}, "of no kind": {"seed": 1}}


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMSPLIT_PATH", raising=False)
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"")
    return folder / "card.json"


def write(card: Path, content: Any) -> None:
    if isinstance(content, bytes):
        card.write_bytes(content)
    else:
        card.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_card_in_a_scenario(name: str, card: Path) -> None:
    content, told = DAMAGED[name]
    write(card, content)
    with pytest.raises(SimsplitError) as caught:
        load(SCENARIO)
    assert str(caught.value).startswith(f"operating_points[0].code: {card}: {told}")
    assert caught.value.value == "mine"


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_card_asked_for_by_itself(name: str, card: Path) -> None:
    content, told = DAMAGED[name]
    write(card, content)
    with pytest.raises(SimsplitError) as caught:
        code_card(str(card.parent), "start")
    assert str(caught.value).startswith(f"start: {card}: {told}")


@pytest.mark.parametrize("name", ["no JSON", "no text", "a list"])
def test_a_damaged_card_to_start_from(name: str, card: Path) -> None:
    """What is no card at all cannot be known for a code."""
    content, told = DAMAGED[name]
    write(card, content)
    with pytest.raises(SimsplitError) as caught:
        parse_phased_recipe(RECIPE, card.parent.parent)
    assert str(caught.value).startswith(f"start: {card}: {told}")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_card_of_something_else(name: str, card: Path) -> None:
    write(card, FOREIGN[name])
    kind = FOREIGN[name].get("kind", "unknown")
    told = f"no such code: {card} is of kind {kind} (found: 'mine')"
    with pytest.raises(SimsplitError) as caught:
        load(SCENARIO)
    assert str(caught.value).startswith(f"operating_points[0].code: {told}")
    with pytest.raises(SimsplitError) as caught:
        parse_phased_recipe(RECIPE, card.parent.parent)
    assert str(caught.value).startswith(f"start: {told}")


def test_a_recipe_of_something_else(card: Path) -> None:
    recipe = card.parent / "recipe.yaml"
    recipe.write_text("kind: digits\n")
    with pytest.raises(SimsplitError) as caught:
        load(SCENARIO)
    told = f"operating_points[0].code: no such code: {recipe} is of kind digits (found: 'mine')"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_the_commands_say_it_without_a_traceback(verb: str, card: Path) -> None:
    write(card, DAMAGED["a network that is a list"][0])
    Path("mine.yaml").write_text(yaml.safe_dump(SCENARIO))
    done = CliRunner().invoke(app, [verb, "mine.yaml"])
    assert done.exit_code == 2, done.output
    text = " ".join(done.output.split())
    assert "operating_points[0].code" in text and "damaged card: network" in text
    assert "Traceback" not in text
