"""Metrics against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.tasks import metrics

TARGET = np.array([[0, 0, 1], [1, 2, 2]], np.uint8)
PREDICTION = np.array([[0, 1, 1], [1, 2, 0]], np.uint8)


def test_confusion_has_targets_in_rows() -> None:
    counts = metrics.confusion(PREDICTION, TARGET, 4)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_mean_iou_leaves_out_classes_that_are_nowhere() -> None:
    counts = metrics.confusion(PREDICTION, TARGET, 4)
    # class 0: 1 of 3, class 1: 2 of 3, class 2: 1 of 2, class 3: absent
    assert metrics.mean_iou(counts) == pytest.approx((1 / 3 + 2 / 3 + 1 / 2) / 3)
    assert metrics.image_miou(PREDICTION, TARGET, 4) == pytest.approx(0.5)
    assert math.isnan(metrics.class_iou(counts)[3])


def test_a_class_only_predicted_counts_as_zero() -> None:
    flat = np.zeros((2, 2), np.uint8)
    guess = np.array([[0, 0], [0, 3]], np.uint8)
    assert metrics.image_miou(guess, flat, 4) == pytest.approx((3 / 4 + 0) / 2)


def test_pixel_accuracy() -> None:
    assert metrics.pixel_accuracy(metrics.confusion(PREDICTION, TARGET, 4)) == pytest.approx(4 / 6)


def test_disparity_rmse() -> None:
    guess = np.array([1.0, 2.0, 3.0, 4.0], np.float16)
    truth = np.array([1.0, 2.0, 6.0, 0.0], np.float32)
    assert metrics.disparity_rmse_px(guess, truth) == pytest.approx(2.5)  # sqrt((9 + 16) / 4)


def test_psnr_does_not_wrap_bytes_round() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert metrics.psnr_db(black, white) == pytest.approx(0.0)
    assert metrics.psnr_db(black + np.uint8(1), black) == pytest.approx(48.1308, abs=1e-4)
    assert metrics.psnr_db(black, black) == math.inf


def test_top1_takes_scores_or_classes() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    label = np.array([1, 0, 0, 0])
    assert metrics.top1(scores, label) == 0.75
    assert metrics.top1(np.array([1, 0, 1, 0]), label) == 0.75


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.confusion(PREDICTION[:1], TARGET, 4)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        metrics.confusion(PREDICTION, TARGET, 2)
    with pytest.raises(ValueError, match="no pixels"):
        metrics.mean_iou(np.zeros((3, 3), np.int64))
    with pytest.raises(ValueError, match="empty"):
        metrics.psnr_db(np.zeros(0), np.zeros(0))
