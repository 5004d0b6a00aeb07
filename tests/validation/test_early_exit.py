"""Validation: the shipped early exit is right about when it is right.

Truth: task scores of 512 test pictures against their labels, which confidence never saw. If it
means anything, confident answers score better (Hendrycks and Gimpel, ICLR 2017, section 3: largest
softmax probability against correctness): Spearman's rank correlation, and halves by confidence
with Welch's interval, m1 - m2 +- t sqrt(s1^2/n1 + s2^2/n2). Ways compared picture by picture use
the paired interval, m +- 2.576 s / sqrt(n). All at 99 %. Confidence is made again in float64.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from simsplit.networks.artefact import load_artefact
from simsplit.networks.inference import Inference
from simsplit.tasks.datasets import Arrays, cached_arrays, open_dataset
from simsplit.tasks.metrics import confusion, mean_iou

MODELS = Path(__file__).parents[2] / "models"
PICTURES = 512
NORMAL_99 = 2.5758

Floats = NDArray[np.float64]


@cache
def pictures() -> Arrays:
    return cached_arrays(open_dataset("streets", "test"), PICTURES)


@cache
def opened() -> Inference:
    return Inference(load_artefact(MODELS, "streets_exit").model)


def scores(segmentation: NDArray[np.uint8]) -> dict[str, Floats]:
    """mIoU and share of right pixels of every picture."""
    pairs = list(zip(segmentation, pictures()["segmentation"], strict=True))
    miou = np.array([mean_iou(confusion(answer, truth, 8)) for answer, truth in pairs])
    return {"miou": miou, "right": np.array([np.mean(answer == truth) for answer, truth in pairs])}


@cache
def early() -> tuple[dict[str, Floats], Floats]:
    """Scores of the exit's answers and their confidence."""
    features = opened().exit_features(pictures()["image"])
    answers = opened().exit_answers(features)["segmentation"]
    return scores(answers), opened().exit_confidence(features)


@cache
def whole() -> dict[str, Floats]:
    features = opened().features(pictures()["image"])
    return scores(opened().answers(features)["segmentation"])


def paired_low(differences: Floats) -> float:
    """Lower end of the 99 % interval of the mean."""
    half = NORMAL_99 * differences.std(ddof=1) / math.sqrt(len(differences))
    return float(differences.mean() - half)


def welch_low(upper: Floats, lower: Floats) -> float:
    """Lower end of the 99 % interval of the difference of means."""
    interval = stats.ttest_ind(upper, lower, equal_var=False).confidence_interval(0.99)
    return float(interval.low)


@pytest.mark.parametrize("score", ["miou", "right"])
def test_confident_answers_are_better(score: str) -> None:
    values, confidence = early()
    found = stats.spearmanr(confidence, values[score], alternative="greater")
    assert found.statistic > 0 and found.pvalue < 0.01
    confident = confidence >= np.median(confidence)
    assert welch_low(values[score][confident], values[score][~confident]) > 0


def test_confidence_is_near_the_share_of_right_pixels() -> None:
    """Mean over pixels of the largest probability estimates that share, if calibrated."""
    values, confidence = early()
    assert abs(float((confidence - values["right"]).mean())) < 0.03


def test_confidence_made_again_in_float64() -> None:
    model = load_artefact(MODELS, "streets_exit").model.double()
    images = torch.from_numpy(pictures()["image"][:8]).permute(0, 3, 1, 2).double() / 255.0
    with torch.inference_mode():
        logits = model.exit_answer(model.exit_trunk(images))["segmentation"].numpy()
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    largest = (raised / raised.sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(early()[1][:8], largest.mean(axis=(1, 2)), atol=1e-5)


def test_the_higher_the_threshold_the_fewer_exit_and_the_better_the_answers() -> None:
    values, confidence = early()
    exits = [confidence >= threshold for threshold in np.quantile(confidence, (0.0, 0.5, 0.9))]
    assert [int(e.sum()) for e in exits] == sorted((int(e.sum()) for e in exits), reverse=True)
    mixed = [np.where(e, values["miou"], whole()["miou"]) for e in exits]
    assert paired_low(mixed[1] - mixed[0]) > 0 and paired_low(mixed[2] - mixed[1]) > 0


def test_going_on_is_worth_something_but_the_exit_is_no_guess() -> None:
    values, _ = early()
    assert paired_low(whole()["miou"] - values["miou"]) > 0
    commonest = np.bincount(pictures()["segmentation"].ravel(), minlength=8).argmax()
    constant = scores(np.full_like(pictures()["segmentation"], commonest))
    assert paired_low(values["miou"] - constant["miou"] - 0.3) > 0


def test_the_card_tells_the_same() -> None:
    card = load_artefact(MODELS, "streets_exit").card["exit"]
    values, confidence = early()
    assert card["scores"]["miou"]["mean"] == pytest.approx(values["miou"].mean(), abs=1e-3)
    for row in card["thresholds"]:
        exits = confidence >= row["threshold"]
        assert row["exit_share"] == pytest.approx(exits.mean(), abs=0.005)
        assert row["exited"]["mean"] == pytest.approx(values["miou"][exits].mean(), abs=2e-3)
        assert row["onward"]["mean"] == pytest.approx(whole()["miou"][~exits].mean(), abs=2e-3)
