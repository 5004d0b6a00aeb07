"""`simsplit train` of a code, killed by the system, ends with the weights of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coded_digits import NETWORK, code_recipe, write_module, write_recipe
from simsplit.training.loop import CHECKPOINT
from simsplit.training.train import train

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"train_images": 64, "test_images": 8, "batch": 16, "checkpoint_steps": 2}
RECIPE = code_recipe(
    {"kind": "jscc", "symbols": 32, "hidden": 8},
    phases=[
        {"train": "code", "steps": 20},
        {"train": ["code", "tail"], "steps": 20, "objectives": {"task": 1}},
    ],
    **SHORT,
)
WEIGHTS = "weights.safetensors"


def killed_after(recipe: Path, step: int) -> None:
    """A process of its own that kills itself, as the system would, after a step."""
    program = (
        "import os, signal\n"
        "from simsplit.training.train import train\n"
        "def progress(step, steps, loss):\n"
        f"    if step == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train({str(recipe)!r}, progress=progress)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), timeout=300)
    assert done.returncode == -signal.SIGKILL


def test_killed_in_both_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(tmp_path, monkeypatch)
    train(write_recipe(tmp_path / "net", NETWORK | SHORT))
    whole = train(write_recipe(tmp_path / "whole", RECIPE))
    recipe = write_recipe(tmp_path / "killed", RECIPE)
    for step in (7, 31):
        killed_after(recipe, step)
        assert (recipe.parent / CHECKPOINT).is_file() and not (recipe.parent / WEIGHTS).exists()
    train(recipe)
    assert (recipe.parent / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
