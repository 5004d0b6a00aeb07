"""What a network gave against what the data set wants: every mismatch names both sides."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from simsplit.errors import ScenarioError
from simsplit.scenario.operating_points import Network
from simsplit.tasks.scorer import Scorer
from simsplit.tasks.wanted import centre_maps

N, H, W = 2, 8, 12
RNG = np.random.default_rng(0)
TRUTH: dict[str, Any] = {
    "image": RNG.integers(0, 256, (N, H, W, 3)).astype(np.uint8),
    "label": np.array([3, 9]),
    "label_shape": np.array([0, 2]),
    "segmentation": RNG.integers(0, 8, (N, H, W)).astype(np.uint8),
    "disparity": RNG.uniform(1, 20, (N, H, W)).astype(np.float32),
    "target": RNG.normal(size=(N, 3)).astype(np.float32),
    "boxes": np.array([[[0, 0, 4, 4]], [[2, 2, 6, 6]]], np.float32),
    "box_labels": np.array([[0], [1]]),
}
CLASSES = {"label": 10, "label_shape": 4, "segmentation": 8, "box_labels": 2}
SEVERAL = [{"kind": "classification"}, {"kind": "classification", "name": "shape", "output": 1}]


def scorer(answer: Any, classes: Mapping[str, int] = CLASSES) -> Scorer:
    network = Network(name="net", source="own:Net", weights="w.pth", answer=answer)
    return Scorer(network, TRUTH, classes)


def boxes(**changes: Any) -> list[dict[str, torch.Tensor]]:
    content = {
        "boxes": torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 3.0, 3.0]]),
        "scores": torch.tensor([0.5, 0.9]),
        "labels": torch.tensor([1, 2]),
    }
    return [{k: v for k, v in (content | changes).items() if v is not None}]


NAN = float("nan")
LOGITS = torch.arange(10.0)[None]
MAP = torch.zeros(1, 8, H, W)
CLASSIFICATION = {"kind": "classification"}
SEGMENTATION = {"kind": "segmentation"}
DETECTION = {"kind": "detection"}
WRONG: dict[str, tuple[Any, Any, list[str]]] = {
    "feature and logits": ("label", (torch.zeros(1, 128), LOGITS), ["networks.net.answer.output", "several tensors (0 float32 (1, 128), 1 float32 (1, 10))", "Choices: 0, 1"]),
    "seven outputs for ten classes": ("label", LOGITS[:, :7], ["networks.net.answer:", "gives 7 classes", "wants 10 classes of 'label'", "labels: [...]"]),
    "more outputs than classes": (CLASSIFICATION, torch.zeros(1, 1000), ["gives 1000 classes", "wants 10 classes"]),
    "NaN logits": ("label", LOGITS * NAN, ["10 of 10 values that are NaN", "wants numbers", "sample 1"]),
    "infinite logit": (CLASSIFICATION, torch.full((1, 10), torch.inf), ["10 of 10 values that are infinite"]),
    "no batch": ("label", LOGITS[0], ["gives float (10,)", "wants logits (1, 10) for 'label'"]),
    "a map for a class": (CLASSIFICATION, torch.zeros(1, 10, 4, 4), ["gives float (1, 10, 4, 4)", "wants logits (1, 10)"]),
    "two samples for one": (CLASSIFICATION, torch.zeros(2, 10), ["gives float (2, 10)", "logits (1, 10)"]),
    "a class itself": ("label", torch.tensor([3]), ["gives int64 (1,)", "logits (1, 10) for 'label', in floating point"]),
    "whole-number logits": (CLASSIFICATION, torch.zeros(1, 10, dtype=torch.int32), ["gives int32 (1, 10)", "floating point"]),
    "bool logits": (CLASSIFICATION, torch.zeros(1, 10, dtype=torch.bool), ["gives bool (1, 10)"]),
    "no tensor": ("label", {"logits": [1.0, 2.0]}, ["gives no tensor but dict"]),
    "nothing": ("label", None, ["gives no tensor but NoneType"]),
    "no such output by name": (CLASSIFICATION | {"output": "out"}, {"logits": LOGITS}, ["answer.output", "no such tensor but logits float32 (1, 10)", "'out'", "Choices: logits"]),
    "no such output by index": (CLASSIFICATION | {"output": 2}, (LOGITS, LOGITS), ["no such tensor but 0 float32 (1, 10), 1 float32 (1, 10)", "(found: 2)"]),
    "the wrong one by name": (CLASSIFICATION | {"output": "feature"}, {"feature": torch.zeros(1, 64), "logits": LOGITS}, ["gives 64 classes", "10 classes"]),
    "no probabilities": (CLASSIFICATION | {"probabilities": True}, LOGITS, ["sum to 45", "probabilities, which sum to 1"]),
    "label beyond the network's classes": (CLASSIFICATION | {"labels": [0, 1, 2, 3, 4, 5, 6, 7, 8, 12]}, LOGITS, ["answer.labels", "gives 10 classes, 0 to 9", "12"]),
    "second head": (SEVERAL, (LOGITS, torch.zeros(1, 5)), ["networks.net.answer[0].output", "several tensors"]),
    "head of another size": ([CLASSIFICATION | {"output": 0}, SEVERAL[1]], (LOGITS, torch.zeros(1, 5)), ["networks.net.answer[1]:", "gives 5 classes", "4 classes of 'label_shape'"]),
    "19 classes on 8": ("segmentation", torch.zeros(1, 19, H, W), ["gives 19 classes", "8 classes of 'segmentation'"]),
    "quarter-size maps": ("segmentation", torch.zeros(1, 8, 2, 3), ["gives maps of 2 x 3", "wants 8 x 12", "resize: true"]),
    "label map": ("segmentation", torch.zeros(1, H, W, dtype=torch.int64), ["gives int64 (1, 8, 12)", "logits (1, 8, 8, 12)"]),
    "label map of floats": (SEGMENTATION, torch.zeros(1, H, W), ["gives float (1, 8, 12)", "logits (1, 8, 8, 12) for 'segmentation'"]),
    "dictionary with the label first": ("segmentation", {"label": torch.tensor([1]), "out": MAP}, ["several tensors (label int64 (1,), out float32 (1, 8, 8, 12))", "Choices: label, out"]),
    "a class for a map": (SEGMENTATION, torch.zeros(1, 8), ["gives float (1, 8)", "logits (1, 8, 8, 12)"]),
    "channels last": (SEGMENTATION, torch.zeros(1, H, W, 8), ["maps of 12 x 8", "8 x 12"]),
    "one NaN in a map": (SEGMENTATION, torch.where(torch.arange(8 * H * W).reshape(1, 8, H, W) == 5, NAN, MAP), ["1 of 768 values that are NaN"]),
    "disparities of two channels": ({"kind": "disparity"}, torch.zeros(1, 2, H, W), ["gives float (1, 2, 8, 12)", "disparities (1, 8, 12) in px"]),
    "small disparities": ({"kind": "disparity"}, torch.zeros(1, 1, 4, 6), ["maps of 4 x 6", "resize: true"]),
    "numbers for others": ({"kind": "regression"}, torch.zeros(1, 4), ["gives float (1, 4)", "numbers (1, 3) for 'target'"]),
    "a grey picture": ({"kind": "reconstruction"}, torch.zeros(1, 1, H, W), ["gives float (1, 1, 8, 12)", "a picture (1, 3, 8, 12)"]),
    "boxes without scores": (DETECTION, boxes(scores=None), ["boxes float32 (2, 4), labels int64 (2,)", "tensors called boxes, scores, labels"]),
    "logits for boxes": (DETECTION, LOGITS, ["gives float32 (1, 10)", "tensors called boxes, scores, labels"]),
    "boxes of five numbers": (DETECTION, boxes(boxes=torch.zeros(2, 5)), ["boxes float32 (2, 5)", "boxes (n, 4), scores (n,) and labels (n,)"]),
    "boxes of two pictures": (DETECTION, boxes(boxes=torch.zeros(2, 3, 4), scores=torch.zeros(2, 3), labels=torch.ones(2, 3).long()), ["boxes float32 (2, 3, 4)", "maybe behind a batch of 1"]),
    "boxes of a batch, labels of none": (DETECTION, boxes(boxes=torch.zeros(1, 2, 4), scores=torch.zeros(1, 2)), ["boxes float32 (1, 2, 4)", "labels int64 (2,)", "labels (n,)"]),
    "a score of no box": (DETECTION, boxes(boxes=torch.zeros(1, 2, 4), scores=torch.tensor(0.5)), ["scores float32 ()", "scores (n,)"]),
    "NaN score of a batch": (DETECTION, boxes(boxes=torch.zeros(1, 2, 4), scores=torch.tensor([[0.2, NAN]]), labels=torch.ones(1, 2).long()), ["1 of 2 scores that are NaN"]),
    "fewer labels than boxes": (DETECTION, boxes(labels=torch.tensor([1])), ["labels int64 (1,)", "labels (n,)"]),
    "labels of floats": (DETECTION, boxes(labels=torch.tensor([1.0, 2.0])), ["labels that are whole numbers"]),
    "boxes of whole numbers": (DETECTION, boxes(boxes=torch.zeros(2, 4, dtype=torch.int64)), ["boxes and scores in floating point"]),
    "width and height for the second corner": (DETECTION, boxes(boxes=torch.tensor([[5.0, 5, 2, 2], [0, 0, 1, 1]])), ["right or lower edge comes first", "x0 y0 x1 y1"]),
    "scores above 1": (DETECTION, boxes(scores=torch.tensor([0.2, 7.5])), ["scores 0.2 to 7.5", "scores from 0 to 1"]),
    "NaN score": (DETECTION, boxes(scores=torch.tensor([0.2, NAN])), ["1 of 2 scores that are NaN"]),
    "infinite box": (DETECTION, boxes(boxes=torch.tensor([[0, 0, 4, torch.inf], [0, 0, 1, 1]])), ["1 of 8 box coordinates that are infinite"]),
    "unknown label of a box": (DETECTION, boxes(labels=torch.tensor([1, 3])), ["gives a box of label 3", "2 classes, labels 1 to 2", "first_label"]),
    "background as a class": (DETECTION, boxes(labels=torch.tensor([0, 1])), ["gives a box of label 0"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_output_is_an_error_that_names_both_sides(name: str) -> None:
    answer, output, parts = WRONG[name]
    with pytest.raises(ScenarioError) as caught:
        scorer(answer).read(output, 1)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


UNFIT: dict[str, tuple[Any, dict[str, int], list[str]]] = {
    "no such truth": ({"kind": "classification", "name": "colour"}, CLASSES, ["held against 'label_colour'", "it has label, label_shape, segmentation"]),
    "classes said otherwise": (CLASSIFICATION | {"classes": 7}, CLASSES, ["answer.classes", "has 10 classes in 'label', the answer says 7"]),
    "labels of others": (SEGMENTATION | {"labels": [0, 1]}, CLASSES, ["answer.labels", "has 8 classes in 'segmentation', the answer says 2"]),
    "fewer classes than labels": (CLASSIFICATION | {"classes": 9}, {}, ["labels up to 9 in 'label', the answer says 9"]),
    "truth that is no class": (CLASSIFICATION | {"truth": "target"}, {}, ["'target' is float32, which is no class"]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_an_answer_that_the_data_set_cannot_judge_is_told_before_anything_runs(name: str) -> None:
    answer, classes, parts = UNFIT[name]
    with pytest.raises(ScenarioError) as caught:
        scorer(answer, classes)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def test_boxes_may_stand_behind_a_batch_of_one() -> None:
    plain = boxes()[0]
    batched = {name: values[None] for name, values in plain.items()}
    spec = DETECTION | {"min_score": 0.6}
    for output in (batched, {"found": batched, "map": MAP}):
        said = spec | ({"output": "found"} if "found" in output else {})
        found, one = scorer(said).read(output, 0)[0], scorer(spec).read([plain], 0)[0]
        assert isinstance(found, dict) and isinstance(one, dict)
        assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in one.items()}
        assert found["labels"].tolist() == [1]


def test_raw_maps_of_a_detector_have_the_data_sets_classes() -> None:
    said = DETECTION | {"centres": "heat", "extents": "sides"}
    (wanted,) = scorer(said).wanted
    heat, sides = torch.zeros(3, 2, 4, 5), torch.zeros(3, 4, 4, 5)
    maps = centre_maps({"heat": heat, "sides": sides}, wanted)
    assert maps is not None and maps[0] is heat and maps[1] is sides
    (other,) = scorer(said | {"labels": [7, 3]}).wanted
    for output, of, parts in (
        ({"heat": heat}, wanted, ("answer.extents", "no such tensor", "'sides'")),
        ({"heat": heat[:, :1], "sides": sides}, wanted, ("centres (3, 1, 4, 5)", "(B, 2, h, w)")),
        ({"heat": heat, "sides": sides[:, :3]}, wanted, ("extents (3, 3, 4, 5)",)),
        ({"heat": heat, "sides": sides[..., 1:]}, wanted, ("extents (3, 4, 4, 4)",)),
        ({"heat": heat, "sides": sides}, other, ("centres (B, 7, h, w)",)),
    ):
        with pytest.raises(ScenarioError) as caught:
            centre_maps(output, of)
        assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert centre_maps({}, scorer(DETECTION).wanted[0]) is None


def test_without_known_classes_the_labels_themselves_bound_them() -> None:
    with pytest.raises(ScenarioError, match="gives 7 classes; the data set wants labels up to 9"):
        scorer("label", {}).read(LOGITS[:, :7], 0)
    assert len(scorer("label", {}).read(torch.zeros(1, 12), 0)[0]) == 12


def test_outputs_are_taken_by_name_and_by_index() -> None:
    output = {"feature": torch.zeros(1, 64), "logits": LOGITS}
    for where in ("logits", 1):
        found = scorer(CLASSIFICATION | {"output": where}).read(output, 0)[0]
        assert np.array_equal(found, LOGITS[0])
    nested = (torch.zeros(1, 64), {"logits": LOGITS})
    found = scorer(CLASSIFICATION | {"output": "1.logits"}).read(nested, 0)[0]
    assert np.array_equal(found, LOGITS[0])


def test_labels_choose_and_order_the_networks_classes() -> None:
    order = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    found = scorer(CLASSIFICATION | {"labels": order}).read(torch.arange(20.0)[None], 0)[0]
    assert np.array_equal(found, order)


def test_maps_are_scaled_only_on_request() -> None:
    small = torch.zeros(1, 8, H // 2, W // 2)
    small[:, 5, :, : W // 4] = 9.0
    small[:, 2, :, W // 4 :] = 9.0
    found = np.asarray(scorer(SEGMENTATION | {"resize": True}).read(small, 0)[0])
    assert found.dtype == np.uint8 and found.shape == (H, W)
    assert (found[:, : W // 2] == 5).all() and (found[:, W // 2 :] == 2).all()


def test_boxes_are_the_data_sets_best_first() -> None:
    found = scorer(DETECTION).read(boxes(), 0)[0]
    assert isinstance(found, Mapping)
    assert found["labels"].tolist() == [1, 0]
    assert found["scores"].tolist() == pytest.approx([0.9, 0.5])
    mapped = scorer(DETECTION | {"labels": [7, 1], "min_score": 0.1}).read(boxes(), 0)[0]
    assert isinstance(mapped, Mapping) and mapped["labels"].tolist() == [1]


def test_halves_are_read_as_floats() -> None:
    found = scorer(CLASSIFICATION).read(LOGITS.to(torch.bfloat16), 0)[0]
    assert np.asarray(found).dtype == np.float32


def test_what_answers_weigh() -> None:
    assert scorer(CLASSIFICATION).bits([np.zeros(10)]) == 8
    assert scorer(DETECTION).bits(scorer(DETECTION).read(boxes(), 0)) == 2 * (4 * 16 + 8 + 8)
    empty = {key: value[:0] for key, value in boxes()[0].items()}
    assert scorer(DETECTION).bits(scorer(DETECTION).read([empty], 0)) == 8
    assert scorer({"kind": "regression"}).bits([np.zeros(3, np.float32)]) == 96
    picture = np.zeros((H, W, 3), np.uint8)
    assert scorer({"kind": "reconstruction"}).bits([picture]) == 8 * picture.size
