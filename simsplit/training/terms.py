"""Terms of a phase's sum of networks and codes alike: the answers' losses, compressibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from simsplit.errors import ScenarioError
from simsplit.networks.graph import Graph, trace
from simsplit.scenario.answers import (
    AnswerSpec,
    ClassificationAnswer,
    DetectionAnswer,
    SegmentationAnswer,
    answer_keys,
    answers_of,
)
from simsplit.scenario.operating_points import Network
from simsplit.tasks.wanted import Wanted
from simsplit.training.aims import Compressibility, Objectives
from simsplit.training.batches import Batch
from simsplit.training.losses import NodeReader, task_losses
from simsplit.training.objectives import UncertaintyWeights, compressibility_loss
from simsplit.training.phases import CodeRecipe, NetworkRecipe

UNCERTAINTY = "uncertainty"  # the part that holds learned weights


def learned_weights(recipe: NetworkRecipe | CodeRecipe) -> dict[str, nn.Module]:
    """The part with a log variance per answer; nothing if no phase learns weights."""
    if not any(recipe.objectives(phase).uncertainty for phase in recipe.phases):
        return {}
    answers = answers_of(recipe.network.answer)
    named = list(zip(answer_keys(answers), answers, strict=True))
    classes = tuple(key for key, one in named if _is_of_classes(one))
    numbers = tuple(key for key, one in named if not _is_of_classes(one))
    return {UNCERTAINTY: UncertaintyWeights(classes, numbers)}


def _is_of_classes(answer: AnswerSpec) -> bool:
    return isinstance(answer, ClassificationAnswer | SegmentationAnswer | DetectionAnswer)


def log_variances(parts: Mapping[str, nn.Module]) -> dict[str, float]:
    """What the learned weights have become, by the answers' keys; empty without."""
    learned = parts.get(UNCERTAINTY)
    if not isinstance(learned, UncertaintyWeights):
        return {}
    return {name: round(float(s.detach()), 4) for name, s in learned.log_variance.items()}


def task_term(
    parts: Mapping[str, nn.Module],
    asked: Objectives,
    wanted: Sequence[Wanted],
    output: Any,
    batch: Batch,
) -> Tensor:
    """The answers' losses as a phase weighs them.

    Args:
        parts: Of the course, learned weights among them.
        asked: Of the phase.
        wanted, output, batch: As `simsplit.training.losses.task_losses` takes them.
    """
    weights = asked.weights([one.spec for one in wanted])
    losses = task_losses(wanted, output, batch, weights, asked.jaccard)
    if asked.uncertainty:
        weighted: Tensor = parts[UNCERTAINTY](losses)
        return weighted
    return torch.stack(list(losses.values())).sum()


def compressibility_path(index: int) -> str:
    """Where the recipe says a phase's compressibility."""
    return f"phases[{index}].objectives.compressibility"


def compressibility_term(asked: Compressibility, feature: Any, index: int) -> Tensor:
    """The weighted `simsplit.training.objectives.compressibility_loss` of a feature.

    Args:
        asked: Of the phase.
        feature: What is to compress well.
        index: Of the phase.

    Raises:
        ScenarioError: The feature is no map ``(B, C, h, w)``.
    """
    if not isinstance(feature, Tensor) or feature.ndim != 4:
        given = f"a vector of {tuple(feature.shape[1:])}" if isinstance(feature, Tensor) else "none"
        message, path = "compressibility is of maps (C, h, w)", compressibility_path(index)
        raise ScenarioError(message, path=path, value=given)
    return asked.weight * compressibility_loss(feature.float(), asked.normalised_by)


class FeatureReader:
    """A network in training that also tells what one of its nodes gives.

    Args:
        module: In training; its own parameters and statistics are used.
        network: As the recipe says it.
        example: One input.
        at: Readable name of the node.
        path: Where the recipe says it.

    Raises:
        ScenarioError: There is no such node, or torch.fx cannot follow the network.
    """

    def __init__(
        self, module: nn.Module, network: Network, example: Tensor, at: str, path: str
    ) -> None:
        self.graph: Graph = trace(
            module, example, network.leaves, unknown_macs=network.unknown_macs
        )
        names = {step.name: step.node.name for step in self.graph.steps[1:-1]}
        if at not in names:
            raise ScenarioError("no such node", path=path, value=at, choices=list(names))
        if not _is_live(self.graph.module):
            message = "torch.fx cannot follow this network, so no node of it is seen in training"
            raise ScenarioError(message, path=path, value=at)
        self.node = names[at]

    def __call__(self, images: Tensor) -> tuple[Any, Any]:
        """The network's output for pictures, and what the node gives."""
        reader = NodeReader(self.graph.module, [self.node])
        output = self.graph.answer.conform(reader.run(images))
        return output, reader.seen[self.node]


def _is_live(traced: fx.GraphModule) -> bool:
    """Whether a graph calls the network's own modules (not torch.export's), whose modes change."""
    return any(node.op == "call_module" for node in traced.graph.nodes)
