"""Scores of declared answers by hand, of what arrived and of what was lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from simsplit.messages import Outcome
from simsplit.scenario.answers import ClassificationAnswer
from simsplit.scenario.operating_points import Network
from simsplit.tasks.evidence import merged, pooled
from simsplit.tasks.scorer import Scorer
from simsplit.tasks.scoring import confidence_of

TRUTH: dict[str, Any] = {
    "image": np.full((2, 2, 2, 3), 10, np.uint8),
    "label": np.array([1, 6]),
    "label_form": np.array([0, 1]),
    "segmentation": np.array([[[0, 0], [1, 255]], [[255, 255], [255, 255]]], np.uint8),
    "disparity": np.array([[[1, 2], [3, np.nan]], [[np.nan] * 2] * 2], np.float32),
    "target": np.array([[1.0, 2.0], [3.0, 6.0]], np.float32),
}
CLASSES = {"label": 7, "label_form": 2, "segmentation": 2}


def scorer(answer: Any) -> Scorer:
    network = Network(name="net", source="own:Net", weights="w.pth", answer=answer)
    return Scorer(network, TRUTH, CLASSES)


def judged(answer: Any, output: Any, sample: int = 0) -> Outcome:
    one = scorer(answer)
    return one.outcome(one.read(output, sample), sample)


def logits(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


def test_classes_give_accuracy_and_top_five() -> None:
    second = logits(9, 8, 1, 2, 3, 4, 5)
    assert judged({"kind": "classification"}, second).as_dict() == {"accuracy": 0.0, "top5": 1.0}
    assert judged({"kind": "classification"}, second, 1).as_dict() == {"accuracy": 0.0, "top5": 1.0}
    last = logits(9, 0, 1, 2, 3, 4, 5)
    assert judged({"kind": "classification"}, last).as_dict() == {"accuracy": 0.0, "top5": 0.0}


def test_the_short_forms_give_what_they_always_gave() -> None:
    found = judged("label", logits(0, 9, 1, 2, 3, 4, 5))
    assert found.as_dict() == {"accuracy": 1.0} and found.evidence == ()
    maps = torch.zeros(1, 2, 2, 2)
    assert judged("segmentation", maps).evidence == ()


def test_confidence_is_the_largest_probability() -> None:
    spec = ClassificationAnswer(kind="classification")
    assert confidence_of(np.array([1.0, 1.0]), spec) == pytest.approx(0.5)
    assert confidence_of(np.array([1000.0, 0.0]), spec) == 1.0
    said = ClassificationAnswer(kind="classification", probabilities=True)
    assert confidence_of(np.array([0.3, 0.7]), said) == pytest.approx(0.7)


def test_pixels_without_a_label_do_not_count() -> None:
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, 1, :, 1] = 1.0  # right column: class 1
    scores = judged({"kind": "segmentation"}, maps).as_dict()
    # labelled: (0,0) right, (0,1) seen as 1, (1,0) seen as 0: IoU 1/3 and 0
    assert scores["pixel_accuracy"] == pytest.approx(1 / 3)
    assert scores["miou"] == pytest.approx(1 / 6)
    nothing = judged({"kind": "segmentation"}, maps, 1).as_dict()
    assert math.isnan(nothing["miou"])


def test_disparity_counts_what_is_known() -> None:
    answer = torch.tensor([[[1.0, 4.0], [3.0, 99.0]]])
    found = judged({"kind": "disparity"}, answer)
    assert found.as_dict()["disparity_rmse_px"] == pytest.approx(math.sqrt(4 / 3))
    assert found.evidence[0].values["disparity_error"].tolist() == [4.0, 3.0]


def test_numbers_and_pictures() -> None:
    assert judged({"kind": "regression"}, logits(1, 4)).as_dict()["rmse"] == pytest.approx(2**0.5)
    picture = torch.full((1, 3, 2, 2), 20 / 255)
    expected = 10 * math.log10(255**2 / 100)
    found = judged({"kind": "reconstruction"}, picture).as_dict()
    assert found == {"psnr_db": pytest.approx(expected)}


def test_heads_are_named() -> None:
    answer = [
        {"kind": "classification", "output": 0},
        {"kind": "classification", "name": "form", "output": 1},
    ]
    found = judged(answer, (logits(0, 9, 1, 2, 3, 4, 5), logits(0, 1)))
    assert found.as_dict() == {"accuracy": 1.0, "top5": 1.0, "accuracy_form": 0.0}
    assert [one.ending for one in found.evidence] == ["", "_form"]
    assert scorer(answer).names == ["accuracy", "top5", "accuracy_form"]


def test_what_is_lost_counts_as_wrong_or_as_the_best_constant() -> None:
    assert scorer({"kind": "classification"}).lost(0).as_dict() == {"accuracy": 0, "top5": 0}
    lost = scorer({"kind": "segmentation"}).lost(0)
    assert lost.as_dict() == {"miou": 0.0, "pixel_accuracy": 0.0}
    assert lost.evidence[0].is_lost
    assert lost.evidence[0].values["confusion"].tolist() == [[0, 0, 2], [0, 0, 1]]
    guess = scorer({"kind": "regression"}).lost(0).as_dict()["rmse"]  # mean of (1, 2) and (3, 6)
    assert guess == pytest.approx(math.sqrt((1 + 4) / 2))
    disparity = scorer({"kind": "disparity"}).lost(0).as_dict()["disparity_rmse_px"]
    assert disparity == pytest.approx(math.sqrt(2 / 3))
    assert scorer({"kind": "reconstruction"}).lost(0).as_dict() == {"psnr_db": math.inf}


def test_evidence_of_many_is_as_good_as_that_of_each() -> None:
    pieces = [
        {"calibration": np.array([0.5, 1.0])},
        {"calibration": np.array([0.9, 0.0])},
        {"calibration": np.array([0.6, 1.0])},
    ]
    twice = merged([merged(pieces[:2]), pieces[2]])
    assert twice["calibration"].shape == (3, 2)
    assert pooled("ece", [twice]) == pooled("ece", pieces)


def test_a_lost_box_is_a_miss() -> None:
    hit = {"detections": np.array([[0, 0.9, 1023, 0]], np.float32), "truths": np.array([1, 0])}
    lost = {"detections": np.empty((0, 4), np.float32), "truths": np.array([1, 0])}
    assert pooled("map50", [hit]) == pytest.approx(1.0)
    assert pooled("map50", [hit, lost]) == pytest.approx(51 / 101)  # recalls 0, 0.01 … 0.50
