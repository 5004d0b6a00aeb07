"""Dropout in training: what drops out hangs on the seed and the step alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from simsplit.training.train import train

RECIPE: dict[str, Any] = {
    "kind": "network",
    "network": {
        "source": "mtl_split",
        "options": {
            "backbone": "resnet", "heads": {"scale": 8, "shape": 4}, "width": 2, "dropout": 0.5,
        },
        "answer": [
            {"kind": "classification", "name": "scale", "output": "scale"},
            {"kind": "classification", "name": "shape", "output": "shape"},
        ],
    },
    "data": {"kind": "shapes", "noise": 0.2, "hold_out": 0.3},
    "height": 64, "width": 64, "train_images": 32, "test_images": 16, "batch": 8,
    "checkpoint_steps": 3, "phases": [{"train": "network", "steps": 6}],
}  # fmt: skip


def recipe_in(folder: Path, **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(RECIPE | changed))
    return file


def test_dropout_is_the_seeds_and_disturbs_nobody(tmp_path: Path) -> None:
    """PyTorch's own generator decides nothing, and is afterwards as it was."""
    folders = []
    for number in (1, 2):
        torch.manual_seed(number)
        state = torch.random.get_rng_state()
        folders.append(train(recipe_in(tmp_path / str(number))))
        assert torch.equal(torch.random.get_rng_state(), state)
    first, second = (load_file(folder / "weights.safetensors") for folder in folders)
    assert all(torch.equal(first[name], second[name]) for name in first)


class Killed(Exception):
    """As if the process had been killed."""


def test_a_network_with_dropout_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = train(recipe_in(tmp_path / "whole"))

    def progress(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise Killed

    recipe = recipe_in(tmp_path / "killed")
    with pytest.raises(Killed):
        train(recipe, progress=progress)
    train(recipe)
    weights = "weights.safetensors"
    assert (recipe.parent / weights).read_bytes() == (whole / weights).read_bytes()


def test_heads_drop_out_in_training(tmp_path: Path) -> None:
    """Another share that drops out leads elsewhere from the same start."""
    options = RECIPE["network"]["options"] | {"dropout": 0.0}
    network = RECIPE["network"] | {"options": options}
    folders = [train(recipe_in(tmp_path / "a")), train(recipe_in(tmp_path / "b", network=network))]
    first, second = (load_file(folder / "weights.safetensors") for folder in folders)
    assert not torch.equal(first["heads.scale.0.weight"], second["heads.scale.0.weight"])
