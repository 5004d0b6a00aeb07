"""Recipes of kind network and code that cannot be: each says where and what would be right."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coded_digits import SIZE, code_recipe, write_module, write_recipe
from simsplit.cli import app
from simsplit.errors import ScenarioError
from simsplit.training.train import train

JSCC = {"kind": "jscc", "symbols": 32, "hidden": 8}
RANDOM = {"source": "coded_nets:Cnn"}
LABEL = {"answer": "label"}
EIGHT = {"source": "more_nets:Outputs", "options": {"classes": 8}}
MORE = """
import torch
from torch import nn

import coded_nets


class Outputs(coded_nets.Cnn):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(32, classes)


class Nothing(coded_nets.Cnn):
    def forward(self, x):
        return super().forward(x) * torch.nan


class Grey(coded_nets.Cnn):
    def __init__(self) -> None:
        super().__init__()
        self.stem[0] = nn.Conv2d(1, 12, 3, padding=1)
"""
GOOD = code_recipe(JSCC, network=RANDOM)
NETWORK = {
    "kind": "network",
    "network": {"source": "coded_nets:Cnn", "answer": "label"},
    "phases": [{"train": "network", "steps": 2}],
    **SIZE,
}


def write_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(folder, monkeypatch)
    (folder / "more_nets.py").write_text(MORE)
    sys.modules.pop("more_nets", None)


def phase(**said: Any) -> dict[str, Any]:
    return GOOD | {"phases": [{"train": "code", "steps": 2, **said}]}


def code(**said: Any) -> dict[str, Any]:
    return GOOD | {"code": said}


def task(**answer: Any) -> dict[str, Any]:
    return NETWORK | {"network": NETWORK["network"] | {"answer": answer}}  # type: ignore[operator]


def tasks(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return NETWORK | {"network": NETWORK["network"] | {"answer": answers}}  # type: ignore[operator]


def network(**objectives: Any) -> dict[str, Any]:
    answered = RANDOM | {"answer": {"kind": "classification"}}
    phases = [{"train": "network", "steps": 2, "objectives": objectives}]
    return NETWORK | {"network": answered, "phases": phases}


STREET = {
    "kind": "network",
    "network": {
        "source": "street_net",
        "options": {"width": 0.25},
        "answer": [
            {"kind": "segmentation", "output": "segmentation"},
            {"kind": "detection", "centres": "centres", "extents": "extents"},
        ],
    },
    "data": "streets",
    "height": 32,
    "width": 64,
    "train_images": 2,
    "test_images": 2,
    "batch": 2,
    "phases": [{"train": "network", "steps": 2}],
}


def street(**answer: Any) -> dict[str, Any]:
    detection = {"kind": "detection", **answer}
    return STREET | {"network": STREET["network"] | {"answer": detection}}  # type: ignore[operator]


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
        ("phases[0].objectives.distill.nodes: no such node", "stem.0", "deep.1"),
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
    "a seed that PyTorch does not take": (
        GOOD | {"seed": 10**20},
        ("seed", "less than 4294967296"),
    ),
    "a seed whose steps it does not": (GOOD | {"seed": 10**14}, ("seed", "less than 4294967296")),
    "random weights of such a seed": (
        GOOD | {"network": RANDOM | {"weights": "random", "seed": 10**20}},
        ("network.seed", "less than"),
    ),
    "a fold beyond": (
        GOOD | {"data": {"kind": "image_folder", "path": "x", "folds": 4, "fold": 5}},
        ("data.fold", "one of 1 … 4", "found: 5"),
    ),
    "folds without a fold": (
        GOOD | {"data": {"kind": "image_folder", "path": "x", "folds": 4}},
        ("data.fold", "need each other"),
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
    "truth that digits lack": (
        task(kind="segmentation"),
        ("network.answer: an answer of kind 'segmentation'",),
    ),
    "boxes": (
        task(kind="detection"),
        ("network.answer.kind: no training for this kind of answer", "centres and extents"),
    ),
    "boxes among others": (
        tasks([{"kind": "classification", "output": 0}, {"kind": "detection"}]),
        ("network.answer[1].kind: no training for this kind of answer", "detection"),
    ),
    "centres without extents": (
        task(kind="detection", centres="centres"),
        ("network.answer: centres and extents", "go together"),
    ),
    "boxes that digits lack": (
        task(kind="detection", centres="a", extents="b"),
        ("network.answer: an answer of kind 'detection' is held against 'boxes'",),
    ),
    "no such maps": (
        street(centres="heat", extents="extents"),
        ("network.answer.centres: the network gives no such tensor but", "'heat'", "centres"),
    ),
    "maps of other classes": (
        street(centres="extents", extents="extents"),
        ("network.answer: the network gives centres (1, 4, 8, 16)", "centres (B, 3, h, w)"),
    ),
    "a task that the network lacks": (
        network(task={"label": 1}),
        ("phases[0].objectives.task: the network has no answer 'label'", "classification"),
    ),
    "no weight for an answer": (
        STREET | {"phases": [{"train": "network", "objectives": {"task": {"detection": 1}}}]},
        ("phases[0].objectives.task: gives no weight to 'segmentation'",),
    ),
    "a weight below zero": (
        network(task={"classification": -1}),
        ("phases[0].objectives.task.classification", "-1"),
    ),
    "all answers weigh nothing": (network(task={"classification": 0}), ("all objectives are 0",)),
    "a task as a word": (network(task="label"), ("phases[0].objectives.task", "'label'")),
    "uncertainty of nothing": (
        network(distill=1, uncertainty=True),
        ("phases[0].objectives: uncertainty weighs the losses of the answers", "task: 1"),
    ),
    "uncertainty as a number": (network(task=1, uncertainty=2), ("objectives.uncertainty", "2")),
    "soft IoU below zero": (network(task=1, jaccard=-1), ("phases[0].objectives.jaccard", "-1")),
    "soft IoU of a class": (
        network(task=1, jaccard=0.5),
        ("phases[0]: jaccard is part of the task of maps of classes",),
    ),
    "compressibility as a list": (
        network(compressibility=[1]),
        ("phases[0].objectives.compressibility: a weight, or a mapping", "normalised_by"),
    ),
    "compressibility of nothing": (
        network(compressibility=0),
        ("phases[0].objectives.compressibility.weight", "0"),
    ),
    "compressibility normalised otherwise": (
        network(compressibility={"weight": 1, "normalised_by": "rang"}),
        ("objectives.compressibility.normalised_by", "rang", "range"),
    ),
    "compressibility nowhere": (
        network(task=1, compressibility=1),
        ("phases[0].objectives.compressibility: of a network it says {at: NODE}",),
    ),
    "compressibility at no node": (
        network(task=1, compressibility={"weight": 1, "at": "body.7"}),
        ("phases[0].objectives.compressibility.at: no such node", "body.7", "body.2"),
    ),
    "compressibility of a vector": (
        network(task=1, compressibility={"weight": 1, "at": "hidden.1"}),
        ("phases[0].objectives.compressibility: compressibility is of maps", "(32,)"),
    ),
    "compressibility behind a frozen head": (
        phase(objectives={"compressibility": 1}),
        ("phases[0]: compressibility shapes the head, which must train",),
    ),
    "compressibility at the cut and elsewhere": (
        phase(train="network", objectives={"compressibility": {"weight": 1, "at": "deep.1"}}),
        ("phases[0]: compressibility is of the feature at the cut",),
    ),
    "pictures below nothing": (GOOD | {"validation_images": -1}, ("validation_images", "-1")),
    "memory of codes": (GOOD | {"channels_last": True}, ("channels_last: unknown key",)),
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
    "an output of five classes more": (
        NETWORK | {"network": {"source": "more_nets:Outputs", "options": {"classes": 15}, **LABEL}},
        ("network.answer: the network gives 15 classes; the data set wants 10 classes",),
    ),
    "an output of too few classes": (
        NETWORK | {"network": {"source": "more_nets:Outputs", "options": {"classes": 3}, **LABEL}},
        ("network.answer: the network gives 3 classes; the data set wants 10 classes",),
    ),
    "an output of numbers that are none": (
        NETWORK | {"network": {"source": "more_nets:Nothing", **LABEL}},
        ("network.answer: the network gives 10 of 10 values that are NaN",),
    ),
    "a network of another size": (
        NETWORK | {"data": "streets", "height": 32, "width": 64},
        ("network: the network does not take an input of 1 x 3 x 32 x 64: mat1 and mat2",),
    ),
    "a network with options that it lacks": (
        NETWORK | {"network": {"source": "coded_nets:Cnn", "options": {"depth": 3}, **LABEL}},
        ("network.", "depth"),
    ),
    "no such class of a network": (
        NETWORK | {"network": {"source": "coded_nets:Missing", **LABEL}},
        ("network.source: ", "Missing", "Cnn"),
    ),
    "a code without weights": (
        code_recipe(JSCC, network=RANDOM | LABEL),
        ("network.weights: weights are missing",),
    ),
    "a teacher whose weights are not there": (
        phase(objectives={"distill": {"teacher": RANDOM | {"weights": "none.safetensors"}}}),
        ("phases[0].objectives.distill.teacher.weights: no such weights file",),
    ),
    "a teacher with an unknown key": (
        phase(objectives={"distill": {"teacher": RANDOM | {"sauce": "x"}}}),
        ("phases[0].objectives.distill.teacher.sauce: unknown key", "source"),
    ),
    "a teacher of another source": (
        phase(objectives={"distill": {"teacher": {"source": "coded_nets:Missing"}}}),
        ("phases[0].objectives.distill.teacher.source: ", "Missing"),
    ),
    "a teacher of other classes": (
        NETWORK
        | {
            "phases": [
                {"train": "network", "objectives": {"distill": {"teacher": EIGHT}}},
            ]
        },
        ("phases[0].objectives.distill: the teacher's output has another shape",),
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
    write_modules(tmp_path, monkeypatch)
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


@pytest.mark.parametrize("kind", ["network", "code"])
def test_a_network_of_one_channel_sees_grey_pictures(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_modules(tmp_path, monkeypatch)
    content = {"network": NETWORK, "code": GOOD}[kind]
    network = content["network"] | {"source": "more_nets:Grey"}
    phases = [{"train": kind, "steps": 2}]
    recipe = write_recipe(tmp_path / "grey", content | {"network": network, "phases": phases})
    card = json.loads((train(recipe) / "card.json").read_text())
    assert card["trained"]["steps"] == 2
    assert kind == "code" or 0 <= card["scores"]["direct"]["accuracy"]["mean"] <= 1


def test_the_command_says_it_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_modules(tmp_path, monkeypatch)
    network = {"source": "more_nets:Outputs", "options": {"classes": 3}, **LABEL}
    recipe = write_recipe(tmp_path / "bad", NETWORK | {"network": network})
    result = CliRunner().invoke(app, ["train", str(recipe)])
    assert result.exit_code == 2
    assert "network.answer: the network gives 3 classes" in " ".join(result.output.split())
    assert "Traceback" not in result.output
