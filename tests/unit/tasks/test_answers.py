"""What answers are worth, where the truth has gaps and where it has none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.tasks import answers, metrics
from simsplit.tasks.datasets import class_names, open_dataset

Row = dict[str, NDArray[Any]]
CONSTANT = {"disparity_px": 3.0, "colour": [10.0, 20.0, 30.0]}


def _truth() -> Row:
    """A row of Cityscapes, 2 x 3 px: road, bicycle, none / road, car, none."""
    return {
        "image": np.zeros((2, 3, 3), np.uint8),
        "segmentation": np.array([[0, 18, 255], [0, 13, 255]], np.uint8),
        "disparity": np.array([[1, 2, np.nan], [4, np.nan, 8]], np.float32),
    }


def _answer() -> Row:
    return {
        "segmentation": np.array([[0, 18, 5], [18, 13, 0]], np.uint8),
        "disparity": np.array([[1, 4, 99], [4, 99, 4]], np.float32),
        "reconstruction": np.full((2, 3, 3), 1, np.uint8),
    }


def test_only_what_the_truth_knows_is_scored() -> None:
    scores = dict(answers.task_scores(_answer(), _truth()))
    # road 1 of 2, bicycle 1 of 2, car 1 of 1; class 5, predicted where there is no label, is none
    assert scores["miou"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert scores["pixel_accuracy"] == 0.75
    assert scores["disparity_rmse_px"] == pytest.approx(math.sqrt((0 + 4 + 0 + 16) / 4))
    assert scores["psnr_db"] == pytest.approx(48.1308, abs=1e-4)  # against the picture itself


def test_a_clean_picture_goes_before_the_picture() -> None:
    truth = _truth() | {"clean": np.full((2, 3, 3), 1, np.uint8)}
    assert dict(answers.task_scores(_answer(), truth))["psnr_db"] == math.inf


def test_a_lost_answer_is_held_against_what_is_known() -> None:
    scores = dict(answers.lost_scores(_truth(), CONSTANT))
    assert (scores["miou"], scores["pixel_accuracy"]) == (0.0, 0.0)
    assert scores["disparity_rmse_px"] == pytest.approx(math.sqrt((4 + 1 + 1 + 25) / 4))
    mean_square = (100 + 400 + 900) / 3
    assert scores["psnr_db"] == pytest.approx(10 * math.log10(255**2 / mean_square))


def test_a_truth_that_knows_nothing_gives_no_score() -> None:
    truth = _truth()
    truth["segmentation"][:] = 255
    truth["disparity"][:] = np.nan
    for scores in (answers.task_scores(_answer(), truth), answers.lost_scores(truth, CONSTANT)):
        unknown = {name for name, value in scores if math.isnan(value)}
        assert unknown == {"miou", "pixel_accuracy", "disparity_rmse_px"}


def test_the_number_of_classes_changes_no_score() -> None:
    truth, answer = _truth(), _answer()
    counts = answers.segmentation_counts(answer["segmentation"], truth["segmentation"])
    whole = metrics.confusion(answer["segmentation"], truth["segmentation"], 40, ignored=255)
    assert len(counts) == 19 and counts.sum() == whole.sum() == 4
    assert metrics.mean_iou(counts) == pytest.approx(metrics.mean_iou(whole), rel=1e-15)
    assert metrics.pixel_accuracy(counts) == metrics.pixel_accuracy(whole)


def test_no_label_is_no_answer() -> None:
    answer = _answer()
    answer["segmentation"][0, 0] = 255
    with pytest.raises(ValueError, match="labels must be"):
        answers.task_scores(answer, _truth())


def test_streets_have_the_scores_they_always_had() -> None:
    assert len(class_names("streets")) == answers.STREETS_CLASSES
    arrays = open_dataset("streets", "test", height=16, width=32).arrays(range(48))
    rng = np.random.default_rng(6)
    for row in range(48):
        classes = 3 + row % 6  # the order of summation must not depend on which occur
        truth = {name: values[row] for name, values in arrays.items()}
        truth["segmentation"] %= classes
        answer = _blurred(truth, rng, classes)
        assert answers.task_scores(answer, truth) == _as_before(answer, truth)


def _blurred(truth: Row, rng: np.random.Generator, classes: int) -> Row:
    seen, wrong = truth["segmentation"].copy(), rng.random(truth["segmentation"].shape) < 0.3
    seen[wrong] = rng.integers(0, classes, np.count_nonzero(wrong))
    return {
        "segmentation": seen,
        "disparity": truth["disparity"] + rng.normal(size=seen.shape).astype(np.float32),
        "reconstruction": truth["image"],
    }


def _as_before(answer: Row, truth: Row) -> tuple[tuple[str, float], ...]:
    """Scores by the definitions for eight classes and a truth without gaps, to the last bit."""
    pairs = truth["segmentation"].astype(np.int64) * 8 + answer["segmentation"]
    counts = np.bincount(pairs.ravel(), minlength=64).reshape(8, 8)
    both = np.diag(counts).astype(np.float64)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    iou = np.full(8, np.nan)
    np.divide(both, either, out=iou, where=either > 0)
    depth = answer["disparity"].astype(np.float64) - truth["disparity"].astype(np.float64)
    colour = answer["reconstruction"].astype(np.float64) - truth["clean"].astype(np.float64)
    return (
        ("miou", float(np.nanmean(iou))),
        ("pixel_accuracy", float(both.sum() / counts.sum())),
        ("disparity_rmse_px", float(np.sqrt(np.mean(depth**2)))),
        ("psnr_db", float(10 * np.log10(255.0**2 / np.mean(colour**2)))),
    )


def test_digits_are_right_or_wrong() -> None:
    seven, one = {"label": np.array(7)}, {"label": np.array(1)}
    assert answers.task_scores(seven, seven) == (("accuracy", 1.0),)
    assert answers.task_scores(seven, one) == (("accuracy", 0.0),)
    assert answers.lost_scores(seven, {}) == (("accuracy", 0.0),)
