"""Average precision of boxes as COCO counts it, from what every picture tells by itself.

The protocol is that of pycocotools' ``COCOeval`` (``iouType="bbox"``, all areas, 100 boxes per
picture and class): IoU thresholds 0.50, 0.55, ... 0.95, precision read off at 101 recalls. Matching
needs one picture only (`match`); the curve needs the boxes of all (`mean_average_precision`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_BOXES = 100  # per picture and class


def box_iou(found: Array, true: Array, crowd: Array) -> NDArray[np.float64]:
    """Intersection over union ``(n, m)``; over the found box's own area where the truth is a crowd.

    Args:
        found, true: ``(n, 4)`` and ``(m, 4)``, x0 y0 x1 y1.
        crowd: bool ``(m,)``.
    """
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)[:, None]
    either = area + (true[:, 2:] - true[:, :2]).prod(axis=1)[None] - shared
    either = np.where(crowd[None], area, either)
    shares: NDArray[np.float64] = np.divide(
        shared, either, out=np.zeros_like(shared), where=either > 0
    )
    return shares


def match(
    boxes: Array, scores: Array, labels: Array, true: Array, true_labels: Array, crowd: Array
) -> NDArray[np.float32]:
    """Which boxes of one picture hit at which thresholds: rows (label, score, hits, ignored).

    ``hits`` and ``ignored`` hold a bit per threshold of `THRESHOLDS`, the first the lowest. A box
    on a crowd is neither right nor wrong.

    Args:
        boxes: ``(n, 4)``, found, with ``scores`` ``(n,)`` and ``labels`` ``(n,)``.
        true: ``(m, 4)`` with ``true_labels`` ``(m,)`` and ``crowd`` bool ``(m,)``.
    """
    rows = []
    for label in np.unique(labels):
        mine, theirs = labels == label, true_labels == label
        order = np.argsort(-scores[mine], kind="stable")[:MOST_BOXES]
        own = _match_class(boxes[mine][order], true[theirs], crowd[theirs])
        rows.append(np.column_stack([np.full(len(order), label), scores[mine][order], own]))
    return np.concatenate([np.empty((0, 4)), *rows]).astype(np.float32)


def _match_class(boxes: Array, true: Array, crowd: Array) -> NDArray[np.int64]:
    """Bits of hits and of ignored ``(n, 2)``; boxes best first, crowds tried last."""
    order = np.argsort(crowd, kind="stable")
    true, crowd = true[order], crowd[order]
    shares = box_iou(boxes, true, crowd)
    bits = np.zeros((len(boxes), 2), np.int64)
    for bit, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(true), bool)
        for index in range(len(boxes)):
            best = _best(shares[index], threshold, taken, crowd)
            if best is not None:
                taken[best] = True
                bits[index, int(crowd[best])] |= 1 << bit
    return bits


def _best(shares: Array, threshold: float, taken: Array, crowd: Array) -> int | None:
    """The free truth of the largest IoU, the last of equal ones; a crowd only if no other fits."""
    least = min(threshold, 1 - 1e-10)
    for candidates in (~crowd & ~taken, crowd):
        fits = candidates & (shares >= least)
        if fits.any():
            largest = shares[fits].max()
            return int(np.flatnonzero(fits & (shares == largest))[-1])
    return None


def mean_average_precision(
    pictures: Sequence[Array], truths: Array, *, at_50_only: bool = False
) -> float:
    """Mean over classes (and thresholds) of average precision; NaN without a true box.

    Args:
        pictures: What `match` gave for every picture.
        truths: ``(C,)`` true boxes of every class in all pictures, crowds left out.
        at_50_only: IoU 0.50 alone, else the mean over `THRESHOLDS`.
    """
    rows = np.concatenate([np.empty((0, 4)), *pictures])
    rows = rows[np.lexsort((np.arange(len(rows)), -rows[:, 1], rows[:, 0]))]
    bits = range(1 if at_50_only else len(THRESHOLDS))
    values: list[float] = []
    for label in np.flatnonzero(truths):
        start, end = np.searchsorted(rows[:, 0], (label, label + 1))
        values += [_average_precision(rows[start:end], int(truths[label]), bit) for bit in bits]
    return float(np.mean(values)) if values else float("nan")


def _average_precision(rows: Array, truths: int, bit: int) -> float:
    """Of one class at one threshold, boxes best first: monotone precision at 101 recalls."""
    hits, ignored = ((rows[:, column].astype(np.int64) >> bit) & 1 for column in (2, 3))
    right, wrong = np.cumsum(hits), np.cumsum((hits == 0) & (ignored == 0))
    precision = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / truths, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[at].mean())
