"""Recipes of kind network and code that cannot be: each says where and what would be right."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from coded_digits import SIZE, code_recipe, write_module, write_recipe
from simsplit.errors import ScenarioError
from simsplit.training.train import train

JSCC = {"kind": "jscc", "symbols": 32, "hidden": 8}
RANDOM = {"source": "coded_nets:Cnn"}
GOOD = code_recipe(JSCC, network=RANDOM)
NETWORK = {
    "kind": "network",
    "network": {"source": "coded_nets:Cnn", "answer": "label"},
    "phases": [{"train": "network", "steps": 2}],
    **SIZE,
}


def phase(**said: Any) -> dict[str, Any]:
    return GOOD | {"phases": [{"train": "code", "steps": 2, **said}]}


def code(**said: Any) -> dict[str, Any]:
    return GOOD | {"code": said}


def task(**answer: Any) -> dict[str, Any]:
    return NETWORK | {"network": NETWORK["network"] | {"answer": answer}}  # type: ignore[operator]


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown key": (GOOD | {"cutt": "body.2"}, ("cutt", "cut")),
    "no cut": ({k: v for k, v in GOOD.items() if k != "cut"}, ("cut",)),
    "no such cut": (GOOD | {"cut": "body.7"}, ("cut: no such cut", "body.7", "body.2")),
    "the output is no cut": (GOOD | {"cut": "output"}, ("cut: no such cut",)),
    "unknown kind of code": (code(kind="jsc", symbols=3), ("code.kind", "jsc", "entropic")),
    "k that does not fit": (code(kind="jscc", symbols=33), ("code.symbols", "16", "32", "48")),
    "no symbols": (code(kind="jscc"), ("code.symbols",)),
    "ten bits": (code(kind="bottleneck", channels=2, bits=10), ("code.bits", "10")),
    "a stride of three": (code(kind="entropic", channels=2, stride=3), ("code.stride", "3")),
    "a vector has no grid": (
        GOOD | {"cut": "hidden.1", "code": {"kind": "jscc", "symbols": 8, "stride": 2}},
        ("code.stride", "maps"),
    ),
    "no such class": (
        code(kind="custom", target="coded_nets:Missing", scheme="jscc"),
        ("code.target", "no such class", "Linear"),
    ),
    "no target": (code(kind="custom", target="coded_nets", scheme="jscc"), ("code.target",)),
    "a channel of bytes": (
        code(kind="custom", target="coded_nets:Floats", scheme="separate", channel="x"),
        ("channel and symbol_power belong to scheme: jscc",),
    ),
    "no such channel": (
        code(kind="custom", target="coded_nets:Whole", scheme="jscc", channel="air"),
        ("code.channel", "air", "channel"),
    ),
    "power of two": (
        code(kind="custom", target="coded_nets:Whole", scheme="jscc", channel="channel"),
        ("clause 4", "2.0"),
    ),
    "bytes cannot be trained": (
        code(kind="custom", target="coded_nets:Floats", scheme="separate"),
        ("phases[0]", "nothing to train"),
    ),
    "steps and epochs": (phase(epochs=3), ("phases[0]", "either steps or epochs")),
    "an unknown part": (phase(train=["codes"]), ("phases[0].train", "codes", "code")),
    "nothing trains": (phase(train=[]), ("phases[0].train",)),
    "network and tail": (phase(train=["network", "tail"]), ("phases[0]", "already")),
    "no learning": (phase(learning_rate=0), ("phases[0].learning_rate", "0")),
    "a range upside down": (phase(noise={"snr_db": [20, 0]}), ("snr_db runs from low to high",)),
    "everything lost": (phase(noise={"erasures": 1.0}), ("noise.erasures",)),
    "rate of symbols": (phase(objectives={"rate": 1}), ("objective rate needs", "entropic")),
    "no answer": (phase(objectives={"task": 1}), ("objective task needs network.answer",)),
    "no objective": (phase(objectives={"feature": 0}), ("all objectives are 0",)),
    "no such node": (
        phase(objectives={"distill": {"nodes": ["stem.0"]}}),
        ("distill.nodes", "stem.0", "deep.1"),
    ),
    "nodes that do not pair": (
        phase(objectives={"distill": {"nodes": ["deep.1"], "teacher_nodes": ["a", "b"]}}),
        ("teacher_nodes must pair up",),
    ),
    "no parameters of that name": (phase(only=["decoder"]), ("phases[0]", "nothing to train")),
    "noise of bytes": (
        GOOD
        | {
            "code": {"kind": "entropic", "channels": 2},
            "phases": [{"noise": {"snr_db": [0, 5]}}],
        },
        ("noise is for codes of scheme jscc",),
    ),
    "weights that are not there": (
        code_recipe(JSCC),
        ("network.weights", "no such weights file"),
    ),
    "an unknown data set": (GOOD | {"data": "digit"}, ("data", "digit")),
    "a size that digits lack": (GOOD | {"height": 9}, ("9",)),
    "no such source": (GOOD | {"network": {"source": "resnet_18"}}, ("resnet_18", "resnet18")),
    "a network's code": (
        NETWORK | {"phases": [{"train": "code"}]},
        ("kind network trains [network] only",),
    ),
    "a network's feature": (
        NETWORK | {"phases": [{"train": "network", "objectives": {"feature": 1}}]},
        ("feature and rate are objectives of a code",),
    ),
    "no phases of a network": (NETWORK | {"phases": []}, ("phases",)),
    "truth that digits lack": (task(kind="segmentation"), ("segmentation",)),
    "boxes": (task(kind="detection"), ("no training for this kind of answer", "detection")),
    "eleven classes": (task(kind="classification", classes=11), ("11", "10")),
    "objectives of one word": (
        phase(objectives="task"),
        ("phases[0].objectives: objectives are a mapping of weights", "'task'"),
    ),
    "objectives as a list": (
        NETWORK | {"phases": [{"train": "network", "objectives": ["task"]}]},
        ("phases[0].objectives: objectives are a mapping of weights", "['task']"),
    ),
    "a teacher as a list": (
        phase(objectives={"distill": ["deep.1"]}),
        ("phases[0].objectives.distill: a weight, or a mapping", "['deep.1']"),
    ),
    "a network without answer": (
        NETWORK | {"network": RANDOM},
        ("phases[0]: objective task needs network.answer",),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recipe_says_what_is_wrong(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    content, parts = BAD[name]
    recipe = write_recipe(tmp_path / "bad", copy.deepcopy(content))
    with pytest.raises(ScenarioError) as caught:
        train(recipe)
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, str(caught.value)


@pytest.mark.parametrize(("device", "hint"), [("gpu", "cpu, cuda, mps"), ("mps", "cpu")])
def test_a_device_that_is_not_there(
    device: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ScenarioError, match=f"device.*{hint}"):
        train(write_recipe(tmp_path / "one", dict(GOOD)), device=device)


def test_nothing_is_written_for_a_recipe_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    recipe = write_recipe(tmp_path / "bad", GOOD | {"cut": "nowhere"})
    with pytest.raises(ScenarioError):
        train(recipe, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"kind: network\nseed: 1\nseed: 2\n", ("line 3", "the key 'seed' is said twice")),
        (b"kind: network\nname: \xff\n", ("not UTF-8 text", "byte 20")),
        (b"kind: " + b"[" * 30 + b"]" * 30, ("nested too deep",)),
        (b"", ("the file is empty",)),
        (b"- kind", ("must be a mapping",)),
        (b"kind: [network}", ("not valid YAML at line 1",)),
    ],
    ids=["doubled key", "no UTF-8", "too deep", "empty", "a list", "syntax"],
)
def test_a_file_that_is_no_recipe(text: bytes, parts: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(text)
    with pytest.raises(ScenarioError) as caught:
        train(tmp_path / "recipe.yaml")
    missing = [part for part in (*parts, "recipe.yaml") if part not in str(caught.value)]
    assert not missing, str(caught.value)
