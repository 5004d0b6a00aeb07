"""What is trained: any network, or a code at a cut; parts, data, loss and artefact of each."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, fx, nn

from simsplit.errors import ScenarioError
from simsplit.networks.codes.build import cut_shapes, make_code
from simsplit.networks.cuts import cut
from simsplit.networks.graph import Graph
from simsplit.networks.inference import fixed_batches
from simsplit.networks.opened import input_channels, open_module
from simsplit.networks.tracing import output_for
from simsplit.scenario.operating_points import RANDOM, Network
from simsplit.tasks.datasets import Arrays
from simsplit.training.batches import Batch
from simsplit.training.losses import (
    NodeReader,
    nodes_distillation,
    output_distillation,
    relative_error,
    task_loss,
)
from simsplit.training.phases import (
    UNTRAINED,
    CodeRecipe,
    Distillation,
    NetworkRecipe,
    Phase,
    network_content,
    said_at,
    teacher_of,
)
from simsplit.training.pupil import Pupil, whole_graph

_BATCH = 32  # pictures at once where features are made beforehand
_MOST_FEATURE_BYTES = 4 * 2**30  # kept in memory; more are made anew in every step
_SEEN = 256  # features that a code is calibrated and settled on


class Course(Protocol):
    """One training: its parts and what a step minimises.

    Attributes:
        parts: Modules by name, all of them in a checkpoint.
    """

    parts: dict[str, nn.Module]

    @property
    def recipe(self) -> NetworkRecipe | CodeRecipe:
        """What is asked."""

    def prepare(self, arrays: Arrays) -> Batch:
        """Rows that steps draw from; parts are calibrated on them."""

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """What a step of a phase minimises."""

    def settle(self, arrays: Arrays) -> None:
        """After the last step, on the CPU and in evaluation mode."""

    def set_modes(self, phase: Phase) -> None:
        """Training or evaluation mode of every part."""


def _started(network: Network, seed: int) -> Network:
    """The network as its own recipe starts it; what it answers is of no concern to its weights."""
    untrained = {"weights": RANDOM} if network.weights == UNTRAINED else {}
    return network.model_copy(update={"seed": seed, "answer": None, **untrained})


class NetworkCourse:
    """Trains a network as its own module, from its seed or its weights."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        self.recipe, network = recipe, recipe.network
        self.pupil = Pupil(recipe)
        height, width = self.pupil.size
        with said_at("network", network.name):
            module = open_module(_started(network, recipe.seed), height, width)
            self.pupil.take(input_channels(module))
            output_for(module, torch.zeros(1, self.pupil.channels, height, width))
        self.parts: dict[str, nn.Module] = {"network": module}
        self._teachers = dict(self._opened_teachers())

    def prepare(self, arrays: Arrays) -> Batch:
        """Pictures and truth; what the network gives is held against them."""
        data, module = self.pupil.rows(arrays, with_image=True), self.parts["network"]
        first = self.pupil.inputs(data["image"][:1], module)
        for index, teacher in self._teachers.items():
            with said_at(f"{_distill_path(index)}.teacher"):
                output_for(teacher, first)
        self.pupil.check(output_for(module, first))
        return data

    def set_modes(self, phase: Phase) -> None:
        """Training mode, unless statistics of normalisation are to stay as they are."""
        self.parts["network"].train(self.recipe.normalisation == "trained")

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """Task and teacher."""
        asked = self.recipe.objectives(phase)
        images = self.pupil.inputs(batch["image"], self.parts["network"])
        output = self.parts["network"](images)
        total = torch.zeros((), device=images.device)
        if asked.task:
            total = total + asked.task * task_loss(self.pupil.wanted, output, batch)
        if asked.distill is not None:
            index = self.recipe.phases.index(phase)
            teacher = self._teachers[index].to(images.device)
            with torch.no_grad():
                wanted = teacher(images)
            heat = asked.distill.temperature
            path = _distill_path(index)
            error = output_distillation(self.recipe.network, output, wanted, heat, path)
            total = total + asked.distill.weight * error
        return total

    def settle(self, arrays: Arrays) -> None:
        """Nothing is left to do."""

    def _opened_teachers(self) -> Iterator[tuple[int, nn.Module]]:
        for index, asked in enumerate(map(self.recipe.objectives, self.recipe.phases)):
            if asked.distill is not None:
                module = self.parts["network"]
                if asked.distill.teacher is not None:
                    module = _teacher_graph(asked.distill, self.recipe, index).module
                yield index, copy.deepcopy(module).eval().requires_grad_(False)


def _distill_path(index: int) -> str:
    """Where a recipe says whom a phase learns from."""
    return f"phases[{index}].objectives.distill"


def _teacher_graph(distill: Distillation, recipe: NetworkRecipe | CodeRecipe, index: int) -> Graph:
    assert distill.teacher is not None
    path = f"{_distill_path(index)}.teacher"
    network = teacher_of(network_content(distill.teacher, Path.cwd(), path), path)
    return whole_graph(network, recipe.height, recipe.width, path)


class CodeCourse:
    """Trains a code at a cut, maybe with the network's two parts, which keep their statistics."""

    def __init__(self, recipe: CodeRecipe) -> None:
        self.recipe = recipe
        self.graph = whole_graph(recipe.network, recipe.height, recipe.width)
        self.pupil = Pupil(recipe)
        self.pupil.take(self.graph.example_shape[1])
        shape, _ = cut_shapes(self.graph, recipe.cut)
        self.code = make_code(recipe.code, shape, recipe.seed)
        self._original = cut(self.graph, recipe.cut)
        head, tail = (copy.deepcopy(half) for half in self._original)
        self.parts: dict[str, nn.Module] = {"head": head, "code": self.code, "tail": tail}
        self._teachers = {
            index: _Teacher(self, asked.distill, index)
            for index, asked in enumerate(map(recipe.objectives, recipe.phases))
            if asked.distill is not None
        }

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The parts that phases train, the code always."""
        named = {part for phase in self.recipe.phases for part in phase.train}
        both = {"head", "tail"} if "network" in named else set()
        return tuple(part for part in self.parts if part == "code" or part in named | both)

    def prepare(self, arrays: Arrays) -> Batch:
        """Truth, and features behind a head that stays as it is (else pictures)."""
        features = self._features(arrays["image"][:_SEEN])
        with torch.no_grad():
            self.code.calibrate(torch.from_numpy(features))
        cached = self._features_fit(arrays)
        foreign = any(teacher.sees_pictures for teacher in self._teachers.values())
        data = self.pupil.rows(arrays, with_image=not cached or foreign)
        feature = torch.from_numpy(features[:1])
        self.pupil.check(output_for(self.parts["tail"], feature))
        if cached:
            data["feature"] = torch.from_numpy(self._features(arrays["image"]))
            if self.recipe.flip:
                data["mirrored"] = torch.from_numpy(self._features(arrays["image"][:, :, ::-1]))
        return data

    def set_modes(self, phase: Phase) -> None:
        """The network's parts stay in evaluation mode: their statistics are the start's."""
        for name, part in self.parts.items():
            part.train(name == "code" and "code" in phase.train)

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """Task, feature, rate and teacher, as the phase weighs them."""
        asked, feature = self.recipe.objectives(phase), self._feature(batch)
        index = self.recipe.phases.index(phase)
        passed = self.code.through(feature, phase.noise.noise(), generator)
        total = torch.zeros((), device=feature.device)
        if asked.feature:
            total = total + asked.feature * relative_error(passed.feature.float(), feature.detach())
        if asked.rate:
            if passed.bits is None:
                message, path = "this code estimates no bits", f"phases[{index}].objectives.rate"
                raise ScenarioError(message, path=path, value=asked.rate)
            total = total + asked.rate * passed.bits.mean() / feature[0].numel()
        if asked.distill is not None:
            teacher = self._teachers[index]
            output, error = teacher.error(passed.feature, batch)
            total = total + asked.distill.weight * error
        elif asked.task:
            output = self.parts["tail"](passed.feature)
        if asked.task:
            total = total + asked.task * task_loss(self.pupil.wanted, output, batch)
        return total

    def settle(self, arrays: Arrays) -> None:
        """Tables of the code, on features of the head as it is now."""
        with torch.no_grad():
            self.code.settle(torch.from_numpy(self._features(arrays["image"][:_SEEN])))

    def _feature(self, batch: Batch) -> Tensor:
        if "feature" in batch:
            return batch["feature"]
        images = self.pupil.inputs(batch["image"], self.parts["tail"])
        feature: Tensor = self.parts["head"](images)[0]
        return feature

    def _features(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        head, inputs = self.parts["head"], self.pupil.inputs
        batches = fixed_batches(lambda rows: head(inputs(rows, head))[0], images, size=_BATCH)
        return np.concatenate([rows[:count].numpy() for rows, count in batches])

    def _features_fit(self, arrays: Arrays) -> bool:
        """Whether the head stays as it is and all its features can be kept."""
        count = len(arrays["image"]) * (2 if self.recipe.flip else 1)
        size = 4 * count * int(np.prod(self.code.shape))
        return "head" not in self.changed and size <= _MOST_FEATURE_BYTES


class _Teacher:
    """Whom a phase of a code learns from, and where.

    Args:
        course: Whose tail is taught.
        distill: What the recipe says.
        index: Of the phase.
    """

    def __init__(self, course: CodeCourse, distill: Distillation, index: int) -> None:
        self.course, self.distill, self._path = course, distill, _distill_path(index)
        self.graph = course.graph
        if distill.teacher is not None:
            self.graph = _teacher_graph(distill, course.recipe, index)
        self._tail = copy.deepcopy(course._original[1]).requires_grad_(False)
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

    def error(self, feature: Tensor, batch: Batch) -> tuple[Any, Tensor]:
        """The tail's output for a feature, and how far it is from the teacher."""
        mine, theirs = ([pair[i] for pair in self._pairs] for i in (0, 1))
        output, seen = _read(self.course.parts["tail"], mine, feature)
        with torch.no_grad():
            if self.sees_pictures or "feature" not in batch:
                whole = self._whole.to(feature.device)
                images = self.course.pupil.inputs(batch["image"], whole)
                wanted, there = _read(whole, theirs, images)
            else:
                tail = self._tail.to(feature.device)
                wanted, there = _read(tail, theirs, batch["feature"])
        if self._pairs:
            path = f"{self._path}.nodes"
            return output, nodes_distillation(seen, there, self._pairs, path)
        network, heat = self.course.recipe.network, self.distill.temperature
        return output, output_distillation(network, output, wanted, heat, self._path)


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
