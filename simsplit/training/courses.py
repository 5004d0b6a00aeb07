"""What is trained: any network, or a code at a cut; parts, data, loss and artefact of each."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, fx, nn

from simsplit.errors import ScenarioError
from simsplit.networks.codes.build import cut_shape, make_code
from simsplit.networks.cuts import cut
from simsplit.networks.graph import Graph
from simsplit.networks.inference import fixed_batches
from simsplit.networks.opened import open_graph, open_module
from simsplit.networks.preprocess import network_input, network_size, preprocess_of
from simsplit.scenario.operating_points import RANDOM, Network
from simsplit.tasks.datasets import Arrays, class_counts
from simsplit.tasks.scorer import Scorer
from simsplit.tasks.wanted import Wanted
from simsplit.training.batches import Batch
from simsplit.training.losses import (
    NodeReader,
    check_trainable,
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
    Objectives,
    Phase,
    network_content,
)

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


class Pupil:
    """The network of a recipe: its input for pictures, and the answers it is trained on.

    Raises:
        ScenarioError: An answer that cannot be trained, though a phase asks for it.
    """

    def __init__(self, recipe: NetworkRecipe | CodeRecipe, channels: int) -> None:
        network = recipe.network
        self.network, self._recipe, self._channels = network, recipe, channels
        said = network.preprocess
        self._preprocess = None if said is None else preprocess_of(said, "network.preprocess")
        if any(recipe.objectives(phase).task for phase in recipe.phases):
            check_trainable(network)
        self.wanted: Sequence[Wanted] = ()

    def rows(self, arrays: Arrays, *, with_image: bool) -> Batch:
        """Truth of the declared answers, and maybe the pictures, without copies.

        Raises:
            ScenarioError: The data lack the truth, or have another number of classes.
        """
        recipe = self._recipe
        counts = class_counts(recipe.data, recipe.height, recipe.width)
        self.wanted = Scorer(self.network, arrays, counts).wanted
        names = {name for one in self.wanted for name in (one.spec.truth_key, "clean")}
        names |= {"image"} if with_image else set()
        return {n: torch.from_numpy(np.ascontiguousarray(arrays[n])) for n in names & set(arrays)}

    @property
    def size(self) -> tuple[int, int]:
        """``(h, w)`` of the network's input."""
        height, width = self._recipe.height, self._recipe.width
        if self._preprocess is None:
            return height, width
        return network_size(self._preprocess, height, width, "network.preprocess")

    def inputs(self, images: Tensor, like: nn.Module) -> Tensor:
        """What the network sees of pictures ``(B, H, W, C)``, where a module's parameters are."""
        seen = network_input(images.cpu(), self._preprocess, self._channels, "network.preprocess")
        parameter = next(like.parameters(), None)
        return seen if parameter is None else seen.to(parameter.device)


def whole_graph(network: Network, height: int, width: int) -> Graph:
    """The traced network, which must take batches to be trained.

    Raises:
        ScenarioError: It takes one picture at a time.
    """
    graph = open_graph(network, height, width)
    if not graph.takes_batches:
        message = "this network's graph takes one picture at a time and cannot be trained"
        raise ScenarioError(message, path="network.source", value=network.source)
    return graph


def _started(network: Network, seed: int) -> Network:
    """The network as its own recipe starts it; what it answers is of no concern to its weights."""
    untrained = {"weights": RANDOM} if network.weights == UNTRAINED else {}
    return network.model_copy(update={"seed": seed, "answer": None, **untrained})


class NetworkCourse:
    """Trains a network as its own module, from its seed or its weights."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        self.recipe, network = recipe, recipe.network
        self.pupil = Pupil(recipe, channels=3)
        height, width = self.pupil.size
        module = open_module(_started(network, recipe.seed), height, width)
        self.parts: dict[str, nn.Module] = {"network": module}
        teachers = (self._teacher(recipe.objectives(phase)) for phase in recipe.phases)
        self._teachers = {i: teacher for i, teacher in enumerate(teachers) if teacher is not None}

    def prepare(self, arrays: Arrays) -> Batch:
        """Pictures and truth."""
        return self.pupil.rows(arrays, with_image=True)

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
            teacher = self._teachers[self.recipe.phases.index(phase)].to(images.device)
            with torch.no_grad():
                wanted = teacher(images)
            heat = asked.distill.temperature
            error = output_distillation(self.recipe.network, output, wanted, heat)
            total = total + asked.distill.weight * error
        return total

    def settle(self, arrays: Arrays) -> None:
        """Nothing is left to do."""

    def _teacher(self, asked: Objectives) -> nn.Module | None:
        if asked.distill is None:
            return None
        if asked.distill.teacher is None:
            return copy.deepcopy(self.parts["network"]).eval().requires_grad_(False)
        graph = _teacher_graph(asked.distill, self.recipe)
        return copy.deepcopy(graph.module).eval().requires_grad_(False)


def _teacher_graph(distill: Distillation, recipe: NetworkRecipe | CodeRecipe) -> Graph:
    assert distill.teacher is not None
    content = network_content(distill.teacher, Path.cwd(), "phases.objectives.distill.teacher")
    return whole_graph(Network.model_validate(content), recipe.height, recipe.width)


class CodeCourse:
    """Trains a code at a cut, maybe with the network's two parts, which keep their statistics."""

    def __init__(self, recipe: CodeRecipe) -> None:
        self.recipe = recipe
        self.graph = whole_graph(recipe.network, recipe.height, recipe.width)
        self.pupil = Pupil(recipe, self.graph.example_shape[1])
        shape = cut_shape(self.graph, recipe.cut)
        self.code = make_code(recipe.code, shape, recipe.seed)
        self._original = cut(self.graph, recipe.cut)
        head, tail = (copy.deepcopy(half) for half in self._original)
        self.parts: dict[str, nn.Module] = {"head": head, "code": self.code, "tail": tail}
        self._teachers = {
            index: _Teacher(self, asked.distill)
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
        passed = self.code.through(feature, phase.noise.noise(), generator)
        total = torch.zeros((), device=feature.device)
        if asked.feature:
            total = total + asked.feature * relative_error(passed.feature.float(), feature.detach())
        if asked.rate:
            if passed.bits is None:
                message = "this code estimates no bits"
                raise ScenarioError(message, path="phases.objectives.rate", value=asked.rate)
            total = total + asked.rate * passed.bits.mean() / feature[0].numel()
        if asked.distill is not None:
            teacher = self._teachers[self.recipe.phases.index(phase)]
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
    """

    def __init__(self, course: CodeCourse, distill: Distillation) -> None:
        self.course, self.distill = course, distill
        self.graph = course.graph
        if distill.teacher is not None:
            self.graph = _teacher_graph(distill, course.recipe)
        self._tail = copy.deepcopy(course._original[1]).requires_grad_(False)
        self._whole = copy.deepcopy(self.graph.module).requires_grad_(False)
        own = [_node(course.graph, name, _names(course.parts["tail"])) for name in distill.nodes]
        others = distill.teacher_nodes or distill.nodes
        theirs = [_node(self.graph, name, _names(self._whole)) for name in others]
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
            return output, nodes_distillation(seen, there, self._pairs)
        network, heat = self.course.recipe.network, self.distill.temperature
        return output, output_distillation(network, output, wanted, heat)


def _traced(part: nn.Module) -> fx.GraphModule | None:
    """The traced module in a half; None: there is none to read nodes in."""
    inner = part if isinstance(part, fx.GraphModule) else getattr(part, "net", None)
    return inner if isinstance(inner, fx.GraphModule) else None


def _names(part: nn.Module) -> list[str]:
    traced = _traced(part)
    return [] if traced is None else [node.name for node in traced.graph.nodes]


def _node(graph: Graph, name: str, there: list[str]) -> str:
    """The traced node of a readable name, if it is among those there."""
    nodes: Mapping[str, str] = {step.name: step.node.name for step in graph.steps}
    choices = [readable for readable, node in nodes.items() if node in there]
    if name not in choices:
        path = "phases.objectives.distill.nodes"
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
