"""A network of a user's own, by recipe, with a JSCC and an entropic code on it, in a cell.

Floors, not values: what such a small network on 8 x 8 digits must reach to be of any use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from coded_digits import write_module
from simsplit.study.run import run
from simsplit.training.train import train

pytestmark = pytest.mark.slow

NETWORK = """
kind: network
network: {source: "coded_nets:Cnn", answer: label}
data: digits
height: 8
width: 8
phases: [{train: network, epochs: 12, learning_rate: 3.0e-3}]
"""
JSCC = """
kind: code
network: {source: "coded_nets:Cnn", weights: ../net/weights.safetensors, answer: label}
data: digits
height: 8
width: 8
cut: body.2
code: {kind: jscc, symbols: 32}
phases:
  - {train: code, epochs: 12, noise: {snr_db: [-5, 20]}}
  - {train: [code, tail], epochs: 6, learning_rate: 5.0e-4, objectives: {task: 1, distill: 1}}
"""
ENTROPIC = """
kind: code
network: {source: "coded_nets:Cnn", weights: ../net/weights.safetensors, answer: label}
data: digits
height: 8
width: 8
cut: body.2
code: {kind: entropic, channels: 4}
phases:
  - {train: code, epochs: 15, objectives: {task: 1, feature: 1, rate: 0.5}}
"""
SCENARIO: dict[str, Any] = {
    "name": "coded_digits",
    "duration_s": 12,
    "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": 128},
    "model": None,
    "networks": [
        {
            "name": "cnn",
            "source": "coded_nets:Cnn",
            "weights": "models/net/weights.safetensors",
            "answer": "label",
        }
    ],
    "operating_points": [
        {"name": "analog", "network": "cnn", "code": "jscc"},
        {"name": "entropic", "network": "cnn", "code": "entropic"},
    ],
    "devices": [
        {
            "name": name,
            "count": 1,
            "hardware": "raspberry_pi_4",
            "operating_point": name,
            "arrivals": {"kind": "poisson", "rate_hz": 10},
        }
        for name in ("analog", "entropic")
    ],
    "cell": {"resource_blocks": 10, "channel": {"kind": "fixed_snr", "snr_db": 12}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_module(path, monkeypatch)
        for name, recipe in {"net": NETWORK, "jscc": JSCC, "entropic": ENTROPIC}.items():
            assert len(recipe.strip().splitlines()) <= 20
            (path / "models" / name).mkdir(parents=True)
            (path / "models" / name / "recipe.yaml").write_text(recipe.lstrip())
            train(path / "models" / name / "recipe.yaml")
        monkeypatch.chdir(path)
        yield path


def card(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "models" / name / "card.json").read_text())
    return content


def accuracy(folder: Path, name: str, way: str) -> float:
    return float(card(folder, name)["scores"][way]["accuracy"]["mean"])


def test_the_network(folder: Path) -> None:
    assert accuracy(folder, "net", "direct") > 0.93


def test_jscc_is_graceful(folder: Path) -> None:
    """Within 4 points of the network at 10 dB and still of use 15 dB below; better with SNR."""
    direct = accuracy(folder, "jscc", "direct")
    at = {snr_db: accuracy(folder, "jscc", f"jscc_{snr_db}_db") for snr_db in (-5, 0, 10, 20)}
    assert at[10] > direct - 0.04 and at[20] > direct - 0.03 and at[-5] > 0.6
    assert at[-5] < at[0] < at[20] + 0.01
    assert card(folder, "jscc")["channel_uses"] == 32


def test_entropic_bytes(folder: Path) -> None:
    """No dearer in accuracy than 4 points; bytes within checksum and last word of -log2 p."""
    found = card(folder, "entropic")
    assert accuracy(folder, "entropic", "coded") > accuracy(folder, "entropic", "direct") - 0.04
    real, information = (found[key]["mean"] for key in ("payload_bits", "information_bits"))
    assert information < real < information + 16 + 34
    assert real < 512  # of 12,288 as float32


def test_in_a_cell_they_are_worth_what_their_cards_say(folder: Path) -> None:
    (folder / "scenario.yaml").write_text(yaml.safe_dump(SCENARIO))
    result = run(folder / "scenario.yaml", out=folder / "out", allow_code=True)
    rows = result.requests
    for name in ("analog", "entropic"):
        own = rows[rows["operating_point"] == name]
        assert len(own) > 60
        assert own["score_accuracy"].mean() > 0.85
