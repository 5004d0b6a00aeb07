"""The metrics of `simsplit.results.metrics` that say what answers are worth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from simsplit.results.metric_kinds import BOUNDLESS, Better, Kind, Metric

_score = partial(Metric, kind=Kind.SCORE, better=Better.HIGHER, most=1.0)
_pooled = partial(Metric, kind=Kind.POOLED, better=Better.HIGHER, most=1.0)


def _both(metric: Metric, lost: str) -> tuple[Metric, Metric]:
    """A pooled score over all requests, and over those alone that were answered."""
    answered = replace(
        metric,
        name=f"{metric.name}_answered",
        label=f"{metric.label}, answered",
        heading=f"{metric.short}, answered",
        formula=f"{metric.formula}; answered requests alone",
        meaning=f"{metric.meaning.removesuffix('.')}, of answered requests alone.",
    )
    return replace(metric, formula=f"{metric.formula}; {lost}"), answered


def _in_time(score: str, label: str, heading: str) -> Metric:
    return _score(
        name=f"{score}_in_time",
        label=label,
        heading=heading,
        formula=f"`{score}` if the answer met its deadline, else 0",
        meaning=f"{score}, or 0 if the deadline was missed.",
    )


SCORE_METRICS: tuple[Metric, ...] = (
    _score(
        name="score_accuracy",
        label="accuracy",
        formula="1 if the class is right, else 0 (digits); 0 without an answer",
        meaning="Classification: 1 if the label is right, else 0.",
    ),
    _in_time("score_accuracy", "accuracy, late answers worth 0", "accuracy in time"),
    _score(
        name="score_miou",
        label="mean IoU",
        formula="per image: mean over classes present in truth or answer of TP / (TP + FP + FN); "
        "0 without an answer",
        meaning="Segmentation: mean intersection over union of the picture.",
    ),
    _in_time("score_miou", "mean IoU, late answers worth 0", "mean IoU in time"),
    _score(
        name="score_pixel_accuracy",
        label="pixel accuracy",
        formula="correct pixels / pixels; 0 without an answer",
        meaning="Segmentation: share of pixels that are right.",
    ),
    _score(
        name="score_top5",
        label="top-5 accuracy",
        formula="1 if the class is among the five of largest logits, else 0; of 6 classes or more; "
        "0 without an answer",
        meaning="Classification: 1 if the label is among the best five.",
    ),
    Metric(
        name="score_rmse",
        label="RMSE",
        kind=Kind.SCORE,
        formula="sqrt(mean((ŷ − y)²)) over the numbers of the request; of the best constant guess "
        "without an answer",
        meaning="Regression: root mean square error of the numbers; lower is better.",
    ),
    Metric(
        name="score_disparity_rmse_px",
        label="disparity RMSE",
        unit="px",
        kind=Kind.SCORE,
        formula="sqrt(mean((d̂ − d)²)) per image; of the best constant guess without an answer",
        meaning="Disparity: root mean square error; lower is better.",
    ),
    Metric(
        name="score_psnr_db",
        label="PSNR",
        unit="dB",
        kind=Kind.SCORE,
        better=Better.HIGHER,
        least=BOUNDLESS,
        formula="10 log10(255² / MSE) per image of the network's reconstruction against the clean "
        "render, for every scheme; of the best constant guess without an answer",
        meaning="Reconstruction: peak signal-to-noise ratio of the picture.",
    ),
)
"""Of a request: what its answer is worth by itself."""

POOLED_METRICS: tuple[Metric, ...] = (
    *_both(
        _pooled(
            name="dataset_miou",
            label="pooled mean IoU",
            formula="mean over classes of TP / (TP + FP + FN), pixels of all requests counted "
            "together",
            meaning="Segmentation: mean intersection over union of all pictures together.",
        ),
        "pixels of lost ones count as FN",
    ),
    *_both(
        _pooled(
            name="map50",
            label="mAP at IoU 0.50",
            heading="mAP50",
            formula="mean over classes of average precision at IoU 0.50, 101 recalls, at most 100 "
            "boxes per picture and class (COCO)",
            meaning="Detection: mean average precision at IoU 0.50.",
        ),
        "of a lost one no box is found",
    ),
    *_both(
        _pooled(
            name="map50_95",
            label="mAP at IoU 0.50 to 0.95",
            heading="mAP50-95",
            formula="as `map50`, mean over IoU 0.50, 0.55, … 0.95 (COCO)",
            meaning="Detection: mean average precision over IoU 0.50 to 0.95.",
        ),
        "of a lost one no box is found",
    ),
    *_both(
        Metric(
            name="dataset_rmse",
            label="pooled RMSE",
            kind=Kind.POOLED,
            formula="sqrt(Σ(ŷ − y)² / n) over the numbers of all requests",
            meaning="Regression: root mean square error over all requests.",
        ),
        "lost ones by the best constant guess",
    ),
    *_both(
        Metric(
            name="dataset_disparity_rmse_px",
            label="pooled disparity RMSE",
            unit="px",
            kind=Kind.POOLED,
            formula="sqrt(Σ(d̂ − d)² / n) over the pixels of all requests",
            meaning="Disparity: root mean square error over all pixels.",
        ),
        "lost ones by the best constant guess",
    ),
    _pooled(
        name="ece",
        label="expected calibration error",
        heading="ECE",
        better=Better.LOWER,
        formula="Σ over 15 bins of equal width of |B| / n · |accuracy(B) − confidence(B)| of "
        "answered requests (Guo et al., 2017)",
        meaning="Classification: how far confidence is from the share of right answers.",
    ),
)
"""Of all requests together: no mean of what single ones are worth."""
