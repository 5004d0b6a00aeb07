"""Pooled scores against pycocotools, torchmetrics, scikit-learn and a plain confusion matrix."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from simsplit.messages import Evidence
from simsplit.results.columns import table_of_rows
from simsplit.results.pooled import COLUMN, Pooled, pooled_kpi, pooled_of
from simsplit.tasks.average_precision import box_iou, match
from simsplit.tasks.evidence import confusion_of, expected_calibration_error, pooled

Picture = dict[str, np.ndarray[Any, Any]]


def pictures(seed: int, count: int = 30, classes: int = 4, crowds: bool = True) -> list[Picture]:
    """Random boxes, and found ones near them, beside them, of other classes, or none."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        true, found = int(rng.integers(0, 7)), int(rng.integers(0, 12))
        corner = rng.uniform(0, 60, (true, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(4, 40, (true, 2))], axis=1)
        labels = rng.integers(0, classes, true)
        crowd = rng.random(true) < (0.2 if crowds else 0.0)
        if true:
            of = rng.integers(0, true, found)
            seen = boxes[of] + rng.normal(0, 2.5, (found, 4))
            seen_labels = np.where(rng.random(found) < 0.85, labels[of], 0)
        else:
            seen = np.tile(np.array([1.0, 2.0, 30.0, 40.0]), (found, 1))
            seen_labels = rng.integers(0, classes, found)
        seen[:, 2:] = np.maximum(seen[:, 2:], seen[:, :2] + 1)
        scores = rng.integers(1, 40, found) / 40  # with ties
        made.append({
            "boxes": boxes.astype(np.float32), "labels": labels, "crowd": crowd,
            "found": seen.astype(np.float32), "found_labels": seen_labels,
            "scores": scores.astype(np.float32),
        })  # fmt: skip
    return made


def evidence(picture: Picture, classes: int = 4) -> dict[str, Any]:
    rows = match(
        picture["found"], picture["scores"], picture["found_labels"],
        picture["boxes"], picture["labels"], picture["crowd"],
    )  # fmt: skip
    truths = np.bincount(picture["labels"][~picture["crowd"]], minlength=classes)
    return {"detections": rows, "truths": truths}


def cocoeval(made: list[Picture]) -> tuple[float, float]:
    """mAP at 0.50 and at 0.50 to 0.95 as pycocotools has them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box: Any) -> list[float]:
        x0, y0, x1, y1 = (float(v) for v in box)
        return [x0, y0, x1 - x0, y1 - y0]

    truths, found = [], []
    for index, one in enumerate(made):
        for box, label, crowd in zip(one["boxes"], one["labels"], one["crowd"], strict=True):
            bbox = xywh(box)
            truths.append({
                "id": len(truths) + 1, "image_id": index, "category_id": int(label),
                "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": int(crowd),
            })  # fmt: skip
        for box, label, score in zip(one["found"], one["found_labels"], one["scores"], strict=True):
            found.append({
                "image_id": index, "category_id": int(label), "bbox": xywh(box),
                "score": float(score),
            })  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(made))],
            "categories": [{"id": c} for c in range(4)],
            "annotations": truths,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1]), float(judge.stats[0])


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    pytest.importorskip("pycocotools")
    made = pictures(seed)
    pieces = [evidence(picture) for picture in made]
    at_50, whole = cocoeval(made)
    assert pooled("map50", pieces) == pytest.approx(at_50, abs=1e-9)
    assert pooled("map50_95", pieces) == pytest.approx(whole, abs=1e-9)
    assert 0.05 < whole < at_50 < 0.95  # that the pictures tell something


def test_average_precision_is_that_of_torchmetrics() -> None:
    pytest.importorskip("pycocotools")
    from torchmetrics.detection import MeanAveragePrecision

    made = pictures(11, crowds=False)
    judge = MeanAveragePrecision(backend="pycocotools")
    judge.update(
        [
            {
                "boxes": torch.from_numpy(one["found"]),
                "scores": torch.from_numpy(one["scores"]),
                "labels": torch.from_numpy(one["found_labels"]),
            }
            for one in made
        ],
        [
            {"boxes": torch.from_numpy(one["boxes"]), "labels": torch.from_numpy(one["labels"])}
            for one in made
        ],
    )
    result = judge.compute()
    pieces = [evidence(picture) for picture in made]
    assert pooled("map50", pieces) == pytest.approx(float(result["map_50"]), abs=1e-6)
    assert pooled("map50_95", pieces) == pytest.approx(float(result["map"]), abs=1e-6)


def test_more_than_a_hundred_boxes_of_a_class_are_cut_as_coco_cuts_them() -> None:
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(5)
    (one,) = pictures(2, count=1)
    true = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)
    seen = np.concatenate([rng.uniform(50, 60, (140, 2)), rng.uniform(61, 80, (140, 2))], axis=1)
    seen = np.concatenate([seen, true])
    scores = np.concatenate([np.linspace(0.5, 0.9, 140), [0.1, 0.95]])
    one |= {
        "boxes": true, "labels": np.array([1, 1]), "crowd": np.zeros(2, bool),
        "found": seen.astype(np.float32), "scores": scores.astype(np.float32),
        "found_labels": np.full(142, 1),
    }  # fmt: skip
    at_50, whole = cocoeval([one])
    assert pooled("map50", [evidence(one)]) == pytest.approx(at_50, abs=1e-9)
    assert pooled("map50_95", [evidence(one)]) == pytest.approx(whole, abs=1e-9)


def test_overlap_of_boxes_is_that_of_torchvision() -> None:
    from torchvision.ops import box_iou as theirs

    (one,) = pictures(3, count=1)
    found = pictures(8, count=1)[0]["boxes"]
    shares = box_iou(found, one["boxes"], np.zeros(len(one["boxes"]), bool))
    expected = theirs(torch.from_numpy(found), torch.from_numpy(one["boxes"]))
    assert np.allclose(shares, expected.numpy(), atol=1e-6)


def test_pooled_miou_is_that_of_a_plain_confusion_matrix() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 5, (20, 16, 16)).astype(np.uint8)
    seen = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 5, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = 255
    pieces = [
        {"confusion": confusion_of(s.astype(np.uint8), t, 5)}
        for s, t in zip(seen, truth, strict=True)
    ]
    keep = truth != 255
    expected = jaccard_score(truth[keep], seen[keep], average="macro")
    assert pooled("dataset_miou", pieces) == pytest.approx(expected, abs=1e-12)


def test_a_lost_picture_is_all_misses_in_pooled_miou() -> None:
    truth = np.array([[0, 0], [1, 1]], np.uint8)
    right, lost = confusion_of(truth, truth, 2), confusion_of(None, truth, 2)
    assert pooled("dataset_miou", [{"confusion": right}]) == 1.0
    assert pooled("dataset_miou", [{"confusion": right}, {"confusion": lost}]) == 0.5


def test_calibration_error_is_that_of_torchmetrics() -> None:
    from torchmetrics.classification import BinaryCalibrationError

    rng = np.random.default_rng(6)
    confidence = rng.uniform(0.01, 0.99, 5000)
    right = (rng.random(5000) < confidence**1.5).astype(float)
    judge = BinaryCalibrationError(n_bins=15, norm="l1")
    expected = judge(torch.from_numpy(confidence), torch.from_numpy(right.astype(int)))
    found = expected_calibration_error(confidence, right)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_by_hand() -> None:
    # bins of 1/15: 0.95 and 0.97 lie in the last, 0.5 in the eighth
    confidence, right = np.array([0.95, 0.97, 0.5]), np.array([1.0, 0.0, 1.0])
    expected = (abs(1 - 0.95 + 0 - 0.97) + abs(1 - 0.5)) / 3
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
    assert expected_calibration_error(np.array([1.0]), np.array([1.0])) == 0.0
    assert math.isnan(expected_calibration_error(np.empty(0), np.empty(0)))


def test_pooled_rmse_is_that_of_all_numbers() -> None:
    rng = np.random.default_rng(7)
    errors = [rng.normal(size=n) for n in (3, 40, 11)]
    pieces = [{"squared_error": np.array([(e**2).sum(), e.size])} for e in errors]
    expected = math.sqrt((np.concatenate(errors) ** 2).mean())
    assert pooled("dataset_rmse", pieces) == pytest.approx(expected)


# --- intervals ---------------------------------------------------------------------------------


def table(values: list[Evidence], replications: int) -> Any:
    share = len(values) // replications
    return table_of_rows(
        [{COLUMN: (one,), "replication": i // share} for i, one in enumerate(values)]
    )


def test_the_jackknife_of_a_mean_square_has_its_coverage() -> None:
    """RMSE of normal errors with sigma 1: 95 % intervals hold it 92 to 98 times in a hundred."""
    held, runs = 0, 300
    item = Pooled("dataset_rmse", "dataset_rmse", "", answered_only=False)
    for seed in range(runs):
        errors = np.random.default_rng(seed).normal(size=(200, 4))
        values = [Evidence("", {"squared_error": np.array([(e**2).sum(), 4])}) for e in errors]
        kpi = pooled_kpi(item, table(values, 10), replicated=True)
        held += kpi["ci_low"] <= 1.0 <= kpi["ci_high"]
    assert 0.92 <= held / runs <= 0.98


def test_answered_only_leaves_out_what_was_lost() -> None:
    hit = Evidence("", {"squared_error": np.array([4.0, 1.0])})
    lost = Evidence("", {"squared_error": np.array([100.0, 1.0])}, is_lost=True)
    rows = table([hit, lost] * 20, 4)
    kpis = {item.name: pooled_kpi(item, rows, replicated=True) for item in pooled_of(rows)}
    assert kpis["dataset_rmse"]["mean"] == pytest.approx(math.sqrt(52))
    assert kpis["dataset_rmse_answered"]["mean"] == 2.0
    assert kpis["dataset_rmse"]["n"] == 40 and kpis["dataset_rmse_answered"]["n"] == 20
    assert kpis["dataset_rmse"]["method"] == "jackknife over replications (4)"
