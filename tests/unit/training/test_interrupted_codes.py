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
from simsplit.training.checkpoints import CHECKPOINT
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
STUDENT = code_recipe(
    {
        "kind": "entropic",
        "channels": 4,
        "stride": 2,
        "transforms": "gdn",
        "encoder_channels": [6],
        "decoder_channels": [8],
    },
    cut="input",
    until="body.2",
    flip=True,
    weights_dtype="float16",
    phases=[
        {"train": "code", "steps": 20, "objectives": {"feature": 1, "rate": 0.05}},
        {
            "train": ["decoder", "tail"],
            "steps": 20,
            "objectives": {"task": 0.5, "distill": 0.5},
        },
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


@pytest.mark.parametrize("content", [RECIPE, STUDENT], ids=["jscc", "student"])
def test_killed_in_both_phases(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    train(write_recipe(tmp_path / "net", NETWORK | SHORT))
    whole = train(write_recipe(tmp_path / "whole", content))
    recipe = write_recipe(tmp_path / "killed", content)
    for step in (7, 31):
        killed_after(recipe, step)
        assert (recipe.parent / CHECKPOINT).is_file() and not (recipe.parent / WEIGHTS).exists()
    train(recipe)
    assert (recipe.parent / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert not (recipe.parent / CHECKPOINT).exists()
