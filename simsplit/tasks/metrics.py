"""How answers are scored (segmentation, disparity, picture, class) and what a feature costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Numbers = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]

IGNORED = 255
"""Label of pixels that have none, in every data set whose truth has gaps."""


def confusion(
    prediction: Labels, target: Labels, classes: int, ignored: int | None = None
) -> NDArray[np.int64]:
    """Count pixels per pair of classes: int64 (C, C), C[t, p] = #{target = t and prediction = p}.

    Both arrays have one shape, any; values are 0..classes - 1. Counts of several pictures add.
    Pixels whose target is ``ignored`` count for nothing, whatever is predicted there.
    Raises ValueError for unlike shapes or a label outside that range.
    """
    _same_shape(prediction, target)
    if target.ndim > 2 and len(target):  # picture by picture: a whole set would fill the memory
        pictures = zip(prediction, target, strict=True)
        counts = [confusion(seen, truth, classes, ignored) for seen, truth in pictures]
        total: NDArray[np.int64] = np.sum(counts, axis=0, dtype=np.int64)
        return total
    if ignored is not None:
        prediction, target = prediction[target != ignored], target[target != ignored]
    for labels in (prediction, target):
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(f"labels must be 0..{classes - 1}")
    pairs = target.astype(np.int64) * classes + prediction.astype(np.int64)
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)


def class_iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give intersection over union per class, (C,): IoU_c = C[c,c] / (row_c + column_c - C[c,c]).

    NaN for a class that neither target nor prediction holds (Everingham et al., IJCV 2010, 4.4).
    """
    both = np.diag(counts).astype(np.float64)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    absent: NDArray[np.float64] = np.full(len(both), np.nan)
    np.divide(both, either, out=absent, where=either > 0)
    return absent


def mean_iou(confusion: NDArray[np.int64]) -> float:
    """Average IoU_c over the classes that occur in target or prediction: sum IoU_c / #occurring.

    Takes counts (C, C) as ``confusion`` gives them; over a whole set, add them first.
    Raises ValueError when there are no pixels at all.
    """
    if not confusion.any():
        raise ValueError("no pixels: mean IoU is undefined")
    return float(np.nanmean(class_iou(confusion)))


def image_miou(prediction: Labels, target: Labels, classes: int) -> float:
    """Score one picture: mean of IoU_c over the classes present in its target or prediction.

    Both (H, W). The mean of this over pictures is not the mean IoU of their summed counts.
    """
    return mean_iou(confusion(prediction, target, classes))


def pixel_accuracy(confusion: NDArray[np.int64]) -> float:
    """Give the share of pixels that are right: trace(C) / sum(C); counts (C, C).

    Raises ValueError when there are no pixels at all.
    """
    total = int(confusion.sum())
    if not total:
        raise ValueError("no pixels: accuracy is undefined")
    return float(np.trace(confusion) / total)


def disparity_rmse_px(prediction: Numbers, target: Numbers) -> float:
    """Give the root mean square error in px: sqrt(mean((p - t)^2)); one shape, any.

    The mean is over the pixels whose target is known, that is no NaN. Raises ValueError for unlike
    shapes, empty arrays, or no known pixel.
    """
    has_target = ~np.isnan(target)
    if not has_target.all():
        _same_shape(prediction, target)
        if not has_target.any():
            raise ValueError("no known disparity: RMSE is undefined")
        prediction, target = prediction[has_target], target[has_target]
    return float(np.sqrt(_mean_square(prediction, target)))


def mean_disparity_rmse_px(prediction: Numbers, target: Numbers) -> float:
    """Average the root mean square error over pictures, px; both (N, H, W).

    Pictures whose target is unknown everywhere are left out. Raises ValueError for unlike shapes
    or if no picture is left.
    """
    _same_shape(prediction, target)
    pictures = zip(prediction, target, strict=True)
    errors = [disparity_rmse_px(p, t) for p, t in pictures if not np.isnan(t).all()]
    if not errors:
        raise ValueError("no picture has a known disparity")
    return float(np.mean(errors))


def disparity_irmse(prediction: Numbers, target: Numbers) -> float:
    """Give the inverse of the mean RMSE over pictures, 1 / px; both (N, H, W); more is better.

    Infinity if there is no error. Raises ValueError as `mean_disparity_rmse_px`.
    Source: IRMSE of Alvar and Bajić, ICIP 2019 (arXiv 1902.05179), experiments.
    """
    mean_px = mean_disparity_rmse_px(prediction, target)
    return 1.0 / mean_px if mean_px else float("inf")


def psnr_db(prediction: Numbers, target: Numbers) -> float:
    """Give one picture's peak signal-to-noise ratio, dB: 10 log10(255^2 / mean((p - t)^2)).

    Both on the scale 0..255, integer or float, one shape; nothing is rounded or clipped, and there
    is no cap: equal pictures give infinity. Raises ValueError for unlike shapes or empty arrays.
    """
    mean_square = _mean_square(prediction, target)
    return float(10 * np.log10(255.0**2 / mean_square)) if mean_square > 0 else float("inf")


def top1(prediction: Numbers, label: Labels) -> float:
    """Give the share of samples whose highest score is their label's: mean(argmax_c p_c = label).

    ``prediction`` is scores (N, C), or classes already chosen (N,); ``label`` is (N,). The first of
    equal scores counts. Raises ValueError for unlike lengths or no samples.
    """
    chosen = prediction.argmax(axis=1) if prediction.ndim == 2 else prediction
    _same_shape(chosen, label)
    if not label.size:
        raise ValueError("no samples: top-1 is undefined")
    return float(np.mean(chosen == label))


def bits_per_feature_element(payload_bits: float, shape: Sequence[int]) -> float:
    """Give the rate of a coded feature (BPFE): payload_bits / (C h w), bits per element.

    ``payload_bits`` is all that is sent, header and side information included; ``shape`` is that
    of the feature, (C, h, w). Raises ValueError for a negative payload or a feature of no elements.
    Source: Alvar and Bajić, ICIP 2019 (arXiv 1902.05179), experiments.
    """
    elements = math.prod(shape)
    if payload_bits < 0 or min(shape, default=0) < 1:
        raise ValueError(f"no rate of {payload_bits} bits over a feature of shape {tuple(shape)}")
    return payload_bits / elements


def _mean_square(prediction: Numbers, target: Numbers) -> float:
    _same_shape(prediction, target)
    if not target.size:
        raise ValueError("empty arrays have no error")
    return float(np.mean((prediction.astype(np.float64) - target.astype(np.float64)) ** 2))


def _same_shape(prediction: Numbers, target: Numbers) -> None:
    if prediction.shape != target.shape:
        raise ValueError(f"shapes differ: {prediction.shape} and {target.shape}")
