"""Which scores an answer will give, said before anything is run."""

from __future__ import annotations

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
from simsplit.tasks.evidence import SCORES_OF

TOP5_FROM = 6  # classes; of fewer, five guesses hold all
_EVIDENCE = {
    "classification": "calibration",
    "segmentation": "confusion",
    "detection": "detections",
    "disparity": "disparity_error",
    "regression": "squared_error",
}


def score_names(spec: AnswerSpec, classes: int | None) -> list[str]:
    """Names of a request's scores, their ending included."""
    match spec:
        case ClassificationAnswer():
            names = ["accuracy", *(["top5"] if (classes or 0) >= TOP5_FROM else [])]
        case SegmentationAnswer():
            names = ["miou", "pixel_accuracy"]
        case DetectionAnswer():
            names = []
        case DisparityAnswer():
            names = ["disparity_rmse_px"]
        case RegressionAnswer():
            names = ["rmse"]
        case ReconstructionAnswer():
            names = ["psnr_db"]
        case CustomAnswer():
            return [spec.name]
    return [f"{name}{spec.ending}" for name in names]


def pooled_names(spec: AnswerSpec) -> list[str]:
    """Names of its scores over all requests together, their ending included."""
    scores = SCORES_OF.get(_EVIDENCE.get(spec.kind, ""), ())
    return [f"{name}{spec.ending}" for name in scores]
