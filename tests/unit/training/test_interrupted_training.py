"""`simsplit train` killed at random moments ends with the weights of an undisturbed run.

With the very bytes of them, on one thread: sums over another number of threads round otherwise.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from simsplit.files import aside_of
from simsplit.training.checkpoints import CHECKPOINT

pytestmark = pytest.mark.slow

KILLS, STEPS, CHECKPOINT_STEPS = 3, 45, 5
TINY: dict[str, Any] = {
    "kind": "compressible",
    "dataset": "streets",
    "height": 16,
    "width": 32,
    "train_images": 24,
    "test_images": 4,
    "steps": STEPS,
    "warmup_steps": 5,
    "checkpoint_steps": CHECKPOINT_STEPS,
    "schedule": "polynomial",
    "shares": {"direct": 4, "digital": 8, "jscc": 0},
    "objective": "uncertainty",
    "compressibility": "learned",
    "network": {
        "encoder": "encoder2",
        "widths": [8, 16, 16, 16],
        "blocks": [1, 2, 2, 1],
        "stem_stride": 1,
    },
}


def recipe_in(folder: Path, precision: str) -> Path:
    folder.mkdir()
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(TINY | {"precision": precision}))
    return file


def command(recipe: Path) -> list[str]:
    return [sys.executable, "-c", "from simsplit.cli import main; main()", "train", str(recipe)]


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"SIMSPLIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def finish(recipe: Path, cache: Path) -> None:
    done = subprocess.run(
        command(recipe), env=environment(cache), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def state(recipe: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(recipe.parent / CHECKPOINT, weights_only=True)
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: Any, cache: Path) -> Path:
    recipe = recipe_in(tmp_path_factory.mktemp("undisturbed") / "net", request.param)
    finish(recipe, cache)
    return recipe


def wait_for_next(checkpoint: Path, process: subprocess.Popen[bytes]) -> None:
    """Until there is another checkpoint than now and the process is still at work."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    for _ in range(60_000):
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
            return
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.002)
    raise AssertionError("no progress")


def kill_during(recipe: Path, cache: Path, delay_s: float) -> int:
    """Start or resume a training, kill it that long after its next checkpoint; the step it left."""
    checkpoint = recipe.parent / CHECKPOINT
    process = subprocess.Popen(
        command(recipe),
        env=environment(cache),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_next(checkpoint, process)
        time.sleep(delay_s)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return int(state(recipe)["step"])


def weights(recipe: Path) -> bytes:
    return (recipe.parent / "weights.safetensors").read_bytes()


def card(recipe: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((recipe.parent / "card.json").read_text())
    return found


def another(undisturbed: Path, folder: Path) -> Path:
    return recipe_in(folder, yaml.safe_load(undisturbed.read_text())["precision"])


def between_checkpoints_s(undisturbed: Path) -> float:
    return float(card(undisturbed)["trained"]["seconds"]) * CHECKPOINT_STEPS / STEPS


def test_killed_three_times_at_random_moments(
    undisturbed: Path, cache: Path, tmp_path: Path
) -> None:
    chance, longest_s = random.Random(8), between_checkpoints_s(undisturbed)
    killed = another(undisturbed, tmp_path / "net")
    steps = [kill_during(killed, cache, chance.uniform(0, longest_s)) for _ in range(KILLS)]
    assert steps == sorted(set(steps)) and steps[0] > 0 and steps[-1] < STEPS
    assert not (killed.parent / "weights.safetensors").exists()
    finish(killed, cache)
    assert weights(killed) == weights(undisturbed)
    cards = [card(killed), card(undisturbed)]
    assert cards[0]["trained"].pop("seconds") > 0 and cards[1]["trained"].pop("seconds") > 0
    assert cards[0] == cards[1] and cards[0]["trained"]["steps"] == STEPS
    assert set(cards[0]["trained"]["log_variance"]) > {"segmentation", "compressibility"}
    assert not (killed.parent / CHECKPOINT).exists()


def test_half_a_checkpoint_is_not_taken_for_one(
    undisturbed: Path, cache: Path, tmp_path: Path
) -> None:
    """Killed while it wrote: what lies aside is removed, the one before it counts."""
    killed = another(undisturbed, tmp_path / "net")
    kill_during(killed, cache, 0.0)
    written = (killed.parent / CHECKPOINT).read_bytes()
    half = aside_of(killed.parent / CHECKPOINT)
    half.write_bytes(written[: len(written) // 2])
    finish(killed, cache)
    assert weights(killed) == weights(undisturbed)
    assert not half.exists()
