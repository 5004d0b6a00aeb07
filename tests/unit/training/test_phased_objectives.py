"""Objectives of phases: learned weights, compressible features, scores on a validation range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from coded_digits import NETWORK, code_recipe, write_module, write_recipe
from simsplit.networks.catalogue import open_network
from simsplit.networks.graph import trace
from simsplit.operators import total_macs
from simsplit.scenario.answers import answers_of
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.yaml import read_mapping
from simsplit.training.code_course import CodeCourse
from simsplit.training.loop import Loop, _arrays, open_course, restore, save, take_step
from simsplit.training.objectives import compressibility_loss
from simsplit.training.phases import NetworkRecipe, parse_phased_recipe
from simsplit.training.terms import UNCERTAINTY, log_variances
from simsplit.training.train import train

STREET: dict[str, Any] = {
    "kind": "network",
    "network": {
        "source": "street_net",
        "options": {"width": 0.25},
        "answer": [
            {"kind": "segmentation", "output": "segmentation"},
            {"kind": "detection", "centres": "centres", "extents": "extents"},
            {"kind": "disparity", "output": "disparity"},
        ],
    },
    "data": "streets",
    "height": 32,
    "width": 64,
    "train_images": 8,
    "validation_images": 3,
    "test_images": 4,
    "batch": 4,
    "flip": True,
}


def street(steps: int = 3, **objectives: Any) -> dict[str, Any]:
    phase = {"train": "network", "steps": steps, "objectives": objectives}
    return STREET | {"phases": [phase]}


def loop_of(content: dict[str, Any], folder: Path) -> tuple[Loop, dict[str, torch.Tensor]]:
    recipe = parse_phased_recipe(content, folder)
    loop = open_course(recipe, "cpu", None)
    return loop, loop.course.prepare(_arrays(recipe, "train", recipe.train_images))


def test_learned_weights_begin_as_kendalls_forms(tmp_path: Path) -> None:
    """At s = 0 classes weigh 1 and numbers a half."""
    weights = {"segmentation": 1, "detection": 1, "disparity": 0.5}
    plain = take_step(*loop_of(street(task=weights), tmp_path))
    learned = take_step(*loop_of(street(task=1, uncertainty=True), tmp_path))
    assert learned == pytest.approx(plain, rel=1e-6)


def test_learned_weights_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    content = street(6, task=1, uncertainty=True)
    whole, data = loop_of(content, tmp_path)
    for _ in range(6):
        take_step(whole, data)
    first, data = loop_of(content, tmp_path)
    for _ in range(3):
        take_step(first, data)
    save(first, tmp_path / "half.pt")
    second, data = loop_of(content, tmp_path)
    restore(second, tmp_path / "half.pt")
    for _ in range(3):
        take_step(second, data)
    states = [loop.course.parts[UNCERTAINTY].state_dict() for loop in (whole, second)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert set(log_variances(whole.course.parts)) == {"segmentation", "detection", "disparity"}
    assert all(log_variances(whole.course.parts).values())


def test_log_variances_do_not_decay(tmp_path: Path) -> None:
    content = street(1, task=1, uncertainty=True)
    content["phases"][0]["weight_decay"] = 0.3
    loop, data = loop_of(content, tmp_path)
    take_step(loop, data)
    assert loop.optimizer is not None
    decays = [group["weight_decay"] for group in loop.optimizer.param_groups]
    assert decays == [0.3, 0.0]
    assert len(loop.optimizer.param_groups[1]["params"]) == 3


def test_a_card_states_both_ranges_pooled_scores_and_learned_weights(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "street", street(task=1, uncertainty=True))
    card = json.loads((train(recipe) / "card.json").read_text())
    assert (card["test_images"], card["validation_images"]) == (4, 3)
    assert set(card["trained"]["log_variance"]) == {"segmentation", "detection", "disparity"}
    for ending in ("", "_validation"):
        alone, together = card[f"scores{ending}"]["direct"], card[f"pooled{ending}"]["direct"]
        assert {"miou", "pixel_accuracy", "disparity_rmse_px"} <= set(alone)
        assert {"dataset_miou", "map50", "map50_95", "dataset_disparity_rmse_px"} <= set(together)
        assert set(together["map50_by_class"]) <= {"vehicle", "person", "sign"}
        assert 0 <= together["dataset_miou"]["value"] <= 1
        assert together["dataset_miou"]["half_width_95"] >= 0
    assert card["scores"] != card["scores_validation"]
    module = open_network("street_net", height=32, width=64, options={"width": 0.25})
    operators = trace(module, torch.zeros(1, 3, 32, 64)).operators
    assert card["macs"] == {"network": total_macs(operators)} and card["macs"]["network"] > 5e6


def test_without_a_validation_range_a_card_is_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    phases = [{"train": "network", "steps": 2}]
    folder = train(write_recipe(tmp_path / "net", NETWORK | {"phases": phases}))
    card = json.loads((folder / "card.json").read_text())
    assert not any(name.endswith("_validation") for name in card)
    assert "pooled" not in card and "log_variance" not in card["trained"]


def compressed(course: CodeCourse, data: dict[str, torch.Tensor]) -> float:
    with torch.no_grad():
        return float(compressibility_loss(course.features.at_cut(data)))


@pytest.mark.parametrize("normalised_by", ["range", "energy"])
def test_a_head_learns_to_be_compressible(
    normalised_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    asked = {"compressibility": {"weight": 1.0, "normalised_by": normalised_by}}
    phases = [{"train": "head", "steps": 25, "learning_rate": 3e-3, "objectives": asked}]
    content = code_recipe(
        {"kind": "bottleneck", "channels": 4, "bits": 4},
        network={"source": "coded_nets:Cnn"},
        phases=phases,
        train_images=64,
    )
    loop, data = loop_of(content, tmp_path)
    course = loop.course
    assert isinstance(course, CodeCourse)
    before = compressed(course, data)
    for _ in range(25):
        take_step(loop, data)
    assert compressed(course, data) < 0.8 * before


def test_a_network_learns_to_be_compressible_at_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    losses = {}
    for weight in (1e-6, 3.0):
        asked = {"task": 1, "compressibility": {"weight": weight, "at": "body.2"}}
        phases = [{"train": "network", "steps": 30, "learning_rate": 3e-3, "objectives": asked}]
        loop, data = loop_of(NETWORK | {"phases": phases, "train_images": 64}, tmp_path)
        for _ in range(30):
            take_step(loop, data)
        module = loop.course.parts["network"].eval()
        with torch.no_grad():
            images = data["image"].permute(0, 3, 1, 2).expand(-1, 3, -1, -1) / 255
            feature = module.get_submodule("body")(module.get_submodule("stem")(images))
        losses[weight] = float(compressibility_loss(feature))
    assert losses[3.0] < 0.9 * losses[1e-6]


def test_statistics_of_a_network_read_at_a_node_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph that is read runs the network's own modules, in their mode."""
    write_module(tmp_path, monkeypatch)
    results = []
    for asked in ({"task": 1}, {"task": 1, "compressibility": {"weight": 1e-12, "at": "deep.1"}}):
        phases = [{"train": "network", "steps": 3, "objectives": asked}]
        loop, data = loop_of(NETWORK | {"phases": phases, "train_images": 64}, tmp_path)
        results.append([take_step(loop, data) for _ in range(3)])
        assert int(loop.course.parts["network"].state_dict()["body.1.num_batches_tracked"]) == 3
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_a_code_learns_from_all_answers_of_its_network(tmp_path: Path) -> None:
    """Boxes, maps and disparities behind a code, batched; distilled at once and at the output."""
    train(write_recipe(tmp_path / "net", street(task=1)))
    content = {
        **{key: value for key, value in STREET.items() if key != "flip"},
        "kind": "code",
        "network": STREET["network"] | {"weights": "../net/weights.safetensors"},
        "cut": "layer2",
        "code": {"kind": "entropic", "channels": 4, "hidden": 8},
        "flip": True,
        "phases": [
            {"train": "code", "steps": 2, "objectives": {"distill": 1, "rate": 0.1}},
            {"train": ["code", "tail"], "steps": 2, "objectives": {"task": 1, "distill": 0.5}},
        ],
    }
    folder = train(write_recipe(tmp_path / "code", content))
    card = json.loads((folder / "card.json").read_text())
    for section in ("pooled", "pooled_validation"):
        assert set(card[section]) == {"direct", "coded"}
        assert {"map50", "dataset_miou"} <= set(card[section]["coded"])
    assert set(card["scores_validation"]["coded"]) == set(card["scores"]["direct"])


@pytest.mark.parametrize(
    ("name", "most_macs"), [("streets_teacher", 210e6), ("streets_light", 60e6)]
)
def test_bundled_recipes_choose_on_a_validation_range(name: str, most_macs: float) -> None:
    folder = models_dir() / name
    recipe = parse_phased_recipe(read_mapping(folder / "recipe.yaml"), folder)
    assert isinstance(recipe, NetworkRecipe) and recipe.validation_images >= 256
    course = open_course(recipe, "cpu", None).course
    module = course.parts["network"]
    graph = trace(module, torch.zeros(1, 3, recipe.height, recipe.width))
    assert 0.5 * most_macs < total_macs(graph.operators) < most_macs
    assert [answer.kind for answer in answers_of(recipe.network.answer)] == [
        "segmentation",
        "detection",
        "disparity",
    ]
