"""Losses where a batch has no truth, and where a network gives what is no number."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coded_digits import NETWORK, write_module, write_recipe
from simsplit.errors import ScenarioError
from simsplit.scenario.answers import (
    ClassificationAnswer,
    DisparityAnswer,
    RegressionAnswer,
    SegmentationAnswer,
    answer_keys,
)
from simsplit.tasks.wanted import Wanted
from simsplit.training.losses import output_distillation, softened_divergence, task_losses
from simsplit.training.train import train

SIZE = (4, 6)
MAPS = Wanted(SegmentationAnswer(kind="segmentation"), "network.answer", 3, SIZE, SIZE)
DEPTHS = Wanted(DisparityAnswer(kind="disparity"), "network.answer", None, SIZE, SIZE)


def task_loss(one: Wanted, output: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return task_losses([one], output, batch, {one.spec.kind: 1.0})[one.spec.kind]


def nowhere_known() -> dict[str, torch.Tensor]:
    return {
        "segmentation": torch.full((2, *SIZE), 255, dtype=torch.uint8),
        "disparity": torch.full((2, *SIZE), float("nan")),
    }


@pytest.mark.parametrize(("one", "channels"), [(MAPS, 3), (DEPTHS, 1)], ids=["maps", "depths"])
def test_a_batch_without_truth_counts_nothing(one: Wanted, channels: int) -> None:
    output = torch.randn(2, channels, *SIZE, requires_grad=True)
    loss = task_loss(one, output, nowhere_known())
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert output.grad is not None and not bool(output.grad.any())


@pytest.mark.parametrize(("one", "channels"), [(MAPS, 3), (DEPTHS, 1)], ids=["maps", "depths"])
def test_one_known_pixel_is_all_that_counts(one: Wanted, channels: int) -> None:
    """Cross-entropy of equal logits of three classes is ln 3; a disparity off by 2 costs 4."""
    batch = nowhere_known()
    batch["segmentation"][1, 2, 3] = 1
    batch["disparity"][1, 2, 3] = 2.0
    loss = task_loss(one, torch.zeros(2, channels, *SIZE), batch)
    assert float(loss) == pytest.approx(np.log(3) if one is MAPS else 4.0)


def test_answers_are_weighed_one_by_one() -> None:
    batch = nowhere_known()
    batch["segmentation"][:] = 1
    batch["disparity"][:] = 2.0
    output = {"maps": torch.zeros(2, 3, *SIZE), "depths": torch.zeros(2, *SIZE)}
    both = [
        replace(MAPS, spec=SegmentationAnswer(kind="segmentation", output="maps")),
        replace(DEPTHS, spec=DisparityAnswer(kind="disparity", output="depths")),
    ]
    losses = task_losses(both, output, batch, {"segmentation": 2.0, "disparity": 0.5})
    assert {k: float(v) for k, v in losses.items()} == pytest.approx(
        {"segmentation": 2 * np.log(3), "disparity": 0.5 * 4.0}
    )
    assert set(task_losses(both, output, batch, {"segmentation": 0.0, "disparity": 1.0})) == {
        "disparity"
    }


def test_answers_that_share_a_name_are_called_by_their_kinds_too() -> None:
    specs = [
        ClassificationAnswer(kind="classification", name="scale"),
        RegressionAnswer(kind="regression", name="scale"),
        SegmentationAnswer(kind="segmentation"),
        DisparityAnswer(kind="disparity", name="near"),
    ]
    assert answer_keys(specs) == [
        "classification_scale",
        "regression_scale",
        "segmentation",
        "near",
    ]


@pytest.mark.parametrize("unlabelled", [0, 5])
def test_soft_iou_counts_labelled_pixels_only(unlabelled: int) -> None:
    """By hand: per class (sum of p of its pixels + 1) / (pixels + sum of p - that sum + 1)."""
    batch = nowhere_known()
    flat = batch["segmentation"].view(-1)
    flat[unlabelled:] = torch.arange(len(flat) - unlabelled).to(torch.uint8) % 3
    output = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    losses = task_losses([MAPS], output, batch, {"segmentation": 1.0}, jaccard=0.5)
    p = output.softmax(1).permute(0, 2, 3, 1).reshape(-1, 3)[unlabelled:].numpy()
    labels = flat[unlabelled:].numpy()
    entropy = -np.log(p[np.arange(len(p)), labels]).mean()
    shares = []
    for one in range(3):
        hit = p[labels == one, one].sum()
        shares.append((hit + 1) / ((labels == one).sum() + p[:, one].sum() - hit + 1))
    assert float(losses["segmentation"]) == pytest.approx(entropy + 0.5 * (1 - np.mean(shares)))


def test_distillation_sums_over_the_answers() -> None:
    seen = {"a": torch.randn(2, 3, *SIZE), "b": torch.randn(2, *SIZE)}
    taught = {"a": torch.randn(2, 3, *SIZE), "b": torch.randn(2, *SIZE)}
    both = [
        replace(MAPS, spec=SegmentationAnswer(kind="segmentation", output="a")),
        replace(DEPTHS, spec=DisparityAnswer(kind="disparity", output="b")),
    ]
    variance = taught["b"].var(unbiased=False)
    error = (seen["b"] - taught["b"]).square().mean() / variance
    expected = softened_divergence(seen["a"], taught["a"], 2.0) + error
    assert float(output_distillation(both, seen, taught, 2.0, "phases[0]")) == pytest.approx(
        float(expected)
    )
    assert float(output_distillation(both, seen, seen, 2.0, "phases[0]")) == pytest.approx(
        0, abs=1e-6
    )
    with pytest.raises(ScenarioError, match=r"^phases\[0\]: the teacher's output has another"):
        output_distillation(both, seen, taught | {"b": torch.zeros(2, 9, 9)}, 2.0, "phases[0]")
    with pytest.raises(ScenarioError, match=r"^phases\[0\]\.teacher\.output: .*no such tensor"):
        output_distillation(both, seen, {"b": taught["b"]}, 2.0, "phases[0]")


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
