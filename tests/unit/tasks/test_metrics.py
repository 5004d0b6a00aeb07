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


def test_ignored_pixels_count_for_nothing() -> None:
    target = np.array([[0, 255, 1], [255, 2, 2]], np.uint8)
    counts = metrics.confusion(PREDICTION, target, 3, ignored=metrics.IGNORED)
    # counted are 0 as 0, 1 as 1, 2 as 2 and 2 as 0
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert metrics.mean_iou(counts) == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert metrics.pixel_accuracy(counts) == 0.75
    anything = np.where(target == 255, 77, PREDICTION)
    np.testing.assert_array_equal(metrics.confusion(anything, target, 3, 255), counts)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        metrics.confusion(PREDICTION, target, 3)


def test_mean_iou_of_a_set_is_of_one_matrix() -> None:
    target = np.array([[[0, 0, 0, 0]], [[0, 1, 1, 255]]], np.uint8)
    guess = np.array([[[0, 0, 0, 1]], [[1, 1, 1, 1]]], np.uint8)
    counts = metrics.confusion(guess, target, 2, ignored=255)
    assert counts.dtype == np.int64 and counts.tolist() == [[3, 2], [0, 2]]
    assert metrics.mean_iou(counts) == pytest.approx((3 / 5 + 2 / 4) / 2)
    # not the mean over pictures: (3 / 4 + 0) / 2 and (0 + 2 / 3) / 2
    assert metrics.confusion(guess[:0], target[:0], 2).tolist() == [[0, 0], [0, 0]]


def test_pixel_accuracy() -> None:
    assert metrics.pixel_accuracy(metrics.confusion(PREDICTION, TARGET, 4)) == pytest.approx(4 / 6)


def test_disparity_rmse() -> None:
    guess = np.array([1.0, 2.0, 3.0, 4.0], np.float16)
    truth = np.array([1.0, 2.0, 6.0, 0.0], np.float32)
    assert metrics.disparity_rmse_px(guess, truth) == pytest.approx(2.5)  # sqrt((9 + 16) / 4)


def test_disparity_that_is_unknown_does_not_count() -> None:
    truth = np.array([[1.0, np.nan], [6.0, np.nan]], np.float32)
    guess = np.array([[1.0, 50.0], [3.0, np.nan]], np.float32)
    assert metrics.disparity_rmse_px(guess, truth) == pytest.approx(math.sqrt(9 / 2))
    assert math.isnan(metrics.disparity_rmse_px(truth, np.ones_like(truth)))  # no answer at all
    with pytest.raises(ValueError, match="no known disparity"):
        metrics.disparity_rmse_px(guess, np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.disparity_rmse_px(guess[:1], truth)


def test_irmse_is_one_over_the_mean_error_of_pictures() -> None:
    unknown = [np.nan, np.nan]
    truth = np.array([[[0.0, 0.0]], [unknown], [[5.0, np.nan]]])
    guess = np.array([[[3.0, 3.0]], [[1.0, 1.0]], [[4.0, 9.0]]])
    # RMSE 3 and 1 px; the second picture has no truth
    assert metrics.mean_disparity_rmse_px(guess, truth) == pytest.approx(2.0)
    assert metrics.disparity_irmse(guess, truth) == pytest.approx(0.5)
    assert metrics.disparity_irmse(truth[:1], truth[:1]) == math.inf
    with pytest.raises(ValueError, match="no picture"):
        metrics.disparity_irmse(guess[1:2], truth[1:2])
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.disparity_irmse(guess[:2], truth)


def test_bits_per_feature_element() -> None:
    assert metrics.bits_per_feature_element(32_768, (512, 8, 16)) == 0.5  # of 65,536 elements
    assert metrics.bits_per_feature_element(8 * 10_000, (256, 16, 32)) == 80_000 / 131_072
    for bits, shape in ((-1, (2, 2, 2)), (8, (2, 0, 2)), (8, ())):
        with pytest.raises(ValueError, match="no rate"):
            metrics.bits_per_feature_element(bits, shape)


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
