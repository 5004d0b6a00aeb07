"""What one request tells of a score over many, small enough to be kept with its scores.

A pooled score is no mean of the requests' scores: mean IoU of summed counts, average precision of
all boxes together, the root of a mean square, calibration error. Each is made of the evidence of
the requests here, and of nothing else:

* ``confusion`` ``(C, C + 1)``: pixels, truth in rows; last column: unanswered → ``dataset_miou``;
* ``detections`` ``(n, 4)``: label, score, hits and ignored as bits, and ``truths`` ``(C,)``: true
  boxes of every class → ``map50``, ``map50_95``;
* ``squared_error`` ``(2,)``: sum of squares, how many → ``dataset_rmse``;
* ``disparity_error`` likewise, px² → ``dataset_disparity_rmse_px``;
* ``calibration`` ``(2,)``: confidence, 1 if right → ``ece``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.tasks.average_precision import mean_average_precision
from simsplit.tasks.metrics import IGNORED

Array = NDArray[Any]
Values = Mapping[str, Array]
"""One request's evidence of one answer, by the names of the table above."""

BINS = 15  # of calibration error: Guo et al., ICML 2017, section 2


def pooled(name: str, pieces: Sequence[Values]) -> float:
    """A pooled score of one or more requests' evidence; NaN where there is nothing to judge.

    Args:
        name: A score of the list above, without an answer's ending.
        pieces: Evidence of requests (or of several, `merged`), all of the same answer.
    """
    values = merged(pieces)
    match name:
        case "dataset_miou":
            return pooled_miou(values["confusion"])
        case "map50" | "map50_95":
            boxes, truths = values["detections"], values["truths"]
            return mean_average_precision([boxes], truths, at_50_only=name == "map50")
        case "dataset_rmse":
            return _root(values["squared_error"])
        case "dataset_disparity_rmse_px":
            return _root(values["disparity_error"])
        case "ece":
            return expected_calibration_error(*values["calibration"].T)
    raise ValueError(f"no such pooled score: {name}")


ROWS = ("detections", "calibration")  # stand one below the other; everything else is summed


def merged(pieces: Sequence[Values]) -> Values:
    """The evidence of several requests as if it were one request's."""
    arrays = {key: [np.atleast_1d(piece[key]) for piece in pieces] for key in pieces[0]}
    return {
        key: np.concatenate([np.atleast_2d(one) for one in ones]) if key in ROWS else _total(ones)
        for key, ones in arrays.items()
    }


OWN = "own"  # evidence of a metric of the user's own
KEYS_OF = {
    "dataset_miou": ("confusion",),
    "map50": ("detections", "truths"),
    "map50_95": ("detections", "truths"),
    "dataset_rmse": ("squared_error",),
    "dataset_disparity_rmse_px": ("disparity_error",),
    "ece": ("calibration",),
}
"""Pooled score → the evidence that it is made of."""
SCORES_OF: Mapping[str, tuple[str, ...]] = {
    keys[0]: tuple(name for name, others in KEYS_OF.items() if others[0] == keys[0])
    for keys in KEYS_OF.values()
}
"""Evidence → the pooled scores that it is of."""


def _total(arrays: Sequence[Array]) -> Array:
    """Sum; arrays of fewer classes are filled up with zeros."""
    if len({array.shape for array in arrays}) < 2:
        total: Array = np.sum(arrays, axis=0)
        return total
    largest = np.max([array.shape for array in arrays], axis=0)
    total = np.zeros(largest)
    for array in arrays:
        total[tuple(slice(0, side) for side in array.shape)] += array
    return total


def _root(total: Array) -> float:
    return float(np.sqrt(total[0] / total[1])) if total[1] else float("nan")


# --- pixels ------------------------------------------------------------------------------------


def confusion_of(seen: Array | None, target: Array, classes: int) -> NDArray[np.int64]:
    """Pixels by true class (rows) and answered class; the last column: no answer; ``(C, C + 1)``.

    Args:
        seen: Class of each pixel, any shape; None: nothing arrived.
        target: Likewise; `IGNORED` where there is no label.
        classes: C, more than every label that occurs.
    """
    keep = target != IGNORED
    rows = target[keep].astype(np.int64)
    columns = np.full(rows.shape, classes) if seen is None else seen[keep].astype(np.int64)
    counts = np.bincount(rows * (classes + 1) + columns, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def pooled_miou(counts: Array) -> float:
    """Mean IoU of summed counts ``(C, C + 1)`` over the classes that truth or answers hold.

    IoU_c = TP / (TP + FP + FN); a pixel that nobody answered is a false negative of its class.
    Everingham et al., IJCV 2010, section 4.4. NaN without a pixel.
    """
    right = np.diag(counts).astype(np.float64)
    either = counts.sum(axis=1) + counts[:, :-1].sum(axis=0) - right
    present = either > 0
    return float((right[present] / either[present]).mean()) if present.any() else float("nan")


# --- confidence --------------------------------------------------------------------------------


def expected_calibration_error(confidence: Array, right: Array, bins: int = BINS) -> float:
    """ECE = sum over bins of |B| / n |acc(B) - conf(B)|, bins of equal width ((m - 1) / M, m / M].

    Guo et al., On calibration of modern neural networks, ICML 2017, eq. 3. NaN without an answer.

    Args:
        confidence: ``(n,)`` in [0, 1].
        right: ``(n,)``, 1 where the answer is right, else 0.
        bins: M.
    """
    if not len(confidence):
        return float("nan")
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, np.asarray(right, float) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
