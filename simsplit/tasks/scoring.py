"""Scores of one request's declared answers, and its evidence for the pooled ones.

A lost request is not left out: its class is wrong, its pixels and boxes are answered by nobody,
and for what can be guessed (disparity, numbers, a picture) the edge is scored with the mean over
the task's samples, the best constant guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simsplit.messages import Evidence, Scores
from simsplit.scenario.answers import (
    AnswerSpec,
    ClassificationAnswer,
    CustomAnswer,
    DetectionAnswer,
    DisparityAnswer,
    ReconstructionAnswer,
    RegressionAnswer,
    SegmentationAnswer,
)
from simsplit.tasks import metrics
from simsplit.tasks.answers import UNKNOWN, segmentation_counts, target_picture
from simsplit.tasks.average_precision import match
from simsplit.tasks.evidence import Values, confusion_of
from simsplit.tasks.outputs import Answer
from simsplit.tasks.score_names import TOP5_FROM
from simsplit.tasks.wanted import Wanted

Array = NDArray[Any]
Truth = Mapping[str, Array]
Scored = tuple[Scores, Values]


def scored(answer: Answer | None, truth: Truth, wanted: Wanted, constant: Array | None) -> Scored:
    """Scores of one answer of one sample (without its name's ending), and its evidence.

    Args:
        answer: As `simsplit.tasks.outputs.read_answer` gives it; None: nothing arrived.
        truth: One row of the data set's arrays.
        wanted: What the data set asks.
        constant: The best constant guess (`constant_of`), for what can be guessed.
    """
    match wanted.spec:
        case ClassificationAnswer() as spec:
            logits = cast("Array | None", answer)
            return _classification(logits, int(truth[spec.truth_key]), wanted)
        case SegmentationAnswer() as spec:
            return _segmentation(cast("Array | None", answer), truth[spec.truth_key], wanted)
        case DetectionAnswer():
            return _detection(cast("Mapping[str, Array] | None", answer), truth, wanted)
        case DisparityAnswer() as spec:
            return _disparity(cast(Array, constant if answer is None else answer), truth, spec)
        case RegressionAnswer() as spec:
            seen = cast(Array, constant if answer is None else answer)
            return _regression(seen, np.asarray(truth[spec.truth_key], np.float64))
        case ReconstructionAnswer():
            seen = cast(Array, constant if answer is None else answer)
            target = _target(truth, wanted.spec)
            return (("psnr_db", metrics.psnr_db(seen, target)),), {}
        case CustomAnswer():
            raise ValueError("a metric of the user's own scores itself")


def named(scored: Scored, spec: AnswerSpec, *, is_lost: bool) -> tuple[Scores, Evidence | None]:
    """Scores and evidence under the answer's own name."""
    scores = tuple((f"{name}{spec.ending}", value) for name, value in scored[0])
    evidence = Evidence(spec.ending, scored[1], is_lost) if scored[1] else None
    return scores, evidence


# --- the kinds ---------------------------------------------------------------------------------


def _classification(logits: Array | None, label: int, wanted: Wanted) -> Scored:
    spec = wanted.spec
    assert isinstance(spec, ClassificationAnswer)
    has_top5 = (wanted.classes or 0) >= TOP5_FROM
    if logits is None:
        return (("accuracy", 0.0), *((("top5", 0.0),) if has_top5 else ())), {}
    right = float(logits.argmax() == label)
    scores: Scores = (("accuracy", right),)
    if has_top5:
        best = np.argsort(-logits, kind="stable")[:5]
        scores = (*scores, ("top5", float(label in best)))
    return scores, {"calibration": np.array([confidence_of(logits, spec), right])}


def confidence_of(logits: Array, spec: ClassificationAnswer) -> float:
    """Largest softmax probability of logits ``(C,)``, or the largest of the probabilities."""
    values = logits.astype(np.float64)
    if spec.probabilities:
        return float(values.max())
    return float(1.0 / np.exp(values - values.max()).sum())


def _segmentation(seen: Array | None, target: Array, wanted: Wanted) -> Scored:
    classes = wanted.classes or 1 + max(
        int(a[target != metrics.IGNORED].max(initial=0))
        for a in (target, *(() if seen is None else (seen,)))
    )
    values = {"confusion": confusion_of(seen, target, classes)}
    if not values["confusion"].any():
        return (("miou", UNKNOWN), ("pixel_accuracy", UNKNOWN)), values
    if seen is None:
        return (("miou", 0.0), ("pixel_accuracy", 0.0)), values
    counts = segmentation_counts(seen, target)
    miou, right = metrics.mean_iou(counts), metrics.pixel_accuracy(counts)
    return (("miou", miou), ("pixel_accuracy", right)), values


def _detection(found: Mapping[str, Array] | None, truth: Truth, wanted: Wanted) -> Scored:
    labels = truth["box_labels"]
    own = labels >= 0
    crowd = truth["box_crowd"][own] if "box_crowd" in truth else np.zeros(int(own.sum()), bool)
    classes = wanted.classes or 1 + int(labels.max(initial=0))
    truths = np.bincount(labels[own][~crowd], minlength=classes)
    nothing = np.empty((0, 4), np.float32)
    if found is None:
        return (), {"detections": nothing, "truths": truths}
    true = truth[wanted.spec.truth_key][own]
    rows = match(found["boxes"], found["scores"], found["labels"], true, labels[own], crowd)
    return (), {"detections": rows, "truths": truths}


def _disparity(seen: Array, truth: Truth, spec: DisparityAnswer) -> Scored:
    target = truth[spec.truth_key]
    known = ~np.isnan(target)
    if not known.any():
        return (("disparity_rmse_px", UNKNOWN),), {"disparity_error": np.zeros(2)}
    seen = np.broadcast_to(seen, target.shape)
    rmse = metrics.disparity_rmse_px(seen, target)
    return (("disparity_rmse_px", rmse),), {"disparity_error": _squares(seen, target, known)}


def _regression(seen: Array, target: Array) -> Scored:
    values = _squares(seen, target, np.isfinite(target))
    rmse = float(np.sqrt(values[0] / values[1])) if values[1] else UNKNOWN
    return (("rmse", rmse),), {"squared_error": values}


def _squares(seen: Array, target: Array, known: Array) -> NDArray[np.float64]:
    """Sum of squared errors and how many there are, over what is known."""
    errors = seen[known].astype(np.float64) - target[known].astype(np.float64)
    return np.array([float((errors**2).sum()), errors.size])


def _target(truth: Truth, spec: ReconstructionAnswer) -> Array:
    return target_picture(truth) if spec.truth is None else truth[spec.truth]


def constant_of(spec: AnswerSpec, truth: Truth) -> Array | None:
    """The best constant guess over all samples; None of what cannot be guessed.

    Args:
        spec: The answer.
        truth: The data set's arrays, first dimension N.
    """
    match spec:
        case DisparityAnswer():
            known = truth[spec.truth_key]
            return np.asarray(np.nanmean(known) if np.isfinite(known).any() else 0.0)
        case RegressionAnswer():
            return np.asarray(np.nanmean(truth[spec.truth_key], axis=0), np.float64)
        case ReconstructionAnswer():
            pictures = _target(truth, spec).astype(np.float64)
            colour = pictures.mean(axis=(0, 1, 2))
            return np.broadcast_to(colour, pictures.shape[1:])
        case _:
            return None
