"""What a network gave, checked against what the data set wants, and turned into answers.

Nothing is guessed: a tensor of another rank, size, number of classes or type than the truth asks
for, or a value that is not finite, is a `ScenarioError` that names both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.errors import ScenarioError
from simsplit.scenario.answers import (
    ClassificationAnswer,
    CustomAnswer,
    DetectionAnswer,
    DisparityAnswer,
    ReconstructionAnswer,
    RegressionAnswer,
    SegmentationAnswer,
)
from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.wanted import Wanted, chosen, in_words, leaves, shown

Array = NDArray[Any]
Answer = Array | Mapping[str, Array]
"""One sample's answer: logits ``(C,)`` or a map uint8 ``(H, W)`` or disparities ``(H, W)`` px or
numbers ``(K,)`` or a picture uint8 ``(H, W, C)``; of a detection ``boxes`` float32 ``(n, 4)``,
``scores`` float32 ``(n,)``, ``labels`` int64 ``(n,)`` of the data set."""

MOST_CLASSES_OF_A_MAP = IGNORED  # a map is uint8, and 255 has no label
DETECTED = ("boxes", "scores", "labels")
_SUM_TOLERANCE = 1e-3


def read_answer(output: Any, wanted: Wanted) -> Answer:
    """One sample's answer, from the network's output for a batch of one.

    Raises:
        ScenarioError: What the network gave is not what the data set wants.
    """
    match wanted.spec:
        case DetectionAnswer():
            return _boxes(output, wanted)
        case CustomAnswer():
            return _anything(output, wanted)
    values = _numbers(chosen(output, wanted), wanted)
    match wanted.spec:
        case ClassificationAnswer():
            return _logits(values, wanted)
        case SegmentationAnswer():
            return _class_map(values, wanted)
        case DisparityAnswer():
            return _disparity(values, wanted)
        case RegressionAnswer():
            return _regression(values, wanted)
        case ReconstructionAnswer():
            return _picture(values, wanted)


def _numbers(tensor: Tensor, wanted: Wanted) -> NDArray[np.float32]:
    """Of floating point and finite."""
    if not tensor.is_floating_point():
        wanted.fail(shown(tensor), f"{_in_general(wanted)}, in floating point")
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    _finite(array, wanted)
    return array


def _finite(array: Array, wanted: Wanted, what: str = "values") -> None:
    wrong = int((~np.isfinite(array)).sum())
    if wrong:
        name = "NaN" if np.isnan(array).any() else "infinite"
        wanted.fail(f"{wrong} of {array.size} {what} that are {name}", "numbers")


def _in_general(wanted: Wanted) -> str:
    """What an answer of this kind looks like."""
    height, width = wanted.size
    classes = "classes" if wanted.classes is None else str(_given_classes(wanted))
    match wanted.spec:
        case ClassificationAnswer():
            what = "probabilities" if wanted.spec.probabilities else "logits"
            return f"{what} (1, {classes}) for '{wanted.spec.truth_key}'"
        case SegmentationAnswer():
            return f"logits (1, {classes}, {height}, {width}) for '{wanted.spec.truth_key}'"
        case DisparityAnswer():
            return f"disparities (1, {height}, {width}) in px"
        case RegressionAnswer():
            return f"numbers (1, {', '.join(map(str, wanted.shape))}) for '{wanted.spec.truth_key}'"
        case _:
            return f"a picture (1, {wanted.shape[-1]}, {height}, {width})"


def _given_classes(wanted: Wanted) -> int | None:
    """How many classes the network is to give; None: as many as ``labels`` asks for, or more."""
    spec = wanted.spec
    if isinstance(spec, ClassificationAnswer | SegmentationAnswer) and spec.labels is not None:
        return spec.classes
    return wanted.classes


def _of_classes(values: NDArray[np.float32], wanted: Wanted) -> NDArray[np.float32]:
    """Dimension 0 is the data set's classes, after the number of them was checked."""
    spec, given, count = wanted.spec, len(values), _given_classes(wanted)
    assert isinstance(spec, ClassificationAnswer | SegmentationAnswer)
    is_counted = spec.labels is None or spec.classes is not None
    if is_counted and count is not None and given != count:
        _wrong_classes(given, count, wanted)
    if spec.labels is None:
        if given < wanted.least:
            wanted.fail(f"{given} classes", f"labels up to {wanted.least - 1}")
        return values
    if max(spec.labels) >= given:
        message = f"the network gives {given} classes, 0 to {given - 1}"
        raise ScenarioError(message, path=f"{wanted.path}.labels", value=max(spec.labels))
    chosen_rows: NDArray[np.float32] = values[list(spec.labels)]
    return chosen_rows


def _wrong_classes(given: int, count: int, wanted: Wanted) -> NoReturn:
    hint = "say labels: [...] if the network knows others or in another order"
    wanted.fail(f"{given} classes", f"{count} classes of '{wanted.spec.truth_key}'", hint)


def _logits(values: NDArray[np.float32], wanted: Wanted) -> Array:
    if values.ndim != 2 or len(values) != 1:
        wanted.fail(f"float {values.shape}", _in_general(wanted))
    spec = wanted.spec
    assert isinstance(spec, ClassificationAnswer)
    total = float(values[0].sum())
    if spec.probabilities and (values.min() < 0 or abs(total - 1) > _SUM_TOLERANCE):
        wanted.fail(f"numbers that sum to {total:.4g}", "probabilities, which sum to 1")
    return _of_classes(values[0], wanted)


def _class_map(values: NDArray[np.float32], wanted: Wanted) -> Array:
    spec = wanted.spec
    assert isinstance(spec, SegmentationAnswer)
    if values.ndim != 4 or len(values) != 1:
        wanted.fail(f"float {values.shape}", _in_general(wanted))
    values = _sized(values, wanted, resize=spec.resize)
    logits = _of_classes(values[0], wanted)
    if len(logits) > MOST_CLASSES_OF_A_MAP:
        wanted.fail(f"{len(logits)} classes", f"at most {MOST_CLASSES_OF_A_MAP} in a map")
    classes: NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
    return classes


def _sized(values: NDArray[np.float32], wanted: Wanted, *, resize: bool) -> NDArray[np.float32]:
    """Maps ``(1, C, h, w)`` of the pictures' size, scaled bilinearly where that was asked for."""
    if values.shape[2:] == wanted.size:
        return values
    if not resize:
        given, size = (f"{h} x {w}" for h, w in (values.shape[2:], wanted.size))
        hint = "say resize: true to scale them bilinearly"
        wanted.fail(f"maps of {given}", f"{size} for '{wanted.spec.truth_key}'", hint)
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(values), wanted.size, mode="bilinear", align_corners=False
    )
    array: NDArray[np.float32] = scaled.numpy()
    return array


def _disparity(values: NDArray[np.float32], wanted: Wanted) -> Array:
    spec = wanted.spec
    assert isinstance(spec, DisparityAnswer)
    plain = values[:, None] if values.ndim == 3 else values
    if plain.ndim != 4 or plain.shape[:2] != (1, 1):
        wanted.fail(f"float {values.shape}", _in_general(wanted))
    disparities: Array = _sized(plain, wanted, resize=spec.resize)[0, 0]
    return disparities


def _regression(values: NDArray[np.float32], wanted: Wanted) -> Array:
    if values.shape != (1, *wanted.shape):
        wanted.fail(f"float {values.shape}", _in_general(wanted))
    numbers: Array = values[0]
    return numbers


def _picture(values: NDArray[np.float32], wanted: Wanted) -> Array:
    height, width, channels = wanted.shape
    if values.shape != (1, channels, height, width):
        wanted.fail(f"float {values.shape}", _in_general(wanted))
    scaled = (values[0].clip(0.0, 1.0) * np.float32(255.0)).round().astype(np.uint8)
    picture: Array = scaled.transpose(1, 2, 0)
    return picture


def _boxes(output: Any, wanted: Wanted) -> dict[str, Array]:
    spec = wanted.spec
    assert isinstance(spec, DetectionAnswer)
    tensors = leaves(output)
    named = {key: f"{spec.output}.{key}" if spec.output is not None else key for key in DETECTED}
    if not all(name in tensors for name in named.values()):
        given = in_words(tensors) or type(output).__name__
        wanted.fail(given, f"tensors called {', '.join(named.values())}")
    boxes, scores, labels = (tensors[name].detach().cpu() for name in named.values())
    if [len(t) for t in (boxes, scores, labels) if t.ndim == (3 if t is boxes else 2)] == [1] * 3:
        boxes, scores, labels = boxes[0], scores[0], labels[0]  # of a detector that takes batches
    given = in_words({name: tensors[name] for name in named.values()})
    count = len(scores) if scores.ndim == 1 else -1
    if tuple(boxes.shape) != (count, 4) or tuple(labels.shape) != (count,):
        wanted.fail(given, "boxes (n, 4), scores (n,) and labels (n,), maybe behind a batch of 1")
    if not (boxes.is_floating_point() and scores.is_floating_point()):
        wanted.fail(given, "boxes and scores in floating point")
    if labels.is_floating_point():
        wanted.fail(given, "labels that are whole numbers")
    whole = labels.long().numpy()
    return _known_boxes(boxes.float().numpy(), scores.float().numpy(), whole, wanted)


def _known_boxes(boxes: Array, scores: Array, labels: Array, wanted: Wanted) -> dict[str, Array]:
    """Boxes of the data set's classes, in the picture's px, best first."""
    spec = wanted.spec
    assert isinstance(spec, DetectionAnswer)
    _finite(boxes, wanted, "box coordinates")
    _finite(scores, wanted, "scores")
    if len(scores) and not 0 <= float(scores.min()) <= float(scores.max()) <= 1:
        wanted.fail(f"scores {scores.min():.4g} to {scores.max():.4g}", "scores from 0 to 1")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        wanted.fail("boxes whose right or lower edge comes first", "boxes as x0 y0 x1 y1")
    classes = _own_labels(labels, wanted)
    keep = (classes >= 0) & (scores >= spec.min_score)
    order = np.argsort(-scores[keep], kind="stable")
    height, width = wanted.scale
    scaled = boxes * np.array([width, height, width, height], np.float32)
    found = {"boxes": scaled, "scores": scores, "labels": classes}
    return {key: array[keep][order] for key, array in found.items()}


def _own_labels(labels: Array, wanted: Wanted) -> Array:
    """Numbers of the data set's classes; -1: a class that it does not have (``labels`` says so)."""
    spec = wanted.spec
    assert isinstance(spec, DetectionAnswer)
    if spec.labels is not None:
        own = {label: index for index, label in enumerate(spec.labels)}
        return np.array([own.get(int(label), -1) for label in labels], np.int64)
    first, last = spec.first_label, spec.first_label + (wanted.classes or 2**31) - 1
    wrong = labels[(labels < first) | (labels > last)]
    if len(wrong):
        count = f"{wanted.classes} classes, labels {first} to {last}"
        hint = "say first_label, or labels: [...] if the network knows others"
        wanted.fail(f"a box of label {int(wrong[0])}", count, hint)
    return labels.astype(np.int64) - first


def _anything(output: Any, wanted: Wanted) -> Answer:
    """For a metric of the user's own: the tensor named, the only one, or all of them by name."""
    tensors = leaves(output)
    if wanted.spec.output is not None or len(tensors) == 1:
        tensors = {"": chosen(output, wanted)}
    if not tensors:
        wanted.fail(f"no tensor but {type(output).__name__}", "an answer")
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    for array in arrays.values():
        _finite(array, wanted)
    return arrays[""] if set(arrays) == {""} else arrays


def _array(tensor: Tensor) -> Array:
    """Without the batch's dimension."""
    plain = tensor.detach().cpu()
    array: Array = (plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).numpy()
    return array[0] if array.ndim and len(array) == 1 else array


def read_answers(output: Any, wanted: Sequence[Wanted]) -> list[Answer]:
    """One sample's answers, in the order in which the scenario says them."""
    return [read_answer(output, one) for one in wanted]
