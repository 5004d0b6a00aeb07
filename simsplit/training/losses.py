"""Losses of recipes of kind network and code: by the declared answer, a teacher, or the feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from simsplit.errors import ScenarioError
from simsplit.scenario.answers import (
    AnswerSpec,
    ClassificationAnswer,
    CustomAnswer,
    DetectionAnswer,
    DisparityAnswer,
    ReconstructionAnswer,
    SegmentationAnswer,
    answer_keys,
    answers_of,
)
from simsplit.scenario.operating_points import Network
from simsplit.tasks.wanted import Wanted, centre_maps, chosen
from simsplit.training.batches import Batch
from simsplit.training.centres import centre_loss, targets_of
from simsplit.training.objectives import segmentation_loss

IGNORED = 255  # label of pixels that have none
_LEAST = 1e-8  # variance


def first_tensor(output: Any) -> Tensor:
    """The first tensor of a network's output."""
    tensor: Tensor = tree_leaves(output)[0]
    return tensor


def check_trainable(network: Network, weights: Mapping[str, float]) -> None:
    """Every declared answer that counts has a loss.

    Args:
        network: With its answers.
        weights: By their keys, see `simsplit.training.phases.Objectives.weights`.

    Raises:
        ScenarioError: Detections without raw maps and answers of a user's own have none here.
    """
    several, answers = isinstance(network.answer, tuple), answers_of(network.answer)
    for index, (key, spec) in enumerate(zip(answer_keys(answers), answers, strict=True)):
        path = f"network.answer[{index}]" if several else "network.answer"
        if weights[key]:
            _check_trainable(spec, path)


def _check_trainable(spec: AnswerSpec, path: str) -> None:
    hint = "leave objective task out, or distil"
    if isinstance(spec, DetectionAnswer) and spec.centres is None:
        hint = f"say centres and extents, the maps of a centre-point detector; else {hint}"
    elif not isinstance(spec, CustomAnswer):
        return
    message = f"no training for this kind of answer; {hint}"
    raise ScenarioError(message, path=f"{path}.kind", value=spec.kind)


def task_losses(
    wanted: Sequence[Wanted],
    output: Any,
    batch: Batch,
    weights: Mapping[str, float],
    jaccard: float = 0.0,
) -> dict[str, Tensor]:
    """Each answer's loss times its weight, by the answer's key; answers of weight 0 have none.

    Cross-entropy of classes, mean square error of numbers, of detections the loss of centre points.
    An answer whose truth is nowhere known in the batch counts 0.

    Args:
        wanted: The answers, as `simsplit.tasks.scorer.Scorer` has them.
        output: Of the network, for the batch.
        batch: With the truth that the answers are held against.
        weights: By the answers' keys.
        jaccard: Weight, in the loss of maps of classes, of 1 - the batch's soft mean IoU.
    """
    named = zip(answer_keys([one.spec for one in wanted]), wanted, strict=True)
    counting = {key: one for key, one in named if weights[key]}
    return {k: weights[k] * _loss_of(one, output, batch, jaccard) for k, one in counting.items()}


def _loss_of(one: Wanted, output: Any, batch: Batch, jaccard: float) -> Tensor:
    maps = centre_maps(output, one)
    if maps is None:
        return _answer_loss(one, chosen(output, one).float(), batch, jaccard)
    centres, extents = (each.float() for each in maps)
    grid = (int(centres.shape[2]), int(centres.shape[3]))
    targets = targets_of(batch, one, grid, int(centres.shape[1]))
    return centre_loss(centres, extents, targets)


def _answer_loss(one: Wanted, values: Tensor, batch: Batch, jaccard: float) -> Tensor:
    spec, truth = one.spec, batch[one.spec.truth_key]
    match spec:
        case ClassificationAnswer():
            classes = values if spec.labels is None else values[:, list(spec.labels)]
            if spec.probabilities:
                return functional.nll_loss(classes.clamp_min(_LEAST).log(), truth.long())
            return functional.cross_entropy(classes, truth.long())
        case SegmentationAnswer():
            maps = _sized(values, truth, one, resize=spec.resize)
            classes = maps if spec.labels is None else maps[:, list(spec.labels)]
            return _map_loss(classes, truth.long(), jaccard)
        case DisparityAnswer():
            maps = values.unsqueeze(1) if values.ndim == 3 else values
            seen = _sized(maps, truth, one, resize=spec.resize)[:, 0]
            known = ~torch.isnan(truth)
            if not bool(known.any()):
                return 0.0 * values.sum()
            return (seen[known] - truth[known]).square().mean()
        case ReconstructionAnswer():
            name = "clean" if spec.truth is None and "clean" in batch else spec.truth_key
            target = batch[name].permute(0, 3, 1, 2).float() / 255.0
            return (values - target).square().mean()
    return (values - truth.float()).square().mean()


def _map_loss(classes: Tensor, truth: Tensor, jaccard: float) -> Tensor:
    """Cross-entropy of maps ``(B, C, H, W)`` where there is a label, plus soft IoU; 0 without."""
    known = truth != IGNORED
    if not bool(known.any()):
        return 0.0 * classes.sum()
    if not jaccard:
        return functional.cross_entropy(classes, truth, ignore_index=IGNORED)
    if not bool(known.all()):
        classes = classes.permute(0, 2, 3, 1)[known][..., None, None]  # (pixels, C, 1, 1)
        truth = truth[known][:, None, None]
    return segmentation_loss(classes, truth, classes.new_ones(classes.shape[1]), jaccard)


def _sized(maps: Tensor, truth: Tensor, one: Wanted, *, resize: bool) -> Tensor:
    """Maps ``(B, C, h, w)`` of the truth's size, scaled bilinearly where that was asked for."""
    size = (int(truth.shape[1]), int(truth.shape[2]))
    if tuple(maps.shape[2:]) == size:
        return maps
    if not resize:
        message = "maps of another size than the truth; say resize: true to scale them"
        raise ScenarioError(message, path=one.path, value=tuple(maps.shape[2:]))
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)


def relative_error(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean square error over the variance of what is wanted."""
    variance = wanted.var(unbiased=False).clamp_min(_LEAST)
    return (seen - wanted).square().mean() / variance


def output_distillation(
    wanted: Sequence[Wanted], seen: Any, taught: Any, temperature: float, path: str
) -> Tensor:
    """Sum over the declared answers of how far the network's are from the teacher's.

    Classes and maps of classes: divergence of softened ones times T² (Hinton et al., 2015).
    Detections: relative errors of centres (after the sigmoid) and of extents where the teacher has
    centres. Everything else, and the first tensor where nothing is declared: the relative error.

    Args:
        wanted: The answers.
        seen, taught: What the network and what the teacher gives.
        temperature: T.
        path: Where the recipe says whom to learn from.

    Raises:
        ScenarioError: The teacher lacks a tensor, or gives one of another shape; detections whose
            raw maps the recipe does not name.
    """
    if not wanted:
        return relative_error(*_alike(first_tensor(seen), first_tensor(taught), path))
    return torch.stack([_distilled(one, seen, taught, temperature, path) for one in wanted]).sum()


def _distilled(one: Wanted, seen: Any, taught: Any, temperature: float, path: str) -> Tensor:
    theirs = replace(one, path=f"{path}.teacher")
    if isinstance(one.spec, DetectionAnswer):
        maps, other = centre_maps(seen, one), centre_maps(taught, theirs)
        if maps is None or other is None:
            message = "detections are distilled on their raw maps: say centres and extents"
            raise ScenarioError(message, path=f"{one.path}.kind", value=one.spec.kind)
        pairs = [_alike(*pair, path) for pair in zip(maps, other, strict=True)]
        return _centres_distilled(*pairs)
    student, teacher = _alike(chosen(seen, one), chosen(taught, theirs), path)
    if not isinstance(one.spec, ClassificationAnswer | SegmentationAnswer):
        return relative_error(student, teacher)
    if isinstance(one.spec, ClassificationAnswer) and one.spec.probabilities:
        student, teacher = (p.clamp_min(_LEAST).log() for p in (student, teacher))
    return softened_divergence(student, teacher, temperature)


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of the classes of dimension 1, both softened by T, times T²."""
    mine = functional.log_softmax(student / temperature, dim=1)
    theirs = functional.softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(mine, theirs, reduction="none").sum(dim=1).mean()
    return divergence * temperature**2


def _centres_distilled(centres: tuple[Tensor, Tensor], extents: tuple[Tensor, Tensor]) -> Tensor:
    """Relative error of probabilities, and that of extents weighted by the teacher's."""
    mine, theirs = (torch.sigmoid(maps) for maps in centres)
    weight = theirs.amax(dim=1, keepdim=True)
    weight = weight / weight.sum().clamp_min(_LEAST)
    student, teacher = extents
    mean = (weight * teacher).sum(dim=(0, 2, 3), keepdim=True)
    variance = (weight * (teacher - mean).square()).sum().clamp_min(_LEAST)
    error = (weight * (student - teacher).square()).sum() / variance
    return relative_error(mine, theirs) + error


def _alike(student: Tensor, teacher: Tensor, path: str) -> tuple[Tensor, Tensor]:
    """Both in float32, of one shape."""
    if student.shape != teacher.shape:
        message = "the teacher's output has another shape"
        found = f"{tuple(teacher.shape[1:])} for {tuple(student.shape[1:])}"
        raise ScenarioError(message, path=path, value=found)
    return student.float(), teacher.float()


class _SeenAllError(Exception):
    """Every wanted node has run."""


class NodeReader(fx.Interpreter):
    """Runs a traced module and keeps what chosen nodes give.

    Args:
        module: Traced.
        names: Of the nodes, as the traced graph has them.
    """

    def __init__(self, module: fx.GraphModule, names: Sequence[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self._ends_there = False
        self.seen: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The node's value, kept if it is wanted."""
        value = super().run_node(n)
        if n.name in self._names:
            self.seen[n.name] = value
            if self._ends_there and len(self.seen) == len(self._names):
                raise _SeenAllError
        return value

    def read(self, *inputs: Tensor) -> dict[str, Any]:
        """What the chosen nodes give; nothing that only later ones need is worked out."""
        self._ends_there = True
        try:
            with suppress(_SeenAllError):
                self.run(*inputs)
        finally:
            self._ends_there = False
        return self.seen


def nodes_distillation(
    seen: Mapping[str, Any], wanted: Mapping[str, Any], pairs: Sequence[tuple[str, str]], path: str
) -> Tensor:
    """Mean over nodes of the relative error of the first tensor each gives.

    ``path``: where the recipe names the nodes.
    """
    errors = []
    for mine, theirs in pairs:
        student, teacher = first_tensor(seen[mine]), first_tensor(wanted[theirs])
        if student.shape != teacher.shape:
            message = f"node '{theirs}' of the teacher has another shape than '{mine}'"
            found = f"{tuple(teacher.shape[1:])} for {tuple(student.shape[1:])}"
            raise ScenarioError(message, path=path, value=found)
        errors.append(relative_error(student.float(), teacher.float()))
    return torch.stack(errors).mean()
