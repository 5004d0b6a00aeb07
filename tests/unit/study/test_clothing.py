"""The scenario of the clothing photos, on a look-alike of 40 pictures that this test writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import simsplit
from simsplit.scenario.bundled import scenarios_dir, trained_choices

CLASSES = [
    "dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt",
    "t-shirt",
]  # fmt: skip
SCENARIO = scenarios_dir() / "own_data" / "clothing.yaml"


@pytest.fixture
def look_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten classes in three splits: 2, 1 and 1 pictures each, 160 x 160 px."""
    rng = np.random.default_rng(5)
    for split, count in (("train", 2), ("validation", 1), ("test", 1)):
        for label, name in enumerate(CLASSES):
            folder = tmp_path / "clothing" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 256, (160, 160, 3)) // 2 + 12 * label
                file = folder / f"{number:04d}.jpg"
                Image.fromarray(picture.astype(np.uint8)).save(file, quality=92)
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path))
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_network_and_code_are_listed() -> None:
    assert "clothing_lite0" in trained_choices("network")
    assert "clothing_jscc" in trained_choices("code")


@pytest.mark.slow
@pytest.mark.usefixtures("look_alike")
def test_every_way_is_run_and_scored(tmp_path: Path) -> None:
    texts = ["task.samples=10", "duration_s=2"]
    result = simsplit.run(SCENARIO, overrides=texts, replications=2, out=tmp_path / "out")
    rows = result.requests
    scenario = simsplit.load(SCENARIO)
    assert set(rows["operating_point"]) == {point.name for point in scenario.operating_points}
    done = rows[rows["status"] == "done"]
    assert set(done["score_accuracy"]) <= {0.0, 1.0}
    bits = done.groupby("operating_point")["payload_bits"].mean()
    assert bits["jpeg25"] < bits["jpeg75"] and bits["jscc10"] == 0
    assert bits["pool"] == 8 * (1280 + 8)  # a byte per value, two float32 of header
