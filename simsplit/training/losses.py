"""Losses of recipes of kind network and code: by the declared answer, a teacher, or the feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from simsplit.errors import ScenarioError
from simsplit.scenario.answers import (
    ClassificationAnswer,
    CustomAnswer,
    DetectionAnswer,
    DisparityAnswer,
    ReconstructionAnswer,
    SegmentationAnswer,
    answers_of,
)
from simsplit.scenario.operating_points import Network
from simsplit.tasks.wanted import Wanted, chosen
from simsplit.training.batches import Batch

IGNORED = 255  # label of pixels that have none
_LEAST = 1e-8  # variance


def first_tensor(output: Any) -> Tensor:
    """The first tensor of a network's output."""
    tensor: Tensor = tree_leaves(output)[0]
    return tensor


def check_trainable(network: Network) -> None:
    """Every declared answer has a loss.

    Raises:
        ScenarioError: Detections and answers of a user's own have none here.
    """
    several = isinstance(network.answer, tuple)
    for index, spec in enumerate(answers_of(network.answer)):
        if isinstance(spec, DetectionAnswer | CustomAnswer):
            path = f"network.answer[{index}].kind" if several else "network.answer.kind"
            message = "no training for this kind of answer; leave objective task out, or distil"
            raise ScenarioError(message, path=path, value=spec.kind)


def task_loss(wanted: Sequence[Wanted], output: Any, batch: Batch) -> Tensor:
    """Sum over the declared answers: cross-entropy of classes, mean square error of numbers.

    An answer whose truth is nowhere known in the batch counts 0.

    Args:
        wanted: The answers, as `simsplit.tasks.scorer.Scorer` has them.
        output: Of the network, for the batch.
        batch: With the truth that the answers are held against.
    """
    losses = [_answer_loss(one, chosen(output, one).float(), batch) for one in wanted]
    return torch.stack(losses).sum()


def _answer_loss(one: Wanted, values: Tensor, batch: Batch) -> Tensor:
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
            if not bool((truth != IGNORED).any()):
                return 0.0 * values.sum()
            return functional.cross_entropy(classes, truth.long(), ignore_index=IGNORED)
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
    network: Network, seen: Any, wanted: Any, temperature: float, path: str
) -> Tensor:
    """Divergence of softened classes times T² (Hinton et al., 2015), else the relative error."""
    student, teacher = first_tensor(seen).float(), first_tensor(wanted).float()
    if student.shape != teacher.shape:
        message = "the teacher's output has another shape"
        found = f"{tuple(teacher.shape[1:])} for {tuple(student.shape[1:])}"
        raise ScenarioError(message, path=path, value=found)
    first = next(iter(answers_of(network.answer)), None)
    if not isinstance(first, ClassificationAnswer | SegmentationAnswer):
        return relative_error(student, teacher)
    mine = functional.log_softmax(student / temperature, dim=1)
    theirs = functional.softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(mine, theirs, reduction="none").sum(dim=1).mean()
    return divergence * temperature**2


class NodeReader(fx.Interpreter):
    """Runs a traced module and keeps what chosen nodes give.

    Args:
        module: Traced.
        names: Of the nodes, as the traced graph has them.
    """

    def __init__(self, module: fx.GraphModule, names: Sequence[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self.seen: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The node's value, kept if it is wanted."""
        value = super().run_node(n)
        if n.name in self._names:
            self.seen[n.name] = value
        return value


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
