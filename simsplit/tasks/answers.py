"""What an answer is worth on its task, and what it weighs when it travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.picture import ImageCodec
from simsplit.messages import Scores
from simsplit.tasks import metrics

STREETS_CLASSES = 8
LABEL_BITS = 8  # an answer that is one class
UNKNOWN = float("nan")  # a score of a picture whose truth says nothing about it


def task_scores(answer: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[Any]]) -> Scores:
    """Scores of one sample's answer, by name.

    Streets and Cityscapes: ``miou`` over the classes present, ``pixel_accuracy``,
    ``disparity_rmse_px``, and ``psnr_db`` of the reconstructed against the clean picture (against
    the picture itself where there is no clean one). Pixels without a label or a disparity don't
    count, and if no pixel has any that score is `UNKNOWN`. Digits: ``accuracy``, 0 or 1.

    Args:
        answer: One row of ``Inference.answers``.
        truth: One row of the data set's arrays.
    """
    if "label" in answer:
        return (("accuracy", float(answer["label"] == truth["label"])),)
    counts = segmentation_counts(answer["segmentation"], truth["segmentation"])
    labelled = bool(counts.any())
    return (
        ("miou", metrics.mean_iou(counts) if labelled else UNKNOWN),
        ("pixel_accuracy", metrics.pixel_accuracy(counts) if labelled else UNKNOWN),
        ("disparity_rmse_px", _rmse_px(answer["disparity"], truth["disparity"])),
        ("psnr_db", metrics.psnr_db(answer["reconstruction"], target_picture(truth))),
    )


def lost_scores(truth: Mapping[str, NDArray[Any]], constant: Mapping[str, Any]) -> Scores:
    """Scores without an answer: 0 where one must be right, the best constant where one can guess.

    Args:
        truth: One row of the data set's arrays.
        constant: The card's ``constant_answer``: ``disparity_px`` and ``colour`` (three values
            0..255), means over the training range; empty for digits.
    """
    if "label" in truth:
        return (("accuracy", 0.0),)
    disparity = np.full(truth["disparity"].shape, constant["disparity_px"])
    target = target_picture(truth)
    picture = np.broadcast_to(np.asarray(constant["colour"], np.float64), target.shape)
    right = 0.0 if (truth["segmentation"] != metrics.IGNORED).any() else UNKNOWN
    return (
        ("miou", right),
        ("pixel_accuracy", right),
        ("disparity_rmse_px", _rmse_px(disparity, truth["disparity"])),
        ("psnr_db", metrics.psnr_db(picture, target)),
    )


def segmentation_counts(seen: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
    """Pixels per pair of classes, ``(C, C)`` with targets in rows; see `metrics.confusion`.

    C is one more than the largest label that occurs, but at least `STREETS_CLASSES`. It needs no
    data set to tell, as classes that occur nowhere count for nothing in mean IoU and accuracy.
    Raises ValueError where ``metrics.IGNORED`` is an answer to a pixel with a label.

    Args:
        seen: Class of each pixel, any shape.
        target: Likewise; ``metrics.IGNORED`` where there is no label.
    """
    largest = max(int(a[target != metrics.IGNORED].max(initial=0)) for a in (seen, target))
    classes = min(max(STREETS_CLASSES, 1 + largest), metrics.IGNORED)
    return metrics.confusion(seen, target, classes, ignored=metrics.IGNORED)


def target_picture(truth: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """What a reconstruction is held against: the clean picture, else the picture itself."""
    return truth["clean"] if "clean" in truth else truth["image"]


def _rmse_px(disparity: NDArray[Any], target: NDArray[Any]) -> float:
    if np.isnan(target).all():
        return UNKNOWN
    return metrics.disparity_rmse_px(disparity, target)


def answer_bits(answers: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Size of each answer that travels, ``(N,)`` int64: PNG of the class map, or one byte."""
    if "segmentation" not in answers:
        return np.full(len(answers["label"]), LABEL_BITS, np.int64)
    codec = ImageCodec("png")
    sizes = [len(codec.encode(labels[..., None])) * 8 for labels in answers["segmentation"]]
    return np.array(sizes, np.int64)
