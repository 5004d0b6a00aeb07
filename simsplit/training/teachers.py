"""Whom a phase learns from: the untouched network, or another one, at its output or at nodes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from simsplit.errors import ScenarioError
from simsplit.networks.graph import Graph
from simsplit.training.aims import Distillation
from simsplit.training.batches import Batch
from simsplit.training.losses import NodeReader, nodes_distillation, output_distillation
from simsplit.training.phases import (
    CodeRecipe,
    NetworkRecipe,
    network_content,
    teacher_of,
)
from simsplit.training.pupil import Pupil, whole_graph


class Taught(Protocol):
    """The training of a code, as a teacher sees it.

    Attributes:
        recipe: Of the code.
        graph: Of the network.
        pupil: What the network sees of pictures.
        original: The network as it was, before and behind where the decoder leads.
        parts: As they are trained.
    """

    recipe: CodeRecipe
    graph: Graph
    pupil: Pupil
    original: tuple[nn.Module, nn.Module]
    parts: dict[str, nn.Module]

    def untouched(self, batch: Batch) -> Tensor | None:
        """What the untouched network has where the tail begins; None: not at hand."""


def distill_path(index: int) -> str:
    """Where a recipe says whom a phase learns from."""
    return f"phases[{index}].objectives.distill"


def teacher_graph(distill: Distillation, recipe: NetworkRecipe | CodeRecipe, index: int) -> Graph:
    """The traced network that a phase names as its teacher.

    Raises:
        ScenarioError: There is no such network, or it takes one picture at a time.
    """
    assert distill.teacher is not None
    path = f"{distill_path(index)}.teacher"
    network = teacher_of(network_content(distill.teacher, Path.cwd(), path), path)
    return whole_graph(network, recipe.height, recipe.width, path)


class Teacher:
    """Whom a phase of a code learns from, and where.

    Args:
        course: Whose tail is taught.
        distill: What the recipe says.
        index: Of the phase.
    """

    def __init__(self, course: Taught, distill: Distillation, index: int) -> None:
        self.course, self.distill, self._path = course, distill, distill_path(index)
        self.graph = course.graph
        if distill.teacher is not None:
            self.graph = teacher_graph(distill, course.recipe, index)
        self._tail = copy.deepcopy(course.original[1]).requires_grad_(False)
        self._whole = copy.deepcopy(self.graph.module).requires_grad_(False)
        path, tail = f"{self._path}.nodes", _names(course.parts["tail"])
        own = [_node(course.graph, name, tail, path) for name in distill.nodes]
        others, there = distill.teacher_nodes or distill.nodes, _names(self._whole)
        path = f"{self._path}.teacher_nodes" if distill.teacher_nodes else path
        theirs = [_node(self.graph, name, there, path) for name in others]
        self._pairs = list(zip(own, theirs, strict=True))

    @property
    def sees_pictures(self) -> bool:
        """Whether the teacher is another network, which starts from the picture."""
        return self.distill.teacher is not None

    def error(self, given: Tensor, batch: Batch, *, answers: bool = True) -> tuple[Any, Tensor]:
        """The tail's output for what a decoder gives, and how far it is from the teacher.

        ``answers``: whether the output is asked for; if not and nodes are named, nothing is
        worked out behind the last of them, and the output is None.
        """
        mine, theirs = ([pair[i] for pair in self._pairs] for i in (0, 1))
        tail = self.course.parts["tail"]
        output, seen = _read(tail, mine, given) if answers else _read_nodes(tail, mine, given)
        with torch.no_grad():
            taught, shown = self._shown(batch, given.device)
            wanted, there = _read_nodes(taught, theirs, shown)
        if self._pairs:
            path = f"{self._path}.nodes"
            return output, nodes_distillation(seen, there, self._pairs, path)
        declared, heat = self.course.pupil.wanted, self.distill.temperature
        return output, output_distillation(declared, output, wanted, heat, self._path)

    def _shown(self, batch: Batch, device: torch.device) -> tuple[nn.Module, Tensor]:
        """The teacher from where it has to begin, and what it begins with."""
        feature = self.course.untouched(batch)
        if self.sees_pictures or feature is None:
            whole = self._whole.to(device)
            return whole, self.course.pupil.inputs(batch["image"], whole)
        return self._tail.to(device), feature


def _traced(part: nn.Module) -> fx.GraphModule | None:
    """The traced module in a half; None: there is none to read nodes in."""
    inner = part if isinstance(part, fx.GraphModule) else getattr(part, "net", None)
    return inner if isinstance(inner, fx.GraphModule) else None


def _names(part: nn.Module) -> list[str]:
    traced = _traced(part)
    return [] if traced is None else [node.name for node in traced.graph.nodes]


def _node(graph: Graph, name: str, there: list[str], path: str) -> str:
    """The traced node of a readable name, if it is among those there."""
    nodes: Mapping[str, str] = {step.name: step.node.name for step in graph.steps}
    choices = [readable for readable, node in nodes.items() if node in there]
    if name not in choices:
        raise ScenarioError("no such node behind the cut", path=path, value=name, choices=choices)
    return nodes[name]


def _read(part: nn.Module, names: list[str], *inputs: Tensor) -> tuple[Any, dict[str, Any]]:
    """What a part gives, and what chosen nodes in it give."""
    traced = _traced(part)
    if not names or traced is None:
        return part(*inputs), {}
    reader = NodeReader(traced, names)
    output = reader.run(*inputs)
    answer = getattr(part, "answer", None)
    return (output if answer is None else answer.conform(output)), reader.seen


def _read_nodes(part: nn.Module, names: list[str], *inputs: Tensor) -> tuple[Any, dict[str, Any]]:
    """None and what chosen nodes in a part give; what it gives as a whole if none is named."""
    traced = _traced(part)
    if not names or traced is None:
        return part(*inputs), {}
    return None, NodeReader(traced, names).read(*inputs)
