"""The loop of phases: resumed to the byte, parts that stay as they are, what cards say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from coded_digits import NETWORK, TRAINED, code_recipe, trained, write_module, write_recipe
from simsplit.errors import ArtefactError
from simsplit.training import loop as loops
from simsplit.training.batches import drawn, rate_factor
from simsplit.training.train import train

JSCC = {"kind": "jscc", "symbols": 32, "hidden": 8, "nested": True}
SHORT: dict[str, Any] = {"train_images": 64, "test_images": 8, "batch": 16, "checkpoint_steps": 3}
PHASES = [
    {"train": "code", "steps": 4, "noise": {"snr_db": [0, 10], "erasures": 0.1}},
    {
        "train": ["code", "tail"],
        "steps": 5,
        "objectives": {"task": 1, "distill": {"nodes": ["deep.1"], "weight": 0.5}},
    },
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    trained(tmp_path / "net", NETWORK | SHORT | {"phases": [{"train": "network", "steps": 6}]})
    return tmp_path


class Killed(Exception):
    """As if the process had been killed."""


def killed_at(step: int) -> Any:
    def progress(now: int, steps: int, loss: float) -> None:
        if now == step:
            raise Killed

    return progress


@pytest.mark.parametrize("code", [JSCC, {"kind": "entropic", "channels": 2, "hidden": 8}])
@pytest.mark.parametrize("deaths", [(2,), (4,), (5, 8)], ids=str)
def test_a_killed_training_ends_with_the_same_bytes(
    folder: Path, code: dict[str, Any], deaths: tuple[int, ...]
) -> None:
    """Before the first checkpoint, in the first phase's last steps, and twice in the second."""
    phases = [{k: v for k, v in p.items() if k != "noise" or code is JSCC} for p in PHASES]
    content = code_recipe(code, phases=phases, flip=True, **SHORT)
    whole = trained(folder / "whole", content)
    recipe = write_recipe(folder / "killed", content)
    for step in deaths:
        with pytest.raises(Killed):
            train(recipe, progress=killed_at(step))
    train(recipe)
    weights = "weights.safetensors"
    assert (folder / "killed" / weights).read_bytes() == (whole / weights).read_bytes()


def test_a_network_killed_ends_with_the_same_bytes(folder: Path) -> None:
    content = NETWORK | SHORT | {"phases": [{"train": "network", "steps": 5}] * 2, "flip": True}
    whole = trained(folder / "whole", content)
    recipe = write_recipe(folder / "killed", content)
    with pytest.raises(Killed):
        train(recipe, progress=killed_at(7))
    train(recipe)
    weights = "weights.safetensors"
    assert (folder / "killed" / weights).read_bytes() == (whole / weights).read_bytes()


def test_a_checkpoint_of_another_recipe_is_refused(folder: Path) -> None:
    content = code_recipe(JSCC, phases=PHASES, **SHORT)
    recipe = write_recipe(folder / "one", content)
    with pytest.raises(Killed):
        train(recipe, progress=killed_at(4))
    write_recipe(folder / "one", content | {"seed": 2})
    with pytest.raises(ArtefactError, match="another recipe"):
        train(recipe)
    write_recipe(folder / "one", content)
    with pytest.raises(ArtefactError, match="--threads 1"):
        train(recipe, threads=2)


def test_only_trained_parts_change_and_are_kept(folder: Path) -> None:
    """The network's own file is the network's own; a fine-tuned tail is the code's."""
    original = load_file(folder / "net" / "weights.safetensors")
    plain = trained(folder / "plain", code_recipe(JSCC, phases=PHASES[:1], **SHORT))
    tuned = trained(folder / "tuned", code_recipe(JSCC, phases=PHASES, **SHORT))
    only = load_file(plain / "weights.safetensors")
    both = load_file(tuned / "weights.safetensors")
    assert {key.split(".")[0] for key in only} == {"code"}
    assert {key.split(".")[0] for key in both} == {"code", "tail"}
    changed = {key for key in original if f"tail.net.{key}" in both}
    assert changed and all(key.startswith(("deep", "hidden", "last")) for key in changed)
    assert not torch.equal(both["tail.net.last.weight"], original["last.weight"])
    cards = [json.loads((f / "card.json").read_text())["changed"] for f in (plain, tuned)]
    assert cards == [["code"], ["code", "tail"]]


def test_only_parameters_that_are_named(folder: Path) -> None:
    start = TRAINED | {"weights": "../net/weights.safetensors"}
    phases = [{"train": "network", "steps": 3, "only": ["last."], "learning_rate": 0.01}]
    content = NETWORK | SHORT | {"network": start, "phases": phases, "normalisation": "frozen"}
    tuned = load_file(trained(folder / "tuned", content) / "weights.safetensors")
    original = load_file(folder / "net" / "weights.safetensors")
    changed = {key for key in original if not torch.equal(tuned[key], original[key])}
    assert changed == {"last.weight", "last.bias"}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_fresh_last_layer_is_trained_and_scored_as_it_is_stored(folder: Path, dtype: str) -> None:
    """What is fresh at the start is not fresh when the card scores what was trained."""
    start = TRAINED | {"weights": "../long/weights.safetensors", "weights_fresh": ["last."]}
    phases = [{"train": "network", "only": ["last."], "steps": 60, "learning_rate": 0.02}]
    content = NETWORK | {"network": start, "phases": phases, "weights_dtype": dtype}
    content |= {"normalisation": "frozen"}
    net = trained(folder / "long", NETWORK | {"phases": [{"train": "network", "epochs": 4}]})
    tuned = trained(folder / "tuned", content)
    stored = load_file(tuned / "weights.safetensors")
    original = load_file(net / "weights.safetensors")
    assert {str(t.dtype) for t in stored.values() if t.is_floating_point()} == {f"torch.{dtype}"}
    assert torch.equal(stored["hidden.0.weight"].float(), original["hidden.0.weight"].to(
        stored["hidden.0.weight"].dtype).float())  # fmt: skip
    assert not torch.equal(stored["last.weight"].float(), original["last.weight"])
    card = json.loads((tuned / "card.json").read_text())
    assert card["scores"]["direct"]["accuracy"]["mean"] > 0.6  # a random layer: 0.1
    assert card["network"]["weights_fresh"] == ["last."]


def test_a_head_can_be_trained_too(folder: Path) -> None:
    phases = [{"train": ["code", "network"], "steps": 2, "objectives": {"task": 1}}]
    tuned = trained(folder / "whole", code_recipe(JSCC, phases=phases, **SHORT))
    parts = {key.split(".")[0] for key in load_file(tuned / "weights.safetensors")}
    assert parts == {"code", "head", "tail"}


def test_no_phases_leave_an_untrained_code(folder: Path) -> None:
    own = {"kind": "custom", "target": "coded_nets:Floats", "scheme": "separate"}
    card = trained(folder / "own", code_recipe(own, phases=[], **SHORT)) / "card.json"
    content = json.loads(card.read_text())
    assert content["scores"]["coded"] == content["scores"]["direct"]
    assert content["payload_bits"]["mean"] == 32 * 24 * 16


def test_a_trial_is_shorter_by_one_factor() -> None:
    assert loops._shortened([40, 10], 10) == (8, 2)
    assert loops._shortened([3, 3], 10) == (3, 3)


@pytest.mark.parametrize(
    ("schedule", "done", "factor"),
    [("cosine", 0.5, 0.5), ("constant", 0.9, 1.0), ("polynomial", 0.5, 0.5**0.9)],
)
def test_rates_fall_as_said(schedule: str, done: float, factor: float) -> None:
    assert rate_factor(schedule, 99, 10, done) == pytest.approx(factor)
    assert rate_factor(schedule, 4, 10, 0.0) == pytest.approx(0.5)


def test_an_epoch_sees_every_picture_once() -> None:
    data = {"label": torch.arange(20)}
    seen = torch.cat([drawn(data, step, 5, seed=1)["label"] for step in range(4)])
    assert sorted(seen.tolist()) == list(range(20))
    again = torch.cat([drawn(data, step, 5, seed=1)["label"] for step in range(4, 8)])
    assert seen.tolist() != again.tolist()
