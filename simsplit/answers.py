"""What an answer is worth on its task, and what it weighs when it travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.image import ImageCodec
from simsplit.messages import Scores
from simsplit.tasks import metrics

STREETS_CLASSES = 8
LABEL_BITS = 8  # an answer that is one class


def task_scores(answer: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[Any]]) -> Scores:
    """Scores of one sample's answer, by name.

    Streets: ``miou`` over the classes present, ``pixel_accuracy``, ``disparity_rmse_px``, and
    ``psnr_db`` of the reconstructed against the clean picture. Digits: ``accuracy``, 0 or 1.

    Args:
        answer: One row of ``Inference.answers``.
        truth: One row of the data set's arrays.
    """
    if "label" in answer:
        return (("accuracy", float(answer["label"] == truth["label"])),)
    seen, target = answer["segmentation"], truth["segmentation"]
    counts = metrics.confusion(seen, target, STREETS_CLASSES)
    return (
        ("miou", metrics.mean_iou(counts)),
        ("pixel_accuracy", metrics.pixel_accuracy(counts)),
        ("disparity_rmse_px", metrics.disparity_rmse_px(answer["disparity"], truth["disparity"])),
        ("psnr_db", metrics.psnr_db(answer["reconstruction"], truth["clean"])),
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
    picture = np.broadcast_to(np.asarray(constant["colour"], np.float64), truth["clean"].shape)
    return (
        ("miou", 0.0),
        ("pixel_accuracy", 0.0),
        ("disparity_rmse_px", metrics.disparity_rmse_px(disparity, truth["disparity"])),
        ("psnr_db", metrics.psnr_db(picture, truth["clean"])),
    )


def answer_bits(answers: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Size of each answer that travels, ``(N,)`` int64: PNG of the class map, or one byte."""
    if "segmentation" not in answers:
        return np.full(len(answers["label"]), LABEL_BITS, np.int64)
    codec = ImageCodec("png")
    sizes = [len(codec.encode(labels[..., None])) * 8 for labels in answers["segmentation"]]
    return np.array(sizes, np.int64)
