"""Losses of recipes of kind network and code: by the declared answer, a teacher, or the feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from simsplit.errors import ScenarioError
from simsplit.scenario.operating_points import Network
from simsplit.training.batches import Batch

IGNORED = 255  # label of pixels that have none
TRUTH = ("label", "segmentation", "disparity", "target", "clean")  # arrays that losses read
_LEAST = 1e-8  # variance


def first_tensor(output: Any) -> Tensor:
    """The first tensor of a network's output."""
    tensor: Tensor = tree_leaves(output)[0]
    return tensor


def task_loss(network: Network, output: Any, batch: Batch) -> Tensor:
    """The loss of the declared answer: cross-entropy of classes, mean square error of numbers.

    Raises:
        ScenarioError: The answer is none that can be trained, or the data lack its truth.
    """
    values = first_tensor(output).float()
    match network.answer:
        case "label":
            return functional.cross_entropy(values, _truth(batch, "label").long())
        case "segmentation":
            labels = _truth(batch, "segmentation").long()
            return functional.cross_entropy(values, labels, ignore_index=IGNORED)
    message = "no training for this answer; leave objective task out"
    raise ScenarioError(message, path="network.answer", value=network.answer)


def _truth(batch: Batch, name: str) -> Tensor:
    if name not in batch:
        message = f"the data have no '{name}', which the answer is trained on"
        raise ScenarioError(message, path="data", choices=sorted(set(batch) & set(TRUTH)))
    return batch[name]


def relative_error(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean square error over the variance of what is wanted."""
    variance = wanted.var(unbiased=False).clamp_min(_LEAST)
    return (seen - wanted).square().mean() / variance


def output_distillation(
    network: Network, seen: Any, wanted: Any, temperature: float
) -> Tensor:
    """Divergence of softened classes times T² (Hinton et al., 2015), else the relative error."""
    student, teacher = first_tensor(seen).float(), first_tensor(wanted).float()
    if student.shape != teacher.shape:
        message = "the teacher's output has another shape"
        found = f"{tuple(teacher.shape[1:])} for {tuple(student.shape[1:])}"
        raise ScenarioError(message, path="phases.objectives.distill", value=found)
    if network.answer not in ("label", "segmentation"):
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
    seen: Mapping[str, Any], wanted: Mapping[str, Any], pairs: Sequence[tuple[str, str]]
) -> Tensor:
    """Mean over nodes of the relative error of the first tensor each gives."""
    errors = []
    for mine, theirs in pairs:
        student, teacher = first_tensor(seen[mine]), first_tensor(wanted[theirs])
        if student.shape != teacher.shape:
            message = f"node '{theirs}' of the teacher has another shape than '{mine}'"
            found = f"{tuple(teacher.shape[1:])} for {tuple(student.shape[1:])}"
            raise ScenarioError(message, path="phases.objectives.distill.nodes", value=found)
        errors.append(relative_error(student.float(), teacher.float()))
    return torch.stack(errors).mean()
