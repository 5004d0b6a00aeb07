"""Losses where a batch has no truth, and where a network gives what is no number."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coded_digits import NETWORK, write_module, write_recipe
from simsplit.errors import ScenarioError
from simsplit.scenario.answers import DisparityAnswer, SegmentationAnswer
from simsplit.tasks.wanted import Wanted
from simsplit.training.losses import task_loss
from simsplit.training.train import train

SIZE = (4, 6)
MAPS = Wanted(SegmentationAnswer(kind="segmentation"), "network.answer", 3, SIZE, SIZE)
DEPTHS = Wanted(DisparityAnswer(kind="disparity"), "network.answer", None, SIZE, SIZE)


def nowhere_known() -> dict[str, torch.Tensor]:
    return {
        "segmentation": torch.full((2, *SIZE), 255, dtype=torch.uint8),
        "disparity": torch.full((2, *SIZE), float("nan")),
    }


@pytest.mark.parametrize(("one", "channels"), [(MAPS, 3), (DEPTHS, 1)], ids=["maps", "depths"])
def test_a_batch_without_truth_counts_nothing(one: Wanted, channels: int) -> None:
    output = torch.randn(2, channels, *SIZE, requires_grad=True)
    loss = task_loss([one], output, nowhere_known())
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert output.grad is not None and not bool(output.grad.any())


@pytest.mark.parametrize(("one", "channels"), [(MAPS, 3), (DEPTHS, 1)], ids=["maps", "depths"])
def test_one_known_pixel_is_all_that_counts(one: Wanted, channels: int) -> None:
    """Cross-entropy of equal logits of three classes is ln 3; a disparity off by 2 costs 4."""
    batch = nowhere_known()
    batch["segmentation"][1, 2, 3] = 1
    batch["disparity"][1, 2, 3] = 2.0
    loss = task_loss([one], torch.zeros(2, channels, *SIZE), batch)
    assert float(loss) == pytest.approx(np.log(3) if one is MAPS else 4.0)


BROKEN = """
import coded_nets


class Broken(coded_nets.Cnn):
    def forward(self, x):
        return super().forward(x) / (0.0 if self.training else 1.0)
"""


def broken(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """A recipe of a network that gives infinite logits when it trains."""
    write_module(folder, monkeypatch)
    (folder / "broken_nets.py").write_text(BROKEN)
    network = {"source": "broken_nets:Broken", "answer": "label"}
    return write_recipe(folder / "net", NETWORK | {"network": network} | changes)


def test_a_network_that_gives_no_numbers_is_told_of_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = broken(tmp_path, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ScenarioError, match=r"^network: .*on the first batch") as caught:
            train(recipe)
    assert "learning_rate" not in str(caught.value)


def test_a_learning_rate_that_is_too_high_is_told_of_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch)
    phases = [{"train": "network", "steps": 9, "learning_rate": 1e30, "warmup_steps": 0}]
    recipe = write_recipe(tmp_path / "net", NETWORK | {"phases": phases})
    with pytest.raises(ScenarioError, match=r"^phases\[0\].learning_rate: .* at step [1-9]"):
        train(recipe)
